"""Requests for the proxy's own pages about a login: the form is read whole, and the answer made of it."""

from typing import Final

from typing_extensions import override

from authproxy.core.login import MAX_BODY
from authproxy.edge.facts import Facts
from authproxy.edge.login import answer_place
from authproxy.edge.phase import BUSY, Phase
from authproxy.edge.refusal import Refusal
from authproxy.edge.watched import Watched
from authproxy.http1.chunked import BadChunk

# Catalogs and stores have their own, much shorter deadlines.
_PATIENCE: Final = 10.0


class Reception(Watched):
    """A watched carrier that answers such requests; what else is read is the subclass's business."""

    __slots__ = ("_form",)

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
