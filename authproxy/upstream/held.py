"""The transport's side of an upstream connection: held, released, closed, cut."""

import asyncio
from collections.abc import Callable
from typing import cast

from typing_extensions import override

from authproxy.upstream.interface import Receiver
from authproxy.upstream.state import State


def forget(_: bytes) -> None:
    """Write to nobody."""


class Held(asyncio.Protocol):
    """A connection that can be held back; what is done to a lost one does nothing."""

    __slots__ = ("_is_paused", "_keep", "_receiver", "_state", "_transport", "is_idle", "write")

    _keep: bool
    _transport: asyncio.Transport | None
    _receiver: Receiver | None
    _state: State
    _is_paused: bool
    is_idle: bool
    write: Callable[[bytes], None]

    def pause(self) -> None:
        """Stop reading: the client does not take bytes fast enough."""
        if self._transport is not None and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._is_paused and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        self._is_paused = False

    @property
    def has_unsent(self) -> bool:
        """Whether the upstream has not taken everything yet."""
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    def abort(self) -> None:
        """Cut the connection: the upstream must not take what it got for a whole request."""
        if (transport := self._end()) is not None:
            transport.abort()

    def end(self) -> None:
        """Say that no more comes; what the upstream still sends is read."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        """Close in good order."""
        if (transport := self._end()) is not None:
            transport.close()

    def expire(self) -> None:
        """Carry no further request: close now if idle, else when the answer under way has ended."""
        if self.is_idle:
            self.close()
        self._keep = False

    def _end(self) -> asyncio.Transport | None:
        self._receiver = None
        self._state = State.DEAD
        self.is_idle = False
        return self._transport

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done, chain and name are verified."""
        # asyncio's annotation is the looser one; what comes is always a transport for both directions.
        self._transport = cast("asyncio.Transport", transport)
        self.write = self._transport.write

    @override
    def pause_writing(self) -> None:
        """The upstream does not take what is sent."""
        if self._receiver is not None:
            self._receiver.pause_request()

    @override
    def resume_writing(self) -> None:
        """The upstream takes bytes again."""
        if self._receiver is not None:
            self._receiver.resume_request()
