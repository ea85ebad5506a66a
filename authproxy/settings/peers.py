"""Whether clients show certificates, and which of those that are believed may come in."""

import base64
import binascii
import re
from ipaddress import ip_address
from typing import Annotated, Final, Literal, TypeAlias

from cryptography import x509
from pydantic import AfterValidator

from authproxy.core.acl import UriPattern
from authproxy.core.certificate import shown
from authproxy.options import Whole
from authproxy.settings.section import Section, bounded
from authproxy.settings.words import Name, at_least_one, check_host

ClientMode: TypeAlias = Literal["none", "optional", "required"]

_HEX: Final = re.compile(r"[0-9a-f]{64}|[0-9a-f]{2}(?::[0-9a-f]{2}){31}", re.IGNORECASE)
_DIGEST: Final = 32
_LONGEST: Final = 256


def _text(value: str) -> str:
    if not value:
        raise ValueError("must not be empty: that would be everybody whose certificate has no such name")
    if value != value.strip() or not value.isprintable() or len(value) > _LONGEST:
        raise ValueError("must be printable, without blanks around it")
    if "*" in value:
        raise ValueError("is compared whole: no wildcard here")
    return value


def _dns(value: str) -> str:
    if "*" in value:
        raise ValueError("is compared whole: no wildcard here")
    return check_host(value)


def _email(value: str) -> str:
    local, _, domain = _text(value).rpartition("@")
    if not local or not domain:
        raise ValueError("must be an address such as somebody@example.org")
    return f"{local}@{domain.lower()}"


def _uri(value: str) -> str:
    UriPattern.parse(value)
    return value


def _ip(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        raise ValueError("must be an address such as 192.0.2.1, no network") from None


def _issuer(value: str) -> str:
    text = _text(value)
    try:
        return shown(x509.Name.from_rfc4514_string(text).rfc4514_string())
    except ValueError:
        raise ValueError("must be a name such as CN=Example CA,O=Example (RFC 4514)") from None


def _fingerprint(value: str) -> str:
    if not _HEX.fullmatch(value):
        raise ValueError("must be the SHA-256 of a certificate: 64 hex digits, with colons or without")
    return value.replace(":", "").lower()


def _spki(value: str) -> str:
    try:
        digest = binascii.a2b_base64(value.removeprefix("sha256/").encode("ascii"), strict_mode=True)
    except ValueError:
        digest = b""
    # Written again, for base64 has more than one spelling of the last byte.
    if len(digest) != _DIGEST or f"sha256/{base64.b64encode(digest).decode()}" != value:
        raise ValueError("must be a pin: sha256/ and the base64 of the 32 bytes of the key's SHA-256")
    return value


class AllowRule(Section):
    """A rule about a certificate: all that it names must hold."""

    cn: Annotated[str, AfterValidator(_text)] | None = None
    """The common name, of a certificate that has one only."""
    ou: Annotated[str, AfterValidator(_text)] | None = None
    """One of the organizational units."""
    dns: Annotated[str, AfterValidator(_dns)] | None = None
    """One of the DNS names."""
    email: Annotated[str, AfterValidator(_email)] | None = None
    """One of the mail addresses among the alternative names."""
    uri: Annotated[str, AfterValidator(_uri)] | None = None
    """One of the URIs; in the path `*` is one segment, and `**` at the end one or more."""
    ip: Annotated[str, AfterValidator(_ip)] | None = None
    """One of the IP addresses."""
    issuer: Annotated[str, AfterValidator(_issuer)] | None = None
    """The whole name of the issuer, as RFC 4514 writes it."""
    spki: Annotated[str, AfterValidator(_spki)] | None = None
    """The pin of the key, `sha256/BASE64`."""
    fingerprint: Annotated[str, AfterValidator(_fingerprint)] | None = None
    """The SHA-256 of the certificate, in hex."""


class ClientCertificates(Section):
    """Whether a client shows a certificate, and who is believed about it."""

    mode: ClientMode = "none"
    """`none`: not asked for; `optional`: verified when shown; `required`: no handshake without."""
    trust: Name | None = None
    """The truststore that client certificates must lead to; needed unless `mode` is `none`."""
    allow: Annotated[tuple[AllowRule, ...], at_least_one("rule")] | None = None
    """Whose certificates are let in: those that meet one of these rules; by default all that are trusted."""
    intermediates: Annotated[Whole, bounded(0, 8)] = 1
    """How many authorities may stand between a certificate and the one in `trust`; put those of longer chains into the truststore."""
    on_revoke: Literal["close", "keep"] = "close"
    """What becomes of open connections whose clients a reload shuts out: ended within a second, or kept."""
