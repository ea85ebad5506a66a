"""What an upstream connection tells the one whose request it carries."""

from enum import Enum, unique
from typing import Protocol

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

    @property
    def status(self) -> int:
        """The status that tells a client: 504 for lateness, 502 for everything else."""
        late = {Failure.CONNECT_TIMEOUT, Failure.HEAD_TIMEOUT, Failure.IDLE_TIMEOUT}
        return 504 if self in late else 502


class Receiver(Protocol):
    """Gets the answer. Calls come in this order: `on_interim`*, then `on_answer`, then `on_body`*; or `on_failure`."""

    def on_interim(self, head: AnswerHead) -> None:
        """A 1xx answer other than 101 came."""

    def on_answer(self, head: AnswerHead, body: bytes, *, complete: bool) -> None:
        """The head came, with the first payload bytes; `complete` when the answer ends here."""

    def on_body(self, data: bytes, *, complete: bool) -> None:
        """More payload (or, after a 101, bytes of the tunnel) came."""

    def on_failure(self, failure: Failure, detail: str) -> None:
        """The connection ended before the answer did, or said what is no HTTP. It will say nothing more."""

    def pause_request(self) -> None:
        """The upstream does not take bytes fast enough: stop sending."""

    def resume_request(self) -> None:
        """The upstream takes bytes again."""
