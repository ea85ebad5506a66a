"""One request on its way: to the upstream, and its answer back to the client."""

from enum import Enum, auto, unique
from http import HTTPStatus
from typing import Final, Protocol

from authproxy import events
from authproxy.edge.answer import answer_head, has_no_body, interim_head, is_chunked_out
from authproxy.edge.forward import wanted_upgrade
from authproxy.edge.facts import Facts, Outcome, record
from authproxy.edge.line import Line
from authproxy.edge.refusal import Refusal
from authproxy.edge.services import Services
from authproxy.http1.answer import SWITCHING, AnswerHead
from authproxy.http1.chunked import LAST_CHUNK, chunk
from authproxy.http1.request import RequestHead
from authproxy.http1.websocket import GOING_AWAY, FrameTracker, close_frame
from authproxy.runtime import Listener, Route
from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.interface import Failure

# RFC 9110, 9.2.2.
_IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
_PASSED_INTERIM: Final = frozenset({HTTPStatus.CONTINUE.value, HTTPStatus.EARLY_HINTS.value})
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_CONTINUE_AFTER: Final = 1.0
_CLIENT_GONE: Final = 499
_CLOSE_GRACE: Final = 5.0


class Client(Protocol):
    """The client's side, as an exchange sees it."""

    @property
    def line(self) -> Line:
        """The wire to the client."""
        ...

    def refuse(self, exchange: "Exchange", refusal: Refusal) -> None:
        """Answer in the proxy's own name; nothing was sent yet."""
        ...

    def cut(self) -> None:
        """Break the connection so that the client can see that the answer is not whole."""
        ...

    def finished(self, *, keep: bool) -> None:
        """The answer is out; `keep` when the connection may carry another request."""
        ...

    def tunnel(self) -> None:
        """From now on every byte of the client belongs to the tunnel."""
        ...


@unique
class _Phase(Enum):
    CONNECTING = auto()
    WAITING = auto()
    """For the answer's head."""
    ANSWERING = auto()
    TUNNEL = auto()
    CLOSING = auto()
    """A tunnel that was told to end."""
    OVER = auto()


