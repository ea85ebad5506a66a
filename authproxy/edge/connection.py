"""One client connection: bytes in, one request at a time, in order.

It is an aiohttp `RequestHandler`, since aiohttp answers the proxy's own pages. What is proxied never reaches
aiohttp: it is read, decided and forwarded in `data_received`, with no task and no second parse. Requests of both
sorts may alternate on one connection.

Why a subclass: aiohttp's connection costs per connection (a task and a timer), not per request, and a `web.Server`
handing out this class keeps its whole stack of handlers and responses for the own pages.
"""

import asyncio
from enum import Enum, auto, unique
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from typing_extensions import override

from authproxy.core.decision import is_within
from authproxy.core.peer import Peer
from authproxy.core.token import Token
from authproxy.door.peer import peer_of
from authproxy.edge.decide import decide, fetch_and_judge
from authproxy.edge.exchange import Exchange
from authproxy.edge.facts import Facts
from authproxy.edge.forward import upstream_head
from authproxy.edge.gate import accepted_id
from authproxy.edge.line import Line
from authproxy.edge.origin import Origin, origin_behind, origin_of
from authproxy.edge.own_answer import malformed_facts, send_refusal
from authproxy.edge.refusal import Refusal
from authproxy.edge.services import Services
from authproxy.edge.tunnel import Tunnel
from authproxy.http1.body import LengthReader
from authproxy.http1.chunked import BadChunk, ChunkedReader
from authproxy.http1.request import Malformed, RequestHead
from authproxy.runtime import Listener, Runtime

if TYPE_CHECKING:
    from authproxy.edge.server import EdgeServer

_HEAD_END: Final = b"\r\n\r\n"
# How long a connection may take to close in good order before it is cut.
_CLOSING: Final = 5.0
# A catalog has its own, much shorter deadline; this one only catches a catalog without one.
_PATIENCE: Final = 10.0
# aiohttp's own keep-alive timer is not ours to wait for.
_FOREVER: Final = 10.0**9


@unique
class _Phase(Enum):
    HEAD = auto()
    """Between requests, or within a head."""
    BODY = auto()
    """The request's body is passed on."""
    BUSY = auto()
    """The request is in; its answer is not out."""
    TUNNEL = auto()
    OWN = auto()
    """aiohttp answers."""
    SKIP = auto()
    """The body of a refused request is read away, then the next request comes."""
    CLOSED = auto()
    """What still comes is forgotten."""


# Bound once: reaching a member through its class costs a call on Python 3.11.
_HEAD: Final = _Phase.HEAD
_BODY: Final = _Phase.BODY
_BUSY: Final = _Phase.BUSY


