"""Reads the names in a certificate that somebody showed; what cannot be read is refused by name, never half read."""

import hashlib
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

from authproxy.core.certificate import CertificateNames, shown
from authproxy.errors import UnreadableCertificate

# What cryptography raises for what it cannot make sense of, when it loads a certificate or when a field is looked at.
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_LONG_FORM: Final = 0x80
_VERSION: Final = 0xA0
# serialNumber, signature, issuer, validity, subject: what stands before the key (RFC 5280, 4.1).
_BEFORE_KEY: Final = 5


@lru_cache(maxsize=1024)
def certificate_names(der: bytes) -> CertificateNames:
    """Return what a certificate in DER says of its owner; kept, because the same client comes again and again.

    Raises:
        UnreadableCertificate: it, its names or one of its extensions cannot be read. Whoever is known by half of what
            his certificate says is not known.
    """
    # Of names that are too long or too short cryptography warns on standard error; they are judged where they are used.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _read(der, x509.load_der_x509_certificate(der))
        except _UNREADABLE as error:
            raise UnreadableCertificate(f"{type(error).__name__}: {shown(str(error))}"[:200]) from error


def _read(der: bytes, certificate: x509.Certificate) -> CertificateNames:
    found: dict[type[x509.ExtensionType], x509.ExtensionType] = {
        type(each.value): each.value for each in certificate.extensions
    }
    entries = found.get(x509.SubjectAlternativeName)
    names = tuple(entries) if isinstance(entries, x509.SubjectAlternativeName) else ()
    usages = found.get(x509.ExtendedKeyUsage)
    basic = found.get(x509.BasicConstraints)
    return CertificateNames(
        uris=tuple(name.value for name in names if isinstance(name, x509.UniformResourceIdentifier)),
        dns=tuple(name.value for name in names if isinstance(name, x509.DNSName)),
        emails=tuple(name.value for name in names if isinstance(name, x509.RFC822Name)),
        ips=tuple(str(name.value) for name in names if isinstance(name, x509.IPAddress)),
        common_names=_attributes(certificate, NameOID.COMMON_NAME),
        units=_attributes(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME),
        subject=shown(certificate.subject.rfc4514_string()),
        issuer=shown(certificate.issuer.rfc4514_string()),
        fingerprint=hashlib.sha256(der).hexdigest(),
        spki=hashlib.sha256(public_key_info(certificate.tbs_certificate_bytes)).hexdigest(),
        serial=certificate.serial_number,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        usages=frozenset(usage.dotted_string for usage in usages)
        if isinstance(usages, x509.ExtendedKeyUsage)
        else None,
        is_authority=isinstance(basic, x509.BasicConstraints) and basic.ca,
    )


def _attributes(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> tuple[str, ...]:
    values = (attribute.value for attribute in certificate.subject.get_attributes_for_oid(oid))
    return tuple(value if isinstance(value, str) else value.decode("latin-1") for value in values)


def public_key_info(tbs: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo, byte for byte, out of a certificate's signed part (RFC 5280, 4.1).

    Why by hand: cryptography writes a key anew, which changes RSA-PSS ones, and does not load every key.

    Raises:
        ValueError: this is no such thing.
    """
    start, end = _header(tbs, 0)
    elements = list(_elements(tbs[start:end]))
    place = _BEFORE_KEY + (elements[0][0] == _VERSION) if elements else 0
    if place >= len(elements):
        raise ValueError("no public key")
    return elements[place]


def _elements(data: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(data):
        _, end = _header(data, position)
        yield data[position:end]
        position = end


def _header(data: bytes, position: int) -> tuple[int, int]:
    """Return where the contents of a DER element begin and end."""
    try:
        size = data[position + 1]
        start = position + 2
        if size >= _LONG_FORM:
            width = size - _LONG_FORM
            size = int.from_bytes(data[start : start + width], "big")
            start += width
    except IndexError as error:
        raise ValueError("cut short") from error
    if start + size > len(data):
        raise ValueError("cut short")
    return start, start + size
