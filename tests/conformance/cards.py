"""Clients with certificates of any make, hostile ones too."""

import ssl
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from authproxy.keystore.generate import Issued


def issue(
    issuer: Issued | None = None,
    *names: x509.GeneralName,
    authority: bool = False,
    extra: x509.ExtensionType | None = None,
    **subject: str,
) -> Issued:
    """A certificate with these alternative names and, under `cn=` and `cn2=`, these common names; nothing is checked."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    with warnings.catch_warnings():
        # Of names that are too long or empty.
        warnings.simplefilter("ignore")
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, one, _validate=False) for one in subject.values()]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(attributes))
        .issuer_name(x509.Name(attributes) if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=2 if authority else 1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if extra is not None:
        builder = builder.add_extension(extra, critical=False)
    return Issued(certificate=builder.sign(key if issuer is None else issuer.key, hashes.SHA256()), key=key)


def uri(text: str) -> x509.GeneralName:
    """A URI, whatever it is."""
    return x509.UniformResourceIdentifier._init_without_validation(text)


def dns(text: str) -> x509.GeneralName:
    """A host, whatever it is."""
    return x509.DNSName._init_without_validation(text)


@dataclass(frozen=True)
class Cards:
    """Authorities, and a place for the files that clients need."""

    folder: Path
    ours: Issued
    """Its certificates name users."""
    others: Issued
    """Believed by the listener, and by no zone."""

    def context(self, base: ssl.SSLContext, card: Issued | None, *between: Issued) -> ssl.SSLContext:
        """`base`, showing a certificate and those between it and its authority."""
        if card is not None:
            file = self.folder / f"{card.certificate.serial_number}.pem"
            file.write_bytes(
                card.certificate_pem() + b"".join(one.certificate_pem() for one in between) + card.key_pem()
            )
            base.load_cert_chain(file)
        return base
