"""The client's end of the wire: write, hold, close, and one deadline instead of a timer per request."""

import asyncio
from collections.abc import Callable


def _forget(_: bytes) -> None:
    """Write to nobody."""


class Line:
    """Wraps a transport that may be gone at any time; what is done to a lost line does nothing."""

    __slots__ = ("_monotonic", "_transport", "deadline", "is_held", "send")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._transport: asyncio.Transport | None = None
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
        return self._transport is not None and not self._transport.is_closing()

    @property
    def has_unsent(self) -> bool:
        """Whether the client has not taken everything yet."""
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    def made(self, transport: asyncio.Transport) -> None:
        """The connection stands."""
        self._transport = transport
        self.send = transport.write

    def lost(self) -> None:
        """The connection is gone."""
        self._transport = None
        self.send = _forget

    def hold(self) -> None:
        """Stop reading: the rest waits in the kernel, and then at the client."""
        if not self.is_held and self.is_open and self._transport is not None:
            self.is_held = True
            self._transport.pause_reading()

    def unhold(self) -> None:
        """Read again."""
        if self.is_held:
            self.is_held = False
            if self.is_open and self._transport is not None:
                self._transport.resume_reading()

    def close(self) -> None:
        """Close in good order.

        The loop's TLS transport sends what is left, says close_notify and reads away what the client still sends, so
        that an answer given before the end of an upload is not lost in a reset (RFC 9112, 9.6).
        """
        if self._transport is not None:
            self.unhold()
            self._transport.close()

    def cut(self) -> None:
        """Break off without a clean end, so that the client can see that something is missing."""
        if self._transport is not None:
            self._transport.abort()

    def set_deadline(self, seconds: float) -> None:
        """Expect something to happen within so many seconds."""
        self.deadline = self._monotonic() + seconds
