"""Follows WebSocket frame boundaries in a stream that passes by, so that a close frame can be put between two frames.

Nothing is decoded: only each frame's length is read (RFC 6455, 5.2).
"""

from typing import Final

_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_MASKED: Final = 0x80
_OPCODE_CLOSE: Final = 0x8
# A masked frame without payload, and the longest payload of a control frame.
_LEAST: Final = 6
_LONGEST_CONTROL: Final = 125

GOING_AWAY: Final = 1001
POLICY_VIOLATION: Final = 1008


def close_frame(code: int) -> bytes:
    """Return an unmasked close frame (server to client) with a status code (RFC 6455, 5.5.1 and 7.4)."""
    return bytes((0x80 | _OPCODE_CLOSE, 2)) + code.to_bytes(2, "big")


def ends_in_close(data: bytes) -> bool:
    """Tell whether what a client sent seems to end in a masked close frame: the answer to ours.

    It may be wrong about bytes from within another frame, so ask only where the connection is to end anyway.
    """
    size = len(data)
    return any(
        data[start] == 0x80 | _OPCODE_CLOSE and data[start + 1] == _MASKED | (size - start - _LEAST)
        for start in range(max(0, size - _LEAST - _LONGEST_CONTROL), size - _LEAST + 1)
    )


class FrameTracker:
    """Told every byte that went to the client, knows whether the stream stands between two frames."""

    __slots__ = ("_header", "_left")

    def __init__(self) -> None:
        self._header = b""
        self._left = 0

    @property
    def at_boundary(self) -> bool:
        """Whether the last byte seen was the last of a frame, or none was seen yet."""
        return not self._left and not self._header

    def feed(self, data: bytes) -> None:
        """Note that `data` went by."""
        position = 0
        size = len(data)
        while position < size:
            if self._left:
                step = min(self._left, size - position)
                self._left -= step
                position += step
                continue
            if not self._header and position + 1 < size:
                length = data[position + 1]
                if length & ~_MASKED < _LENGTH_16:
                    # A short frame: there may be thousands in one piece. A mask may count as a part of its payload.
                    position += 2
                    self._left = length if length < _MASKED else (length & ~_MASKED) + 4
                    continue
            self._header += data[position : position + 1]
            position += 1
            self._read_header()

    def _read_header(self) -> None:
        header = self._header
        if len(header) < 2:  # noqa: PLR2004  # the fixed part of a frame's header
            return
        length = header[1] & ~_MASKED
        extended = {_LENGTH_16: 2, _LENGTH_64: 8}.get(length, 0)
        needed = 2 + extended + (4 if header[1] & _MASKED else 0)
        if len(header) < needed:
            return
        if extended:
            length = int.from_bytes(header[2 : 2 + extended], "big")
        self._left = length
        self._header = b""
