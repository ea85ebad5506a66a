"""Reads the head of an upstream's answer, by the same strict grammar as a request's.

A hostile or broken upstream must not meet a softer reader than a hostile client does.
Source: RFC 9112, 4 and 6.3; RFC 9110, 15.
"""

import re
from typing import Final, NamedTuple

from authproxy.core.names import AnswerNames
from authproxy.http1.lines import CRLF, ENDS, MOST_FIELDS, PLAIN, Shapes, find_names, joined, starts_with, value_of
from authproxy.http1.shape import AnswerShape, learn_answer
from authproxy.http1.usual import ANSWER_GRAMMAR, Habits

MAX_ANSWER_HEAD: Final = 64 * 1024
_END: Final = b"\r\n\r\n"
_LARGEST: Final = MAX_ANSWER_HEAD + len(_END)

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?").fullmatch
_DIGITS: Final = b"0123456789"
_MAX_LENGTH_DIGITS: Final = 18

# Statuses that never have a body (RFC 9112, 6.3).
BODILESS: Final = frozenset({204, 304})
SWITCHING: Final = 101
# The first status that is no 1xx (RFC 9110, 15.2).
_FINAL: Final = 200


# What three digits say, for all that can stand there: the number, and whether a body may follow.
_STATUSES: Final = {
    b"%d" % number: (number, number >= _FINAL and number not in BODILESS) for number in range(100, 1000)
}


class BadAnswer(NamedTuple):
    """The upstream's bytes are not an answer that this proxy passes on: 502."""

    problem: str


class AnswerHead:
    """An answer's head, read; made by `answer_of`."""

    # What every answer reads has a slot. The rest are defaults: to set what nobody reads costs, too.
    __slots__ = ("__dict__", "close", "content_length", "is_usual", "passed", "status")

    chunked: bool = False
    upgrade: bytes | None = None
    cookies: list[bytes] | None = None
    """Set-Cookie lines."""
    hsts: bool = False
    """The upstream set Strict-Transport-Security itself; its line is in `passed`."""
    status: int
    passed: bytes
    """The field lines that pass, as they came, each with CRLF before it; Content-Length among them, Set-Cookie not."""
    content_length: int
    """-1: no such field."""
    is_usual: bool
    """The length is known, a body may come, and nothing else differs from the defaults."""
    close: bool

    @property
    def lines(self) -> list[bytes]:
        """The lines that pass, one by one."""
        return self.passed.split(CRLF)[1:]


def answer_of(status: int, passed: bytes) -> AnswerHead:
    """Return a head without a length, to be read on, that ends no connection.

    Why a function: on Python 3.11 a class with a constructor takes twice as long to make an object.
    """
    head = AnswerHead()
    head.status = status
    head.passed = passed
    head.content_length = -1
    head.is_usual = False
    head.close = False
    return head


# Status lines as upstreams write them, already read. Bounded: a reason phrase can be anything.
_KNOWN_LINES: Final[dict[bytes, int]] = {}
_MAX_KNOWN_LINES: Final = 256


def _status_of(line: bytes) -> int:
    """Return the status of a well-formed HTTP/1.1 or 1.0 status line, negative for HTTP/1.0, 0 for anything else."""
    matched = _STATUS_LINE(line)
    if matched is None:
        return 0
    status = int(matched[2]) if matched[1] == b"1" else -int(matched[2])
    if len(_KNOWN_LINES) < _MAX_KNOWN_LINES:
        _KNOWN_LINES[line] = status
    return status


