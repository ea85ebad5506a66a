"""What can be told of keys and certificates without telling a secret: for `authproxy keys inspect`."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from authproxy.core.certificate import CertificateNames
from authproxy.errors import MaterialError, UnreadableCertificate
from authproxy.keystore.names import certificate_names
from authproxy.keystore.parts import is_pss

_USAGES: Final[Mapping[str, str]] = {
    ExtendedKeyUsageOID.SERVER_AUTH.dotted_string: "serverAuth",
    ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string: "clientAuth",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string: "any",
    ExtendedKeyUsageOID.CODE_SIGNING.dotted_string: "codeSigning",
    ExtendedKeyUsageOID.EMAIL_PROTECTION.dotted_string: "emailProtection",
    ExtendedKeyUsageOID.TIME_STAMPING.dotted_string: "timeStamping",
    ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string: "OCSPSigning",
}
_CURVES: Final[Mapping[str, str]] = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """One certificate, in words."""

    place: str
    """What it is in its file: own, issuer, root, trusted, or not part of the chain."""
    alias: str | None
    names: CertificateNames
    key: str
    """Kind and size of its key."""
    signature: str
    """How it was signed."""
    sha1: str
    """Of the DER form, as old tools show it; 40 hex digits."""

    def left(self, now: datetime) -> timedelta:
        """Return how long it stays valid; negative when it has ended."""
        return self.names.not_after - now

    @property
    def pin(self) -> str:
        """SHA-256 of the public key, as `pins` and `curl --pinnedpubkey` write it."""
        return "sha256/" + base64.b64encode(bytes.fromhex(self.names.spki)).decode()

    @property
    def role(self) -> str:
        """What it may be used for, by its extended key usage."""
        if self.names.is_authority:
            return "authority"
        usages = self.usages
        if not usages or "any" in usages or {"serverAuth", "clientAuth"} <= set(usages):
            return "server and client"
        return "server" if "serverAuth" in usages else "client" if "clientAuth" in usages else "neither"

    @property
    def usages(self) -> tuple[str, ...]:
        """The extended key usages by name; none: any."""
        return tuple(sorted(_USAGES.get(usage, usage) for usage in self.names.usages or ()))


def facts_of(certificate: x509.Certificate, place: str, source: str, alias: str | None = None) -> CertificateFacts:
    """Return what is to be told of a certificate; raises MaterialError when it cannot be read."""
    der = certificate.public_bytes(Encoding.DER)
    try:
        names = certificate_names(der)
    except UnreadableCertificate as error:
        raise MaterialError(source, f"holds a certificate that cannot be read: {error}") from error
    return CertificateFacts(
        place=place,
        alias=alias,
        names=names,
        key=_key_of(certificate),
        signature=_signature(certificate),
        sha1=hashlib.sha1(der, usedforsecurity=False).hexdigest(),
    )


def kind_of_key(key: object) -> str:
    """Return kind and size of a public or private key."""
    match key:
        case rsa.RSAPublicKey() | rsa.RSAPrivateKey():
            return f"RSA {key.key_size}"
        case ec.EllipticCurvePublicKey() | ec.EllipticCurvePrivateKey():
            return f"EC {_CURVES.get(key.curve.name, key.curve.name)}"
        case ed25519.Ed25519PublicKey() | ed25519.Ed25519PrivateKey():
            return "Ed25519"
        case ed448.Ed448PublicKey() | ed448.Ed448PrivateKey():
            return "Ed448"
        case dsa.DSAPublicKey():
            return "DSA"
        case _:
            return "unknown"


def _key_of(certificate: x509.Certificate) -> str:
    try:
        key = kind_of_key(certificate.public_key())
    except (ValueError, UnsupportedAlgorithm):
        return "unknown"
    return f"{key} (RSA-PSS only)" if is_pss(certificate) else key


def _signature(certificate: x509.Certificate) -> str:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "unknown"
    return "Ed25519 or Ed448" if algorithm is None else algorithm.name
