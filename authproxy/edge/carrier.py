"""A client connection's life: made, written to, timed out, drained, lost; and what its exchange asks of it.

aiohttp answers the proxy's own pages, so this is an aiohttp `RequestHandler`, made whole by the first of them
(`handler.LateHandler`). What is proxied never reaches aiohttp: `connection.ClientConnection` reads, decides and forwards
in `data_received`, with no task and no second parse. Requests of both sorts may alternate on one connection.

Why a subclass: a `web.Server` handing out this class keeps its whole stack of handlers and responses for the own pages.
"""

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web
from typing_extensions import override

from authproxy import events
from authproxy.core.peer import Peer
from authproxy.door.peer import peer_of
from authproxy.edge.exchange import Exchange
from authproxy.edge.facts import Facts
from authproxy.edge.handler import LateHandler
from authproxy.edge.line import Line
from authproxy.edge.origin import Origin, origin_of
from authproxy.edge.own_answer import send_refusal, unrouted_facts
from authproxy.edge.phase import HEAD, Phase
from authproxy.edge.record import record
from authproxy.edge.refusal import Refusal
from authproxy.edge.services import Services
from authproxy.edge.tunnel import Tunnel
from authproxy.http1.body import LengthReader
from authproxy.http1.chunked import ChunkedReader
from authproxy.http1.request import Malformed, request_head
from authproxy.runtime import Listener, Runtime

if TYPE_CHECKING:
    from authproxy.edge.server import EdgeServer

# How long a connection may take to close in good order before it is cut.
_CLOSING: Final = 5.0
# Until the connection is made.
_NOBODY: Final = Peer(address="", port=0, local_port=0)
_NOWHERE: Final[Origin] = origin_of(_NOBODY)


