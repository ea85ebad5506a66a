"""Development authorities and certificates, as pure values; who writes them where is the caller's business.

Like locksmith's and nREPL's own recipe (one root, one server, some clients, the root's key thrown away), with what
those leave out: names, usages, key identifiers and random serials, so that OpenSSL's strict mode, Python 3.13,
browsers and nREPL all accept the result, and a client's key cannot play the server.
"""

import ipaddress
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from authproxy.core.secret import Secret
from authproxy.keystore.model import PrivateKey

# Clocks of peers that are a little behind shall accept a certificate that is minutes old.
_BACK_DATED = timedelta(minutes=5)
_SERIAL_BITS = 128
COMMON_NAME_LENGTH = 64  # RFC 5280, ub-common-name-length
_DNS_NAME_LENGTH = 253
_RSA_BITS = 3072
_URI_LENGTH = 2048  # as SPIFFE allows
_URI = re.compile(r"[a-z][a-z0-9+.-]*://?[!-~]+", re.ASCII | re.IGNORECASE)
_DNS_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII | re.IGNORECASE)


class Algorithm(Enum):
    """What kind of keys to make."""

    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"
    RSA = "rsa"
    """3072 bits."""
    ED25519 = "ed25519"
    """nREPL reads it from 1.8 on, with Java 15 or later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)

    def certificate_pem(self) -> bytes:
        """Return the certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self, password: Secret[bytes] | None = None) -> bytes:
        """Return the key as PKCS#8 PEM, encrypted when a password is given."""
        protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            protection = serialization.BestAvailableEncryption(password.reveal())
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """From when to when."""

    begin: datetime
    end: datetime

    @classmethod
    def of_days(cls, now: datetime, days: int) -> "Validity":
        """Return the period that began five minutes before the aware instant `now` and ends `days` after it."""
        return cls(begin=now - _BACK_DATED, end=now + timedelta(days=days))


def new_authority(common_name: str, validity: Validity, algorithm: Algorithm) -> Issued:
    """Return a self-signed root that may issue leaves and nothing below."""
    key = new_key(algorithm)
    name = _name(common_name)
    builder = (
        _builder(name, name, key, validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    return Issued(certificate=builder.sign(key, _digest(key)), key=key)


def new_server(
    authority: Issued,
    names: Iterable[x509.GeneralName],
    validity: Validity,
    algorithm: Algorithm,
    common_name: str | None = None,
) -> Issued:
    """Return a server certificate for `names` (at least one; the first is also the common name where none is given)."""
    alternative = x509.SubjectAlternativeName(names)
    first = str(next(iter(alternative)).value)[:COMMON_NAME_LENGTH]
    return _leaf(
        authority,
        common_name or first,
        validity,
        algorithm,
        [x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), alternative],
    )


def new_client(
    authority: Issued,
    common_name: str,
    validity: Validity,
    algorithm: Algorithm,
    uris: Iterable[x509.UniformResourceIdentifier] = (),
) -> Issued:
    """Return a client certificate whose name is `common_name`, at most 64 characters, and `uris`, such as SPIFFE ids."""
    extensions: list[x509.ExtensionType] = [x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])]
    if names := list(uris):
        extensions.append(x509.SubjectAlternativeName(names))
    return _leaf(authority, common_name, validity, algorithm, extensions)


def renewed(old: x509.Certificate, authority: Issued, validity: Validity) -> Issued:
    """Return a certificate that says the same as `old`, with a new key of the same kind; `authority` signs it."""
    key = _key_like(old.public_key())
    builder = _builder(old.subject, authority.certificate.subject, key, validity)
    identifiers = _identifiers(authority, key)
    for identifier in identifiers:
        builder = builder.add_extension(identifier, critical=False)
    for extension in old.extensions:
        if extension.oid not in {identifier.oid for identifier in identifiers}:
            builder = builder.add_extension(extension.value, extension.critical)
    return Issued(certificate=builder.sign(authority.key, _digest(authority.key)), key=key)


def keys_file(authority: Issued, own: Issued) -> bytes:
    """Return the text of an nREPL keys file: root certificate, own certificate, own key."""
    return authority.certificate_pem() + own.certificate_pem() + own.key_pem()


def combined_file(own: Issued) -> bytes:
    """Return own certificate and key in one text, as `keystores: {main: {file: server.pem}}` takes it."""
    return own.certificate_pem() + own.key_pem()


def alternative_name(text: str) -> x509.GeneralName:
    """Return the subject alternative name that `text` spells: an IP address, or a host name that may start with `*.`.

    Raises:
        ValueError: it is neither.
    """
    try:
        return x509.IPAddress(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        name = text.removesuffix(".").lower()
    labels = name.removeprefix("*.").split(".")
    if len(name) > _DNS_NAME_LENGTH or not all(_DNS_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{text!r} is neither a host name nor an IP address")
    if labels[-1].isdigit():
        raise ValueError(f"{text!r} looks like an IP address and is none")
    return x509.DNSName(name)


def uri_name(text: str) -> x509.UniformResourceIdentifier:
    """Return the subject alternative name of a URI such as `spiffe://example.org/dev/alice`.

    Raises:
        ValueError: it is none.
    """
    if len(text) > _URI_LENGTH or not _URI.fullmatch(text):
        raise ValueError(f"{text!r} is no URI, such as spiffe://example.org/dev/alice")
    return x509.UniformResourceIdentifier(text)


def new_key(algorithm: Algorithm) -> PrivateKey:
    """Return a fresh private key."""
    match algorithm:
        case Algorithm.EC_P256:
            return ec.generate_private_key(ec.SECP256R1())
        case Algorithm.EC_P384:
            return ec.generate_private_key(ec.SECP384R1())
        case Algorithm.RSA:
            return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
        case Algorithm.ED25519:
            return ed25519.Ed25519PrivateKey.generate()


def _leaf(
    authority: Issued, common_name: str, validity: Validity, algorithm: Algorithm, extensions: list[x509.ExtensionType]
) -> Issued:
    key = new_key(algorithm)
    builder = _builder(_name(common_name), authority.certificate.subject, key, validity)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    for extension in (*_identifiers(authority, key), *extensions):
        builder = builder.add_extension(extension, critical=False)
    return Issued(certificate=builder.sign(authority.key, _digest(authority.key)), key=key)


def _identifiers(authority: Issued, key: PrivateKey) -> tuple[x509.ExtensionType, ...]:
    try:
        found = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    else:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found)
    return x509.SubjectKeyIdentifier.from_public_key(key.public_key()), issuer


def _key_like(public: object) -> PrivateKey:
    match public:
        case rsa.RSAPublicKey():
            return rsa.generate_private_key(public_exponent=65537, key_size=max(public.key_size, _RSA_BITS))
        case ec.EllipticCurvePublicKey():
            return ec.generate_private_key(public.curve)
        case ed25519.Ed25519PublicKey():
            return ed25519.Ed25519PrivateKey.generate()
        case ed448.Ed448PublicKey():
            return ed448.Ed448PrivateKey.generate()
        case _:
            raise ValueError("a key of a kind that is not made here")


def _builder(subject: x509.Name, issuer: x509.Name, key: PrivateKey, validity: Validity) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        # The highest bit is set: 128 bits always, and never zero.
        .serial_number(secrets.randbits(_SERIAL_BITS) | 1 << (_SERIAL_BITS - 1))
        .not_valid_before(validity.begin)
        .not_valid_after(validity.end)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _digest(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | None:
    if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP384R1):
        return hashes.SHA384()
    return hashes.SHA256()
