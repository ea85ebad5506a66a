"""Reads a client connection: bytes in, one request at a time, in order. The hot path begins here."""

import asyncio
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from authproxy.core.decision import is_within
from authproxy.core.server_names import ServerNames
from authproxy.edge.certified import Question
from authproxy.edge.decide import decide, fetch_and_judge
from authproxy.edge.exchange import Exchange
from authproxy.edge.facts import Facts, facts_of
from authproxy.edge.forward import upstream_head
from authproxy.edge.gate import fold_host
from authproxy.edge.phase import BODY, BUSY, HEAD, Phase
from authproxy.edge.reception import Reception
from authproxy.edge.refusal import MISDIRECTED, Refusal
from authproxy.edge.services import Services
from authproxy.edge.tunnel import Tunnel
from authproxy.edge.visitor import Visitor
from authproxy.http1.body import LengthReader
from authproxy.http1.chunked import BadChunk, ChunkedReader
from authproxy.http1.request import Malformed, RequestHead
from authproxy.runtime import Listener, Route, Runtime
from authproxy.sessions.means import LoginPage

if TYPE_CHECKING:
    from authproxy.edge.server import EdgeServer

_HEAD_END: Final = b"\r\n\r\n"
_CR: Final = ord("\r")
# A catalog has its own, much shorter deadline; this one only catches a catalog without one.
_PATIENCE: Final = 10.0
# What a request line has beside its target: a method of reasonable length, blanks, version, CRLF.
_WORDS: Final = 64


