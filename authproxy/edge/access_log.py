"""One line of JSON a request, written at its end; nothing of Authorization, Cookie, query or body is in it.

Why not through logging: a record there costs 12 to 23 microseconds, a line here about 3. Lines are collected and
handed over in batches, so that a slow disk or terminal costs the event loop nothing.
"""

import json
import time
from collections.abc import Callable
from typing import Final

from authproxy.edge.facts import Facts

_MAX_PATH: Final = 512
_FLUSH_LINES: Final = 256


class AccessLog:
    """Collects lines and gives them to `write` in batches."""

    __slots__ = ("_lines", "_moment", "_stamp", "on", "write")

    def __init__(self, write: Callable[[bytes], None] | None) -> None:
        self.on = write is not None
        """Whether anybody reads it."""
        self.write = write
        self._lines: list[str] = []
        self._moment = 0
        self._stamp = ""

    def add(  # noqa: PLR0913, PLR0917  # what a line says, on the hot path without a tuple around it
        self, facts: Facts, event: str, status: int, duration: float, waited: float, reason: str, detail: str
    ) -> None:
        """Append the line of a request; it is written within a fraction of a second.

        `duration`: seconds in all; `waited`: until the head of the upstream's answer, 0 when there was none;
        `reason` is empty when all went well.
        """
        # Every value that a client chooses is either restricted by the grammar to bytes that JSON takes as they are
        # (method, host, request id) or escaped (path); the rest comes from the configuration or the catalog.
        moment = int(time.time() * 1000)  # noqa: TID251  # the line says when, and nothing is decided on it
        if moment != self._moment:
            self._tell_time(moment)
        head, route, allow = facts.request, facts.route, facts.allow
        path = head.path[:_MAX_PATH].decode("latin-1")
        if '"' in path or "\\" in path:
            path = path.replace("\\", "\\\\").replace('"', '\\"')
        lines = self._lines
        lines.append(
            f'{{"time":"{self._stamp}","event":"{event}","request_id":"{facts.request_id.decode()}",'
            f'{facts.listener.log_facts},"client":"{facts.origin.address}","method":"{head.method.decode()}",'
            f'"host":"{head.host.decode()}","path":"{path}","status":{status},"duration_ms":{duration * 1e3:.2f},'
            f'"upstream_ms":{waited * 1e3:.2f},"received":{facts.received},"sent":{facts.sent},'
            f"{_NO_ROUTE if route is None else route.log_facts},"
            f'"user_id":"{facts.user if allow is None else allow.record.user_id_header.decode()}"'
            f"{_why(reason, detail) if reason else ''}}}\n"
        )
        if len(lines) > _FLUSH_LINES:
            self.flush()

    def _tell_time(self, moment: int) -> None:
        """Spell a new millisecond; `moment` is one since the epoch, UTC."""
        self._moment = moment
        second, thousandth = divmod(moment, 1000)
        self._stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{thousandth:03d}Z"

    def flush(self) -> None:
        """Hand over what was collected."""
        if self._lines and self.write is not None:
            blob = "".join(self._lines).encode("ascii", "replace")
            self._lines = []
            self.write(blob)


def _why(reason: str, detail: str) -> str:
    return f',"reason":"{reason}","error":{json.dumps(detail)}' if detail else f',"reason":"{reason}"'


_NO_ROUTE: Final = '"zone":"","route":"","upstream":""'
