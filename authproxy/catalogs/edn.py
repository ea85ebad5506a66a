"""EDN text to values, strictly: what Clojure's own reader would refuse is refused here.

Tagged values stay as they are written (`Tagged`): what a time without an offset means is for the reader of rows to say,
and only about that row. Unknown tags are refused. Places are offsets into the text.

Source: github.com/edn-format/edn, and clojure.edn of Clojure 1.11.
"""

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias, final

from authproxy.errors import AuthproxyError

MAX_DEPTH: Final = 32
MAX_DIGITS: Final = 1000
TAGS: Final = frozenset({"uuid", "inst"})


class EdnError(AuthproxyError):
    """The text is not EDN, from `offset` on."""

    def __init__(self, offset: int, problem: str) -> None:
        super().__init__(problem)
        self.offset = offset


class Keyword(NamedTuple):
    """`:name` or `:space/name`, without the colon."""

    name: str


class Symbol(NamedTuple):
    """`name` or `space/name`."""

    name: str


class Char(NamedTuple):
    r"""`\a`, `\newline`, `\u0041`."""

    text: str


class Tagged(NamedTuple):
    """`#uuid "..."` or `#inst "..."`; the text is not looked at."""

    tag: str
    text: str


@final
@dataclass(frozen=True, slots=True)
class Map:
    """`{...}`: pairs in their order."""

    pairs: tuple[tuple["Edn", "Edn"], ...]
    offset: int = field(compare=False)
    offsets: tuple[int, ...] = field(compare=False)
    """Where each key stands."""


@final
@dataclass(frozen=True, slots=True)
class Set:
    """`#{...}`: members in their order."""

    members: tuple["Edn", ...]


Edn: TypeAlias = (
    "bool | int | float | Decimal | str | Keyword | Symbol | Char | Tagged | Map | Set | tuple[Edn, ...] | None"
)
"""A list and a vector are both a tuple: EDN holds them for equal."""

_NAME: Final = r"(?:[A-Za-z*!_?$%&=<>][\w.*+!?$%&=<>:#'-]*|[+-](?:[A-Za-z*+!_?$%&=<>:#'.-][\w.*+!?$%&=<>:#'-]*)?|\.(?:[A-Za-z*+!_?$%&=<>:#'.-][\w.*+!?$%&=<>:#'-]*)?)"
_TOKEN: Final = re.compile(
    rf"""
      (?P<blank>    (?: [\s,]+ | ;[^\n]* )+ )
    | (?P<keyword>  :{_NAME}(?:/{_NAME})? | :[0-9][\w.*+!?$%&=<>'-]* )
    | (?P<string>   "(?:[^"\\]|\\.)*+" )
    | (?P<open>     \#?\{{ | [\[(] )
    | (?P<close>    [\]}})] )
    | (?P<tag>      \#[A-Za-z][\w.*+!?$%&=<>-]*(?:/[\w.*+!?$%&=<>-]+)? )
    | (?P<discard>  \#_ )
    | (?P<number>   [+-]?[0-9][\w.+-]* )
    | (?P<char>     \\(?:[a-z]+\b|u[0-9A-Fa-f]{{4}}\b|\S) )
    | (?P<symbol>   (?:{_NAME}/)?{_NAME} | / )
    """,
    re.ASCII | re.VERBOSE | re.DOTALL,
)
# After these no blank is needed before the next value.
_SELF_ENDING: Final = frozenset({"blank", "string", "open", "close", "discard"})
_DELIMITER: Final = re.compile(r"""[\s,;"(\[{}\])]""", re.ASCII)

_WHOLE: Final = re.compile(r"([+-]?(?:0|[1-9][0-9]*))N?")
_EXACT: Final = re.compile(r"([+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?)M")
_FLOAT: Final = re.compile(r"[+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?")
_ESCAPE: Final = re.compile(r'\\(?:([tnrbf"\\])|u([0-9A-Fa-f]{4})|.)', re.DOTALL)
_ESCAPED: Final = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\"}
_CHARS: Final = {"newline": "\n", "space": " ", "tab": "\t", "return": "\r", "backspace": "\b", "formfeed": "\f"}
_CONSTANTS: Final = {"nil": None, "true": True, "false": False}
_CLOSES: Final = {"[": "]", "(": ")", "{": "}", "#{": "}"}


class _End(NamedTuple):
    closing: str
    offset: int


def read(text: str) -> tuple[Edn, int] | None:
    """Return the first value in `text` and the offset behind it; None: there is none.

    Raises:
        EdnError: It is not EDN. What follows the first value is not looked at.
    """
    reader = _Reader(text)
    value = reader.value(0)
    if isinstance(value, _End):
        if value.closing:
            raise EdnError(value.offset, f"{value.closing} closes nothing")
        return None
    return value, reader.offset


