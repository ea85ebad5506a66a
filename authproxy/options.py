"""Value types for options: durations, sizes, paths, secret references, and the base of every options model.

A plug-in's options are made of these too, so that an operator meets one spelling everywhere.
Messages never repeat a value that could be a secret; pydantic's own text, which would, is not shown
(`authproxy.settings.problems`).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    Strict,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_LONGEST: Final = timedelta(days=36500)
_DURATION: Final = re.compile(r"([0-9]{1,15})(ms|s|m|h|d)")
_WORDS: Final = {"sec": "s", "second": "s", "min": "m", "minute": "m", "hr": "h", "hour": "h", "day": "d", "msec": "ms"}

_KIB: Final = 1024
_SIZES: Final = {"KiB": _KIB, "MiB": _KIB**2, "GiB": _KIB**3}
_LARGEST: Final = 2**53
_SIZE: Final = re.compile(r"([0-9]{1,16})(KiB|MiB|GiB)?")
_LOOSE: Final = re.compile(r"\s*([0-9]{1,9})\s*([A-Za-z]+)\s*")


class Text(str):
    """Text of a file, which remembers the directory of that file so that relative paths can start there."""

    __slots__ = ("base", "meant")

    base: Path
    meant: int | bool | None
    """The number or truth value that it says, if a variable of the environment is in it; else None.

    Within `{ }` YAML wants `"${NAME}"` in quotes, which shall not keep a variable from being a number.
    """

    def __new__(cls, value: str, base: Path, meant: int | bool | None = None) -> Self:
        """Return `value` with its `base`, and with what it is `meant` as."""
        text = super().__new__(cls, value)
        text.base, text.meant = base, meant
        return text


def meant(value: object) -> object:
    """Return `value`, or the number or truth value that a variable in it says."""
    return value.meant if isinstance(value, Text) and value.meant is not None else value


def parse_duration(value: object) -> timedelta:
    """Return the duration that `10s`, `250ms`, `5m`, `4h`, `7d` or a bare 0 says; ValueError names the cure."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a duration such as 10s, 5m or 4h")  # noqa: TRY004  pydantic collects ValueErrors only
    found = _DURATION.fullmatch(str(value))
    if found is not None:
        # Compared as whole numbers, for a timedelta of 10^15 days overflows.
        if int(found[1]) * _UNITS[found[2]].total_seconds() > _LONGEST.total_seconds():
            raise ValueError(f"must be at most {duration_text(_LONGEST)}")
        return int(found[1]) * _UNITS[found[2]]
    if str(value) == "0":
        return timedelta(0)
    raise ValueError(_duration_cure(str(value)))


def _duration_cure(text: str) -> str:
    if text.isascii() and text.isdigit():
        return f"a duration needs a unit: {text[:9]}s"
    loose = _LOOSE.fullmatch(text)
    if loose is None:
        return "must be a duration: a whole number and ms, s, m, h or d, such as 10s"
    unit = loose[2].lower()
    unit = unit if unit in _UNITS else _WORDS.get(unit.removesuffix("s"), "")
    return f"write it as {loose[1]}{unit}" if unit else "the units of a duration are ms, s, m, h and d, such as 10s"


def duration_text(value: timedelta) -> str:
    """Return the shortest spelling that `parse_duration` reads back; parts of a millisecond are dropped."""
    for unit in reversed(_UNITS):
        if value and not value % _UNITS[unit]:
            return f"{value // _UNITS[unit]}{unit}"
    return f"{value // _UNITS['ms']}ms" if value >= _UNITS["ms"] else "0s"


