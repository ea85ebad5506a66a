"""Which name of a client's certificate counts, and whose it is.

The kinds of names that a zone lists are tried in order, and the first of which the certificate has any decides: it
must have exactly one. Nothing is tried after that, so that a certificate is never known by a name which its owner's
authority meant less.
"""

import re
from collections.abc import Mapping
from enum import Enum, unique
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

from authproxy.core.certificate import CertificateNames
from authproxy.core.decision import Reason
from authproxy.core.record import UserId


@unique
class Source(Enum):
    """A kind of name in a certificate."""

    URI = "uri"
    SPIFFE = "spiffe"
    DNS = "dns"
    EMAIL = "email"
    CN = "cn"
    FINGERPRINT = "fingerprint"

    # An enum hashes through Python code; members are singletons, so the object's own hash serves, at a tenth.
    __hash__ = object.__hash__


class ClientName(NamedTuple):
    """One name, in the one form in which it is compared."""

    source: Source
    text: str


Users: TypeAlias = Mapping[ClientName, UserId]
"""Whose name is whose: the map file of a zone."""

MAX_NAME_BYTES: Final = 256
_ADDRESS_KINDS: Final = frozenset({Source.URI, Source.SPIFFE, Source.DNS, Source.EMAIL})
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_SPIFFE_SCHEME: Final = "spiffe:"
# SPIFFE-ID, 2: lower-case trust domain, a path of whole segments without `.` and `..`, and nothing else.
_SPIFFE: Final = re.compile(r"spiffe://[a-z0-9._-]+(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._-]+)+")
_UUID: Final = re.compile(r"(?:urn:uuid:)?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")

OWN_IDS: Final = frozenset({Source.URI, Source.DNS, Source.CN})
"""Kinds of names that can be a user id themselves, where there is no map file."""


def name_of(names: CertificateNames, sources: tuple[Source, ...]) -> ClientName | Reason:
    """Return the name that counts, or why there is none that can be trusted to be somebody's."""
    for source in sources:
        found = _found(names, source)
        if not found:
            continue
        text, *others = found
        if others:
            return Reason.CERTIFICATE_AMBIGUOUS
        if source is Source.SPIFFE and names.is_authority:
            # X509-SVID, 4.1: who signs for others is not one of them.
            return Reason.CERTIFICATE_NAME_REFUSED
        return canonical(source, text) or Reason.CERTIFICATE_NAME_REFUSED
    return Reason.CERTIFICATE_UNNAMED


def _found(names: CertificateNames, source: Source) -> tuple[str, ...]:
    match source:
        case Source.URI:
            return names.uris
        case Source.SPIFFE:
            # X509-SVID, 2: exactly one URI; beside a SPIFFE id no other may stand.
            is_meant = any(uri.lower().startswith(_SPIFFE_SCHEME) for uri in names.uris)
            return names.uris if is_meant else ()
        case Source.DNS:
            return names.dns
        case Source.EMAIL:
            return names.emails
        case Source.CN:
            return names.common_names
        case Source.FINGERPRINT:
            return (names.fingerprint,)


def canonical(source: Source, text: str) -> ClientName | None:
    """Return a name in the form in which it is compared; None for one that could be taken for another.

    Refused are empty and over-long names, control characters, characters that turn the direction of text or show
    nothing, blanks around a name, and in addresses everything but visible ASCII. A wildcard is nobody's own name.
    """
    if not text or not text.isprintable() or text != text.strip() or len(text.encode()) > MAX_NAME_BYTES:
        return None
    if source in _ADDRESS_KINDS and not _VISIBLE.fullmatch(text):
        return None
    match source:
        case Source.SPIFFE:
            # Of one kind with other URIs, so that a map need not say which of the two it means.
            return ClientName(Source.URI, text) if _SPIFFE.fullmatch(text) else None
        case Source.DNS:
            return None if "*" in text else ClientName(source, text.lower())
        case Source.EMAIL:
            mailbox, at, domain = text.rpartition("@")
            return ClientName(source, mailbox + at + domain.lower()) if mailbox and domain else None
        case Source.FINGERPRINT:
            digits = text.replace(":", "").lower()
            return ClientName(source, digits) if _FINGERPRINT.fullmatch(digits) else None
        case Source.URI | Source.CN:
            return ClientName(source, text)


def user_of(name: ClientName, users: Users | None) -> UserId | None:
    """Return whose name it is; without a map the name must be a user id itself, bare or as `urn:uuid:`."""
    if users is not None:
        return users.get(name)
    return UserId(UUID(name.text).bytes) if _UUID.fullmatch(name.text) else None