class ClientConnection(RequestHandler):
    """Reads requests, lets them through or refuses them; is the client of its `Exchange` or `Tunnel`."""

    __slots__ = (
        "_blank_line", "_body", "_buffer", "_facts", "_listener_name", "_origin", "_peer", "_phase", "_services", "_work",
        "line",
    )  # fmt: skip

    def __init__(
        self, server: "EdgeServer", services: Services, listener: str, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(
            server, loop=loop, keepalive_timeout=_FOREVER, access_log=None, auto_decompress=False, lingering_time=0
        )  # type: ignore[arg-type]  # None is how aiohttp itself spells `no access log`
        self._services = services
        self._listener_name = listener
        self._peer = Peer(address="", port=0, local_port=0)
        self._origin: Origin = origin_of(self._peer)
        self._phase = _HEAD
        self._buffer = b""
        self._blank_line = False
        self._body: LengthReader | ChunkedReader | None = None
        self._work: Exchange | Tunnel | None = None
        self._facts: Facts | None = None
        self.line = Line(services.monotonic)

    # ------------------------------------------------------------------ asyncio.Protocol

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # uvloop's TLS transport is no subclass of asyncio.Transport, yet has all of its methods.
        self.line.made(cast("asyncio.Transport", transport))
        self._peer = peer_of(transport)
        self._origin = origin_of(self._peer)
        self._services.connections.add(self)
        listener = self._listener()
        self.line.set_deadline(listener.times.head if listener is not None else 0.0)

    @override
    def connection_lost(self, exc: BaseException | None) -> None:
        self.line.lost()
        self._services.connections.discard(self)
        work, self._work = self._work, None
        if work is not None:
            work.abandon("client-gone")
        super().connection_lost(exc)

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        if self._work is not None:
            self._work.pause_answer()

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        if self._work is not None:
            self._work.resume_answer()

    @override
    def data_received(self, data: bytes) -> None:
        phase = self._phase
        try:
            if phase is _HEAD:
                self._read_head(self._buffer + data if self._buffer else data)
            elif phase is _BODY:
                self._read_body(data)
            elif isinstance(self._work, Tunnel):
                self._work.send(data)
            elif phase is _BUSY or phase is _Phase.OWN:
                # One request at a time: the next one waits here, and the rest of it in the kernel.
                self._buffer += data
                self.line.hold()
            elif phase is _Phase.SKIP:
                self._skip(data)
        except Exception as error:  # noqa: BLE001  # whatever goes wrong here, nothing passes
            self._crash(error)

    # ------------------------------------------------------------------ reading a head

    def _read_head(self, data: bytes) -> None:
        if data[:1] == b"\r" and data[:2] == b"\r\n" and not self._blank_line:
            # RFC 9112, 2.2: one empty line before a request is ignored.
            self._blank_line = True
            data = data[2:]
        runtime = self._services.current.runtime
        listener = runtime.listeners.get(self._listener_name)
        if listener is None:
            self._shut()
            return
        end = data.find(_HEAD_END)
        if end < 0:
            self._await_more(listener, data)
            return
        self._buffer = data[end + 4 :]
        self._blank_line = False
        if end > listener.limits.head:
            self._refuse_malformed(Malformed(431, "head too large"))
            return
        head = listener.reader.read(data[:end])
        if isinstance(head, Malformed):
            self._refuse_malformed(head)
        elif head.path == listener.health and not head.has_body:
            self._phase = _Phase.OWN
            self.line.set_deadline(listener.times.body_idle)
            super().data_received(data[: end + 4])
        else:
            self._dispatch(runtime, listener, head)

    def _await_more(self, listener: Listener, data: bytes) -> None:
        if data and not self._buffer:
            self.line.set_deadline(listener.times.head)
        self._buffer = data
        if data.count(b"\n") != data.count(b"\r\n"):
            self._refuse_malformed(Malformed(400, "a bare LF"))
        elif len(data) > listener.limits.line and b"\r\n" not in data[: listener.limits.line + 2]:
            self._refuse_malformed(Malformed(414, "request line too long"))
        elif len(data) > listener.limits.head:
            self._refuse_malformed(Malformed(431, "head too large"))

    def _dispatch(self, runtime: Runtime, listener: Listener, head: RequestHead) -> None:
        services = self._services
        origin = self._origin
        request_id = None
        if runtime.trusted and is_within(self._peer.address, runtime.trusted):
            request_id = accepted_id(head.request_id)
            if head.forwarded is not None:
                origin = origin_behind(self._peer, head.forwarded, runtime.trusted)
        facts = Facts(runtime, listener, head, request_id or services.ids.next(), origin, services.monotonic())
        self._facts = facts
        self._phase = _BUSY
        if head.has_body:
            self._body = ChunkedReader() if head.chunked else LengthReader(head.content_length)
        outcome = decide(services, facts)
        if outcome is None:
            self._admit(facts)
        elif isinstance(outcome, Refusal):
            self.refuse(facts, outcome)
        else:
            self.line.hold()
            self.line.set_deadline(_PATIENCE)
            services.spawn(self._decide_later(facts, outcome))

    async def _decide_later(self, facts: Facts, token: Token) -> None:
        try:
            refusal = await fetch_and_judge(self._services, facts, token)
            if self._facts is not facts or not self.line.is_open:
                # The client went away meanwhile: nothing of its request is sent.
                return
            self.line.unhold()
            if refusal is None:
                self._admit(facts)
            else:
                self.refuse(facts, refusal)
        except Exception as error:  # noqa: BLE001  # fail closed: 503, and the upstream hears nothing
            self._crash(error)

    def _admit(self, facts: Facts) -> None:
        """Send an admitted request on its way."""
        route = facts.route
        block = None if route is None else upstream_head(facts, route)
        if route is None or block is None:
            self.refuse(facts, Refusal(status=400, reason="ambiguous-path"))
            return
        self._work = exchange = Exchange(self, self._services, facts, route)
        if self._body is None:
            exchange.start(block)
            return
        self._phase = _BODY
        rest, self._buffer = self._buffer, b""
        exchange.start(block)
        if rest:
            self._read_body(rest)

    # ------------------------------------------------------------------ bodies

    def _read_body(self, data: bytes) -> None:
        body, exchange, facts = self._body, self._work, self._facts
        if body is None or facts is None or facts.route is None or not isinstance(exchange, Exchange):
            return
        try:
            payload, rest = body.feed(data)
        except BadChunk as error:
            self._break_off(exchange, Refusal(status=400, reason="bad-chunk", detail=str(error), close=True))
            return
        limit = facts.route.max_body
        if limit is not None and facts.received + len(payload) > limit:
            self._break_off(exchange, Refusal(status=413, reason="body-too-large", close=True))
            return
        if body.done:
            self._phase = _BUSY
            self._body = None
            self._buffer = rest
        exchange.send_body(payload, done=body.done)

    def _break_off(self, exchange: Exchange, refusal: Refusal) -> None:
        """End a request whose body turned out bad: the upstream must not take it for whole."""
        self._work = None
        if exchange.status:
            exchange.abandon(refusal.reason, refusal.detail)
            self.line.cut()
        else:
            exchange.discard()
            self.refuse(exchange.facts, refusal)

    def _skip(self, data: bytes) -> None:
        if self._body is not None:
            _, self._buffer = self._body.feed(data)
            if self._body.done:
                self.finished(keep=True, now=self._services.monotonic())

    @override
    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Go on with the next request once aiohttp has written the answer to an own page."""
        result = await super().finish_response(request, resp, start_time)
        self.finished(keep=bool(resp.keep_alive), now=self._services.monotonic())
        return result

    # ------------------------------------------------------------------ the client of an exchange

    def refuse(self, facts: Facts, refusal: Refusal) -> None:
        """Answer in the proxy's own name; nothing was sent yet for this request."""
        self._work = None
        if send_refusal(self._services, self.line, facts, refusal, self._body):
            self._shut()
        elif self._body is not None:
            self._phase = _Phase.SKIP
            self.line.set_deadline(facts.listener.times.body_idle)
            self.line.unhold()
            rest, self._buffer = self._buffer, b""
            self._skip(rest)
        else:
            self.finished(keep=True, now=self._services.monotonic())

    def cut(self) -> None:
        """Break the connection off after a part of an answer."""
        self._work = None
        self._phase = _Phase.CLOSED
        self.line.cut()

    def finished(self, *, keep: bool, now: float) -> None:
        """Go on after an answer."""
        self._work = None
        if not keep or self._services.current.draining:
            self._shut()
            return
        self._phase = _HEAD
        self._facts = None
        self._body = None
        listener = self._listener()
        self.line.deadline = now + (listener.times.keep_alive if listener is not None else 0.0)
        if self._buffer:
            # One that is already here is read in its own turn of the loop.
            self._loop.call_soon(self._read_buffered)
        else:
            self.line.unhold()

    def tunnel(self, tunnel: Tunnel) -> None:
        """Pass every byte on from now, beginning with those that came early."""
        self._work = tunnel
        self._phase = _Phase.TUNNEL
        early, self._buffer = self._buffer, b""
        self.line.unhold()
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
        elif self._phase is _HEAD and self._buffer:
            self._refuse_malformed(Malformed(408, "head took too long"))
        else:
            self._shut()

    def drain(self) -> None:
        """Close as soon as nothing is in progress."""
        if self._work is not None:
            self._work.drain()
        elif self._phase is _HEAD and not self._buffer:
            self._shut()

    def _refuse_malformed(self, malformed: Malformed) -> None:
        listener = self._listener()
        if listener is None:
            self._shut()
            return
        self._body = None
        refusal = Refusal(status=malformed.status, reason="malformed-request", detail=malformed.problem, close=True)
        self.refuse(malformed_facts(self._services, listener, self._origin), refusal)

    def _read_buffered(self) -> None:
        if self._phase is _HEAD and self.line.is_open:
            data, self._buffer = self._buffer, b""
            self.line.unhold()
            self.data_received(data)

    def _shut(self) -> None:
        self._phase = _Phase.CLOSED
        self._buffer = b""
        self._body = None
        self.line.close()
        self.line.set_deadline(_CLOSING)

    def _crash(self, error: BaseException) -> None:
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
        return self._services.current.runtime.listeners.get(self._listener_name)
