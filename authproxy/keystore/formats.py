"""What kind of file it is, told by its first bytes; what is not PEM is refused with the command that converts it.

The formats of the JVM get a reader each, in a module of their own beside `combined`, once they are read here.
"""

import shlex
from enum import Enum

from authproxy.errors import MaterialError
from authproxy.keystore.reading import Content


class Format(Enum):
    """What the first bytes of a file say it is."""

    PEM = "PEM"
    PKCS12 = "PKCS#12"
    JKS = "JKS"
    JCEKS = "JCEKS"
    DER = "DER"
    UTF16 = "UTF-16 text"


def format_of(data: bytes) -> Format:
    """Return the format; anything that is not known is taken for PEM, whose reader says what is missing."""
    head = data[:16]
    if head.startswith(b"\xfe\xed\xfe\xed"):
        return Format.JKS
    if head.startswith(b"\xce\xce\xce\xce"):
        return Format.JCEKS
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Format.UTF16
    if head.startswith(b"\x30") and b"-----BEGIN " not in data:
        return Format.PKCS12 if _is_pkcs12(head) else Format.DER
    return Format.PEM


def refuse_unread_formats(content: Content) -> None:
    """Refuse what is not PEM, with the command that makes PEM of it.

    Raises:
        MaterialError: the file is of another format.
    """
    path = shlex.quote(str(content.path))
    pem = shlex.quote(f"{content.path.with_suffix('')}.pem")
    p12 = shlex.quote(f"{content.path.with_suffix('')}.p12")
    source = str(content.path)
    match format_of(content.data):
        case Format.PKCS12:
            raise MaterialError(source, f"is PKCS#12, convert it: openssl pkcs12 -in {path} -nodes -out {pem}")
        case Format.JKS | Format.JCEKS as kind:
            first = f"keytool -importkeystore -srckeystore {path} -destkeystore {p12} -deststoretype PKCS12"
            then = f"openssl pkcs12 -in {p12} -nodes -out {pem}"
            raise MaterialError(source, f"is {kind.value}, convert it: {first} && {then}")
        case Format.DER:
            cure = f"openssl x509 -inform DER -in {path} (or: openssl pkey -inform DER -in {path})"
            raise MaterialError(source, f"is binary DER, convert it: {cure}")
        case Format.UTF16:
            raise MaterialError(source, f"is UTF-16 text, convert it: iconv -f UTF-16 -t UTF-8 {path}")
        case Format.PEM:
            return


def _is_pkcs12(head: bytes) -> bool:
    # PFX ::= SEQUENCE { version INTEGER {v3(3)}, ... }, RFC 7292 section 4; a certificate starts with a SEQUENCE in it.
    length = head[1] if len(head) > 1 else 0
    body = 2 + (length & 0x7F if length & 0x80 else 0)
    return head[body : body + 3] == b"\x02\x01\x03"
