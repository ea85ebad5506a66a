"""A transport over a socket that does not block: reads into one shared buffer, sends at the end of the loop's turn."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final, TypeVar

from typing_extensions import override

from authproxy.wire.poller import poller_of

# Read by every connection in turn: what was read is copied out before the next one reads.
BUFFER: Final = bytearray(64 * 1024)
_VIEW: Final = memoryview(BUFFER)
# Above the first the protocol is asked to pause, below the second to go on.
_HIGH: Final = 64 * 1024
_LOW: Final = 16 * 1024

Bytes = bytes | bytearray | memoryview
T = TypeVar("T")
# How long a peer may take to take the last bytes of a connection that does not linger.
_PARTING: Final = 5.0
_NOT_NOW: Final = (BlockingIOError, InterruptedError)


class SocketTransport(asyncio.Transport):
    """Carries a protocol over a connected socket; the socket is its own from now on.

    `lingering`: after a close, what the peer still sends is read away until it ends too, so that an answer given
    before the end of an upload is not lost in a reset (RFC 9112, 9.6). Whoever closes must set a limit and `abort`.
    """

    __slots__ = (
        "_fd", "_first", "_has_ended", "_is_closing", "_is_ending", "_is_gone", "_is_paused", "_is_queued", "_is_shut",
        "_is_waiting", "_known", "_lingering", "_loop", "_poller", "_protocol", "_receive", "_send", "_take", "_unsent", "_wire", "_written", "on_gone",
    )  # fmt: skip

    def __init__(  # noqa: PLR0915  # what a connection is
        self, loop: asyncio.AbstractEventLoop, wire: socket.socket, *, lingering: bool, first: bytes = b""
    ) -> None:
        """`first`: bytes of the peer that were read already."""
        super().__init__()
        self._known = _addresses(wire)
        if wire.family != socket.AF_UNIX:
            # What is sent is complete: the kernel need not wait for more.
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop = loop
        self._wire = wire
        self._fd = wire.fileno()
        self._receive = wire.recv_into
        self._send = wire.send
        self._poller = poller_of(loop)
        self._protocol: asyncio.Protocol | None = None
        self._lingering = lingering
        self._written: list[Bytes] = []
        self._take: Callable[[], bytes] = self._join
        """Returns all that is to be sent; it is no longer kept then."""
        self._unsent = memoryview(b"")
        """What the kernel did not take; while there is any, nothing else is sent."""
        self._is_queued = False
        self._is_paused = False
        """Reading is stopped."""
        self._is_waiting = False
        """The protocol was told that the peer does not take bytes fast enough."""
        self._is_closing = False
        self._is_ending = False
        """Nothing more may be written: it is closing, or said so by `write_eof`."""
        self._is_shut = False
        """The kernel was told so, too."""
        self._first = first
        self._has_ended = False
        """The peer sends no more."""
        self._is_gone = False
        """The socket is closed, or about to be."""
        self.on_gone: Callable[[], None] | None = None
        """Called once, when the socket is closed."""

    def set_peer(self, address: str, port: int) -> None:
        """Tell who the peer is, where somebody who is believed has told it."""
        self._known["peername"] = (address, port)

    def begin(self, protocol: asyncio.Protocol) -> None:
        """Carry `protocol` from now on."""
        self._introduce(protocol)
        self._read_on()

    # ------------------------------------------------------------------ asyncio.Transport

    @override
    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return `socket`, `sockname` or `peername`."""
        return self._known.get(name, default)

    @override
    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Carry another protocol from now on."""
        if not isinstance(protocol, asyncio.Protocol):
            raise TypeError("an asyncio.Protocol is needed")
        self._protocol = protocol

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
    def get_write_buffer_size(self) -> int:
        """Return how many bytes the kernel has not taken yet."""
        return len(self._unsent) + sum(map(len, self._written))

    @override
    def write(self, data: Bytes) -> None:
        """Send at the end of this turn of the loop."""
        if self._is_ending:
            self._refuse_late()
        elif data:
            self._written.append(data)
            self._queue()

    @override
    def can_write_eof(self) -> bool:
        """Tell that the own side can be ended by itself."""
        return True

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

    # ------------------------------------------------------------------ sending

    def flush(self) -> None:
        """Send what was written, as far as the kernel takes it."""
        self._is_queued = False
        if self._unsent or self._is_gone:
            return
        data = self._take()
        if data:
            try:
                sent = self._send(data)
            except _NOT_NOW:
                sent = 0
            except OSError as error:
                self._end(error)
                return
            if sent < len(data):
                self._unsent = memoryview(data)[sent:]
                self._poller.add_writer(self._fd, self._on_writable)
                self._weigh()
                return
        if self._is_ending:
            self._finish()

    def _refuse_late(self) -> None:
        if not self._is_closing:
            raise RuntimeError("written after write_eof")

    def _queue(self) -> None:
        if self._unsent:
            self._weigh()
        elif not self._is_queued:
            self._is_queued = True
            self._poller.flush_later(self)

    def _join(self) -> bytes:
        written, self._written = self._written, []
        return b"".join(written)

    def _say_goodbye(self) -> None:
        """Write what ends a connection in good order."""

    def _on_writable(self) -> None:
        try:
            sent = self._send(self._unsent)
        except _NOT_NOW:
            return
        except OSError as error:
            self._end(error)
            return
        self._unsent = self._unsent[sent:] or memoryview(self._take())
        if self._is_waiting and self.get_write_buffer_size() <= _LOW and self._protocol is not None:
            self._is_waiting = False
            self._ask(self._protocol.resume_writing)
        if not self._unsent and not self._is_gone:
            self._poller.remove_writer(self._fd)
            # What was written just now, or the end.
            self.flush()

    def _weigh(self) -> None:
        """Ask the protocol to pause when too much waits."""
        if not self._is_waiting and self._protocol is not None and self.get_write_buffer_size() > _HIGH:
            self._is_waiting = True
            self._ask(self._protocol.pause_writing)

    # ------------------------------------------------------------------ reading

    def _introduce(self, protocol: asyncio.Protocol) -> None:
        """Tell `protocol` of its connection, and of its loss where that has happened already."""
        self._protocol = protocol
        self._ask(lambda: protocol.connection_made(self))
        if self._wire.fileno() < 0:
            self._loop.call_soon(self._lose, ConnectionAbortedError("it ended before it began"))

    def _read_on(self) -> None:
        if self._first and not self._is_paused and not self._is_closing:
            first, self._first = self._first, b""
            self._deliver(first)
        if not (self._first or self._is_paused or self._is_closing or self._has_ended):
            self._poller.add_reader(self._fd, self._on_readable)

    def _ask(self, call: Callable[[], T]) -> T | None:
        """Return what the protocol says; one that fails ends its connection, and no other."""
        try:
            return call()
        except Exception as error:  # noqa: BLE001  # nothing that failed half-way may go on
            self._crash(error)
            return None

    def _on_readable(self) -> None:
        try:
            size = self._receive(BUFFER)
        except _NOT_NOW:
            return
        except OSError as error:
            self._end(error)
            return
        if size:
            self._deliver(bytes(_VIEW[:size]))
        else:
            self._on_end(clean=True)

    def _deliver(self, data: bytes) -> None:
        try:
            self._protocol.data_received(data)  # type: ignore[union-attr]  # without one `_crash` ends the connection
        except Exception as error:  # noqa: BLE001  # nothing that failed half-way may go on
            self._crash(error)

    def _crash(self, error: Exception) -> None:
        if self._protocol is None:
            # Nobody asked for anything yet: whatever it answers, it is no answer.
            error = ConnectionAbortedError("bytes that nobody asked for")
        else:
            self._loop.call_exception_handler({"message": "a protocol failed", "exception": error, "transport": self})
        self._end(error)

    def _on_end(self, *, clean: bool) -> None:
        """The peer sends no more; unless that is `clean`, something may be missing."""
        self._has_ended = True
        if not self._is_gone:
            self._poller.remove_reader(self._fd)
        if not clean:
            self._end(ConnectionResetError("closed without saying so"))
        elif self._protocol is None:
            self._end(ConnectionAbortedError("it ended before it began"))
        elif not self._ask(self._protocol.eof_received):
            self.close()

    # ------------------------------------------------------------------ the end

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
        try:
            if self._receive(BUFFER):
                return
        except _NOT_NOW:
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

    def _end(self, error: Exception | None) -> None:
        if self._is_gone:
            return
        self._is_gone = self._is_closing = self._is_ending = True
        self._poller.remove_reader(self._fd)
        self._poller.remove_writer(self._fd)
        self._written = []
        self._unsent = memoryview(b"")
        self._loop.call_soon(self._lose, error)

    def _lose(self, error: Exception | None) -> None:
        protocol, self._protocol = self._protocol, None
        try:
            if protocol is not None:
                protocol.connection_lost(error)
        finally:
            self._wire.close()
            gone, self.on_gone = self.on_gone, None
            if gone is not None:
                gone()


def _addresses(wire: socket.socket) -> dict[str, object]:
    """Return what `get_extra_info` knows; a peer that is gone already has no address."""
    try:
        return {"socket": wire, "sockname": wire.getsockname(), "peername": wire.getpeername()}
    except OSError:
        return {"socket": wire}
