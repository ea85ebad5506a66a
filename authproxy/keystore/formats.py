"""What kind of file it is, told by its first bytes; what is not read is refused with the command that converts it."""

import shlex
from enum import Enum
from typing import Final

from cryptography import x509

from authproxy.errors import MaterialError
from authproxy.keystore.reading import Content


class Format(Enum):
    """What the first bytes of a file say it is."""

    PEM = "PEM"
    PKCS12 = "PKCS#12"
    JKS = "JKS"
    JCEKS = "JCEKS"
    BKS = "BKS"
    DER = "DER"
    UTF16 = "UTF-16 text"


STORES: Final = (Format.PKCS12, Format.JKS)
"""Formats that hold keys and certificates under aliases, behind a password."""

# Bouncy Castle's: version 1 or 2, then the length of a salt, which is 20.
_BKS: Final = (b"\0\0\0\1\0\0\0\x14", b"\0\0\0\2\0\0\0\x14")


def format_of(data: bytes) -> Format:
    """Return the format; anything that is not known is taken for PEM, whose reader says what is missing."""
    head = data[:16]
    if head.startswith(b"\xfe\xed\xfe\xed"):
        return Format.JKS
    if head.startswith(b"\xce\xce\xce\xce"):
        return Format.JCEKS
    if head.startswith(_BKS):
        return Format.BKS
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Format.UTF16
    if head.startswith(b"\x30") and b"-----BEGIN " not in data:
        return Format.PKCS12 if _is_pkcs12(head) else Format.DER
    return Format.PEM


def is_der_certificate(data: bytes) -> bool:
    """Return whether it is one certificate in DER, and nothing else."""
    if format_of(data) is not Format.DER:
        return False
    try:
        x509.load_der_x509_certificate(data)
    except ValueError:
        return False
    return True


def refuse_unread_formats(content: Content) -> None:
    """Refuse what is neither PEM nor a store, with the command that converts it.

    Raises:
        MaterialError: the file is of another format.
    """
    path = shlex.quote(str(content.path))
    p12 = shlex.quote(f"{content.path.with_suffix('')}.p12")
    source = str(content.path)
    match format_of(content.data):
        case Format.JCEKS:
            cure = f"keytool -importkeystore -srckeystore {path} -srcstoretype JCEKS -destkeystore {p12} -deststoretype PKCS12"
            raise MaterialError(source, f"is JCEKS, convert it: {cure}")
        case Format.BKS:
            provider = "-providerclass org.bouncycastle.jce.provider.BouncyCastleProvider -providerpath BCPROV.jar"
            cure = f"keytool -importkeystore -srckeystore {path} -srcstoretype BKS {provider} -destkeystore {p12} -deststoretype PKCS12"
            raise MaterialError(source, f"is BKS, convert it: {cure}")
        case Format.DER:
            cure = f"openssl x509 -inform DER -in {path} (or: openssl pkey -inform DER -in {path})"
            raise MaterialError(source, f"is binary DER, convert it: {cure}")
        case Format.UTF16:
            raise MaterialError(source, f"is UTF-16 text, convert it: iconv -f UTF-16 -t UTF-8 {path}")
        case Format.PEM | Format.PKCS12 | Format.JKS:
            return


def refuse_stores(content: Content) -> None:
    """Refuse a store where one of two PEM files is wanted.

    Raises:
        MaterialError: it is one.
    """
    kind = format_of(content.data)
    if kind in STORES:
        problem = (
            f"is {kind.value}, which holds key and certificate: name it by `file`, without `certificate` and `key`"
        )
        raise MaterialError(str(content.path), problem)


def _is_pkcs12(head: bytes) -> bool:
    # PFX ::= SEQUENCE { version INTEGER {v3(3)}, ... }, RFC 7292 section 4; a certificate starts with a SEQUENCE in it.
    length = head[1] if len(head) > 1 else 0
    body = 2 + (length & 0x7F if length & 0x80 else 0)
    return head[body : body + 3] == b"\x02\x01\x03"
