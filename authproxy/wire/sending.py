"""The sending half of a transport: what a batch writes goes out at its end, what the kernel does not take waits."""

import asyncio
import socket
from abc import abstractmethod
from collections.abc import Callable
from typing import Final, TypeVar

from typing_extensions import override

from authproxy.wire.poller import poller_of

# Above the first the protocol is asked to pause, below the second to go on.
_HIGH: Final = 64 * 1024
_LOW: Final = 16 * 1024

Bytes = bytes | bytearray | memoryview
T = TypeVar("T")
# What is read in one turn at most, and at least where what is read takes long to handle.
ROOM: Final = 64 * 1024
_LEAST_ROOM: Final = 2 * 1024
# Seconds within which what is read in one turn is to be handled: the others wait so long.
_TURN: Final = 0.002
NOTHING: Final = memoryview(b"")
NOT_NOW: Final = (BlockingIOError, InterruptedError)


class Sender(asyncio.Transport):
    """Writes to a connected socket that does not block."""

    __slots__ = (
        "_failure",
        "_fd",
        "_first",
        "_hand_over",
        "_has_ended",
        "_is_closing",
        "_is_ending",
        "_is_gone",
        "_is_paused",
        "_is_queued",
        "_is_shut",
        "_is_waiting",
        "_lingering",
        "_loop",
        "_poller",
        "_protocol",
        "_receive",
        "_room",
        "_send",
        "_take",
        "_unsent",
        "_wire",
        "_written",
        "on_gone",
    )  # fmt: skip

    # asyncio's own, in which `get_extra_info` looks; known to its documentation, but not to its types.
    _extra: dict[str, object]

    def __init__(  # noqa: PLR0915  # what a connection is
        self,
        loop: asyncio.AbstractEventLoop,
        wire: socket.SocketType,
        *,
        lingering: bool,
        first: bytes = b"",
        known: dict[str, object] | None = None,
    ) -> None:
        """`first`: bytes of the peer that were read already; `known`: what `introduced` returns, if it was asked before."""
        super().__init__(introduced(wire) if known is None else known)
        self._loop = loop
        self._wire = wire
        self._fd = wire.fileno()
        self._receive = wire.recv_into
        self._send: Callable[[Bytes], int] = wire.send
        self._poller = poller_of(loop)
        self._protocol: asyncio.Protocol | None = None
        self._hand_over: Callable[[bytes], None] = refuse_early
        """The protocol's `data_received`."""
        self._lingering = lingering
        self._written: list[Bytes] = []
        self._take: Callable[[], bytes] = self._join
        """Returns all that is to be sent; it is no longer kept then."""
        self._unsent = NOTHING
        """What the kernel did not take; while there is any, nothing else is sent."""
        self._is_queued = False
        self._is_paused = False
        """Reading is stopped."""
        self._room = ROOM
        """How much is read in one turn of the loop."""
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
        self._failure: OSError | None = None
        """Why nothing can be sent any more."""
        self._is_gone = False
        """The socket is closed, or about to be."""
        self.on_gone: Callable[[], None] | None = None
        """Called once, when the socket is closed."""

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

    def flush(self) -> None:
        """Send what was written, as far as the kernel takes it."""
        self._is_queued = False
        if self._unsent or self._is_gone:
            return
        # A function in a slot is called through a name: Python 3.11 takes a third longer otherwise.
        take, send = self._take, self._send
        data = take()
        if data:
            try:
                sent = send(data)
            except NOT_NOW:
                sent = 0
            except OSError as error:
                self._fail_sending(error)
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

    def _on_writable(self) -> None:
        try:
            sent = self._send(self._unsent)
        except NOT_NOW:
            return
        except OSError as error:
            self._fail_sending(error)
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

    def _ask(self, call: Callable[[], T]) -> T | None:
        """Return what the protocol says; one that fails ends its connection, and no other."""
        try:
            return call()
        except Exception as error:  # noqa: BLE001  # nothing that failed half-way may go on
            self._crash(error)
            return None

    def _crash(self, error: Exception) -> None:
        if self._protocol is None:
            # Nobody asked for anything yet: whatever it answers, it is no answer.
            error = ConnectionAbortedError("bytes that nobody asked for")
        else:
            self._loop.call_exception_handler({"message": "a protocol failed", "exception": error, "transport": self})
        self._end(error)

    def _fail_sending(self, error: OSError) -> None:
        """Send nothing more. What the peer has sent before it went is still read: an answer, or the alert that says why."""
        if self._is_closing or self._is_paused or self._has_ended:
            self._end(error)
            return
        self._failure = error
        # All that is still written is taken, and goes nowhere.
        self._send = len
        self._unsent = NOTHING
        self._poller.remove_writer(self._fd)

    def _adapt(self, took: float) -> None:
        """Read less at a time where it takes long: a million chunks of one byte are their sender's trouble alone."""
        if took > _TURN:
            self._room = max(_LEAST_ROOM, self._room // 2)
        elif took < _TURN / 4 and self._room < ROOM:
            self._room *= 2

    @abstractmethod
    def _finish(self) -> None:
        """All is sent, and nothing more will be."""

    @abstractmethod
    def _end(self, error: Exception | None) -> None:
        """Close the socket, and tell the protocol."""


def refuse_early(_: bytes) -> None:
    """Take nothing: there is no protocol yet, or no more."""
    raise RuntimeError("bytes before anybody asked for them")


def introduced(wire: socket.SocketType) -> dict[str, object]:
    """Set a socket's options, and return what `get_extra_info` knows of it; a peer that is gone already has no address."""
    if wire.family != socket.AF_UNIX:
        # What is sent is complete: the kernel need not wait for more.
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        return {"socket": wire, "sockname": wire.getsockname(), "peername": wire.getpeername()}
    except OSError:
        return {"socket": wire}
