"""The client's end of the wire: write, hold, close, and one deadline instead of a timer per request."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Final

# `struct tcp_info` of Linux (include/uapi/linux/tcp.h): unacked, bytes_acked and notsent_bytes, with their offsets.
_TCP_INFO: Final = 148
_UNACKED: Final = 24
_COUNTS: Final = struct.Struct("=I92xQ")
_NOT_SENT: Final = 144
_UNSENT: Final = struct.Struct("=I")


def _forget(_: bytes) -> None:
    """Write to nobody."""


class Line:
    """Wraps a transport that may be gone at any time; what is done to a lost line does nothing."""

    __slots__ = ("_monotonic", "deadline", "is_held", "send", "transport")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.transport: asyncio.Transport | None = None
        self.send: Callable[[bytes], None] = _forget
        """Writes; the loop buffers what the client does not take, and tells when that is too much."""
        self.is_held = False
        """Whether reading is stopped."""
        self._monotonic = monotonic
        self.deadline = 0.0
        """When the sweep is to call the connection's `on_deadline`, on the monotonic clock."""

    @property
    def is_open(self) -> bool:
        """Whether bytes can still reach the client."""
        return self.transport is not None and not self.transport.is_closing()

    @property
    def has_unsent(self) -> bool:
        """Whether the client has not taken everything yet."""
        return self.transport is not None and self.transport.get_write_buffer_size() > 0

    def owed(self) -> tuple[int, bool]:
        """Return a number that changes when the client takes bytes, and whether there are any for it to take.

        For TCP this is the kernel's own count of acknowledged bytes; else it is what the transport still holds.
        """
        transport = self.transport
        if transport is None:
            return 0, False
        left = transport.get_write_buffer_size()
        wire = transport.get_extra_info("socket")
        try:
            told = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO)
            unacknowledged, acknowledged, unsent = (
                *_COUNTS.unpack_from(told, _UNACKED),
                _UNSENT.unpack_from(told, _NOT_SENT)[0],
            )
        except (OSError, AttributeError, struct.error):
            # A Unix socket, or a kernel that tells less.
            return left, left > 0
        return acknowledged, bool(unacknowledged or unsent or left)

    def made(self, transport: asyncio.Transport) -> None:
        """The connection stands."""
        self.transport = transport
        self.send = transport.write

    def lost(self) -> None:
        """The connection is gone."""
        self.transport = None
        self.send = _forget

    def hold(self) -> None:
        """Stop reading: the rest waits in the kernel, and then at the client."""
        if not self.is_held and self.is_open and self.transport is not None:
            self.is_held = True
            self.transport.pause_reading()

    def unhold(self) -> None:
        """Read again."""
        if self.is_held:
            self.is_held = False
            if self.is_open and self.transport is not None:
                self.transport.resume_reading()

    def end(self) -> None:
        """Say that no more comes; what the client still sends is read."""
        if self.is_open and self.transport is not None:
            self.transport.write_eof()

    def close(self) -> None:
        """Close in good order.

        The loop's TLS transport sends what is left, says close_notify and reads away what the client still sends, so
        that an answer given before the end of an upload is not lost in a reset (RFC 9112, 9.6).
        """
        if self.transport is not None:
            self.unhold()
            self.transport.close()

    def cut(self) -> None:
        """Break off without a clean end, so that the client can see that something is missing."""
        if self.transport is not None:
            self.transport.abort()

    def set_deadline(self, seconds: float) -> None:
        """Expect something to happen within so many seconds."""
        self.deadline = self._monotonic() + seconds
