"""turvata's own file of rows, read as turvata reads it, except where that would let somebody in by mistake.

As there: the first form of the file counts, the first row of a user counts, an unknown key has no effect, a previous
hash without an end of grace is no grace. Unlike there: `#inst` works and needs its offset, a row that would make
turvata fail disables its user alone, and a file without rows is not believed.

Source: turvata 0.4, catalog.clj, edn-file-catalog.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

from authproxy.catalogs.edn import Edn, EdnError, Keyword, Map, Set, Tagged, read
from authproxy.catalogs.rows import parse_hash, parse_rotation_version, parse_time, parse_user_id
from authproxy.catalogs.sheet import Sheet, SheetWriter
from authproxy.core.record import TokenRecord, UserId
from authproxy.errors import MaterialError

_KEYS: Final = frozenset(
    {"user-id", "rotation-version", "hash-hex", "prev-hash-hex", "expires-at", "grace-period-expires-at"}
)
# Blanks, commas and comments, as after the last form of any file.
_IDLE: Final = re.compile(r"(?:[\s,]++|;[^\n]*+)*+", re.ASCII)

T = TypeVar("T")


def read_edn(data: bytes, source: str) -> Sheet:
    """Return the rows of `data`; `source` is how lines name the file.

    Raises:
        MaterialError: Its first form is not EDN, or not a vector, list or set.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        bad_line = data.count(b"\n", 0, error.start) + 1
        raise MaterialError(f"{source}:{bad_line}", "is not UTF-8 text") from error
    try:
        found = read(text)
    except EdnError as error:
        raise MaterialError(f"{source}:{_line(text, error.offset)}", f"is not EDN: {error}") from error
    if found is None:
        raise MaterialError(source, "is empty: write [] when there shall be no rows")
    form, end = found
    rows = form.members if isinstance(form, Set) else form
    if type(rows) is not tuple:
        raise MaterialError(
            source, "must begin with a vector of maps, one for each user (read as EDN, for its name ends in .edn)"
        )
    writer = SheetWriter(source)
    lines = _Lines(text)
    for row in rows:
        if isinstance(row, Map):
            _Row(row, lines, writer).add()
        else:
            writer.problem(lines.last, "", "behind this line: a row must be a map")
    idle = _IDLE.match(text, end)
    if idle is not None and idle.end() < len(text):
        writer.note(_line(text, idle.end()), "", "only the first form of the file counts, and here begins another")
    return writer.sheet()


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


class _Lines:
    """Line numbers of offsets that only grow, each line break counted once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._offset = 0
        self.last = 1

    def at(self, offset: int) -> int:
        if offset < self._offset:
            return _line(self._text, offset)
        self.last += self._text.count("\n", self._offset, offset)
        self._offset = offset
        return self.last


class _Row:
    def __init__(self, row: Map, lines: _Lines, writer: SheetWriter) -> None:
        self._writer = writer
        self._values: dict[str, Edn] = {}
        self._places: dict[str, int] = {}
        self._good = True
        self._line = lines.at(row.offset)
        for (key, value), offset in zip(row.pairs, row.offsets, strict=True):
            name = key.name if isinstance(key, Keyword) else ""
            if name in _KEYS:
                self._values[name], self._places[name] = value, lines.at(offset)
            else:
                writer.note(lines.at(offset), name, "unknown key: it has no effect")

    def add(self) -> None:
        """Hand the row to the writer: as a record, or as a refusal of its user."""
        user_id = self._read("user-id", _user_id)
        record = None if user_id is None else self._record(user_id)
        if record is not None and self._good:
            self._writer.add(record, self._line, first_counts=True)
        elif user_id is not None:
            self._writer.refuse(user_id, None, self._line, first_counts=True)

    def _record(self, user_id: UserId) -> TokenRecord | None:
        rotation_version = self._read("rotation-version", _version)
        digest = self._read("hash-hex", parse_hash)
        previous = self._read("prev-hash-hex", parse_hash, needed=False)
        expires_at = self._read("expires-at", _time, needed=False)
        grace = self._read("grace-period-expires-at", _time, needed=False)
        if rotation_version is None or digest is None:
            return None
        if (previous is None) != (grace is None):
            lone = "prev-hash-hex" if grace is None else "grace-period-expires-at"
            self._note(lone, "there is no grace without both a previous hash and its end")
            previous = grace = None
        return TokenRecord(
            user_id=user_id,
            rotation_version=rotation_version,
            hash=digest,
            expires_at=expires_at,
            previous_hash=previous,
            grace_expires_at=grace,
        )

    def _read(self, key: str, parse: Callable[[Edn], T], *, needed: bool = True) -> T | None:
        value = self._values.get(key)
        if value is None and not needed:
            return None
        try:
            if value is None:
                raise ValueError("is needed")  # noqa: TRY301  told in one place
            return parse(value)
        except ValueError as error:
            self._good = False
            self._writer.problem(self._places.get(key, self._line), key, str(error))
            return None

    def _note(self, key: str, text: str) -> None:
        self._writer.note(self._places[key], key, text)


def _user_id(value: Edn) -> UserId:
    if not isinstance(value, Tagged) or value.tag != "uuid":
        raise ValueError('must be #uuid "...": nothing else ever matches')
    return parse_user_id(value.text)


def _version(value: Edn) -> int:
    return parse_rotation_version(value if isinstance(value, int) else None)


def _time(value: Edn) -> datetime:
    if not isinstance(value, Tagged) or value.tag != "inst":
        raise ValueError('must be #inst "2027-01-01T00:00:00Z"')
    return parse_time(value.text)
