"""The accept loop: one readable event, a batch of connections, a TLS context for each.

Why our own: the context is chosen per accepted connection, so that a reload changes everything (certificate, trust,
versions, tickets) for the very next handshake and nothing for those under way; and one silent client never holds up
the others.
"""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable
from typing import Final, TypeAlias

from authproxy.core.stats import ListenerStats
from authproxy.door.contexts import Contexts
from authproxy.door.hello import RECORD_HEADER, NotTls, record_length, server_name
from authproxy.upstream.pool import Spawn

_BATCH: Final = 64
# ghostunnel's back-off when no descriptors are left.
_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 1.0
# How long the close_notify of a departing client is waited for.
_CLOSE_WAIT: Final = 5.0
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Factory: TypeAlias = Callable[[], asyncio.Protocol]
Report: TypeAlias = Callable[[str, str, str], None]
"""(address, reason, detail) of a connection that did not come to be."""


class Acceptor:
    """Accepts on the sockets of one listener; `contexts` may be replaced at any time."""

    def __init__(  # noqa: PLR0913  # wired in one place
        self, factory: Factory, contexts: Contexts, *, handshake: float, stats: ListenerStats, spawn: Spawn,
        report: Report,
    ) -> None:  # fmt: skip
        self.contexts = contexts
        self.handshake = handshake
        """Seconds for the first byte, the hello and the handshake together."""
        self._factory = factory
        self._stats = stats
        self._spawn = spawn
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._sockets: set[socket.socket] = set()
        self._pause = _FIRST_PAUSE

    def add(self, listening: socket.socket) -> None:
        """Accept on this socket from now on."""
        self._sockets.add(listening)
        self._loop.add_reader(listening, self._accept, listening)

    def remove(self, listening: socket.socket) -> None:
        """Accept no more on this socket and close it; connections that stand are not touched."""
        self._sockets.discard(listening)
        self._loop.remove_reader(listening)
        listening.close()

    def close(self) -> None:
        """Accept no more at all."""
        for listening in list(self._sockets):
            self.remove(listening)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_BATCH):
            try:
                wire, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._rest(listening, error)
                return
            self._pause = _FIRST_PAUSE
            wire.setblocking(False)
            self._stats.accepted += 1
            self._spawn(self._serve(wire, address[0] if isinstance(address, tuple) else ""))

    def _rest(self, listening: socket.socket, error: OSError) -> None:
        """Out of descriptors or memory: those who are connected go on, the others wait in the kernel's queue."""
        self._report("", "exhausted", error.strerror or str(error))
        self._loop.remove_reader(listening)
        self._loop.call_later(self._pause, self._wake, listening)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _wake(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            self._loop.add_reader(listening, self._accept, listening)

    async def _serve(self, wire: socket.socket, address: str) -> None:
        try:
            async with asyncio.timeout(self.handshake):
                contexts = self.contexts
                name = await self._peek_name(wire) if contexts.names else None
                await self._loop.connect_accepted_socket(
                    self._factory,
                    wire,
                    ssl=contexts.choose(name).for_socket(wire),
                    ssl_handshake_timeout=self.handshake,
                    ssl_shutdown_timeout=_CLOSE_WAIT,
                )
        except (OSError, NotTls) as error:
            # ssl.SSLError, ConnectionError and TimeoutError are all OSError.
            wire.close()
            reason = _reason(error)
            failures = self._stats.handshake_failures
            failures[reason] = failures.get(reason, 0) + 1
            self._report(address, reason, _detail(error))
        else:
            self._stats.handshakes += 1

    async def _peek_name(self, wire: socket.socket) -> str | None:
        """Look at the ClientHello without taking it: OpenSSL reads the very same bytes afterwards."""
        head = await self._peek(wire, RECORD_HEADER)
        record = await self._peek(wire, record_length(head))
        return server_name(record)

    async def _peek(self, wire: socket.socket, size: int) -> bytes:
        # SO_RCVLOWAT: the socket counts as readable only once so many bytes are there, so that a hello that
        # dribbles in does not keep the loop busy.
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
        try:
            while True:
                with contextlib.suppress(BlockingIOError):
                    data = wire.recv(size, socket.MSG_PEEK)
                    if len(data) >= size:
                        return data
                    if not data or await self._ended(wire, len(data)):
                        raise NotTls("closed before its hello")
                await self._readable(wire)
        finally:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    async def _ended(self, wire: socket.socket, seen: int) -> bool:
        """Tell whether no more will come: readable again at once with nothing new means the end of the stream."""
        await self._readable(wire)
        return len(wire.recv(seen + 1, socket.MSG_PEEK)) == seen

    async def _readable(self, wire: socket.socket) -> None:
        ready = self._loop.create_future()
        self._loop.add_reader(wire, _settle, ready)
        try:
            await ready
        finally:
            self._loop.remove_reader(wire)


def _settle(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


def _reason(error: Exception) -> str:
    """Return a word for the metrics, from a small set that a client cannot widen."""
    if isinstance(error, NotTls):
        return "not-tls"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate-refused"
    if isinstance(error, ssl.SSLError):
        return "no-certificate" if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE" else "tls-error"
    if isinstance(error, TimeoutError) or "handshake is taking" in str(error):
        return "timeout"
    return "disconnected"


def _detail(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (error.reason or str(error)) if isinstance(error, ssl.SSLError) else str(error)
