"""Requests for the proxy's own pages: of health, which aiohttp answers; and about a login, whose form is read whole first."""

from typing import Final

from typing_extensions import override

from authproxy.core.decision import is_within
from authproxy.core.login import MAX_BODY
from authproxy.edge.facts import Facts, facts_of
from authproxy.edge.gate import accepted_id
from authproxy.edge.login import answer_place
from authproxy.edge.origin import origin_behind
from authproxy.edge.own_answer import unrouted_facts
from authproxy.edge.phase import BUSY, Phase
from authproxy.edge.refusal import Refusal
from authproxy.edge.watched import Watched
from authproxy.http1.chunked import BadChunk
from authproxy.http1.request import RequestHead
from authproxy.runtime import Listener, Runtime

# Catalogs and stores have their own, much shorter deadlines.
_PATIENCE: Final = 10.0
_PAGE_METHODS: Final = frozenset({b"GET", b"HEAD"})


class Reception(Watched):
    """A watched carrier that answers such requests; what else is read is the subclass's business."""

    __slots__ = ("_form",)

    def trusted_facts(self, runtime: Runtime, listener: Listener, head: RequestHead) -> Facts:
        """Return the facts of a request whose peer is believed about its id and its origin."""
        services = self._services
        request_id = accepted_id(head.request_id) or services.ids.next()
        origin = origin_behind(self._peer, head.forwarded, runtime.trusted, self._origin.shown)
        return facts_of(runtime, listener, head, request_id, origin, services.monotonic())

    def own_facts(self, runtime: Runtime, listener: Listener, head: RequestHead) -> Facts:
        """Return the facts of a request that goes nowhere, whoever the peer is."""
        if runtime.trusted and is_within(self._peer.address, runtime.trusted):
            return self.trusted_facts(runtime, listener, head)
        return unrouted_facts(self._services, listener, self._origin, head)

    def answer_health(self, listener: Listener, head: RequestHead) -> None:
        """Let aiohttp answer; it is told what was read here, so that there is one reading.

        Without the query, which may be longer than aiohttp reads and means nothing to the page.
        """
        facts = self.own_facts(self._services.current.runtime, listener, head)
        if head.method not in _PAGE_METHODS or head.has_body:
            lines = b"Allow: GET, HEAD\r\n"
            self.refuse(facts, Refusal(status=405, reason="method-not-allowed", lines=lines, close=head.has_body))
            return
        self._facts = facts
        self._phase = Phase.OWN
        self.line.set_deadline(listener.times.body_idle)
        self.begin_pages()
        close = b"Connection: close\r\n" if head.close else b""
        super().data_received(
            b"%b %b HTTP/1.1\r\nHost: %b\r\nX-Request-Id: %b\r\n%b\r\n"
            % (head.method, head.path, head.host, facts.request_id, close)
        )

    def receive(self, facts: Facts) -> None:
        """Read the body, if there is one, then answer."""
        self._form = b""
        if self._body is None:
            self._answer(facts)
            return
        if facts.request.content_length > MAX_BODY:
            self.refuse(facts, _too_large())
            return
        if facts.request.expect_continue:
            self.line.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._phase = Phase.FORM
        # For the whole of it: a form is small, and whoever fills it in has done so before.
        self.line.set_deadline(facts.listener.times.body_idle)
        rest, self._buffer = self._buffer, b""
        self.line.unhold()
        if rest:
            self.read_form(rest)

    def read_form(self, data: bytes) -> None:
        """Take more of the form."""
        body, facts = self._body, self._facts
        if body is None or facts is None:
            return
        try:
            payload, rest = body.feed(data)
        except BadChunk as error:
            self.refuse(facts, Refusal(status=400, reason="bad-chunk", detail=str(error), close=True))
            return
        self._form += payload
        facts.received += len(payload)
        if len(self._form) > MAX_BODY:
            self.refuse(facts, _too_large())
        elif body.done:
            self._body = None
            self._buffer = rest
            self._answer(facts)

    @override
    def on_deadline(self) -> None:
        """Refuse a form that does not end, however it dribbles: no session comes of a part of one."""
        facts = self._facts
        if self._phase is Phase.FORM and facts is not None and self.line.is_open:
            self._form = b""
            self.refuse(facts, Refusal(status=408, reason="body-timeout", close=True))
        else:
            super().on_deadline()

    def _answer(self, facts: Facts) -> None:
        self._phase = BUSY
        self.line.hold()
        self.line.set_deadline(_PATIENCE)
        self._services.spawn(self._answer_later(facts))

    async def _answer_later(self, facts: Facts) -> None:
        try:
            answer = await answer_place(self._services, facts, self._form)
            if self._facts is not facts or not self.line.is_open:
                return
            self.line.unhold()
            self.refuse(facts, answer)
        except Exception as error:  # noqa: BLE001  # fail closed: nobody is signed in
            self.crash(error)
        finally:
            # It has the token in it.
            self._form = b""


def _too_large() -> Refusal:
    return Refusal(status=413, reason="login-too-large", close=True)
