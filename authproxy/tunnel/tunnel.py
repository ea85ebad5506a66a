"""One connection of a tcp listener, from its handshake to its end."""

import asyncio
import contextlib
import hashlib
import math
from typing import Final

from typing_extensions import override

from authproxy.core.certificate import CertificateNames
from authproxy.core.peer import Peer
from authproxy.core.stats import TunnelStats
from authproxy.door.gate import judge_peer
from authproxy.door.peer import peer_of
from authproxy.errors import UnreadableCertificate
from authproxy.keystore.names import certificate_names
from authproxy.runtime import Listener, TunnelPlan
from authproxy.tunnel.dial import NoWay, dial
from authproxy.tunnel.ended import End, Ended, why_lost
from authproxy.tunnel.header import header
from authproxy.tunnel.means import Means
from authproxy.tunnel.relay import Side
from authproxy.wire.plain import SocketTransport

# How long a client may take to hear that there is nothing for it here.
_GOODBYE: Final = 5.0


class _Client(Side):
    """The client's side: the protocol that the door hands a connection to."""

    __slots__ = ("_tunnel",)

    def __init__(self, tunnel: "Tunnel") -> None:
        super().__init__(tunnel)
        self._tunnel = tunnel

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Its handshake is done."""
        super().connection_made(transport)
        self._tunnel.begin()


class Tunnel:
    """Connects to the target, relays, and keeps the time; is its own line, since there is nothing else to keep."""

    __slots__ = (
        "_began", "_client", "_detail", "_end", "_ends", "_is_open", "_is_spare", "_listener", "_means", "_name", "_names",
        "_owed", "_peer", "_plan", "_received", "_runtime", "_sent", "_stats", "_target", "_waited", "deadline",
    )  # fmt: skip

    def __init__(self, means: Means, listener: str, stats: TunnelStats, *, is_spare: bool) -> None:
        """`is_spare`: there are too many connections, it is let in to be told so."""
        self._means = means
        self._name = listener
        self._stats = stats
        self._is_spare = is_spare
        self._client = _Client(self)
        self._target = Side(self)
        self._client.pair(self._target)
        self._runtime = means.current.runtime
        self._listener: Listener | None = None
        self._plan: TunnelPlan | None = None
        self._peer = Peer(address="", port=0, local_port=0)
        self._names: CertificateNames | None = None
        self._began = means.monotonic()
        self._waited = 0.0
        self._received = self._sent = 0
        self._ends = math.inf
        self._is_open = False
        """Its end has not been told yet."""
        self._owed = -1
        """What was still to be taken at the last look, once both sides have ended."""
        self.deadline = math.inf

    @property
    def protocol(self) -> asyncio.Protocol:
        """What the door hands the connection to."""
        return self._client

    # ------------------------------------------------------------------ the beginning

    def begin(self) -> None:
        """The client stands at the door."""
        means, transport = self._means, self._client.transport
        if transport is None:
            return
        means.connections.add(self)
        self._is_open = True
        self._stats.open += 1
        self._stats.opened += 1
        self._runtime = means.current.runtime
        self._listener = self._runtime.listeners.get(self._name)
        self._plan = None if self._listener is None else self._listener.tunnel
        self._peer = peer_of(transport)
        # Nothing is taken of it before there is somebody to take it.
        transport.pause_reading()
        end = self._refusal()
        if end is not None or self._plan is None:
            self._dismiss(end or End.REMOVED, "")
            return
        self._read_names()
        if self._plan.life is not None:
            self._ends = self._began + self._plan.life
        means.spawn(self._reach(self._plan))

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
            wire = await dial(plan.way, plan.connect)
        except NoWay as error:
            self._dismiss(End.LATE if error.late else End.UNREACHABLE, str(error))
            return
        except Exception as error:  # noqa: BLE001  # the client must not wait for ever
            self.crash(error)
            return
        client = self._client.transport
        if client is None or not self._is_open:
            wire.close()
            return
        now = self._means.monotonic()
        self._waited = now - self._began
        self.deadline = now + plan.idle
        target = SocketTransport(asyncio.get_running_loop(), wire, lingering=True)
        target.begin(self._target)
        first = header(plan.header, self._peer, self._local(client), self._names)
        if first:
            target.write(first)
        client.resume_reading()

    @staticmethod
    def _local(client: asyncio.Transport) -> tuple[str, int]:
        """Return the address and port that the client came to."""
        match client.get_extra_info("sockname"):
            case (str(host), int(port), *_):
                return host.partition("%")[0], port
            case _:
                return "", 0

    # ------------------------------------------------------------------ the owner of two sides

    def on_bytes(self, side: Side, size: int) -> None:
        """Some passed: nobody is idle."""
        if side is self._client:
            self._received += size
            self._stats.received += size
        else:
            self._sent += size
            self._stats.sent += size
        self._touch()

    def on_half(self) -> None:
        """One side has ended; the other may go on."""
        self._touch()

    def on_whole(self) -> None:
        """Both have ended: close as soon as what waits has been taken."""
        self._touch()
        self.watch(self._means.monotonic())

    def on_lost(self, side: Side, error: Exception | None) -> None:
        """One side was cut."""
        end = why_lost(error, is_client=side is self._client)
        self._tell(end, "" if error is None or end is End.CLIENT_TRUNCATED else str(error))

    def on_gone(self) -> None:
        """A socket is closed."""
        if self._client.transport is None and self._target.transport is None:
            self._means.connections.discard(self)

    def _touch(self) -> None:
        plan = self._plan
        if plan is not None:
            is_half = self._client.has_ended or self._target.has_ended
            self.deadline = self._means.monotonic() + (plan.half_close if is_half else plan.idle)

    # ------------------------------------------------------------------ what the daemon asks

    @property
    def line(self) -> "Tunnel":
        """Has the deadline, and can be cut."""
        return self

    @property
    def is_busy(self) -> bool:
        """Whether somebody may still have something to say: as long as it is open, nobody can tell."""
        return self._is_open

    def drain(self) -> None:
        """Go on: only the two ends know when they are through."""

    def watch(self, now: float) -> None:
        """End what has lasted too long, and close what is through."""
        if not self._is_open:
            return
        if now >= self._ends:
            self._cut(End.LIFE)
        elif self._client.has_ended and self._target.has_ended:
            owed = self._client.owes + self._target.owes
            if not owed:
                self._client.close()
                self._target.close()
                self._tell(End.WHOLE, "")
                self.deadline = now + _GOODBYE
            elif owed != self._owed:
                self._owed = owed
                self._touch()

    def on_deadline(self) -> None:
        """Nothing has passed for too long, or a client does not go."""
        is_half = self._client.has_ended or self._target.has_ended
        self._cut(End.HALF_IDLE if is_half else End.IDLE)

    def recheck(self) -> None:
        """End what a reload has made unwelcome; a changed target counts for the next connection."""
        runtime = self._means.current.runtime
        if runtime is self._runtime or not self._is_open:
            return
        self._runtime = runtime
        listener = runtime.listeners.get(self._name)
        if listener is None or listener.tunnel is None:
            self._cut(End.REMOVED)
        elif listener.demand is not None and listener.demand.closes and self._client.transport is not None:
            session = self._client.transport.get_extra_info("ssl_object")
            refused = judge_peer(session, listener.demand, self._means.now())
            if refused is not None:
                self._means.on_revoked(self._name, self._peer.address, refused)
                self._cut(End.REVOKED)

    def cut(self) -> None:
        """Break it off: the process ends."""
        self._cut(End.DRAINED)

    def crash(self, error: BaseException) -> None:
        """Something in this program went wrong with it."""
        self._means.on_crash(error)
        self._cut(End.CRASHED)

    # ------------------------------------------------------------------ the end

    def _dismiss(self, end: End, detail: str) -> None:
        """Close in good order a client that nothing was passed on for."""
        if self._is_open:
            self._client.close()
            self.deadline = self._means.monotonic() + _GOODBYE
            self._tell(end, detail)

    def _cut(self, end: End) -> None:
        """Reset both sides: neither may take what it got for the whole."""
        self._client.reset()
        self._target.reset()
        self.deadline = math.inf
        self._tell(end, "")

    def _tell(self, end: End, detail: str) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._stats.open -= 1
        self._stats.ends[end.value or "whole"] += 1
        listener, names, peer = self._listener, self._names, self._peer
        self._means.report(
            Ended(
                listener=self._name,
                generation=0 if listener is None else listener.generation,
                client=peer.address,
                target="" if self._plan is None else str(self._plan.way),
                certificate="" if peer.certificate is None else hashlib.sha256(peer.certificate).hexdigest(),
                subject="" if names is None else names.subject,
                received=self._received,
                sent=self._sent,
                duration=self._means.monotonic() - self._began,
                waited=self._waited,
                end=end,
                detail=detail,
            )
        )