class _Reader:
    def __init__(self, text: str) -> None:
        self.offset = 0
        self._text = text

    def value(self, depth: int) -> "Edn | _End":
        """Return the next value, or the end of what encloses it."""
        if depth > MAX_DEPTH:
            raise EdnError(self.offset, f"nested deeper than {MAX_DEPTH} levels")
        while True:
            kind, text, start = self._token()
            match kind:
                case "blank":
                    continue
                case "discard":
                    self._needed(depth + 1, start, "#_ discards nothing")
                case "end" | "close":
                    return _End(text, start)
                case "open":
                    return self._collection(text, start, depth)
                case "tag":
                    return self._tagged(text[1:], start, depth)
                case _:
                    return _atom(kind, text, start)

    def _token(self) -> tuple[str, str, int]:
        start = self.offset
        found = _TOKEN.match(self._text, start)
        if found is None or found.lastgroup is None:
            if start == len(self._text):
                return "end", "", start
            raise EdnError(start, "this text does not end" if self._text[start] == '"' else "cannot be read")
        kind, self.offset = found.lastgroup, found.end()
        if kind not in _SELF_ENDING and not _ends_at(self._text, self.offset):
            raise EdnError(start, "cannot be read")
        return kind, found.group(), start

    def _needed(self, depth: int, start: int, problem: str) -> Edn:
        value = self.value(depth)
        if isinstance(value, _End):
            raise EdnError(start, problem)
        return value

    def _items(self, opening: str, start: int, depth: int) -> tuple[list[Edn], list[int]]:
        items: list[Edn] = []
        offsets: list[int] = []
        while True:
            value = self.value(depth + 1)
            if isinstance(value, _End):
                if value.closing != _CLOSES[opening]:
                    raise EdnError(start, f"{opening} is closed by {value.closing or 'the end of the text'}")
                return items, offsets
            items.append(value)
            offsets.append(self.offset)

    def _collection(self, opening: str, start: int, depth: int) -> Edn:
        items, offsets = self._items(opening, start, depth)
        if opening == "{":
            return _map(items, offsets, start)
        if opening == "#{":
            _refuse_twice(items, start, "member")
            return Set(tuple(items))
        return tuple(items)

    def _tagged(self, tag: str, start: int, depth: int) -> Edn:
        if tag not in TAGS:
            raise EdnError(start, f"unknown tag #{tag}")
        value = self._needed(depth + 1, start, f"#{tag} stands before nothing")
        if not isinstance(value, str):
            raise EdnError(start, f"#{tag} stands before text only")
        return Tagged(tag, value)


def _ends_at(text: str, offset: int) -> bool:
    return offset == len(text) or _DELIMITER.match(text, offset) is not None


def _map(items: list[Edn], offsets: list[int], start: int) -> Map:
    keys, values = items[::2], items[1::2]
    if len(keys) != len(values):
        raise EdnError(start, "a map has a key without a value")
    _refuse_twice(keys, start, "key")
    return Map(tuple(zip(keys, values, strict=True)), start, tuple(offsets[::2]))


def _refuse_twice(items: list[Edn], start: int, what: str) -> None:
    if len({_identity(item) for item in items}) != len(items):
        raise EdnError(start, f"the same {what} stands twice")


def _identity(value: Edn) -> object:
    """Return what is equal exactly when EDN holds two values for equal: 1, 1.0 and true are three values."""
    match value:
        case Map():
            return Map, frozenset((_identity(key), _identity(item)) for key, item in value.pairs)
        case Set():
            return Set, frozenset(_identity(item) for item in value.members)
        case tuple() if type(value) is tuple:
            return tuple, tuple(_identity(item) for item in value)
        case _:
            return type(value), value


def _atom(kind: str, text: str, start: int) -> Edn:
    match kind:
        case "keyword":
            return Keyword(text[1:])
        case "string":
            return _string(text[1:-1], start)
        case "number":
            return _number(text, start)
        case "char":
            return _char(text[1:], start)
        case _:
            return _CONSTANTS[text] if text in _CONSTANTS else Symbol(text)


def _string(text: str, start: int) -> str:
    if "\\" not in text:
        return text

    def plain(found: re.Match[str]) -> str:
        if found[1]:
            return _ESCAPED[found[1]]
        if found[2]:
            return chr(int(found[2], 16))
        raise EdnError(start + 1 + found.start(), f"unknown escape {found[0]}")

    return _ESCAPE.sub(plain, text)


def _char(text: str, start: int) -> Char:
    if len(text) == 1:
        return Char(text)
    if text[0] == "u" and len(text) == len("u0041"):
        return Char(chr(int(text[1:], 16)))
    if text not in _CHARS:
        raise EdnError(start, "unknown character name")
    return Char(_CHARS[text])


def _number(text: str, start: int) -> int | float | Decimal:
    if len(text) > MAX_DIGITS:
        raise EdnError(start, f"a number has more than {MAX_DIGITS} digits")
    if found := _WHOLE.fullmatch(text):
        return int(found[1])
    if found := _EXACT.fullmatch(text):
        return Decimal(found[1])
    if _FLOAT.fullmatch(text):
        return float(text)
    raise EdnError(start, "is not a number")
