"""One row in the product's own form, from YAML or from the configuration, to a record.

Why a pydantic model: a row in the configuration then is a part of the configuration like any other, with the same
messages and a place in its JSON Schema; and there is one set of rules, whichever file a row stands in.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, Self
from uuid import UUID

from pydantic import PlainSerializer, PlainValidator, ValidationError, WithJsonSchema, model_validator

from authproxy.core.nearest import nearest
from authproxy.core.record import TokenRecord, UserId, user_id_text
from authproxy.core.token import MAX_ROTATION_VERSION
from authproxy.options import Options

HASH_DIGITS: Final = 128
MAX_NAME_LENGTH: Final = 256
MAX_GROUPS: Final = 256

_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_HASH: Final = re.compile(rf"[0-9A-Fa-f]{{{HASH_DIGITS}}}")
_WHOLE: Final = re.compile(r"0|[1-9][0-9]{0,4}")
_ZONE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_GROUP: Final = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,256}")
# RFC 3339, 5.6: the offset is explicit; a blank instead of T, as its note allows and people write.
_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_FLAGS: Final[Mapping[str, bool]] = {"true": True, "false": False}


def parse_user_id(value: object) -> UserId:
    """Return the 16 bytes that a UUID in its 8-4-4-4-12 form says; ValueError names the cure."""
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise ValueError("must be a UUID, such as 550e8400-e29b-41d4-a716-446655440000")
    return UserId(UUID(value).bytes)


def parse_hash(value: object) -> bytes:
    """Return the 64 bytes that 128 hex digits say; ValueError names the cure."""
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        has = f", has {len(value)} characters" if isinstance(value, str) and len(value) != HASH_DIGITS else ""
        raise ValueError(f"must be {HASH_DIGITS} hex digits{has}")
    return bytes.fromhex(value)


def parse_time(value: object) -> datetime:
    """Return the instant, in UTC, that RFC 3339 text says; ValueError names the cure.

    Parts of a microsecond are dropped, so an end is never later than what was written.
    """
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a time with its offset, such as 2027-01-01T00:00:00Z")
    day, time, fraction, offset = found.groups("")
    try:
        return datetime.fromisoformat(f"{day}T{time}{fraction[:7]}{offset.upper()}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("there is no such time") from error


def parse_rotation_version(value: object) -> int:
    """Return the version, 0 to 65535; ValueError names the cure."""
    digits = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not _WHOLE.fullmatch(digits) or int(digits) > MAX_ROTATION_VERSION:
        raise ValueError(f"must be a whole number from 0 to {MAX_ROTATION_VERSION}")
    return int(digits)


def parse_zone(value: object) -> str:
    """Return the zone's name; ValueError names the cure."""
    if not isinstance(value, str) or not _ZONE.fullmatch(value):
        raise ValueError("must be the name of a zone")
    return str(value)


def _parse_name(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text: put it in quotes")  # noqa: TRY004  pydantic collects ValueErrors only
    if len(value) > MAX_NAME_LENGTH:
        raise ValueError(f"must have at most {MAX_NAME_LENGTH} characters, has {len(value)}")
    if any(unicodedata.category(character) in _UNPRINTABLE for character in value):
        raise ValueError("must not contain control characters or line ends")
    return str(value)


def _parse_groups(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list, such as [jobs, admins]")  # noqa: TRY004  as above
    if len(value) > MAX_GROUPS:
        raise ValueError(f"must have at most {MAX_GROUPS} entries, has {len(value)}")
    groups = {str(group) for group in value if isinstance(group, str) and _GROUP.fullmatch(group)}
    if not all(isinstance(group, str) and group in groups for group in value):
        raise ValueError("a group is text of visible ASCII without blanks and commas")
    return tuple(sorted(groups))


def _parse_flag(value: object) -> bool:
    flag = _FLAGS.get(str(value).lower()) if isinstance(value, bool | str) else None
    if flag is None:
        raise ValueError("must be true or false, unquoted")
    return flag


# None is what an absent key means and is never read: an end that was left empty by mistake would be no end.
_HASH_SCHEMA: Final = WithJsonSchema({"type": "string", "pattern": f"^[0-9A-Fa-f]{{{HASH_DIGITS}}}$"})
_Hash = Annotated[bytes, PlainValidator(parse_hash), _HASH_SCHEMA]
_OptionalHash = Annotated[bytes | None, PlainValidator(parse_hash), _HASH_SCHEMA]
_OptionalTime = Annotated[
    datetime | None, PlainValidator(parse_time), WithJsonSchema({"type": "string", "format": "date-time"})
]


class Row(Options):
    """One user's credential."""

    user_id: Annotated[
        UserId, PlainValidator(parse_user_id), PlainSerializer(user_id_text),
        WithJsonSchema({"type": "string", "format": "uuid"}),
    ]  # fmt: skip
    """Whose row this is: a UUID."""
    zone: Annotated[str | None, PlainValidator(parse_zone), WithJsonSchema({"type": "string"})] = None
    """The only zone in which this row counts; by default it counts in every zone that asks this catalog."""
    name: Annotated[
        str, PlainValidator(_parse_name), WithJsonSchema({"type": "string", "maxLength": MAX_NAME_LENGTH})
    ] = ""
    """A name for people."""
    groups: Annotated[
        tuple[str, ...],
        PlainValidator(_parse_groups),
        WithJsonSchema({"type": "array", "items": {"type": "string"}, "maxItems": MAX_GROUPS}),
    ] = ()
    """The groups that the user belongs to."""
    rotation_version: Annotated[
        int,
        PlainValidator(parse_rotation_version),
        WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MAX_ROTATION_VERSION}),
    ]
    """The version of the current credential, 0 to 65535."""
    hash: _Hash
    """The hash of the current credential: 128 hex digits."""
    expires_at: _OptionalTime = None
    """When the current credential ends; by default never."""
    previous_hash: _OptionalHash = None
    """The hash of the previous credential, computed with the version before this one."""
    grace_expires_at: _OptionalTime = None
    """When the previous credential ends."""
    disabled: Annotated[bool, PlainValidator(_parse_flag), WithJsonSchema({"type": "boolean"})] = False
    """Refuses the user whatever the credential."""

    @model_validator(mode="after")
    def _has_grace_whole(self) -> Self:
        if (self.previous_hash is None) != (self.grace_expires_at is None):
            there, lacking = "previous_hash", "grace_expires_at"
            if self.previous_hash is None:
                there, lacking = lacking, there
            raise ValueError(f"{there} needs {lacking}: give both or neither")
        return self

    def record(self) -> TokenRecord:
        """Return the row as a record."""
        return TokenRecord(
            user_id=self.user_id,
            rotation_version=self.rotation_version,
            hash=self.hash,
            expires_at=self.expires_at,
            previous_hash=self.previous_hash,
            grace_expires_at=self.grace_expires_at,
            disabled=self.disabled,
            name=self.name,
            groups=self.groups,
            zone=self.zone,
        )


def row_problems(error: ValidationError) -> Iterator[tuple[str, str]]:
    """Yield key and problem for everything that made `Row` refuse a row; no value is repeated."""
    for details in error.errors(include_url=False, include_input=False):
        key = str(details["loc"][0]) if details["loc"] else ""
        match details["type"]:
            case "extra_forbidden":
                near = nearest(key, Row.model_fields)
                yield key[:100], f'unknown key (did you mean "{near}"?)' if near else "unknown key"
            case "missing":
                yield key, "is needed"
            case _:
                yield key, str(details.get("ctx", {}).get("error", details["msg"]))