class ClientConnection(Reception):
    """Reads requests, lets them through or refuses them."""

    __slots__ = ("_blank_line",)

    def __init__(
        self, server: "EdgeServer", services: Services, listener: str, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(server, services, listener, loop)
        self._blank_line = False

    @override
    def data_received(self, data: bytes) -> None:
        """Read what came, according to what the connection is about."""
        phase = self._phase
        try:
            if phase is HEAD:
                self._read_head(self._buffer + data if self._buffer else data)
            elif phase is BODY:
                self._read_body(data)
            elif isinstance(self._work, Tunnel):
                self._work.send(data)
            elif phase is BUSY or phase is Phase.OWN:
                # One request at a time: the next one waits here, and the rest of it in the kernel.
                self._buffer += data
                self.line.hold()
            elif phase is Phase.SKIP:
                self.skip(data)
            elif phase is Phase.FORM:
                self.read_form(data)
        except Exception as error:  # noqa: BLE001  # whatever goes wrong here, nothing passes
            self.crash(error)

    # ------------------------------------------------------------------ reading a head

    def _read_head(self, data: bytes) -> None:
        services = self._services
        runtime = services.current.runtime
        listener = self._current if runtime is self._runtime else self._renew(runtime)
        if listener is None:
            self.shut()
            return
        reader = listener.reader
        head = reader.take(data)
        if head is not None:
            end = reader.end
            self._buffer = b"" if end == len(data) else data[end:]
            self._blank_line = False
        else:
            head = self._read_any(listener, data)
            if head is None:
                return
        self.requests_left = left = self.requests_left - 1
        if left <= 0:
            head.close = True
        if head.path == listener.health:
            self.answer_health(listener, head)
        else:
            self._dispatch(runtime, listener, head)

    def _read_any(self, listener: Listener, data: bytes) -> RequestHead | None:
        """Read what is not taken at a glance: an unusual head, a part of one, or none; None when that is dealt with."""
        end = data.find(_HEAD_END)
        if end < 0 or data[0] == _CR:
            self._read_slowly(listener, data, end)
            return None
        self._buffer = data[end + 4 :]
        self._blank_line = False
        if end > listener.limits.head:
            self.refuse_malformed(_too_large(listener, data), data)
            return None
        head = listener.reader.read_carefully(data[:end])
        if isinstance(head, Malformed):
            self.refuse_malformed(head, data)
            return None
        return head

    def _read_slowly(self, listener: Listener, data: bytes, end: int) -> None:
        """Skip one empty line before a request (RFC 9112, 2.2), and wait for the rest of a head."""
        if data[:2] == b"\r\n":
            if self._blank_line:
                self.refuse_malformed(Malformed(400, "more than one empty line before a request"), data)
                return
            self._blank_line = True
            self._buffer = b""
            if len(data) > len(b"\r\n"):
                self._read_head(data[2:])
            else:
                self.line.unhold()
        elif end >= 0:
            self.refuse_malformed(Malformed(400, "a bare CR"), data)
        else:
            self._await_more(listener, data)

    def _await_more(self, listener: Listener, data: bytes) -> None:
        if data and not self._buffer:
            self.line.set_deadline(listener.times.head)
        self._buffer = data
        self.line.unhold()
        if data.count(b"\n") != data.count(b"\r\n"):
            self.refuse_malformed(Malformed(400, "a bare LF"), data)
        elif len(data) >= listener.limits.head + len(_HEAD_END) or (
            len(data) > listener.limits.line + _WORDS and _is_long(listener, data)
        ):
            self.refuse_malformed(_too_large(listener, data), data)

    def _dispatch(  # noqa: PLR0915  # the hot path, straight on
        self, runtime: Runtime, listener: Listener, head: RequestHead
    ) -> None:
        services = self._services
        monotonic = services.monotonic
        if runtime.trusted and is_within(self._peer.address, runtime.trusted):
            facts = self.trusted_facts(runtime, listener, head)
        else:
            facts = facts_of(runtime, listener, head, services.ids.next(), self._origin, monotonic())
        self._facts = facts
        self._phase = BUSY
        if head.has_body:
            self._body = ChunkedReader() if head.chunked else LengthReader(head.content_length)
        outcome = decide(services, facts) if listener.shown is None else self._decide_shown(listener.shown, facts)
        if outcome is None:
            route = facts.route
            block = None if route is None else upstream_head(facts, route)
            if route is None or block is None:
                self.refuse(facts, Refusal(status=400, reason="ambiguous-path"))
                return
            self._work = exchange = Exchange()
            if head.has_body:
                self._begin_body(exchange, facts, route, block)
            else:
                exchange.start(self, services, facts, route, block)
        elif isinstance(outcome, Refusal):
            self.refuse(facts, outcome)
        elif isinstance(outcome, LoginPage):
            self.receive(facts)
        else:
            self.line.hold()
            self.line.set_deadline(_PATIENCE)
            services.spawn(self._decide_later(facts, outcome))

    def _decide_shown(self, shown: ServerNames[str], facts: Facts) -> Refusal | Question | Visitor | LoginPage | None:
        """Decide where a handshake for another host could have shown another certificate, and asked for one by it."""
        if shown.of(fold_host(facts.request.host)) != shown.of(self._peer.server_name):
            return MISDIRECTED
        return decide(self._services, facts)

    async def _decide_later(self, facts: Facts, question: Question | Visitor) -> None:
        try:
            refusal = await fetch_and_judge(self._services, facts, question)
            if self._facts is not facts or not self.line.is_open:
                # The client went away meanwhile: nothing of its request is sent.
                return
            self.line.unhold()
            if refusal is None:
                self._admit(facts)
            else:
                self.refuse(facts, refusal)
        except Exception as error:  # noqa: BLE001  # fail closed: 503, and the upstream hears nothing
            self.crash(error)

    def _admit(self, facts: Facts) -> None:
        """Send a request on its way that was admitted late."""
        route = facts.route
        block = None if route is None else upstream_head(facts, route)
        if route is None or block is None:
            self.refuse(facts, Refusal(status=400, reason="ambiguous-path"))
            return
        self._work = exchange = Exchange()
        if self._body is None:
            exchange.start(self, self._services, facts, route, block)
            # The catalog's time is not the upstream's.
            self.line.deadline += self._services.monotonic() - facts.started
        else:
            self._begin_body(exchange, facts, route, block)

    def _begin_body(self, exchange: Exchange, facts: Facts, route: Route, block: bytes) -> None:
        self._phase = BODY
        rest, self._buffer = self._buffer, b""
        exchange.start(self, self._services, facts, route, block)
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
            self._phase = BUSY
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

    @override
    def skip(self, data: bytes) -> None:
        """Read a refused request's body away, then go on."""
        if self._body is not None:
            _, self._buffer = self._body.feed(data)
            if self._body.done:
                self.finished(keep=True, now=self._services.monotonic())

    @override
    def read_waiting(self) -> None:
        """Read what came while the request before was answered."""
        if self._phase is HEAD and self.line.is_open and not self._is_paused:
            data, self._buffer = self._buffer, b""
            self.data_received(data)


def _is_long(listener: Listener, data: bytes) -> bool:
    """Tell whether the request line is longer than it may be, whether or not its end has come."""
    return data.find(b"\r\n", 0, listener.limits.line + _WORDS) < 0


def _too_large(listener: Listener, data: bytes) -> Malformed:
    """Return the refusal of a head that is too large, for the part of it that is."""
    return Malformed(414, "request line too long") if _is_long(listener, data) else Malformed(431, "head too large")
