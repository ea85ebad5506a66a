"""Carries bytes both ways between two transports, and the way in which each side ends.

    one side ends (FIN, or close_notify)     the other is told the same, and may go on
    one side is cut (reset, or a FIN
      without close_notify)                  the other is reset: what it got must not look whole
    one side takes nothing                   the other must wait: nothing piles up here

What waits here in one direction is at most what one transport reads at once (64 KiB) above what makes the other ask for
a pause (64 KiB), and as much again that its kernel has not sent.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Final, Protocol, cast

from typing_extensions import override

# close() then resets (socket(7)); what is still unsent is dropped.
_RESET: Final = struct.pack("ii", 1, 0)
# How much the kernel takes beyond what is on its way: the rest of its buffers, megabytes, would only hide that a side
# takes nothing. Linux; socket.TCP_NOTSENT_LOWAT comes with Python 3.12.
_TCP_NOTSENT_LOWAT: Final = 25
_UNSENT: Final = 128 * 1024


class Owner(Protocol):
    """Hears of what matters to the clock and to the log."""

    def on_bytes(self, side: "Side", size: int) -> None:
        """So many came from there."""

    def on_half(self) -> None:
        """One side has ended; the other may go on."""

    def on_whole(self) -> None:
        """Both have ended: nothing is left to pass, but not everything may have been taken."""

    def on_lost(self, side: "Side", error: Exception | None) -> None:
        """One side was cut, and the other has been reset."""

    def on_gone(self) -> None:
        """A socket is closed."""


class Side(asyncio.Protocol):
    """One end of a relay; passes on to `other`."""

    __slots__ = ("_is_over", "_owner", "has_ended", "other", "transport")

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.transport: asyncio.Transport | None = None
        self.other: Side = self
        self.has_ended = False
        """It sends no more."""
        self._is_over = False
        """Whatever happens to it is of no interest any more."""

    # ------------------------------------------------------------------ what its owner does

    def pair(self, other: "Side") -> None:
        """Let the two pass on to one another."""
        self.other, other.other = other, self

    def reset(self) -> None:
        """Break it off, so that the peer can see that something is missing (a Unix socket cannot tell)."""
        self._is_over = True
        transport = self.transport
        if transport is None:
            return
        wire = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            if wire is not None and wire.family != socket.AF_UNIX:
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()

    def close(self) -> None:
        """Close it in good order; whoever calls sets a limit, and resets."""
        self._is_over = True
        if self.transport is not None:
            self.transport.close()

    @property
    def owes(self) -> int:
        """How many bytes the peer has still to take from here."""
        return 0 if self.transport is None else self.transport.get_write_buffer_size()

    # ------------------------------------------------------------------ asyncio.Protocol

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        wire = transport.get_extra_info("socket")
        if wire is not None and wire.family != socket.AF_UNIX:
            with contextlib.suppress(OSError):
                wire.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _UNSENT)

    @override
    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        self._of_other(lambda transport: transport.write(data))
        self._owner.on_bytes(self, len(data))

    @override
    def eof_received(self) -> bool:
        """It sends no more: tell the other; True: it may still be written to."""
        if self._is_over:
            return False
        self.has_ended = True
        self._of_other(lambda transport: transport.write_eof())
        if self.other.has_ended:
            self._owner.on_whole()
        else:
            self._owner.on_half()
        return True

    @override
    def pause_writing(self) -> None:
        """It takes nothing: the other must wait."""
        self._of_other(lambda transport: transport.pause_reading())

    @override
    def resume_writing(self) -> None:
        """It takes bytes again."""
        self._of_other(lambda transport: transport.resume_reading())

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self.transport = None
        if not self._is_over:
            self._is_over = True
            self.other.reset()
            self._owner.on_lost(self, exc)
        self._owner.on_gone()

    def _of_other(self, act: Callable[[asyncio.Transport], None]) -> None:
        transport = self.other.transport
        if transport is not None and not transport.is_closing():
            act(transport)
