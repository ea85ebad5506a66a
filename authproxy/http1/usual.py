"""Heads of the usual shapes, read by one pattern each: the quick way through the grammar of `request` and `answer`.

Heads come in few shapes: one client's requests, or one upstream's answers, carry the same field names in the same
order. A shape that keeps coming gets a regular expression that knows its names and takes a whole head at once: it
checks every byte, picks the few values that are wanted, and leaves the lines that pass in large pieces. That takes a
seventh of the careful way's time.

There is still one reading: a pattern accepts less than the careful reader and finds the same (a property that
`tests/http1/test_usual.py` holds), and whatever no pattern takes is read carefully.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from authproxy.core import names
from authproxy.core.token import SHAPE

# How often a shape must come before a pattern is made of it: that takes milliseconds, and made-up shapes must not pay.
_OFTEN: Final = 64
# How often it must come to take another's place: a client that makes up shapes would have patterns made all the time.
_VERY_OFTEN: Final = 1024
# A pattern of so many names is made in five milliseconds; the usual head has a third of them.
_MOST_NAMES: Final = 40
_MOST_NAMES_BYTES: Final = 1024
# Tried one after the other; one of another shape fails at the first name that differs.
_MOST_PATTERNS: Final = 8
_MOST_COUNTED: Final = 256

# RFC 9110, 5.5: visible characters, obs-text, blank and tab. Possessive: nothing ever backtracks.
_VALUE: Final = rb"[\t\x20-\x7e\x80-\xff]*+"
_OWS: Final = rb"[ \t]*+"
_LENGTH: Final = _OWS + rb"(?P<length>[0-9]{1,18}+)" + _OWS
_KEEP_ALIVE: Final = _OWS + rb"[Kk]eep-[Aa]live"
_CONNECTION: Final = _OWS + rb"(?:[Kk]eep-[Aa]live|(?P<close>[Cc]lose))"

# Segments of a path in which `core.path.worth_a_look` finds nothing, and JSON nothing to escape.
_PLAIN: Final = rb"(?:/[!$&-\-0-:<=>@-\[\]-~][!$&-.0-:<=>@-\[\]-~]*+)*+/?+"
REQUEST_START: Final = (
    rb"(?P<method>GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) "
    rb"(?P<target>(?P<path>(?=/)(?P<plain>" + _PLAIN + rb")[!\"$->@-~]*+)(?:\?[!\"$-~]*+)?+) HTTP/1\.1"
)
ANSWER_START: Final = rb"HTTP/1\.1 (?P<status>[1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*+)?+"

PORT: Final = rb"(?::(?:[0-5]?[0-9]{1,4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])(?![0-9]))?+"
NAME: Final = rb"[A-Za-z0-9._~\-]{1,255}+"
"""A host that is no IPv6 address: those are read carefully."""

_REQUEST_FIELDS: Final = {
    names.HOST: _OWS + rb"(?P<host>" + NAME + PORT + rb")" + _OWS,
    # Another credential, or what is no token in shape, is read carefully.
    names.AUTHORIZATION: _OWS + rb"(?P<authorization>(?i:bearer|token) ++" + SHAPE + rb")" + _OWS,
    names.CONTENT_LENGTH: _LENGTH,
    names.CONNECTION: _CONNECTION,
    names.COOKIE: rb"(?P<cookie>" + _VALUE + rb")",
    names.PASS: _VALUE,
    names.CONTENT_TYPE: _VALUE,
    names.DROP: _VALUE,
}
_REPORTED_FIELDS: Final = {names.REQUEST_ID: _VALUE, names.FORWARDED: _VALUE}
_ANSWER_FIELDS: Final = {
    names.CONTENT_LENGTH: _LENGTH,
    names.CONNECTION: _KEEP_ALIVE,
    names.PASS: _VALUE,
    names.DROP: _VALUE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """What may stand in the heads that patterns are made for."""

    start: bytes
    """The expression of the first line."""
    fields: Mapping[int, bytes]
    """The expressions of field values, by what `core.names` says of the field."""
    passed: frozenset[int]
    """Which of these fields pass."""
    wanted: tuple[str, ...]
    """The groups that the reader always asks for."""
    more: tuple[str, ...]
    """The groups that few heads have."""


def request_grammar(*, reported: bool) -> Grammar:
    """Return the grammar of requests; `reported`: request ids and reports of an origin mean something."""
    return Grammar(
        start=REQUEST_START,
        fields=_REQUEST_FIELDS if reported else _REQUEST_FIELDS | _REPORTED_FIELDS,
        passed=frozenset({names.PASS, names.CONTENT_TYPE}),
        wanted=("method", "target", "path", "plain", "host", "authorization", "prefix", "version", "payload"),
        more=("length", "cookie", "close"),
    )


ANSWER_GRAMMAR: Final = Grammar(
    start=ANSWER_START,
    fields=_ANSWER_FIELDS,
    passed=frozenset({names.PASS, names.CONTENT_LENGTH}),
    wanted=("status", "length"),
    more=(),
)


class Usual:
    """Takes heads of one shape."""

    __slots__ = ("has_cookie", "has_length", "has_more", "is_one_run", "match", "pick", "pick_more", "runs")

    def __init__(self, grammar: Grammar, sequence: tuple[bytes, ...], kinds: tuple[int, ...]) -> None:
        """`sequence`: the field names as they stand; `kinds`: what `core.names` says of each."""
        text, runs = grammar.start, list[str]()
        expressions = _expressions(grammar, sequence, kinds)
        is_open = False
        for name, kind in zip(sequence, kinds, strict=True):
            if (kind in grammar.passed) is not is_open:
                is_open = not is_open
                if is_open:
                    runs.append(f"run{len(runs)}")
                text += b"(?P<%b>" % runs[-1].encode() if is_open else b")"
            text += rb"\r\n" + re.escape(name) + b":" + expressions[kind]
        # A field that is not there is asked for as the group that is always there, and empty.
        compiled = re.compile(text + (b")" if is_open else b"") + rb"(?P<none>)\r\n\r\n")
        groups = compiled.groupindex
        self.match = compiled.match
        """Matches a head with its empty line; what stands behind it is not looked at."""
        self.runs = tuple(groups[run] for run in runs)
        """The lines that pass, each with CRLF before it."""
        self.is_one_run = len(runs) == 1
        # Where there are several, whoever asks puts them together, and gets nothing in this place.
        passed = runs[0] if self.is_one_run else "none"
        self.pick = itemgetter(*(groups.get(group, groups["none"]) for group in (*grammar.wanted, passed)))
        """Returns of a match what the reader always asks for, the lines that pass as the last."""
        self.pick_more = itemgetter(*(groups.get(group, groups["none"]) for group in (*grammar.more, "none")))
        """And what few heads have, with nothing behind it."""
        self.has_more = any(group in groups for group in grammar.more)
        self.has_cookie = "cookie" in groups
        self.has_length = "length" in groups


def _expressions(grammar: Grammar, sequence: tuple[bytes, ...], kinds: tuple[int, ...]) -> Mapping[int, bytes]:
    """Return what the values of these fields look like."""
    if kinds.count(names.CONNECTION) > 1 or b"close" in map(bytes.lower, sequence):
        # A group has one place; and a field that `Connection: close` happens to name would have to end here.
        return {**grammar.fields, names.CONNECTION: _KEEP_ALIVE}
    return grammar.fields


class Habits:
    """Learns which shapes are usual."""

    __slots__ = ("_counts", "_grammar", "_made", "usual")

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._counts: dict[tuple[bytes, ...], int] = {}
        self._made: dict[tuple[bytes, ...], Usual] = {}
        self.usual: list[Usual] = []
        """The patterns so far, those that match often in front."""

    def note(self, sequence: tuple[bytes, ...], kinds: tuple[int, ...]) -> None:
        """Count a head that was read carefully, and make a pattern of its shape when it comes often."""
        if (
            sequence in self._made
            or len(sequence) > _MOST_NAMES
            or not self._grammar.fields.keys() >= set(kinds)
            or sum(map(len, sequence)) > _MOST_NAMES_BYTES
        ):
            return
        count = self._counts.pop(sequence, 0) + 1
        is_full = len(self.usual) >= _MOST_PATTERNS
        if count < (_VERY_OFTEN if is_full else _OFTEN):
            if len(self._counts) >= _MOST_COUNTED:
                del self._counts[next(iter(self._counts))]
            self._counts[sequence] = count
            return
        if is_full:
            # The one that matches least gives way.
            least = self.usual.pop()
            self._made = {names: usual for names, usual in self._made.items() if usual is not least}
        self._made[sequence] = made = Usual(self._grammar, sequence, kinds)
        self.usual.append(made)

    def prefer(self, place: int) -> None:
        """Move the pattern at `place` one to the front: it has just matched."""
        usual = self.usual
        usual[place - 1], usual[place] = usual[place], usual[place - 1]