class Carrier(LateHandler):
    """The client of an `Exchange` or `Tunnel`; how requests are read is the subclass's business."""

    __slots__ = (
        "_body", "_buffer", "_current", "_facts", "_is_paused",
        "_listener_name", "_origin", "_peer", "_phase", "_runtime", "_services", "_work",
        "line",
    )  # fmt: skip

    def __init__(
        self, server: "EdgeServer", services: Services, listener: str, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(server, loop)
        self._services = services
        self._listener_name = listener
        self._runtime: Runtime | None = None
        """The one that `_current` is of."""
        self._current: Listener | None = None
        self._peer = _NOBODY
        self._origin = _NOWHERE
        self._phase = HEAD
        self._buffer = b""
        self._is_paused = False
        """The client does not take bytes just now."""
        self._body: LengthReader | ChunkedReader | None = None
        self._work: Exchange | Tunnel | None = None
        self._facts: Facts | None = None
        self.line = Line(services.monotonic)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done: wait for a request, unless this client is not to be served.

        What counts for it now was asked for by the subclass.
        """
        services = self._services
        self.line.made(cast("asyncio.Transport", transport))
        self._peer = peer = peer_of(transport)
        self._origin = origin_of(peer, None if peer.certificate is None else transport.get_extra_info("ssl_object"))
        services.connections.add(self)
        listener = self._current
        if listener is None or services.current.draining:
            self.shut()
            return
        self.line.set_deadline(listener.times.head)

    def begin_pages(self) -> None:
        """Begin aiohttp's half of this connection, which most connections never need."""
        if self.transport is None and self.line.transport is not None:
            self.begin_handler(self.line.transport, is_paused=self._is_paused)

    @override
    def connection_lost(self, exc: BaseException | None) -> None:
        """The client is gone: what is under way for it ends."""
        self.line.lost()
        self._services.connections.discard(self)
        work, self._work = self._work, None
        if work is not None:
            work.abandon("client-gone")
        if self.transport is not None:
            super().connection_lost(exc)

    @override
    def eof_received(self) -> bool:  # type: ignore[override]  # theirs never wants to go on
        """The client ends its side; True: it may still be written to.

        Between requests that is its farewell; within one it has gone away, as far as anybody can tell.
        """
        return isinstance(self._work, Tunnel) and self._work.on_client_end()

    @override
    def pause_writing(self) -> None:
        """The client does not take what is sent: hold the upstream, and begin nothing new."""
        super().pause_writing()
        self._is_paused = True
        if self._work is not None:
            self._work.pause_answer()

    @override
    def resume_writing(self) -> None:
        """The client takes bytes again."""
        super().resume_writing()
        self._is_paused = False
        if self._work is not None:
            self._work.resume_answer()
        elif self._phase is HEAD:
            self._go_on()

    @abstractmethod
    def read_waiting(self) -> None:
        """Read what has come while the connection was busy with the request before."""

    @abstractmethod
    def skip(self, data: bytes) -> None:
        """Read a refused request's body away."""

    @abstractmethod
    def watch(self, now: float) -> None:
        """Look at what the client does, between the deadlines; `now` is monotonic."""

    @override
    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Count, log and go on with the next request once aiohttp has written the answer to an own page."""
        result = await super().finish_response(request, resp, start_time)
        now = self._services.monotonic()
        if self._facts is not None:
            record(self._services, self._facts, events.REQUEST_ANSWERED, resp.status, now)
        self.finished(keep=bool(resp.keep_alive), now=now)
        return result

    # ------------------------------------------------------------------ the client of an exchange

    def refuse(self, facts: Facts, refusal: Refusal) -> None:
        """Answer in the proxy's own name; nothing was sent yet for this request."""
        self._work = None
        if send_refusal(self._services, self.line, facts, refusal, self._body):
            self.shut()
        elif self._body is not None:
            self._phase = Phase.SKIP
            self.line.set_deadline(facts.listener.times.body_idle)
            self.line.unhold()
            rest, self._buffer = self._buffer, b""
            self.skip(rest)
        else:
            self.finished(keep=True, now=self._services.monotonic())

    def cut(self) -> None:
        """Break the connection off after a part of an answer."""
        self._work = None
        self._phase = Phase.CLOSED
        self.line.cut()

    def finished(self, *, keep: bool, now: float) -> None:
        """Go on after an answer."""
        self._work = None
        if not keep or self._services.current.draining:
            self.shut()
            return
        self._phase = HEAD
        self._facts = None
        self._body = None
        listener = self._current
        self.line.deadline = now if listener is None else now + listener.times.keep_alive
        if self._buffer or self._is_paused:
            self._go_on()
        elif self.line.is_held:
            self.line.unhold()

    def _go_on(self) -> None:
        """Read the next request, in a turn of the loop of its own when it is already here.

        Not before the client has taken what it asked for so far: answers must not pile up here. And while requests
        wait, nothing more is read, so that they cannot pile up either.
        """
        if self._is_paused:
            self.line.hold()
        elif self._buffer:
            self.line.hold()
            self._loop.call_soon(self.read_waiting)
        else:
            self.line.unhold()

    def tunnel(self, tunnel: Tunnel) -> None:
        """Pass every byte on from now, beginning with those that came early."""
        self._work = tunnel
        self._phase = Phase.TUNNEL
        early, self._buffer = self._buffer, b""
        self.line.unhold()
        if self._is_paused:
            tunnel.pause_answer()
        if early:
            tunnel.send(early)

    # ------------------------------------------------------------------ time and end

    def on_deadline(self) -> None:
        """Something took too long; what, the phase tells."""
        if not self.line.is_open:
            self.line.cut()
            return
        self.line.set_deadline(_CLOSING)
        if self._work is not None:
            self._work.on_deadline()
        elif self._phase is HEAD and self._buffer:
            self.refuse_malformed(Malformed(408, "head took too long"), self._buffer)
        else:
            self.shut()

    @property
    def is_busy(self) -> bool:
        """Whether somebody still waits for something of this connection."""
        if self._phase is Phase.CLOSED:
            return self.line.has_unsent
        return self._phase is not HEAD or bool(self._buffer)

    def recheck(self) -> None:
        """End a tunnel whose credential has been revoked or has expired."""
        if isinstance(self._work, Tunnel):
            self._work.recheck()

    def drain(self) -> None:
        """Close as soon as nothing is in progress."""
        if self._work is not None:
            self._work.drain()
        elif self._phase is HEAD and not self._buffer:
            self.shut()

    def refuse_malformed(self, malformed: Malformed, begun: bytes) -> None:
        """Answer bytes that are no request, `begun` with these; what follows them has no certain reading."""
        listener = self._listener()
        if listener is None:
            self.shut()
            return
        self._body = None
        refusal = Refusal(status=malformed.status, reason="malformed-request", detail=malformed.problem, close=True)
        head = request_head(b"HEAD" if begun.startswith(b"HEAD ") else b"", b"", b"")
        self.refuse(unrouted_facts(self._services, listener, self._origin, head), refusal)

    def shut(self) -> None:
        """Close in good order; nothing more is read."""
        self._phase = Phase.CLOSED
        self._buffer = b""
        self._body = None
        self.line.close()
        self.line.set_deadline(_CLOSING)

    def crash(self, error: BaseException) -> None:
        """Something in this program went wrong: the request does not pass, and the log says why."""
        facts = self._facts
        request_id = facts.request_id if facts is not None else self._services.ids.next()
        self._services.on_crash(request_id.decode("ascii"), error)
        work, self._work = self._work, None
        if work is not None:
            work.abandon("crashed")
        if work is not None or facts is None:
            self.cut()
        else:
            self.refuse(facts, Refusal(status=503, reason="crashed", close=True))

    def _listener(self) -> Listener | None:
        """Return what counts now for connections that came in here; None once a reload removed the listener."""
        return self._renew(self._services.current.runtime)

    def _renew(self, runtime: Runtime) -> Listener | None:
        """Return the same, and remember it for as long as this runtime counts."""
        self._runtime = runtime
        self._current = runtime.listeners.get(self._listener_name)
        return self._current
