"""What libyaml's complaint means to somebody who wrote a configuration."""

from collections.abc import Mapping
from typing import Final

import yaml

_INDENTATION: Final = "this line does not fit the indentation above it: align it with the keys of its own map"

_CONTENT_OF_COLON: Final = 'what begins with [ or : and is no list needs quotes, as in "[::1]:8443"'
_CONTENT: Final = "inside [ ] and { } a value is missing before here: one that begins with # needs quotes"

_MEANINGS: Final[Mapping[str, str]] = {
    "mapping values are not allowed": (
        "`: ` is not expected here: indent this line like its neighbours, end the line above with `:`, "
        "or quote a value that contains `: `"
    ),
    "did not find expected key": _INDENTATION,
    "did not find expected '-' indicator": _INDENTATION,
    "expected <block end>": _INDENTATION,
    "node content": _CONTENT,
    "expected ',' or ']'": "the list that was opened with [ is not closed: a comma or ] is missing before here",
    "expected ',' or '}'": "the map that was opened with { is not closed: a comma or } is missing before here",
    "found unexpected end of stream": "the quoted text is not closed: its second quote is missing",
    "found unknown escape character": 'unknown escape in "...": write \\\\ for a backslash, or use single quotes',
    "could not find expected ':'": "this key has no `:` behind it",
}


def explain(error: yaml.YAMLError, text: str) -> tuple[int, int, str]:
    """Return line, column (from 1) and the cure of a syntax error in `text`."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        position = getattr(error, "position", 0)
        before = text[: position if isinstance(position, int) else 0]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return line, column, "control characters are not allowed"
    mark, problem = error.problem_mark, error.problem or ""
    line, column = mark.line + 1, mark.column + 1
    # Told by what stands there, for the words differ between libyaml and PyYAML's own scanner.
    here = text[_offset(text, mark.line, mark.column) :][:1]
    if text[: _offset(text, mark.line, mark.column)].endswith("$") and here == "{":
        return line, column, 'inside [ ] and { } a variable needs quotes: "${NAME}"'
    if "alphabetic or numeric character" in problem and error.context_mark is not None:
        return _unquoted(error.context_mark, text)
    if here == "\t" and ("cannot start any token" in problem or "tab character" in problem):
        return line, column, "a tab indents this line: YAML wants spaces"
    if "cannot start any token" in problem:
        return line, column, f"a value cannot begin with {here}: put it in quotes"
    if "not closed" in (meaning := _meaning(problem)) and error.context_mark is not None:
        opened = error.context_mark
        return line, column, f"{meaning} (opened at {opened.line + 1}:{opened.column + 1})"
    return line, column, _CONTENT_OF_COLON if meaning == _CONTENT and here == ":" else meaning


def _unquoted(begun: yaml.Mark, text: str) -> tuple[int, int, str]:
    # `*.example.org` would repeat a value that was named before: the complaint's own mark is behind the sign.
    sign = text[_offset(text, begun.line, begun.column) :][:1]
    return begun.line + 1, begun.column + 1, f'what begins with {sign} needs quotes, as in "*.example.org"'


def _meaning(problem: str) -> str:
    for words, meaning in _MEANINGS.items():
        if words in problem:
            return meaning
    return f"not YAML: {problem}"


def _offset(text: str, line: int, column: int) -> int:
    lines = text.split("\n", line)
    return len(text) - len(lines[-1]) + column if len(lines) > line else len(text)
