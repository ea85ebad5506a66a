"""One request on its way: to the upstream, and its answer back to the client."""

from http import HTTPStatus
from typing import Final

from typing_extensions import override

from authproxy.edge.answer import answer_head, has_no_body, interim_head
from authproxy.edge.client import Client
from authproxy.edge.decide import has_too_many_tunnels
from authproxy.edge.facts import Facts
from authproxy.edge.forward import wanted_upgrade
from authproxy.edge.outcome import Outcome
from authproxy.edge.progress import ANSWERING, CONNECTING, OVER, WAITING
from authproxy.edge.refusal import TOO_MANY_TUNNELS, Refusal
from authproxy.edge.services import Services
from authproxy.edge.tunnel import Tunnel
from authproxy.http1.answer import SWITCHING, AnswerHead
from authproxy.http1.chunked import LAST_CHUNK, chunk
from authproxy.runtime import Route
from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.interface import Failure

_PASSED_INTERIM: Final = frozenset({HTTPStatus.CONTINUE.value, HTTPStatus.EARLY_HINTS.value})
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_CONTINUE_AFTER: Final = 1.0
# The pool keeps the connect deadline itself; this catches what it could not.
_CONNECT_GRACE: Final = 5.0


class Exchange(Outcome):
    """Carries one admitted request; is the receiver of its answer."""

    # What every request reads has a slot, here and below. The rest are defaults: to set what nobody reads costs, too.
    __slots__ = ("_head",)

    _head: bytes
    _retried = False
    _chunked_out = False
    _waits_to_continue = False
    _continued = False
    _pending: list[bytes] | None = None
    _is_held_back = False

    # ------------------------------------------------------------------ the way out

    def start(  # noqa: PLR0915  # the hot path, straight on
        self, client: Client, services: Services, facts: Facts, route: Route, head: bytes
    ) -> None:
        """Send the request's head upstream, on an idle connection or a fresh one; comes first, and once.

        Why this is no constructor: on Python 3.11 a class with one takes twice as long to make an object.
        """
        self.facts = facts
        self.request_done = not facts.request.has_body
        self.status = 0
        self._client = client
        self._line = client.line
        self._services = services
        self._route = route
        self._connection = None
        self._phase = CONNECTING
        self._is_early = False
        self._head = head
        upstream = route.upstream
        connection = upstream.take_idle()
        if connection is not None:
            request = facts.request
            if not request.is_usual and (request.has_body or request.upgrade is not None):
                self.on_connected(connection)
                return
            # The short way of most requests; `on_connected` is the long one.
            self._connection = connection
            self._phase = WAITING
            if request.method == b"HEAD":
                connection.expect(bodiless=True, upgrade=None)
            connection.begin(self, head)
            self._line.deadline = facts.started + upstream.times.response_head
            return
        self._line.set_deadline(upstream.times.connect + _CONNECT_GRACE)
        if not self.request_done:
            self._line.hold()
        upstream.connect(self)

    def on_connected(self, connection: UpstreamConnection) -> None:
        """Send what has come so far."""
        route = self._route
        if self._phase is OVER:
            route.upstream.give_back(connection, reusable=True, now=self._services.monotonic())
            return
        self._connection = connection
        self._phase = WAITING
        request = self.facts.request
        head = self._head
        if self._pending:
            head = b"".join((head, *self._pending))
            self._pending = None
        if request.method == b"HEAD" or request.upgrade is not None:
            upgrade = None if request.upgrade is None else wanted_upgrade(route, request)
            connection.expect(bodiless=request.method == b"HEAD", upgrade=upgrade)
        connection.begin(self, head)
        if self.request_done:
            self._line.set_deadline(route.upstream.times.response_head)
            return
        self._line.unhold()
        if request.expect_continue and not self.facts.received:
            self._waits_to_continue = True
            self._line.set_deadline(_CONTINUE_AFTER)
        else:
            self._line.set_deadline(self.facts.listener.times.body_idle)

    def on_connect_failed(self, failure: Failure, detail: str) -> None:
        """Answer for the upstream."""
        if self._phase is not OVER:
            self._fail(failure, detail)

    @override
    def _give_up_waiting(self) -> None:
        self._route.upstream.give_up(self)

    def send_body(self, payload: bytes, *, done: bool) -> None:
        """Pass a piece of the request's body on, framed our way."""
        facts = self.facts
        facts.received += len(payload)
        framed = payload
        if facts.request.chunked:
            framed = chunk(payload) + (LAST_CHUNK if done else b"")
        self.request_done = done
        if self._connection is None:
            self._pending = self._pending or []
            self._pending.append(framed)
            if done:
                # From now on the line only tells that the client is gone.
                self._line.unhold()
            return
        self._waits_to_continue = False
        self._connection.write(framed)
        if not done:
            # Also where the answer has begun: it may wait for the rest of the request.
            self._line.set_deadline(facts.listener.times.body_idle)
        else:
            times = self._route.upstream.times
            self._line.set_deadline(times.response_head if self._phase is WAITING else times.idle)

    # ------------------------------------------------------------------ the answer

    def on_interim(self, head: AnswerHead) -> None:
        """Pass 100 and 103 on; an HTTP/1.0 client knows neither."""
        if self.facts.request.http10 or head.status not in _PASSED_INTERIM:
            return
        if head.status == HTTPStatus.CONTINUE:
            if self._continued:
                # We said it already, in the upstream's place.
                return
            self._go_on()
        self._line.send(interim_head(self._route, head))

    def on_answer(  # noqa: PLR0915  # the hot path, straight on
        self, head: AnswerHead, body: bytes, *, complete: bool
    ) -> None:
        """Write the answer's head with its first body bytes in one piece."""
        facts = self.facts
        request = facts.request
        services = self._services
        monotonic, send = services.monotonic, self._line.send
        now = facts.answered_at = monotonic()
        self.status = head.status
        facts.sent = len(body)
        if services.current.ending:
            request.close = True
        if complete and self.request_done and head.content_length >= 0:
            # The way of most answers.
            send(answer_head(facts, self._route, head, chunked=False, close=request.close) + body)
            self._finish(now)
            return
        self._is_early = not self.request_done
        self._waits_to_continue = False
        if head.status == SWITCHING:
            self._become_tunnel(head, body)
            return
        self._phase = ANSWERING
        if head.content_length < 0 and not has_no_body(request, head.status):
            # The length is not known: chunks for HTTP/1.1, the end of the connection for HTTP/1.0.
            self._chunked_out = not request.http10
        close = request.close = request.close or not self.request_done
        block = answer_head(facts, self._route, head, chunked=self._chunked_out, close=close)
        send(block + (self._framed(body, complete=complete) if self._chunked_out else body))
        if complete:
            self._finish(now)
        else:
            times = self._route.upstream.times
            self._line.deadline = now + (times.idle if self.request_done else facts.listener.times.body_idle)

    def on_body(self, data: bytes, *, complete: bool) -> None:
        """Pass a piece of the answer on."""
        if self._phase is not ANSWERING:
            return
        self.facts.sent += len(data)
        framed = self._framed(data, complete=complete) if self._chunked_out else data
        if framed:
            self._line.send(framed)
        now = self._services.monotonic()
        if complete:
            self._finish(now)
        elif self.request_done:
            self._line.deadline = now + self._route.upstream.times.idle
        else:
            self._line.deadline = now + self.facts.listener.times.body_idle

    def on_failure(self, failure: Failure, detail: str) -> None:
        """The upstream's connection ended too early."""
        if self._may_retry(failure):
            self._retried = True
            failed = self._connection
            self._release()
            self._phase = CONNECTING
            self._route.upstream.retry(self, failed)
        else:
            self._fail(failure, detail)

    # ------------------------------------------------------------------ from the client's side

    def on_deadline(self) -> None:
        """Something took too long; what, the phase tells."""
        if self._waits_to_continue:
            self._go_on()
            self._line.send(_CONTINUE)
        elif self._phase is ANSWERING and (self.request_done or self._is_held_back):
            self._fail(Failure.IDLE_TIMEOUT, "no byte passed for too long")
        elif self._phase is ANSWERING:
            self.abandon("body-timeout")
            self._client.cut()
        elif self._is_held_back:
            self._fail(Failure.IDLE_TIMEOUT, "the upstream does not take the body")
        elif not self.request_done and self._connection is not None:
            self.discard()
            self._client.refuse(self.facts, Refusal(status=408, reason="body-timeout", close=True))
        else:
            times = self._route.upstream.times
            if self._connection is None:
                self._fail(Failure.CONNECT_TIMEOUT, f"no connection within timeouts.connect ({times.connect:g}s)")
            else:
                self._fail(Failure.HEAD_TIMEOUT, f"no answer within timeouts.response_head ({times.response_head:g}s)")

    def drain(self) -> None:
        """The answer may end; the connection closes after it."""

    def _become_tunnel(self, head: AnswerHead, first: bytes) -> None:
        """Hand both ends over: what follows is no HTTP."""
        connection = self._connection
        self._phase = OVER
        self._connection = None
        if connection is None:
            return
        if has_too_many_tunnels(self._services, self.facts):
            # Asked for at the same time as others that came about first.
            self._route.upstream.release(connection)
            connection.abort()
            self._client.refuse(self.facts, TOO_MANY_TUNNELS)
            return
        self._line.send(answer_head(self.facts, self._route, head, chunked=False, close=False) + first)
        tunnel = Tunnel(self._client, self._services, self.facts, (self._route, connection), head.upgrade or b"", first)
        connection.hand_over(tunnel)
        self._client.tunnel(tunnel)

    def _go_on(self) -> None:
        """The client has been told to send its body, or is about to be."""
        self._continued = True
        if self._waits_to_continue:
            self._waits_to_continue = False
            self._line.set_deadline(self.facts.listener.times.body_idle)

    def _framed(self, data: bytes, *, complete: bool) -> bytes:
        return chunk(data) + LAST_CHUNK if complete else chunk(data)
