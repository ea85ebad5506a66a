"""A transport over a socket that does not block: reads into one shared buffer, sends at the end of a batch."""

import asyncio
import socket
from time import monotonic
from typing import Final

from typing_extensions import override

from authproxy.wire.sending import NOT_NOW, NOTHING, ROOM, Sender, refuse_early

# Read by every connection in turn: what was read is copied out before the next one reads.
BUFFER: Final = bytearray(ROOM)
_VIEW: Final = memoryview(BUFFER)
# From here on it is looked at how long what was read takes.
BULK: Final = 16 * 1024
# How long a peer may take to take the last bytes of a connection that does not linger.
_PARTING: Final = 5.0


class SocketTransport(Sender):
    """Carries a protocol over a connected socket; the socket is its own from now on.

    `lingering`: after a close, what the peer still sends is read away until it ends too, so that an answer given
    before the end of an upload is not lost in a reset (RFC 9112, 9.6). Whoever closes must set a limit and `abort`.
    """

    __slots__ = ()

    def set_peer(self, address: str, port: int) -> None:
        """Tell who the peer is, where somebody who is believed has told it."""
        self._extra["peername"] = (address, port)

    def set_server_name(self, name: str | None) -> None:
        """Tell which server the peer has asked for."""
        self._extra["server_name"] = name

    def begin(self, protocol: asyncio.Protocol) -> None:
        """Carry `protocol` from now on."""
        self._introduce(protocol)
        self._read_on()

    # ------------------------------------------------------------------ asyncio.Transport

    @override
    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Carry another protocol from now on."""
        if not isinstance(protocol, asyncio.Protocol):
            raise TypeError("an asyncio.Protocol is needed")
        self._protocol = protocol
        self._hand_over = protocol.data_received

    @override
    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that is carried."""
        if self._protocol is None:
            raise RuntimeError("it has not begun")
        return self._protocol

    @override
    def is_closing(self) -> bool:
        """Tell whether it is closed, or about to be."""
        return self._is_closing

    @override
    def is_reading(self) -> bool:
        """Tell whether what the peer sends is taken."""
        return not (self._is_paused or self._is_closing)

    @override
    def pause_reading(self) -> None:
        """Take nothing more: the peer must wait."""
        if not self._is_paused and not self._is_closing:
            self._is_paused = True
            self._poller.remove_reader(self._fd)

    @override
    def resume_reading(self) -> None:
        """Take what the peer sends again."""
        if self._is_paused and not self._is_closing:
            self._is_paused = False
            if self._first:
                self._loop.call_soon(self._read_on)
            elif not self._has_ended:
                self._poller.add_reader(self._fd, self._on_readable)

    @override
    def write_eof(self) -> None:
        """Send what was written, then say that no more comes; reading goes on."""
        if not self._is_ending:
            self._is_ending = True
            self.flush()

    @override
    def close(self) -> None:
        """Send what was written, then close."""
        if self._is_closing:
            return
        self._is_closing = self._is_ending = True
        self._say_goodbye()
        self.flush()
        if self._is_gone:
            return
        if not self._has_ended:
            # A peer that waits until it may send would never take the rest.
            self._poller.add_reader(self._fd, self._read_away)
        if not self._lingering:
            self._loop.call_later(_PARTING, self.abort)

    @override
    def abort(self) -> None:
        """Close without another byte: the peer can see that something is missing."""
        self._end(None)

    # ------------------------------------------------------------------ reading

    def _introduce(self, protocol: asyncio.Protocol) -> None:
        """Tell `protocol` of its connection, and of its loss where that has happened already."""
        self._protocol = protocol
        self._hand_over = protocol.data_received
        self._ask(lambda: protocol.connection_made(self))
        if self._wire.fileno() < 0:
            self._loop.call_soon(self._lose, ConnectionAbortedError("it ended before it began"))

    def _read_on(self) -> None:
        if self._first and not self._is_paused and not self._is_closing:
            first, self._first = self._first, b""
            self._deliver(first)
        if not (self._first or self._is_paused or self._is_closing or self._has_ended):
            self._poller.add_reader(self._fd, self._on_readable)

    def _on_readable(self) -> None:
        try:
            size = self._receive(BUFFER, self._room)
        except NOT_NOW:
            return
        except OSError as error:
            self._end(error)
            return
        if size == self._room or size >= BULK:
            began = monotonic()
            self._deliver(bytes(_VIEW[:size]))
            self._adapt(monotonic() - began)
        elif size:
            self._deliver(bytes(_VIEW[:size]))
        else:
            self._on_end(clean=self._failure is None)

    def _deliver(self, data: bytes) -> None:
        try:
            self._hand_over(data)
        except Exception as error:  # noqa: BLE001  # nothing that failed half-way may go on
            self._crash(error)

    def _on_end(self, *, clean: bool) -> None:
        """The peer sends no more; unless that is `clean`, something may be missing."""
        self._has_ended = True
        if not self._is_gone:
            self._poller.remove_reader(self._fd)
        if not clean:
            self._end(self._failure or ConnectionResetError("closed without saying so"))
        elif self._protocol is None:
            self._end(ConnectionAbortedError("it ended before it began"))
        elif not self._ask(self._protocol.eof_received):
            self.close()

    # ------------------------------------------------------------------ the end

    def _say_goodbye(self) -> None:
        """Write what ends a connection in good order."""

    @override
    def _finish(self) -> None:
        """All is sent, and nothing more will be."""
        if self._is_closing:
            self._part()
        else:
            self._shut()

    def _shut(self) -> None:
        if self._is_shut:
            return
        self._is_shut = True
        try:
            self._wire.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._end(error)

    def _part(self) -> None:
        """Let the peer end too, or leave at once."""
        if self._lingering and not self._has_ended:
            self._shut()
        else:
            self._end(None)

    def _read_away(self) -> None:
        receive = self._receive
        try:
            # Mostly its end comes right behind its last bytes.
            if receive(BUFFER) and receive(BUFFER):
                return
        except NOT_NOW:
            return
        except OSError:
            # The peer cut the connection: it needs nothing more.
            self._end(None)
            return
        self._has_ended = True
        if self._unsent:
            self._poller.remove_reader(self._fd)
        else:
            self._end(None)

    @override
    def _end(self, error: Exception | None) -> None:
        if self._is_gone:
            return
        self._is_gone = self._is_closing = self._is_ending = True
        self._poller.forget(self._fd)
        self._written = []
        self._unsent = NOTHING
        self._loop.call_soon(self._lose, error)

    def _lose(self, error: Exception | None) -> None:
        protocol, self._protocol = self._protocol, None
        self._hand_over = refuse_early
        try:
            if protocol is not None:
                protocol.connection_lost(error)
        finally:
            self._wire.close()
            gone, self.on_gone = self.on_gone, None
            if gone is not None:
                gone()