class Exchange:
    """Carries one admitted request; is the receiver of its answer."""

    __slots__ = (
        "_chunked_out", "_client", "_connection", "_head", "_line", "_listener", "_pending", "_phase", "_retried", "_route",
        "_services", "_tracker", "_waits_to_continue", "facts", "request", "request_done", "status",
    )  # fmt: skip

    def __init__(self, client: Client, services: Services, listener: Listener, facts: Facts, route: Route) -> None:
        self._client = client
        self._line = client.line
        self._services = services
        self._listener = listener
        self._route = route
        self.facts = facts
        self.request: RequestHead = facts.request
        self.request_done = not self.request.has_body
        self.status = 0
        self._head = b""
        self._pending: list[bytes] = []
        self._connection: UpstreamConnection | None = None
        self._phase = _Phase.CONNECTING
        self._retried = False
        self._chunked_out = False
        self._waits_to_continue = False
        self._tracker: FrameTracker | None = None

    # ------------------------------------------------------------------ the way out

    def start(self, head: bytes) -> None:
        """Send the request's head upstream, on an idle connection or a fresh one."""
        route = self._route
        self._head = head
        connection = route.upstream.take_idle()
        if connection is not None:
            self.on_connected(connection)
            return
        self._line.set_deadline(route.upstream.times.connect + _CLOSE_GRACE)
        if not self.request_done:
            self._line.hold()
        route.upstream.connect(self)

    def on_connected(self, connection: UpstreamConnection) -> None:
        """Send what has come so far."""
        route = self._route
        if self._phase is _Phase.OVER:
            route.upstream.give_back(connection, reusable=True, now=self._services.monotonic())
            return
        self._connection = connection
        self._phase = _Phase.WAITING
        first = b"".join((self._head, *self._pending)) if self._pending else self._head
        self._pending = []
        request = self.request
        connection.begin(
            self, first, bodiless=request.method == b"HEAD", upgrade=wanted_upgrade(route, request)
        )  # fmt: skip
        if self.request_done:
            self._line.set_deadline(route.upstream.times.response_head)
            return
        self._line.unhold()
        if request.expect_continue and self.facts.received == 0:
            self._waits_to_continue = True
            self._line.set_deadline(_CONTINUE_AFTER)
        else:
            self._line.set_deadline(self._listener.times.body_idle)

    def on_connect_failed(self, failure: Failure, detail: str) -> None:
        """Answer for the upstream."""
        if self._phase is not _Phase.OVER:
            self._fail(failure, detail)

    def send_body(self, payload: bytes, *, done: bool) -> None:
        """Pass a piece of the request's body on, framed our way."""
        self.facts.received += len(payload)
        framed = payload
        if self.request.chunked:
            framed = chunk(payload) + (LAST_CHUNK if done else b"")
        self.request_done = done
        if self._connection is None:
            self._pending.append(framed)
            return
        self._waits_to_continue = False
        self._connection.write(framed)
        if self._phase is _Phase.WAITING:
            times = self._route.upstream.times
            self._line.set_deadline(times.response_head if done else self._listener.times.body_idle)

    def send_tunnel(self, data: bytes) -> None:
        """Pass a tunnel's bytes to the upstream."""
        self.facts.received += len(data)
        if self._connection is not None:
            self._connection.write(data)
            self._line.set_deadline(self._tunnel_idle())

    # ------------------------------------------------------------------ the answer

    def on_interim(self, head: AnswerHead) -> None:
        """Pass 100 and 103 on; an HTTP/1.0 client knows neither."""
        if self.request.http10 or head.status not in _PASSED_INTERIM:
            return
        if head.status == HTTPStatus.CONTINUE:
            if not self._waits_to_continue:
                return
            self._waits_to_continue = False
            self._line.set_deadline(self._listener.times.body_idle)
        self._line.send(interim_head(head))

    def on_answer(self, head: AnswerHead, body: bytes, *, complete: bool) -> None:
        """Write the answer's head with its first body bytes in one piece."""
        route = self._route
        self.facts.answered_at = self._services.monotonic()
        self.status = head.status
        request = self.request
        self._chunked_out = is_chunked_out(request, head)
        close_delimited = head.content_length < 0 and request.http10 and not has_no_body(request, head.status)
        request.close = request.close or close_delimited or not self.request_done or self._services.current.draining
        parts = answer_head(
            self._listener, route, request, head, self.facts.request_id,
            close=request.close and head.status != SWITCHING,
        )  # fmt: skip
        allow = self.facts.allow
        if allow is not None and allow.answer_lines:
            parts[1:1] = allow.answer_lines
        self.facts.sent = len(body)
        if head.status == SWITCHING:
            self._begin_tunnel(head, body, parts)
            return
        self._phase = _Phase.ANSWERING
        parts.append(self._framed(body, complete=complete))
        self._line.send(b"".join(parts))
        if complete:
            self._finish()
        else:
            self._line.set_deadline(route.upstream.times.idle)

    def on_body(self, data: bytes, *, complete: bool) -> None:
        """Pass a piece of the answer on."""
        self.facts.sent += len(data)
        if self._tracker is not None:
            self._tracker.feed(data)
        if self._phase is _Phase.TUNNEL:
            self._line.send(data)
            self._line.set_deadline(self._tunnel_idle())
            if self._services.current.draining:
                self.drain()
            return
        if self._phase is not _Phase.ANSWERING:
            return
        framed = self._framed(data, complete=complete)
        if framed:
            self._line.send(framed)
        if complete:
            self._finish()
        else:
            self._line.set_deadline(self._route.upstream.times.idle)

    def on_eof(self) -> None:
        """The upstream ended its half of a tunnel; TLS in the event loop knows no other half."""

    def on_failure(self, failure: Failure, detail: str) -> None:
        """The upstream's connection ended too early."""
        if self._phase in {_Phase.TUNNEL, _Phase.CLOSING}:
            self._release()
            self._end("" if failure is Failure.CLOSED else failure.value, detail)
            self._client.finished(keep=False)
            return
        if self._may_retry(failure):
            self._retried = True
            self._release()
            self._phase = _Phase.CONNECTING
            route = self._route
            route.upstream.stats.retries += 1
            route.upstream.connect(self)
            return
        self._fail(failure, detail)

    def pause_request(self) -> None:
        """The upstream is slower than the client."""
        self._line.hold()

    def resume_request(self) -> None:
        """The upstream takes bytes again."""
        self._line.unhold()

    # ------------------------------------------------------------------ from the client's side

    def pause_answer(self) -> None:
        """The client is slower than the upstream."""
        if self._connection is not None:
            self._connection.pause()

    def resume_answer(self) -> None:
        """The client takes bytes again."""
        if self._connection is not None:
            self._connection.resume()

    def abandon(self, reason: str, detail: str = "") -> None:
        """The client is gone, or broke its request off: the upstream must not take it for whole."""
        if self._phase is _Phase.OVER:
            return
        tunnel = self._phase in {_Phase.TUNNEL, _Phase.CLOSING}
        self.discard()
        self.status = self.status or _CLIENT_GONE
        self._end("" if tunnel else reason, detail)

    def discard(self) -> None:
        """Let go of the upstream without a word to the log."""
        tunnel = self._phase in {_Phase.TUNNEL, _Phase.CLOSING}
        connection = self._connection
        self._release()
        self._phase = _Phase.OVER
        if connection is not None:
            if tunnel:
                connection.close()
            else:
                connection.abort()

    def on_deadline(self) -> None:
        """Something took too long; what, the phase tells."""
        if self._waits_to_continue:
            self._waits_to_continue = False
            self._line.set_deadline(self._listener.times.body_idle)
            self._line.send(_CONTINUE)
        elif self._phase in {_Phase.TUNNEL, _Phase.CLOSING}:
            self.abandon("tunnel-idle")
            self._client.finished(keep=False)
        elif self._phase is _Phase.ANSWERING:
            self._fail(Failure.IDLE_TIMEOUT, "no byte passed for too long")
        elif not self.request_done and self._connection is not None:
            self._refuse_late()
        else:
            late = Failure.CONNECT_TIMEOUT if self._connection is None else Failure.HEAD_TIMEOUT
            self._fail(late, "no answer within the limit")

    def drain(self) -> None:
        """Tell a WebSocket that the proxy goes away, once a frame is out whole; other tunnels are just closed."""
        if self._phase is not _Phase.TUNNEL:
            return
        if self._tracker is None:
            self.abandon("drained")
            self._client.finished(keep=False)
        elif self._tracker.at_boundary:
            self._phase = _Phase.CLOSING
            self._line.send(close_frame(GOING_AWAY))
            self._line.set_deadline(_CLOSE_GRACE)

    # ------------------------------------------------------------------ steps

    def _begin_tunnel(self, head: AnswerHead, first: bytes, parts: list[bytes]) -> None:
        self._phase = _Phase.TUNNEL
        if (head.upgrade or b"").lower() == b"websocket":
            self._tracker = FrameTracker()
            self._tracker.feed(first)
        self._line.send(b"".join((*parts, first)))
        self._line.set_deadline(self._tunnel_idle())
        self._client.tunnel()

    def _framed(self, data: bytes, *, complete: bool) -> bytes:
        if not self._chunked_out:
            return data
        return chunk(data) + LAST_CHUNK if complete else chunk(data)

    def _finish(self) -> None:
        """The answer is whole: connections back, one line in the log."""
        route = self._route
        connection = self._connection
        self._connection = None
        now = self._services.monotonic()
        if connection is not None:
            reusable = self.request_done and (route.reuse_after_body or not self.request.has_body)
            reusable = connection.finish() and reusable
            route.upstream.give_back(connection, reusable=reusable, now=now)
        self._end("", "")
        self._client.finished(keep=not self.request.close)

    def _may_retry(self, failure: Failure) -> bool:
        """Once, on a fresh connection, and only where doing it twice is doing it once."""
        whole = self.request_done and not self.request.has_body
        return (
            failure is Failure.CLOSED and not self._retried and self._phase is _Phase.WAITING
            and whole and self.request.method in _IDEMPOTENT and self.request.upgrade is None
        )  # fmt: skip

    def _fail(self, failure: Failure, detail: str) -> None:
        route = self._route
        failures = route.upstream.stats.failures
        failures[failure.value] = failures.get(failure.value, 0) + 1
        if self._connection is not None:
            connection = self._connection
            self._release()
            connection.abort()
        if self._phase is _Phase.ANSWERING:
            self._end(failure.value, detail)
            self._client.cut()
            return
        refusal = Refusal(status=failure.status, reason=failure.value, detail=detail, close=not self.request_done)
        self._phase = _Phase.OVER
        self._client.refuse(self, refusal)

    def _refuse_late(self) -> None:
        """The request's body stopped coming."""
        connection = self._connection
        self._release()
        if connection is not None:
            connection.abort()
        self._phase = _Phase.OVER
        self._client.refuse(self, Refusal(status=408, reason="body-timeout", close=True))

    def _release(self) -> None:
        if self._connection is not None:
            self._route.upstream.release(self._connection)
            self._connection = None

    def _tunnel_idle(self) -> float:
        return _CLOSE_GRACE if self._phase is _Phase.CLOSING else self._listener.times.tunnel_idle

    def _end(self, reason: str, detail: str) -> None:
        self._phase = _Phase.OVER
        event = events.REQUEST_FAILED if reason else events.REQUEST_FORWARDED
        record(self._services, self._listener, self.facts, Outcome(event, self.status, reason, detail))
