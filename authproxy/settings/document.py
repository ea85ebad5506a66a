"""A configuration file and what it includes, as one tree that still knows where everything stands.

`include` names further files, relative to the file that names them; they may include others, each file once. The maps by
name (`zones`, `upstreams` ...) add up, and so do `routes`, whose order means nothing; a name, and any other key, stands
in one file only. An included file may repeat `version: 1`.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Final

from authproxy.errors import ConfigError, why
from authproxy.settings.tree import Map, Mark, Node, Path, Problem, Scalar, Seq, dotted, parse
from authproxy.settings.values import Value, Values

BY_NAME: Final = ("keystores", "truststores", "listeners", "catalogs", "sessions", "zones", "upstreams")
_MAX_BYTES: Final = 1024 * 1024
_MAX_FILES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What all files together say."""

    root: Map = field(repr=False)
    # What `${VAR}` stood for is in here.
    values: dict[str, Value] = field(repr=False)
    files: tuple[FilePath, ...]

    def mark(self, path: Path, *, key: bool = False) -> Mark:
        """Return where `path` stands: its value, or its key; if it stands nowhere, the key that should hold it."""
        node: Node = self.root
        mark = key_mark = self.root.mark
        for part in path:
            match node:
                case Map() if isinstance(part, str) and part in node.entries:
                    key_mark, node = node.entries[part]
                case Seq() if isinstance(part, int) and part < len(node.items):
                    node = node.items[part]
                    key_mark = node.mark
                case _:
                    return key_mark
            mark = node.mark
        return key_mark if key else mark

    def where(self, path: Path) -> str:
        """Return `file:line:column: dotted.key`."""
        return f"{self.mark(path)}: {dotted(path)}"


def read(path: FilePath, environ: Mapping[str, str]) -> tuple[Document, list[Problem]]:
    """Return the document that begins at `path`, and what is wrong with it so far.

    Raises:
        ConfigError: a file cannot be read, or is not a map in YAML.
    """
    reader = _Files(environ)
    root = reader.add(path, None)
    values = {key: reader.values.of(node, (key,)) for key, (_, node) in root.entries.items()}
    document = Document(root=root, values=values, files=tuple(reader.files))
    return document, [*reader.problems, *reader.values.problems]


class _Files:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self.values = Values(environ)
        self.files: list[FilePath] = []
        self.problems: list[Problem] = []

    def add(self, path: FilePath, named: Mark | None) -> Map:
        """Return the root of the file at `path`, named at `named`, with everything that it includes."""
        prefix = f"{named}: include: " if named else ""
        if any(_same(path, seen) for seen in self.files):
            raise ConfigError(f"{prefix}{path}: each file is included once")
        if len(self.files) == _MAX_FILES:
            raise ConfigError(f"{prefix}more than {_MAX_FILES} files")
        self.files.append(path)
        root, problems = parse(_text(path, prefix), str(path))
        self.problems += problems
        if root is None:
            cure = f"write keys into it, or take it out of `include` at {named}" if named else "begin with `version: 1`"
            raise ConfigError(f"{path}:1:1: the file is empty: {cure}")
        if not isinstance(root, Map):
            raise ConfigError(f"{root.mark}: a configuration is a map of keys: begin with `version: 1`")
        merged = Map(mark=Mark(str(path), 1, 1), entries=dict(root.entries))
        for mark, file in self._included(path, root):
            self._merge(merged, self.add(file, mark))
        return merged

    def _included(self, path: FilePath, root: Map) -> Iterator[tuple[Mark, FilePath]]:
        node = root.entries["include"][1] if "include" in root.entries else None
        # What is not a list of paths is told later, by the model, at the same place.
        for item in node.items if isinstance(node, Seq) else []:
            name = self.values.of(item, ("include",)) if isinstance(item, Scalar) else None
            if isinstance(name, str) and not name.isprintable():
                raise ConfigError(f"{item.mark}: include: the path of a file has no control characters")
            if isinstance(name, str) and name:
                yield item.mark, path.parent / name

    def _merge(self, into: Map, other: Map) -> None:
        for key, (mark, node) in other.entries.items():
            if key == "version":
                if self.values.of(node, (key,)) != 1:
                    self.problems.append(Problem(node.mark, (key,), "must be 1, as in the file that includes this one"))
            elif key not in into.entries:
                into.entries[key] = (mark, node)
            elif key != "include":
                self._join(key, into, (mark, node))

    def _join(self, key: str, into: Map, entry: tuple[Mark, Node]) -> None:
        mark, node = entry
        first_mark, first = into.entries[key]
        if key == "routes" and isinstance(first, Seq) and isinstance(node, Seq):
            into.entries[key] = (first_mark, Seq(mark=first.mark, items=[*first.items, *node.items]))
        elif key in BY_NAME and isinstance(first, Map) and isinstance(node, Map):
            joined = Map(mark=first.mark, entries=dict(first.entries))
            into.entries[key] = (first_mark, joined)
            for name, (name_mark, value) in node.entries.items():
                if name in joined.entries:
                    self._twice((key, name), name_mark, joined.entries[name][0])
                else:
                    joined.entries[name] = (name_mark, value)
        else:
            self._twice((key,), mark, first_mark)

    def _twice(self, path: Path, mark: Mark, first: Mark) -> None:
        self.problems.append(Problem(mark, path, f"stands in {first} too: keep one"))


def _same(one: FilePath, other: FilePath) -> bool:
    return one.resolve() == other.resolve()


def _open(path: str, flags: int) -> int:
    # A pipe that nobody writes into is empty; to wait for somebody would hold up a reload for ever.
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    return descriptor


def _text(path: FilePath, prefix: str) -> str:
    try:
        with open(path, "rb", opener=_open) as file:
            raw = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = why(error) if isinstance(error, OSError) else f"{error}"
        raise ConfigError(f"{prefix}{path}: {reason}") from error
    if len(raw) > _MAX_BYTES:
        raise ConfigError(f"{prefix}{path}: larger than {_MAX_BYTES} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise ConfigError(f"{path}:{line}:{column}: not UTF-8 text") from error
