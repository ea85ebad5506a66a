"""A YAML file that is a list of maps, entry by entry, each with its lines.

Why events and not `yaml.safe_load`: every problem names its line, every value stays the text that was written (a hash
of decimal digits is no number, a name `no` is no truth value), and libyaml's own composer recurses in C, so that a
file of brackets would end the process.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import yaml

from authproxy.errors import MaterialError

# libyaml where PyYAML was built with it: the same events, ten times as fast.
LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# A list of rows, a row, its groups, and one for whoever nests too deep to read about it.
_MAX_DEPTH: Final = 4
_EMPTY: Final = frozenset({"", "~", "null", "Null", "NULL"})

Value: TypeAlias = "str | list[Value] | dict[str, Value] | None"


@dataclass(slots=True, kw_only=True)
class Entry:
    """One map of the list, and what is wrong with it so far."""

    line: int
    is_map: bool = True
    values: dict[str, Value] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[tuple[int, str, str]] = field(default_factory=list)
    """Line, key and text."""


def read_entries(data: bytes, source: str) -> Iterator[Entry]:
    """Yield every entry of `data`; `source` is how lines name the file.

    Raises:
        MaterialError: It is not a YAML list, so no entry can be told from another.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        bad_line = data.count(b"\n", 0, error.start) + 1
        raise MaterialError(f"{source}:{bad_line}", "is not UTF-8 text") from error
    try:
        yield from _Reader(text, source).entries()
    except yaml.YAMLError as error:
        # libyaml's marks are of a class of their own.
        line: object = getattr(getattr(error, "problem_mark", None), "line", None)
        place = f"{source}:{line + 1}" if isinstance(line, int) else source
        problem = getattr(error, "problem", None) or "a character that no text file has"
        raise MaterialError(place, f"is not YAML: {problem}") from error


class _Reader:
    def __init__(self, text: str, source: str) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=LOADER)
        self._source = source
        self._depth = 0
        self._entry = Entry(line=1)

    def entries(self) -> Iterator[Entry]:
        """Yield every row of the one document."""
        self._next()
        document = self._next()
        top = document if isinstance(document, yaml.StreamEndEvent) else self._next()
        if top is document or (isinstance(top, yaml.ScalarEvent) and top.value in _EMPTY):
            raise MaterialError(self._source, "is empty: write [] when there shall be no rows")
        if not isinstance(top, yaml.SequenceStartEvent):
            raise self._unreadable(top, "must be a list of rows, each beginning with `- user_id:`")
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            yield self._row(event)
        self._next()
        if not isinstance(after := self._next(), yaml.StreamEndEvent):
            raise self._unreadable(after, "a second document begins here: keep one, without `---`")

    def _next(self) -> yaml.Event:
        return next(self._events)

    def _unreadable(self, event: yaml.Event, problem: str) -> MaterialError:
        return MaterialError(f"{self._source}:{_line(event)}", problem)

    def _row(self, event: yaml.Event) -> Entry:
        self._entry = Entry(line=_line(event))
        if not isinstance(event, yaml.MappingStartEvent):
            self._value(event, "")
            self._entry.is_map = False
            self._entry.problems.append((self._entry.line, "", "a row is a map of keys, such as user_id"))
            return self._entry
        while not isinstance(key := self._next(), yaml.MappingEndEvent):
            self._pair(key)
        return self._entry

    def _pair(self, event: yaml.Event) -> None:
        entry, line = self._entry, _line(event)
        key = self._value(event, "")
        name = key if isinstance(key, str) else ""
        value = self._value(self._next(), name)
        if not name:
            entry.problems.append((line, "", "a key must be text"))
        elif name in entry.values:
            entry.problems.append((line, name, f"stands twice, first in line {entry.lines[name]}: keep one"))
        else:
            entry.values[name], entry.lines[name] = value, line

    def _value(self, event: yaml.Event, key: str) -> Value:
        if getattr(event, "tag", None) is not None:
            self._complain(event, key, "tags (!) have no use here: quote the value if it begins with !")
        match event:
            case yaml.ScalarEvent():
                return None if event.style is None and event.value in _EMPTY else event.value
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                return self._nested(event, key)
            case _:
                self._complain(event, key, "aliases (*) are not read: write the value out")
                return None

    def _nested(self, event: yaml.Event, key: str) -> Value:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._unreadable(event, f"nested deeper than {_MAX_DEPTH} levels")
        items: list[Value] = []
        # A map inside a row is refused whatever it holds, so only its end matters.
        while not isinstance(inner := self._next(), yaml.SequenceEndEvent | yaml.MappingEndEvent):
            items.append(self._value(inner, key))
        self._depth -= 1
        return items if isinstance(event, yaml.SequenceStartEvent) else {}

    def _complain(self, event: yaml.Event, key: str, text: str) -> None:
        self._entry.problems.append((_line(event), key, text))


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return 0 if mark is None else mark.line + 1
