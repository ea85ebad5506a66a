"""What an upstream connection tells the one whose request it carries."""

from collections.abc import Iterable
from enum import Enum, unique
from typing import Protocol, Self

from authproxy.http1.answer import AnswerHead


@unique
class Failure(Enum):
    """Why no (whole) answer came. The values stand in logs and metrics and are stable."""

    REFUSED = "upstream-refused"
    UNVERIFIED = "upstream-unverified"
    CONNECT_TIMEOUT = "upstream-connect-timeout"
    HEAD_TIMEOUT = "upstream-head-timeout"
    IDLE_TIMEOUT = "upstream-idle-timeout"
    CLOSED = "upstream-closed"
    MALFORMED = "upstream-malformed"
    TRUNCATED = "upstream-truncated"
    UNHEALTHY = "upstream-unhealthy"
    BUSY = "upstream-busy"

    @property
    def status(self) -> int:
        """The status that tells a client: 504 for lateness, 503 where nothing was tried, 502 for everything else."""
        if self in {Failure.UNHEALTHY, Failure.BUSY}:
            return 503
        late = {Failure.CONNECT_TIMEOUT, Failure.HEAD_TIMEOUT, Failure.IDLE_TIMEOUT}
        return 504 if self in late else 502


# What an operator wants to know first, if several attempts failed in several ways.
_TELLING = (Failure.UNHEALTHY, Failure.BUSY, Failure.CONNECT_TIMEOUT, Failure.REFUSED, Failure.UNVERIFIED)


class NoConnection(Exception):
    """No connection could be made; never leaves this package."""

    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(detail)
        self.failure = failure
        self.detail = detail

    @classmethod
    def of(cls, several: Iterable["NoConnection"]) -> Self:
        """Return one that tells of all of them."""
        ranked = sorted(several, key=lambda one: _TELLING.index(one.failure), reverse=True)
        return cls(ranked[0].failure, "; ".join(dict.fromkeys(one.detail for one in ranked)))


class Receiver(Protocol):
    """Gets the answer. Calls come in this order: `on_interim`*, then `on_answer`, then `on_body`*; or `on_failure`."""

    def on_interim(self, head: AnswerHead) -> None:
        """A 1xx answer other than 101 came."""

    def on_answer(self, head: AnswerHead, body: bytes, *, complete: bool) -> None:
        """The head came, with the first payload bytes; `complete` when the answer ends here."""

    def on_body(self, data: bytes, *, complete: bool) -> None:
        """More payload (or, after a 101, bytes of the tunnel) came."""

    def on_end(self) -> bool:
        """The upstream ends its side of a tunnel; return whether it may still be written to."""
        ...

    def on_failure(self, failure: Failure, detail: str) -> None:
        """The connection ended before the answer did, or said what is no HTTP. It will say nothing more."""

    def pause_request(self) -> None:
        """The upstream does not take bytes fast enough: stop sending."""

    def resume_request(self) -> None:
        """The upstream takes bytes again."""
