"""Reads a chunked body piece by piece; extensions and trailers are checked and dropped.

The framing is always written anew: what passes is the payload, so no reader behind us sees a chunk line
that somebody else wrote.

Source: RFC 9112, 7.1. Limits: extensions 256 bytes a line (LF in extensions smuggled requests through several
servers), trailers 16 fields and 4 KiB.
"""

import re
from enum import Enum, auto, unique
from typing import Final

from authproxy.core.names import is_token
from authproxy.http1.lines import PLAIN

_HEX: Final = b"0123456789abcdefABCDEF"
_MAX_SIZE_DIGITS: Final = 15
_MAX_EXTENSION: Final = 256
_MAX_LINE: Final = _MAX_SIZE_DIGITS + len(";") + _MAX_EXTENSION
_MAX_TRAILER_FIELDS: Final = 16
_MAX_TRAILER_BYTES: Final = 4096
_VISIBLE: Final = bytes(range(0x21, 0x7F))

_WHOLE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15}+)\r\n").match

LAST_CHUNK: Final = b"0\r\n\r\n"


class BadChunk(Exception):  # named after what it reports
    """The body is not chunked as RFC 9112 says; the connection cannot go on."""


@unique
class _State(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    DONE = auto()


# Bound once: reaching a member through its class costs a call on Python 3.11.
_SIZE: Final = _State.SIZE


def chunk(payload: bytes) -> bytes:
    """Return the payload framed as one chunk; an empty one gives nothing, since a chunk of 0 ends the body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload) if payload else b""


class ChunkedReader:
    """Takes the bytes of a chunked body as they arrive and gives back the payload."""

    __slots__ = ("_left", "_line", "_state", "_trailer_bytes", "_trailer_fields")

    def __init__(self) -> None:
        self._state = _State.SIZE
        self._left = 0
        self._line = b""
        self._trailer_bytes = 0
        self._trailer_fields = 0

    @property
    def done(self) -> bool:
        """Whether the body has ended."""
        return self._state is _State.DONE

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the payload in `data`, and the bytes behind the end of the body.

        Raises:
            BadChunk: the framing is broken; no byte of `data` may be passed on.
        """
        pieces: list[bytes] = []
        position = 0
        size = len(data)
        if self._state is _SIZE and not self._line:
            position = self._take_whole(data, pieces)
        while position < size:
            if self._state is _State.DATA:
                piece = data[position : position + self._left]
                pieces.append(piece)
                position += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._state = _State.DATA_END
            elif self._state is _State.DONE:
                return b"".join(pieces), data[position:]
            else:
                position = self._feed_line(data, position)
        return b"".join(pieces), b""

    @staticmethod
    def _take_whole(data: bytes, pieces: list[bytes]) -> int:
        """Take the chunks that are in `data` as a whole and have no extension; return where they end.

        A sender may make a million chunks of one byte: this costs a sixth of the way state by state.
        """
        position = 0
        found = _WHOLE_LINE(data)
        while found is not None:
            begin = found.end()
            end = begin + int(found[1], 16)
            if end == begin or data[end : end + 2] != b"\r\n":
                # The last chunk, one that goes on in the next piece, or a broken one.
                break
            pieces.append(data[begin:end])
            position = end + 2
            found = _WHOLE_LINE(data, position)
        return position

    def _feed_line(self, data: bytes, position: int) -> int:
        """Collect one line up to its CRLF and act on it; return where to go on."""
        end = data.find(b"\n", position)
        part = data[position:] if end < 0 else data[position:end]
        limit = _MAX_TRAILER_BYTES if self._state is _State.TRAILER else _MAX_LINE
        if len(self._line) + len(part) > limit + 1:
            raise BadChunk("line too long")
        if end < 0:
            # A CR may only stand right before the LF.
            if b"\r" in (self._line + part)[:-1]:
                raise BadChunk("bare CR")
            self._line += part
            return len(data)
        line = self._line + part
        self._line = b""
        if line[-1:] != b"\r":
            raise BadChunk("bare LF")
        self._act(line[:-1])
        return end + 1

    def _act(self, line: bytes) -> None:
        if self._state is _State.SIZE:
            self._read_size(line)
        elif self._state is _State.DATA_END:
            if line:
                raise BadChunk("chunk longer than its size")
            self._state = _State.SIZE
        elif not line:
            self._state = _State.DONE
        else:
            self._check_trailer(line)

    def _read_size(self, line: bytes) -> None:
        digits, _, extension = line.partition(b";")
        # RFC 9112, 7.1.1 lets bad blanks be taken; nobody needs them, and readers differ over them.
        if len(extension) > _MAX_EXTENSION or extension.translate(None, _VISIBLE):
            raise BadChunk("extension too long or not visible ASCII")
        if not digits or len(digits) > _MAX_SIZE_DIGITS or digits.translate(None, _HEX):
            raise BadChunk("size is not 1 to 15 hex digits")
        self._left = int(digits, 16)
        self._state = _State.DATA if self._left else _State.TRAILER

    def _check_trailer(self, line: bytes) -> None:
        self._trailer_fields += 1
        self._trailer_bytes += len(line) + 2
        if self._trailer_fields > _MAX_TRAILER_FIELDS or self._trailer_bytes > _MAX_TRAILER_BYTES:
            raise BadChunk("too many trailers")
        name, colon, _ = line.partition(b":")
        if not colon or not is_token(name) or line.translate(None, PLAIN):
            raise BadChunk("trailer is not name, colon, value")
