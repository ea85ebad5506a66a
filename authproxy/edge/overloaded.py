"""A connection beyond the limit: its first request is told so, and it ends."""

from typing_extensions import override

from authproxy.edge.connection import ClientConnection
from authproxy.edge.refusal import refuse_overload
from authproxy.http1.request import RequestHead
from authproxy.runtime import Listener, Runtime


class OverloadedConnection(ClientConnection):
    """Answers 503 to whoever asks; why a class: the others need not ask themselves for every request."""

    __slots__ = ()

    @override
    def _dispatch(self, runtime: Runtime, listener: Listener, head: RequestHead) -> None:
        self._facts = facts = self.own_facts(runtime, listener, head)
        self.refuse(facts, refuse_overload())

    @override
    def answer_health(self, listener: Listener, head: RequestHead) -> None:
        """Whoever looks after this proxy shall know that it is full."""
        self._dispatch(self._services.current.runtime, listener, head)
