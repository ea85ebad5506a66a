"""Reads the head of an upstream's answer, by the same strict grammar as a request's.

A hostile or broken upstream must not meet a softer reader than a hostile client does.
Source: RFC 9112, 4 and 6.3; RFC 9110, 15.
"""

import re
from typing import Final, NamedTuple

from authproxy.core import names
from authproxy.core.names import AnswerNames, is_token

MAX_ANSWER_HEAD: Final = 64 * 1024

_FIELD_BYTES: Final = bytes(c for c in range(256) if (c >= 0x20 and c != 0x7F) or c in b"\t\r\n")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?").fullmatch
_DIGITS: Final = b"0123456789"
_MAX_LENGTH_DIGITS: Final = 18

# Statuses that never have a body (RFC 9112, 6.3).
BODILESS: Final = frozenset({204, 304})
SWITCHING: Final = 101


class BadAnswer(NamedTuple):
    """The upstream's bytes are not an answer that this proxy passes on: 502."""

    problem: str


class AnswerHead:
    """An answer's head, read."""

    __slots__ = ("chunked", "close", "content_length", "cookies", "hsts", "lines", "status", "upgrade")

    def __init__(self, status: int, *, http10: bool) -> None:
        self.status = status
        self.lines: list[bytes] = []
        """The field lines that pass, as they came; framing and Set-Cookie are not among them."""
        self.content_length = -1
        self.chunked = False
        self.close = http10
        self.upgrade: bytes | None = None
        self.cookies: list[bytes] | None = None
        """Set-Cookie lines."""
        self.hsts = False
        """The upstream set Strict-Transport-Security itself; its line is in `lines`."""


def read_answer(block: bytes, table: AnswerNames) -> AnswerHead | BadAnswer:
    """Return the head in `block` (all bytes before the empty line), or why it is not passed on."""
    lines = block.split(b"\r\n")
    fields = len(lines) - 1
    if block.count(b"\n") != fields or block.count(b"\r") != fields or block.translate(None, _FIELD_BYTES):
        return BadAnswer("a bare CR or LF, or a control byte")
    start = lines[0]
    if start[:9] == b"HTTP/1.1 " and start[12:13] in {b" ", b""} and (matched := _STATUS_LINE(start)) is not None:
        status = int(matched[2])
        http10 = False
    elif (matched := _STATUS_LINE(start)) is not None:
        status = int(matched[2])
        http10 = matched[1] == b"0"
    else:
        return BadAnswer("status line is malformed")
    head = AnswerHead(status, http10=http10)
    problem = _read_fields(head, lines, table, http10=http10)
    return head if problem is None else problem


def _read_fields(  # noqa: C901, PLR0912  # one loop, as for requests
    head: AnswerHead, lines: list[bytes], table: AnswerNames, *, http10: bool
) -> BadAnswer | None:
    keep = head.lines.append
    options: bytes = b""
    upgrade: bytes | None = None
    for index in range(1, len(lines)):
        line = lines[index]
        name, colon, value = line.partition(b":")
        kind = table[name] if colon else names.BAD
        if kind == names.PASS:
            keep(line)
        elif kind == names.CONTENT_LENGTH:
            value = value.strip(b" \t")
            if head.content_length >= 0 or not value or len(value) > _MAX_LENGTH_DIGITS or value.translate(None, _DIGITS):
                return BadAnswer("Content-Length is malformed or repeated")
            head.content_length = int(value)
        elif kind == names.CONNECTION:
            options += b"," + value.lower()
        elif kind == names.DROP:
            continue
        elif kind == names.TRANSFER_ENCODING:
            if head.chunked or http10 or value.strip(b" \t").lower() != b"chunked":
                return BadAnswer("transfer coding other than chunked")
            head.chunked = True
        elif kind == names.SET_COOKIE:
            head.cookies = head.cookies or []
            head.cookies.append(line)
        elif kind == names.HSTS:
            head.hsts = True
            keep(line)
        elif kind == names.UPGRADE:
            upgrade = value.strip(b" \t")
        else:
            return BadAnswer("field line is not name, colon, value")
    if head.chunked and head.content_length >= 0:
        return BadAnswer("both Content-Length and Transfer-Encoding")
    if options:
        _apply_options(head, options, upgrade)
    return None


def _apply_options(head: AnswerHead, options: bytes, upgrade: bytes | None) -> None:
    named = {option.strip(b" \t") for option in options.split(b",")} - {b"", b"keep-alive"}
    if b"close" in named:
        head.close = True
        named.discard(b"close")
    if b"upgrade" in named:
        head.upgrade = upgrade
        named.discard(b"upgrade")
    if named:
        droppable = {option for option in named if is_token(option)}
        head.lines[:] = [line for line in head.lines if line.partition(b":")[0].lower() not in droppable]
