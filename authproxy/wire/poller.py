"""One epoll for all connections of a loop, inside the loop's own: a whole batch of sockets for one call of the loop.

Why not `loop.add_reader`: the loops spend a microsecond around each socket's call, and uvloop does not tell of a
connection that was reset (libuv takes the error for a fault of the descriptor).

What the batch has written is sent when all of it has been read. A write that wakes a sleeping peer costs the kernel
several microseconds, one that finds it awake does not: of 64 requests passed on one by one, each wakes the upstream,
passed on together the first one does. Where only one request is under way, nothing waits: its batch ends right after.
"""

import asyncio
import select
import socket
from collections.abc import Callable
from errno import EINPROGRESS
from os import strerror
from typing import Final, Protocol

# Sockets served before the loop's other work has its turn.
_BATCH: Final = 128
_IN: Final = select.EPOLLIN
_OUT: Final = select.EPOLLOUT

Call = Callable[[], None]


class Flushable(Protocol):
    """Has something to send."""

    def flush(self) -> None:
        """Send it now."""


class Poller:
    """Calls readers and writers of sockets when these are ready, or have failed."""

    __slots__ = ("_epoll", "_is_running", "_loop", "_poll", "_queue", "_readers", "_writers")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._poll = self._epoll.poll
        self._readers: dict[int, Call] = {}
        self._writers: dict[int, Call] = {}
        self._queue: list[Flushable] = []
        self._is_running = False
        loop.add_reader(self._epoll.fileno(), self._run)

    def close(self) -> None:
        """Let go of what the kernel keeps for it; its loop is closed."""
        self._epoll.close()

    # ------------------------------------------------------------------ who waits

    def add_reader(self, fd: int, call: Call) -> None:
        """Call when there is something to read, or the connection has failed; replaces an earlier one."""
        if fd not in self._readers:
            if fd in self._writers:
                self._epoll.modify(fd, _IN | _OUT)
            else:
                self._epoll.register(fd, _IN)
        self._readers[fd] = call

    def remove_reader(self, fd: int) -> None:
        """Call no more for reading."""
        if self._readers.pop(fd, None) is not None:
            self._lessen(fd, _OUT if fd in self._writers else 0)

    def add_writer(self, fd: int, call: Call) -> None:
        """Call when there is room to write, or the connection has failed."""
        if fd not in self._writers:
            if fd in self._readers:
                self._epoll.modify(fd, _IN | _OUT)
            else:
                self._epoll.register(fd, _OUT)
        self._writers[fd] = call

    def remove_writer(self, fd: int) -> None:
        """Call no more for writing."""
        if self._writers.pop(fd, None) is not None:
            self._lessen(fd, _IN if fd in self._readers else 0)

    def forget(self, fd: int) -> None:
        """Call no more at all, for a socket that is closed before the kernel is asked again: then it forgets it, too."""
        self._readers.pop(fd, None)
        self._writers.pop(fd, None)

    def _lessen(self, fd: int, mask: int) -> None:
        if mask:
            self._epoll.modify(fd, mask)
        else:
            # Without interest in anything the kernel would still tell of a hang-up, again and again.
            self._epoll.unregister(fd)

    # ------------------------------------------------------------------ a batch

    def flush_later(self, one: Flushable) -> None:
        """Send what `one` has written when this batch is done, or at the end of this turn of the loop."""
        if not self._queue and not self._is_running:
            self._loop.call_soon(self._flush)
        self._queue.append(one)

    def _run(self) -> None:
        readers, writers = self._readers, self._writers
        self._is_running = True
        try:
            for fd, events in self._poll(0, _BATCH):
                # Ready, failed or hung up: reading tells which.
                call = readers.get(fd)
                if call is not None and events != _OUT:
                    call()
                if events != _IN:
                    call = writers.get(fd)
                    if call is not None:
                        call()
        finally:
            self._is_running = False
            if self._queue:
                self._flush()

    def _flush(self) -> None:
        queue, self._queue = self._queue, []
        for one in queue:
            try:
                one.flush()
            except Exception as error:  # noqa: BLE001  # what the others have written is sent all the same
                self._loop.call_exception_handler({"message": "a flush failed", "exception": error})

    # ------------------------------------------------------------------ connecting

    async def connect(self, wire: socket.socket, address: str | tuple[str, int]) -> None:
        """Connect a socket that does not block; the address needs no resolving.

        Raises:
            OSError: it cannot be connected.
        """
        number = wire.connect_ex(address)
        if number == EINPROGRESS:
            fd = wire.fileno()
            ready = self._loop.create_future()

            def settle() -> None:
                """Wake whoever waits."""
                if not ready.done():
                    ready.set_result(None)

            self.add_writer(fd, settle)
            try:
                await ready
            finally:
                self.remove_writer(fd)
            number = wire.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, strerror(number))


_POLLERS: Final[dict[asyncio.AbstractEventLoop, Poller]] = {}


def poller_of(loop: asyncio.AbstractEventLoop) -> Poller:
    """Return the one poller of a loop."""
    found = _POLLERS.get(loop)
    if found is None:
        # A loop tells nobody when it is closed: whoever comes with the next one clears up.
        for dead in [one for one in list(_POLLERS) if one.is_closed()]:
            _POLLERS.pop(dead).close()
        found = _POLLERS[loop] = Poller(loop)
    return found