def parse_size(value: object) -> int:
    """Return the number of bytes that `32KiB`, `1MiB`, `2GiB` or a plain number says; ValueError names the cure."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a size such as 32KiB or 1MiB, or a whole number of bytes")  # noqa: TRY004  as above
    found = _SIZE.fullmatch(str(value))
    if found is None:
        raise ValueError(_size_cure(str(value)))
    size = int(found[1]) * _SIZES.get(found[2], 1)
    if size > _LARGEST:
        raise ValueError("is larger than any machine's memory")
    return size


def _size_cure(text: str) -> str:
    loose = _LOOSE.fullmatch(text)
    units = {unit[0].lower(): unit for unit in _SIZES}
    if loose is None or loose[2][0].lower() not in units:
        return "must be a size: a whole number and KiB, MiB or GiB, such as 32KiB"
    return f"write it as {loose[1]}{units[loose[2][0].lower()]} (units count by 1024)"


def size_text(value: int) -> str:
    """Return the shortest spelling that `parse_size` reads back."""
    for unit in reversed(_SIZES):
        if value and value % _SIZES[unit] == 0:
            return f"{value // _SIZES[unit]}{unit}"
    return str(value)


def parse_path(value: object, info: ValidationInfo[Mapping[str, Path] | None]) -> Path:
    """Return an absolute path: a relative one starts at the directory of the file that names it.

    That directory is the text's own (`Text.base`), else the validation context's `base`, else the working directory.
    """
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("must be the path of a file")
    base = value.base if isinstance(value, Text) else (info.context or {}).get("base", Path())
    return base.absolute() / value


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(duration_text, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": "^(0|[0-9]+(ms|s|m|h|d))$"}, {"const": 0}],
            "examples": ["250ms", "10s", "5m", "4h", "7d"],
        }
    ),
]
"""A timedelta, written `250ms`, `10s`, `5m`, `4h`, `7d`, or a bare 0."""

Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(size_text, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": "^[0-9]+(KiB|MiB|GiB)?$"}, {"type": "integer", "minimum": 0}],
            "examples": ["32KiB", "1MiB", "64MiB"],
        }
    ),
]
"""A number of bytes, written `32KiB`, `1MiB`, or plain."""

LocalPath = Annotated[
    Path,
    BeforeValidator(parse_path),
    WithJsonSchema({"type": "string", "minLength": 1, "examples": ["server.pem", "/run/secrets/pepper"]}),
]
"""The path of a file; a relative one starts at the directory of the file that names it."""

Flag = Annotated[bool, Strict(), BeforeValidator(meant)]
"""`true` or `false` and nothing else: YAML 1.2 has no yes, no, on or off."""

Whole = Annotated[int, Strict(), BeforeValidator(meant)]
"""A whole number, unquoted."""


class Options(BaseModel):
    """The base of every options model: frozen, unknown keys refused, one docstring line for each key."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
        # Bytes (ids, hashes) are shown in hexadecimal.
        ser_json_bytes="hex",
    )


class SecretRef(Options):
    """Where a secret is: exactly one of a file, an environment variable and a systemd credential."""

    file: LocalPath | None = None
    """A file that only its owner (and at most its group) can read; relative to the file that names it."""
    env: str | None = None
    """The name of an environment variable."""
    credential: str | None = None
    """The name of a systemd credential: a file in `$CREDENTIALS_DIRECTORY`."""

    @model_validator(mode="after")
    def _names_one_place(self) -> Self:
        if [self.file, self.env, self.credential].count(None) != 2:  # noqa: PLR2004  three places less one
            raise ValueError("a secret is in exactly one place: {file: PATH}, {env: NAME} or {credential: NAME}")
        if self.env is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.env):
            raise ValueError("env must be the name of an environment variable, such as API_PEPPER")
        if self.credential is not None and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", self.credential):
            raise ValueError("credential must be the name of a file in $CREDENTIALS_DIRECTORY")
        return self


@dataclass(frozen=True, slots=True)
class Refers:
    """Stands beside a type in `Annotated`: the value is the name of something in another section."""

    section: str


SYSTEM_TRUST: Final = "system"
"""What stands for the system's own authorities where servers are verified; no truststore bears that name."""


def _none_for_system(value: object) -> object:
    return None if value == SYSTEM_TRUST else value


or_system: Final = BeforeValidator(_none_for_system)
"""Reads `SYSTEM_TRUST` as None, which is what a key that is left away is."""

TruststoreName = Annotated[str | None, or_system, Refers("truststores")]
"""The name of a truststore, or None; that it exists is checked with the rest of the file."""

KeystoreName = Annotated[str | None, Refers("keystores")]
"""The name of a keystore, or None; checked likewise, and as one that is shown to servers."""


def references(options: Options) -> Iterator[tuple[str, str, str]]:
    """Yield the keys of `options` that name something in another section, each with that section and the name."""
    for key, field in type(options).model_fields.items():
        value = getattr(options, key)
        for note in field.metadata:
            if isinstance(note, Refers) and isinstance(value, str):
                yield key, note.section, value
