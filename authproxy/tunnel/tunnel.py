"""One connection of a tcp listener, from its handshake to its end."""

import asyncio
import contextlib
import hashlib
import socket

from typing_extensions import override

from authproxy.core.certificate import CertificateNames
from authproxy.core.peer import Peer
from authproxy.core.stats import TunnelStats
from authproxy.door.gate import judge_peer
from authproxy.door.peer import peer_of, with_session
from authproxy.errors import UnreadableCertificate
from authproxy.keystore.names import certificate_names
from authproxy.runtime import Listener, TunnelPlan
from authproxy.tunnel.course import Course
from authproxy.tunnel.dial import NoWay, dial
from authproxy.tunnel.ended import End, Ended
from authproxy.tunnel.header import header
from authproxy.tunnel.means import Means
from authproxy.tunnel.relay import Side
from authproxy.wire.plain import SocketTransport


class Tunnel(Course):
    """Connects to the target of the listener, and relays."""

    __slots__ = (
        "_is_spare", "_listener", "_means", "_name", "_names", "_peer", "_received", "_runtime", "_sent", "_stats",
    )  # fmt: skip

    def __init__(self, means: Means, listener: str, stats: TunnelStats, *, is_spare: bool) -> None:
        """`is_spare`: there are too many connections, it is let in to be told so."""
        super().__init__(means.monotonic)
        self._means = means
        self._name = listener
        self._stats = stats
        self._is_spare = is_spare
        self._runtime = means.current.runtime
        self._listener: Listener | None = None
        self._peer = Peer(address="", port=0, local_port=0)
        self._names: CertificateNames | None = None
        self._received = self._sent = 0

    # ------------------------------------------------------------------ the beginning

    @override
    def begin(self, transport: asyncio.Transport) -> None:
        """The handshake is done."""
        means = self._means
        means.connections.add(self)
        self._stats.open += 1
        self._stats.opened += 1
        self._runtime = means.current.runtime
        self._listener = self._runtime.listeners.get(self._name)
        plan = None if self._listener is None else self._listener.tunnel
        self._peer = with_session(peer_of(transport), transport)
        self.open(transport, plan)
        end = self._refusal()
        if end is not None or plan is None:
            self.dismiss(end or End.REMOVED, "")
            return
        self._read_names()
        means.spawn(self._reach(plan))

    def _refusal(self) -> End | None:
        if self._is_spare:
            return End.TOO_MANY
        return End.DRAINED if self._means.current.draining else None

    def _read_names(self) -> None:
        if self._peer.certificate is not None:
            with contextlib.suppress(UnreadableCertificate):
                self._names = certificate_names(self._peer.certificate)

    async def _reach(self, plan: TunnelPlan) -> None:
        try:
            self._meet(plan, await dial(plan.way, plan.connect))
        except NoWay as error:
            self.dismiss(End.LATE if error.late else End.UNREACHABLE, str(error))
        except Exception as error:  # noqa: BLE001  # the client must not wait for ever
            self.crash(error)

    def _meet(self, plan: TunnelPlan, wire: socket.socket) -> None:
        client = self.client.transport
        if client is None or not self.is_busy:
            wire.close()
            return
        target = SocketTransport(asyncio.get_running_loop(), wire, lingering=True)
        target.begin(self.target)
        first = header(plan.header, self._peer, _local(client), self._names)
        if first:
            target.write(first)
        self.join()

    # ------------------------------------------------------------------ the owner of two sides

    @override
    def on_bytes(self, side: Side, size: int) -> None:
        """Count them."""
        if side is self.client:
            self._received += size
            self._stats.received += size
        else:
            self._sent += size
            self._stats.sent += size
        self.touch()

    @override
    def on_gone(self) -> None:
        """Forget it once both sockets are closed."""
        if self.has_gone:
            self._means.connections.discard(self)

    # ------------------------------------------------------------------ what the daemon asks

    @property
    def line(self) -> "Tunnel":
        """Has the deadline, and can be cut."""
        return self

    def drain(self) -> None:
        """Go on: only the two ends know when they are through."""

    def recheck(self) -> None:
        """End what a reload has made unwelcome; a changed target counts for the next connection."""
        runtime = self._means.current.runtime
        if runtime is self._runtime or not self.is_busy:
            return
        self._runtime = runtime
        listener = runtime.listeners.get(self._name)
        if listener is None or listener.tunnel is None:
            self.break_off(End.REMOVED)
        elif listener.demand is not None and listener.demand.closes and self.client.transport is not None:
            session = self.client.transport.get_extra_info("ssl_object")
            refused = judge_peer(session, listener.demand, self._means.now())
            if refused is not None:
                self._means.on_revoked(self._name, self._peer.address, refused)
                self.break_off(End.REVOKED)

    def cut(self) -> None:
        """Break it off: the process ends."""
        self.break_off(End.DRAINED)

    def crash(self, error: BaseException) -> None:
        """Something in this program went wrong with it."""
        self._means.on_crash(error)
        self.break_off(End.CRASHED)

    @override
    def end(self, end: End, detail: str) -> None:
        """Count it, and write its line."""
        self._stats.open -= 1
        self._stats.ends[end.value or "whole"] += 1
        listener, names, certificate = self._listener, self._names, self._peer.certificate
        self._means.report(
            Ended(
                listener=self._name,
                generation=0 if listener is None else listener.generation,
                client=self._peer.address,
                target="" if self._plan is None else str(self._plan.way),
                certificate="" if certificate is None else hashlib.sha256(certificate).hexdigest(),
                subject="" if names is None else names.subject,
                received=self._received,
                sent=self._sent,
                duration=self._means.monotonic() - self.began,
                waited=self.waited,
                end=end,
                detail=detail,
            )
        )


def _local(client: asyncio.Transport) -> tuple[str, int]:
    """Return the address and port that the client came to."""
    match client.get_extra_info("sockname"):
        case (str(host), int(port), *_):
            return host.partition("%")[0], port
        case _:
            return "", 0
