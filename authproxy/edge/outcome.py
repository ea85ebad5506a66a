"""How an exchange ends: whole, failed, or given up by the client."""

from abc import abstractmethod
from typing import Final

from authproxy import events
from authproxy.edge.client import Client
from authproxy.edge.ends import Ends
from authproxy.edge.facts import Facts
from authproxy.edge.gate import is_repeatable
from authproxy.edge.progress import ANSWERING, CONNECTING, OVER, WAITING, Progress
from authproxy.edge.record import record
from authproxy.edge.refusal import refuse_for_upstream
from authproxy.edge.services import Services
from authproxy.runtime import Route
from authproxy.upstream.interface import Failure

_CLIENT_GONE: Final = 499


class Outcome(Ends):
    """The last steps of an exchange, each taken once: connections back, one line in the log, and on with the client."""

    __slots__ = ("_client", "_is_early", "_phase", "_route", "_services", "facts", "request_done", "status")

    facts: Facts
    request_done: bool
    """The request is in, with its body."""
    status: int
    """Of the answer; 0: none was sent yet."""
    _client: Client
    _services: Services
    _route: Route
    _phase: Progress
    _is_early: bool
    """The answer began before the request had ended."""
    _retried = False

    def on_end(self) -> bool:
        """There is no tunnel: an upstream that ends is gone."""
        return False

    def abandon(self, reason: str, detail: str = "") -> None:
        """The client is gone, or broke its request off: the upstream must not take it for whole."""
        if self._phase is OVER:
            return
        self.discard()
        self._record(reason, detail, self.status or _CLIENT_GONE)

    def discard(self) -> None:
        """Let go of the upstream without a word to the log."""
        connection = self._connection
        if self._phase is CONNECTING:
            self._give_up_waiting()
        self._phase = OVER
        self._release()
        if connection is not None:
            connection.abort()

    @abstractmethod
    def _give_up_waiting(self) -> None:
        """Want no connection any more."""

    def _finish(self, now: float) -> None:
        """The answer is whole: connections back, one line in the log."""
        facts = self.facts
        route = self._route
        connection = self._connection
        self._connection = None
        self._phase = OVER
        if connection is None:
            pass
        elif self._is_early:
            # What of the request is unread there would be read as the next one, and need not ever be taken.
            route.upstream.release(connection)
            connection.abort()
        else:
            reusable = not facts.request.has_body or (route.reuse_after_body and not connection.has_unsent)
            route.upstream.give_back(connection, reusable=reusable, now=now)
        record(self._services, facts, events.REQUEST_FORWARDED, self.status, now)
        self._client.finished(keep=not facts.request.close, now=now)

    def _may_retry(self, failure: Failure) -> bool:
        """Once, on a fresh connection, and only where doing it twice is doing it once."""
        fresh = failure is Failure.CLOSED and not self._retried and self._phase is WAITING
        return fresh and is_repeatable(self.facts.request)

    def _fail(self, failure: Failure, detail: str) -> None:
        self._route.upstream.note_failure(failure, self._connection)
        answering = self._phase is ANSWERING
        self.discard()
        if answering:
            self._record(failure.value, detail, self.status)
            self._client.cut()
        else:
            refusal = refuse_for_upstream(failure.status, failure.value, detail, close=not self.request_done)
            self._client.refuse(self.facts, refusal)

    def _release(self) -> None:
        if self._connection is not None:
            self._route.upstream.release(self._connection)
            self._connection = None

    def _record(self, reason: str, detail: str, status: int) -> None:
        now = self._services.monotonic()
        record(self._services, self.facts, events.REQUEST_FAILED, status, now, reason, detail)
