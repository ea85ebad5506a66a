"""Health checks: a small request on a connection of its own, which takes the same verified way as all others."""

import asyncio
from typing import Final

from authproxy.http1.answer import AnswerHead
from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.interface import Failure, NoConnection
from authproxy.upstream.reach import reach
from authproxy.upstream.side import HealthCheck, Side

_HEALTHY: Final = range(200, 400)


async def ask(side: Side[UpstreamConnection], check: HealthCheck) -> str:
    """Return why the endpoint cannot serve, in an operator's words; empty when it can."""
    try:
        async with asyncio.timeout(check.timeout):
            connection = await reach(side, check.timeout)
            try:
                probe = _Probe()
                connection.begin(probe, check.head)
                return await probe.outcome
            finally:
                connection.close()
    except NoConnection as error:
        return error.detail
    except TimeoutError:
        return f"{side.label}: no answer within health.timeout ({check.timeout:g}s)"


class _Probe:
    """Receives the answer to a check; its head is enough."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_interim(self, head: AnswerHead) -> None:
        """Go on waiting."""

    def on_end(self) -> bool:
        """There is no tunnel."""
        return False

    def on_answer(self, head: AnswerHead, body: bytes, *, complete: bool) -> None:  # noqa: ARG002  # a Receiver's
        """Judge by the status: 2xx and 3xx are fine."""
        self._end("" if head.status in _HEALTHY else f"answered {head.status}")

    def on_body(self, data: bytes, *, complete: bool) -> None:
        """Nothing: nobody reads it."""

    def on_failure(self, failure: Failure, detail: str) -> None:  # noqa: ARG002  # a Receiver's
        """There is no answer."""
        self._end(detail)

    def pause_request(self) -> None:
        """Nothing: it is one short write."""

    def resume_request(self) -> None:
        """Nothing."""

    def _end(self, outcome: str) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)