class AnswerReader:
    """Reads the heads of answers."""

    __slots__ = ("_habits", "_last", "_shapes", "_usual", "end")

    def __init__(self) -> None:
        table = AnswerNames()
        self._habits = Habits(ANSWER_GRAMMAR)
        self._usual = self._habits.usual
        self.end = 0
        """Where the head that was taken last ends, with its empty line."""
        self._last: AnswerShape | None = None
        self._shapes: Shapes[AnswerShape | str] = Shapes(lambda sequence: learn_answer(sequence, table))

    def read(self, block: bytes) -> AnswerHead | BadAnswer:
        """Return the head in `block` (all bytes before the empty line), or why it is not passed on."""
        head = self.take(block + _END)
        return self.read_carefully(block) if head is None or self.end != len(block) + len(_END) else head

    def take(self, data: bytes) -> AnswerHead | None:
        """Return the head at the beginning of `data` when it is a usual one; `end` is where it ends."""
        place = 0
        for usual in self._usual:
            match = usual.match
            found = match(data)
            if found is not None:
                break
            place += 1  # cheaper than enumerate, and mostly never reached
        else:
            return None
        if place:
            self._habits.prefer(place)
        self.end = end = found.end()
        if end > _LARGEST:
            return None
        # As `answer_of` makes it, with a call less.
        head = AnswerHead()
        pick = usual.pick
        status, length, passed = pick(found)
        head.passed = passed if usual.is_one_run else b"".join([found[run] for run in usual.runs])
        head.close = False
        head.status, may_have_body = _STATUSES[status]
        if length:
            head.content_length = int(length)
            head.is_usual = may_have_body
        else:
            head.content_length = -1
            head.is_usual = False
        return head

    def read_carefully(self, block: bytes) -> AnswerHead | BadAnswer:
        """Return the head in `block`, whatever its shape, or why it is not passed on."""
        lines = block.split(CRLF)
        fields = len(lines) - 1
        if fields >= MOST_FIELDS or block.translate(None, PLAIN) != ENDS[fields]:
            return BadAnswer("a bare CR or LF, a control byte, or too many fields")
        status = _KNOWN_LINES.get(lines[0]) or _status_of(lines[0])
        if status == 0:
            return BadAnswer("status line is malformed")
        shape = self._last
        if shape is None or fields != shape.fields or not all(map(starts_with, lines, shape.prefixes)):
            names = tuple(find_names(block))
            known = self._shapes[names]
            if isinstance(known, str) or len(names) != fields:
                return BadAnswer(known if isinstance(known, str) else "field line is not name, colon, value")
            self._last = shape = known
        head = answer_of(status, joined(shape.passed(lines)))
        if shape.content_length:
            value = lines[shape.content_length][15:].strip(b" \t")
            if not value or len(value) > _MAX_LENGTH_DIGITS or value.translate(None, _DIGITS):
                return BadAnswer("Content-Length is malformed")
            head.content_length = int(value)
        problem = None if status > 0 and shape.is_plain else _read_rest(head, lines, shape)
        if problem is None:
            self._habits.note(shape.names, shape.kinds)
        return problem or head


def _read_rest(head: AnswerHead, lines: list[bytes], shape: AnswerShape) -> BadAnswer | None:
    """Read the fields that most answers do not have."""
    if head.status < 0:
        head.status = -head.status
        head.close = True
        if shape.transfer_encoding:
            return BadAnswer("Transfer-Encoding in HTTP/1.0")
    if shape.transfer_encoding:
        if value_of(lines[shape.transfer_encoding]).lower() != b"chunked":
            return BadAnswer("transfer coding other than chunked")
        head.chunked = True
    head.cookies = [lines[index] for index in shape.cookies] or None
    head.hsts = shape.hsts
    if shape.connection:
        options = b",".join([value_of(lines[index]).lower() for index in shape.connection])
        _apply_options(head, options, value_of(lines[shape.upgrade]) if shape.upgrade else None)
    return None


def _apply_options(head: AnswerHead, options: bytes, upgrade: bytes | None) -> None:
    # The framing is ours towards the client: an option cannot take it away.
    named = {option.strip(b" \t") for option in options.split(b",")} - {b"content-length"}
    if b"close" in named:
        head.close = True
    if b"upgrade" in named:
        head.upgrade = upgrade
    if b"set-cookie" in named:
        head.cookies = None
    if b"strict-transport-security" in named:
        head.hsts = False
    head.passed = joined(line for line in head.lines if line.partition(b":")[0].lower() not in named)
