"""Revocation lists and chains for the tests."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


def crl_of(authority, *revoked, begin=-DAY, end=DAY, key=None, extensions=(), now=NOW):
    """A list of `authority` that names `revoked`; signed by `key`, if somebody else signs it."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now + begin)
        .next_update(now + end)
    )
    for one in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number).revocation_date(now - DAY)
        builder = builder.add_revoked_certificate(entry.build())
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key or authority.key, hashes.SHA256())


def pem(*crls):
    return b"".join(crl.public_bytes(Encoding.PEM) for crl in crls)


def der(*people):
    return tuple(one.certificate.public_bytes(Encoding.DER) for one in people)
