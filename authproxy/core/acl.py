"""Rules about the names in a client's certificate: whom of those who are believed a listener lets in.

What a rule compares is compared whole and exactly. Only URIs have wildcards, by segments, as SPIFFE paths want them.
"""

import re
from dataclasses import dataclass
from typing import Final

from authproxy.core.certificate import CertificateNames

# What a wildcard stands for: SPIFFE's path segments, and what else needs no escape (RFC 3986, 3.3). No dot segments.
_SEGMENT: Final = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~!$&'()+,;=:@-]+\Z")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*\Z")
# Scheme, nothing, authority; or what stands before the first colon.
_HEAD: Final = 3


@dataclass(frozen=True, slots=True)
class UriPattern:
    """A URI whose path may have `*` for one segment, and `**` at its end for one or more."""

    segments: tuple[str, ...]
    """As they stand between the slashes."""

    @classmethod
    def parse(cls, text: str) -> "UriPattern":
        """Return what a pattern says.

        Raises:
            ValueError: with the cure.
        """
        scheme, colon, rest = text.partition(":")
        if not colon or not rest or not _SCHEME.match(scheme):
            raise ValueError("must be a URI such as spiffe://example.org/dev/*")
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("must be visible ASCII without blanks")
        segments = tuple(text.split("/"))
        fixed = _HEAD if rest.startswith("//") else 1
        if any("*" in segment for segment in segments[:fixed]):
            raise ValueError("scheme and host are compared whole: * stands for segments of the path only")
        if "**" in segments[:-1]:
            raise ValueError("** stands at the end only")
        if any("*" in segment and segment not in {"*", "**"} for segment in segments):
            raise ValueError("* stands for a whole segment: spiffe://example.org/dev/*")
        return cls(segments)

    def matches(self, uri: str) -> bool:
        """Say whether a URI is one of those meant."""
        own, given = self.segments, uri.split("/")
        if own[-1] == "**":
            own = (*own[:-1], *["*"] * max(1, len(given) - len(own) + 1))
        return len(own) == len(given) and all(
            _SEGMENT.match(part) is not None if wanted == "*" else part == wanted
            for wanted, part in zip(own, given, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """All that is not None must hold; at least one is not."""

    cn: str | None = None
    """The common name, of a certificate that has only one."""
    ou: str | None = None
    """One of the organizational units."""
    dns: str | None = None
    """One of the DNS names, in lower case."""
    email: str | None = None
    """One of the addresses among the alternative names; the domain in lower case."""
    uri: UriPattern | None = None
    ip: str | None = None
    """As `ipaddress` writes it."""
    issuer: str | None = None
    """The issuer's whole name, as RFC 4514 writes it."""
    spki: str | None = None
    """SHA-256 of the key: 64 lower-case hex digits."""
    fingerprint: str | None = None
    """SHA-256 of the certificate, likewise."""

    def admits(self, names: CertificateNames) -> bool:
        """Say whether a certificate meets every part of the rule."""
        uri = self.uri
        return (
            (self.cn is None or names.common_names == (self.cn,))
            and (self.ou is None or self.ou in names.units)
            and (self.dns is None or self.dns in [name.lower() for name in names.dns])
            and (self.email is None or self.email in map(_folded, names.emails))
            and (uri is None or any(uri.matches(one) for one in names.uris))
            and (self.ip is None or self.ip in names.ips)
            and (self.issuer is None or self.issuer == names.issuer)
            and (self.spki is None or self.spki == names.spki)
            and (self.fingerprint is None or self.fingerprint == names.fingerprint)
        )


def _folded(address: str) -> str:
    local, at, domain = address.rpartition("@")
    return f"{local}{at}{domain.lower()}"
