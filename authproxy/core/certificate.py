"""What a certificate says of its owner, as plain values: nothing in here knows how certificates are written."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateNames:
    """Names and facts of one certificate, as they stand in it.

    Names are whatever the issuer signed: they may be empty, or hold blanks, line ends, NUL and characters that turn
    the direction of text. Only `subject` and `issuer` are fit to be shown as they are. Whether anybody believes the
    certificate is not known here.
    """

    uris: tuple[str, ...] = ()
    """URI entries of the subject alternative names, in their order; so are the next three."""
    dns: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    """Of the alternative names only, not of the subject."""
    ips: tuple[str, ...] = ()
    """As `ipaddress` writes them."""
    common_names: tuple[str, ...] = ()
    """Every CN of the subject, in the order of the certificate."""
    units: tuple[str, ...] = ()
    """Every OU of the subject."""
    subject: str = ""
    """RFC 4514; whatever is not printable is escaped as `\\0A`."""
    issuer: str = ""
    """Likewise."""
    fingerprint: str
    """SHA-256 of the certificate's DER form: 64 lower-case hex digits."""
    spki: str
    """SHA-256 of its SubjectPublicKeyInfo, likewise: the same for every certificate of one key."""
    serial: int
    not_before: datetime
    """Aware."""
    not_after: datetime
    """Aware; a certificate is dead at this very instant."""
    usages: frozenset[str] | None = None
    """The extended key usages as dotted numbers (clientAuth: 1.3.6.1.5.5.7.3.2); None: any usage."""
    is_authority: bool = False
    """It says of itself that it may issue others."""


def shown(text: str) -> str:
    """Return a distinguished name fit for a log: what is not printable is escaped as RFC 4514 (2.4) writes bytes."""
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return "".join(f"\\{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
