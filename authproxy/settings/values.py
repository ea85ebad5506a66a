"""Nodes to plain Python values, with `${VAR}` expanded; aliases are counted wherever they are used."""

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import TypeAlias

from authproxy.options import Text
from authproxy.settings.scalars import expand, resolve
from authproxy.settings.tree import MAX_VALUES, Map, Node, Path, Problem, Scalar, Seq, too_many

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"


class Values:
    """Makes values of nodes; what cannot be expanded is a problem and becomes empty text."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._made = 0
        self._directories: dict[str, FilePath] = {}
        self.problems: list[Problem] = []

    def of(self, node: Node, path: Path) -> Value:
        """Return the value of `node`, which stands at `path`; ConfigError: aliases multiply it beyond measure."""
        self._made += 1
        if self._made > MAX_VALUES:
            raise too_many(node.mark)
        match node:
            case Map():
                return {key: self.of(value, (*path, key)) for key, (_, value) in node.entries.items()}
            case Seq():
                return [self.of(item, (*path, index)) for index, item in enumerate(node.items)]
            case Scalar():
                return self._scalar(node, path)

    def _scalar(self, node: Scalar, path: Path) -> Value:
        text = node.text
        if "$" in text:
            try:
                text = expand(text, self._environ)
            except ValueError as error:
                self.problems.append(Problem(node.mark, path, str(error)))
                text = ""
        value = resolve(text) if node.plain else text
        if not isinstance(value, str):
            return value
        said = resolve(text) if "$" in node.text else None
        return Text(value, self._directory(node.mark.file), said if isinstance(said, int) else None)

    def _directory(self, file: str) -> FilePath:
        """Return where relative paths of `file` start; worked out once in a reading, for there are many values."""
        if file not in self._directories:
            self._directories[file] = FilePath(file).absolute().parent
        return self._directories[file]
