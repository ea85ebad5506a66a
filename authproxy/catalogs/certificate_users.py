"""The map file of a zone: whose names in client certificates are whose.

    - user_id: 550e8400-e29b-41d4-a716-446655440000
      uri: spiffe://example.org/billing
      dns: [billing.example.org, billing.internal]

Why by kind of name: an authority that looks closely at the hosts in a certificate may let anybody choose his common
name, so that `billing.internal` as one is not the same claim as the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from authproxy.catalogs.rows import parse_user_id
from authproxy.catalogs.source import read_source
from authproxy.catalogs.yaml_entries import Entry, read_entries
from authproxy.core.client_name import MAX_NAME_BYTES, ClientName, Source, Users, canonical
from authproxy.core.nearest import did_you_mean
from authproxy.core.record import UserId

_KINDS: Final = {source.value: source for source in Source}
_USER: Final = "user_id"
_TEXT: Final = f"must be text of at most {MAX_NAME_BYTES} bytes without control characters, or a list of such"
_CURES: Final = {
    Source.URI: "must be a URI such as https://example.org/billing, or a list of such",
    Source.SPIFFE: "must be a SPIFFE id such as spiffe://example.org/billing, or a list of such",
    Source.DNS: "must be a host such as billing.example.org, without *, or a list of such",
    Source.EMAIL: "must be an address such as billing@example.org, or a list of such",
    Source.CN: _TEXT,
    Source.FINGERPRINT: "must be the SHA-256 of a certificate in 64 hex digits, or a list of such",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateUsers:
    """One reading of a map file."""

    users: Users = field(default_factory=dict)
    """The names of the good rows."""
    problems: tuple[str, ...] = ()
    """`file:line: key: what is wrong`; the names of such a row are nobody's."""


def read_certificate_users(path: Path) -> CertificateUsers:
    """Return the names in a map file.

    Raises:
        MaterialError: It cannot be read, or is no YAML list.
    """
    return parse_certificate_users(read_source(path), str(path))


def parse_certificate_users(data: bytes, source: str) -> CertificateUsers:
    """Return the names in the text of a map file; `source` is how lines name it. Raises MaterialError."""
    claims: dict[ClientName, dict[UserId, int]] = {}
    problems: list[tuple[int, str, str]] = []
    for entry in read_entries(data, source):
        claimed = list(_claims(entry)) if entry.is_map else []
        problems += entry.problems
        # What else a bad row says may be as wrong: none of its names counts.
        for name, user_id, line in claimed if not entry.problems else ():
            claims.setdefault(name, {}).setdefault(user_id, line)
    for name, claimants in claims.items():
        first, *others = claimants.values()
        for line in others:
            # Nobody can tell which was meant.
            problems.append((line, name.source.value, f"is another user's name in line {first}: it counts for neither"))
    return CertificateUsers(
        users={name: next(iter(users)) for name, users in claims.items() if len(users) == 1},
        problems=tuple(_told(source, *problem) for problem in sorted(problems)),
    )


def _claims(entry: Entry) -> Iterator[tuple[ClientName, UserId, int]]:
    """Yield the names of a row with whose they are; what is wrong is added to its problems."""
    user_id = _user_id(entry)
    for key, value in entry.values.items():
        line = entry.lines[key]
        source = _KINDS.get(key)
        if key != _USER and source is None:
            entry.problems.append((line, key[:100], f"unknown key{did_you_mean(key, (_USER, *_KINDS))}"))
        elif source is not None:
            for text in value if isinstance(value, list) else [value]:
                name = canonical(source, text) if isinstance(text, str) else None
                if name is None:
                    entry.problems.append((line, key, _CURES[source]))
                elif user_id is not None:
                    yield name, user_id, line
    if not entry.values.keys() & _KINDS.keys():
        entry.problems.append((entry.line, "", f"a row needs a name: {', '.join(_KINDS)}"))


def _user_id(entry: Entry) -> UserId | None:
    if _USER not in entry.values:
        entry.problems.append((entry.line, _USER, "is needed"))
        return None
    try:
        return parse_user_id(entry.values.get(_USER))
    except ValueError as error:
        entry.problems.append((entry.lines.get(_USER, entry.line), _USER, str(error)))
        return None


def _told(source: str, line: int, key: str, text: str) -> str:
    return f"{source}:{line}: {key}: {text}" if key else f"{source}:{line}: {text}"
