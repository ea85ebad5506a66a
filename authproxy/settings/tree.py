"""YAML text to a tree of nodes that know where they stand.

Why events and not `yaml.safe_load`: a value must be traced back to its line, and libyaml's own composer recurses in C,
so that a file of brackets ends the process. Here depth and size have limits, and an alias is a reference to a node that
is counted again wherever it is used (`authproxy.settings.values`), which is what stops a "billion laughs".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

import yaml
from typing_extensions import override

from authproxy.errors import ConfigError
from authproxy.settings.scalars import resolve
from authproxy.settings.syntax import explain

# libyaml where PyYAML was built with it: the same events, twenty times as fast.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# The deepest key there is has 6 levels; a plug-in's options may nest, but not without end.
_MAX_DEPTH: Final = 32

# 5000 routes of ten values each: far above any file, far below what costs a second.
MAX_VALUES: Final = 50_000


class Mark(NamedTuple):
    """A place in a file; lines and columns count from 1."""

    file: str
    line: int
    column: int

    @override
    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


Key: TypeAlias = str | int
Path: TypeAlias = tuple[Key, ...]


class Problem(NamedTuple):
    """One thing that is wrong: where it stands, which key it is, and what to do about it."""

    mark: Mark
    path: Path
    text: str

    def line(self) -> str:
        """Return `file:line:column: dotted.key: what is wrong`."""
        key = f"{dotted(self.path)}: " if self.path else ""
        # A key may hold anything; what is printed is one line and moves no cursor.
        return "".join(_visible(one) for one in f"{self.mark}: {key}{self.text}")


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def dotted(path: Path) -> str:
    """Return the key as a person would name it: `routes[0].allow.users`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """One value; only a plain (unquoted) one may be read as a number, a truth value or nothing."""

    mark: Mark
    text: str
    plain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Seq:
    """A list."""

    mark: Mark
    items: list["Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """A map by text keys; a key's own place is kept beside its value."""

    mark: Mark
    entries: dict[str, tuple[Mark, "Node"]] = field(default_factory=dict)


Node: TypeAlias = Scalar | Seq | Map


def parse(text: str, file: str) -> tuple[Node | None, list[Problem]]:
    """Return the one document of `text` (None: it is empty) and what is wrong with its keys and tags.

    Raises:
        ConfigError: it is not YAML, or nothing that is worth reading on.
    """
    reader = _Reader(text, file)
    try:
        return reader.document(), reader.problems
    except yaml.YAMLError as error:
        line, column, problem = explain(error, text)
        raise _refused(Mark(file, line, column), problem) from error


def too_many(mark: Mark) -> ConfigError:
    """Return the error of whoever counts more than `MAX_VALUES`."""
    return _refused(mark, f"more than {MAX_VALUES} values; an alias (*) counts wherever it is used")


def _refused(mark: Mark, text: str) -> ConfigError:
    return ConfigError(Problem(mark, (), text).line())


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)
        self._file = file
        self._anchors: dict[str, Node] = {}
        self._depth = 0
        self._nodes = 0
        self.problems: list[Problem] = []

    def document(self) -> Node | None:
        found: Node | None = None
        for event in self._events:
            match event:
                case yaml.StreamStartEvent() | yaml.StreamEndEvent() | yaml.DocumentEndEvent():
                    pass
                case yaml.DocumentStartEvent() if found is not None:
                    raise _refused(self._mark(event), "a second document begins here: keep one, without `---`")
                case yaml.DocumentStartEvent():
                    found = self._node(next(self._events), ())
                case _:  # the parser sends nothing else between documents
                    raise AssertionError(event)
        return found

    def _mark(self, event: yaml.Event) -> Mark:
        start = event.start_mark
        if start is None:  # no event of a text is without
            raise AssertionError(event)
        return Mark(self._file, start.line + 1, start.column + 1)

    def _node(self, event: yaml.Event, path: Path) -> Node:
        mark = self._mark(event)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise _refused(mark, "this alias (*) names no anchor (&) above it: quote the value if it begins with *")
            return self._anchors[event.anchor]
        if getattr(event, "tag", None) is not None:
            self.problems.append(Problem(mark, path, "tags (!) have no use here: quote the value if it begins with !"))
        node = self._value(event, mark, path)
        anchor: str | None = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _value(self, event: yaml.Event, mark: Mark, path: Path) -> Node:
        self._nodes += 1
        if self._nodes > 2 * MAX_VALUES:  # a key is a node too
            raise too_many(mark)
        match event:
            case yaml.ScalarEvent():
                return Scalar(mark=mark, text=event.value, plain=not event.style)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._depth += 1
                if self._depth > _MAX_DEPTH:
                    raise _refused(mark, f"nested deeper than {_MAX_DEPTH} levels")
                node = self._list(mark, path) if isinstance(event, yaml.SequenceStartEvent) else self._map(mark, path)
                self._depth -= 1
                return node
            case _:
                raise AssertionError(event)

    def _list(self, mark: Mark, path: Path) -> Seq:
        node = Seq(mark=mark)
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            node.items.append(self._node(event, (*path, len(node.items))))
        return node

    def _map(self, mark: Mark, path: Path) -> Map:
        node = Map(mark=mark)
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key_mark = self._mark(event)
            key = self._key(event, path)
            value = self._node(next(self._events), path if key is None else (*path, key))
            if key is None:
                continue
            if key in node.entries:
                first = node.entries[key][0]
                text = f"this key stands twice, first at {first.line}:{first.column}: keep one"
                self.problems.append(Problem(key_mark, (*path, key), text))
                continue
            node.entries[key] = (key_mark, value)
        return node

    def _key(self, event: yaml.Event, path: Path) -> str | None:
        node = self._node(event, path)
        if not isinstance(node, Scalar):
            self.problems.append(Problem(node.mark, path, "a key must be text: is a value missing its quotes?"))
            return None
        if node.plain and node.text == "<<":
            self.problems.append(Problem(node.mark, path, "merge keys (<<) are not read: write the keys out"))
            return None
        if node.plain and not isinstance(resolve(node.text), str):
            self.problems.append(Problem(node.mark, path, "a key must be text: put it in quotes"))
            return None
        return node.text
