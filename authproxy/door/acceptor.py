"""The accept loop: one readable event, a batch of connections, a TLS context for each.

Why our own: the context is chosen per accepted connection, so that a reload changes everything (certificate, trust,
versions, tickets) for the very next handshake and nothing for those under way; and one silent client never holds up
the others. No task is made for a connection, and one timer keeps the deadlines of all handshakes.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_address
from socket import SocketType
from time import monotonic
from typing import Final, TypeAlias

from authproxy.core.decision import Network, is_within
from authproxy.core.stats import ListenerStats
from authproxy.door.arrival import Arrival
from authproxy.door.caps import Caps
from authproxy.door.contexts import Contexts
from authproxy.door.gate import judge_peer
from authproxy.door.local import BACKLOG
from authproxy.keystore import Refused
from authproxy.wire.plain import SocketTransport

_BATCH: Final = 64
# ghostunnel's back-off when no descriptors are left.
_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 1.0
_SWEEP: Final = 0.25
# How long somebody who is not let in may take to go.
_PARTING: Final = 1.0
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Factory: TypeAlias = Callable[[bool], asyncio.Protocol]
"""Makes the protocol of a connection; True: there are too many, this one is to be told so."""
Report: TypeAlias = Callable[[str, str, str], None]
"""(address, reason, detail) of a connection that did not come to be."""


class Acceptor:
    """Accepts on the sockets of one listener; `contexts` and the rest may be replaced at any time."""

    def __init__(  # noqa: PLR0913  # what a listener is
        self, factory: Factory, contexts: Contexts | None, *, caps: Caps, stats: ListenerStats, report: Report,
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self.contexts = contexts
        """None: what comes is no TLS."""
        self.handshake = 10.0
        """Seconds for the first byte, the hello and the handshake together."""
        self.answers_http = True
        """Whether plain HTTP, where TLS is spoken, is told so in HTTP."""
        self.announcers: tuple[Network, ...] = ()
        """From whom a connection begins with the PROXY protocol's header."""
        self._factory = factory
        self._caps = caps
        self._stats = stats
        self._report = report
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._sockets: dict[socket.socket, tuple[int, object]] = {}
        """Of each its family, and the address of its connections; None for any address."""
        self._pause = _FIRST_PAUSE
        self._sweeper: asyncio.TimerHandle | None = None

    def add(self, listening: socket.socket) -> None:
        """Accept on this socket from now on."""
        family, address = int(listening.family), listening.getsockname()
        if family != socket.AF_UNIX:
            # As `listen` does, for a socket of somebody else's making.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if ip_address(address[0].partition("%")[0]).is_unspecified:
                address = None
        self._sockets[listening] = family, address
        self._loop.add_reader(listening, self._accept, listening)

    def remove(self, listening: socket.socket) -> None:
        """Accept no more on this socket and close it; connections that stand are not touched."""
        self._sockets.pop(listening, None)
        self._loop.remove_reader(listening)
        listening.close()

    def replace(self, old: socket.socket, new: socket.socket) -> None:
        """Accept on `new` from now on, and no more on `old` once everybody is in who has connected to it."""
        self.add(new)
        for _ in range(BACKLOG // _BATCH + 1):
            self._accept(old)
        self.remove(old)

    def close(self) -> None:
        """Accept no more at all."""
        for listening in list(self._sockets):
            self.remove(listening)

    # ------------------------------------------------------------------ accepting

    def _accept(self, listening: socket.socket) -> None:
        family, own = self._sockets[listening]
        for _ in range(_BATCH):
            try:
                # `accept` itself would ask the enumerations of families and types what kind of socket this is.
                number, address = listening._accept()  # type: ignore[attr-defined]  # noqa: SLF001  # all that `accept` does, beside that
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._rest(listening, error)
                return
            self._pause = _FIRST_PAUSE
            wire = SocketType(family, socket.SOCK_STREAM, 0, number)
            wire.setblocking(False)
            self._stats.accepted += 1
            known = {"socket": wire, "peername": address, "sockname": own or wire.getsockname()}
            self._receive(wire, address[0] if isinstance(address, tuple) else "", known)

    def _receive(self, wire: SocketType, address: str, known: dict[str, object]) -> None:
        caps = self._caps
        reason = caps.enter()
        if reason:
            self._refuse(wire, address, reason)
            return
        announced = bool(self.announcers) and is_within(address, self.announcers)
        if not announced:
            reason = caps.enter_from(address)
            if reason:
                caps.leave("")
                self._refuse(wire, address, reason)
                return
        arrival = Arrival(self, self._loop, wire, address, known, announced=announced)
        # Told now: once those who are too many have entered, there are too many for everybody who still shakes hands.
        arrival.is_spare = caps.is_full
        arrival.begun = begun = monotonic()
        caps.arrive(arrival, begun + self.handshake)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP, self._sweep)
        arrival.begin()

    def _refuse(self, wire: SocketType, address: str, reason: str) -> None:
        wire.close()
        refused = self._stats.refused
        refused[reason] = refused.get(reason, 0) + 1
        self._report(address, reason, "")

    def _rest(self, listening: socket.socket, error: OSError) -> None:
        """Out of descriptors or memory: those who are connected go on, the others wait in the kernel's queue."""
        self._report("", "exhausted", error.strerror or str(error))
        self._loop.remove_reader(listening)
        self._loop.call_later(self._pause, self._wake, listening)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _wake(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            self._loop.add_reader(listening, self._accept, listening)

    def _sweep(self) -> None:
        left = self._caps.expire(monotonic())
        self._sweeper = self._loop.call_later(_SWEEP, self._sweep) if left else None

    # ------------------------------------------------------------------ what arrivals tell

    def announced(self, arrival: Arrival) -> bool:
        """Count a connection under the address that its PROXY header told; False: that one has too many."""
        reason = self._caps.enter_from(arrival.address)
        if not reason:
            return True
        arrival.counted = ""
        self._refuse_late(arrival, reason)
        return False

    def arrived(self, arrival: Arrival, transport: SocketTransport) -> None:
        """Hand a connection over to the protocol it came for, if whoever is there may come in."""
        self._caps.settle(arrival)
        address = arrival.counted
        transport.on_gone = lambda: self._caps.leave(address)
        # What counts is what is demanded now: a reload may have come after the handshake's beginning.
        demand = None if self.contexts is None else self.contexts.demand
        try:
            if demand is not None:
                refused = judge_peer(transport.get_extra_info("ssl_object"), demand, self._now())
                if refused is not None:
                    self._turn_away(arrival, transport, refused)
                    return
            self._note_success(arrival, transport)
            protocol = self._factory(arrival.is_spare)
        except BaseException:
            # Nobody else would ever end it.
            transport.abort()
            raise
        transport.begin(protocol)

    def failed(self, arrival: Arrival, reason: str, detail: str) -> None:
        """Count a connection that did not come to be."""
        self._caps.settle(arrival)
        self._caps.leave(arrival.counted)
        self._note_failure(arrival, reason, detail)

    def _turn_away(self, arrival: Arrival, transport: SocketTransport, refused: Refused) -> None:
        """Close a connection of which nothing has been read; what the client has sent already is read away."""
        transport.close()
        self._loop.call_later(_PARTING, transport.abort)
        self._note_failure(arrival, refused.fault.value, refused.detail)

    def _note_success(self, arrival: Arrival, transport: SocketTransport) -> None:
        stats = self._stats
        stats.handshakes += 1
        session = transport.get_extra_info("ssl_object")
        if isinstance(session, ssl.SSLObject):
            stats.shaking.add(monotonic() - arrival.begun)
            stats.sessions[session.version() or "", "resumed" if session.session_reused else "full"] += 1

    def _note_failure(self, arrival: Arrival, reason: str, detail: str) -> None:
        failures = self._stats.handshake_failures
        failures[reason] = failures.get(reason, 0) + 1
        self._report(arrival.address, reason, detail)

    def _refuse_late(self, arrival: Arrival, reason: str) -> None:
        self._caps.settle(arrival)
        self._caps.leave("")
        self._refuse(arrival.wire, arrival.address, reason)
