"""One line of JSON a request, written at its end; nothing of Authorization, Cookie, query or body is in it.

Why not through logging: a record there costs 12 to 23 microseconds, a line here about 3. Lines are collected and
handed over in batches, so that a slow disk or terminal costs the event loop nothing.
"""

import json
import re
import time
from collections.abc import Callable
from math import floor
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from authproxy.core.token import WITHIN
from authproxy.edge.facts import Facts

_MAX_PATH: Final = 512
# Clients have been seen to put their token into the path, or anywhere.
_TOKEN_SIGN: Final = b"_02"
_LEAST_TOKEN: Final = 93
_token: Final = re.compile(WITHIN)
# What need not be escaped where a path is shown.
_BARE: Final = "!$&'()*+,/:;<=>@[]^`{|}"
# Handing over wakes the writer, which then contends for the interpreter: seldom, and much.
_FLUSH_LINES: Final = 4096
# Seconds for which the time in a line need not be spelled anew.
_FRESH: Final = 0.001


class AccessLog:
    """Collects lines and gives them to `write` in batches."""

    __slots__ = ("_lines", "_second", "_stamp", "_until", "_whole", "on", "write")

    def __init__(self, write: Callable[[bytes], None] | None) -> None:
        self.on = write is not None
        """Whether anybody reads it."""
        self.write = write
        self._lines: list[bytes] = []
        self._until = -1.0
        """Monotonic: how long `_stamp` will do."""
        self._second = 0
        self._whole = b""
        self._stamp = b""

    def add(  # noqa: PLR0913, PLR0917  # what a line says, on the hot path without a tuple around it
        self, facts: Facts, event: str, status: int, now: float, reason: str, detail: str
    ) -> None:
        """Append the line of a request that ended at `now` (monotonic); it is written within a fraction of a second.

        `reason` is empty when all went well.
        """
        # Every value that a client chooses is either restricted by the grammar to bytes that JSON takes as they are
        # (method, host, request id) or escaped (path); the rest comes from the configuration or the catalog.
        if now >= self._until:
            self._until = now + _FRESH
            self._tell_time()
        head, route, allow = facts.request, facts.route, facts.allow
        started, answered = facts.started, facts.answered_at
        method, path, host = head.method, head.path, head.host
        if not head.is_usual or len(path) > _MAX_PATH or _TOKEN_SIGN in path:
            # A method is any word that a client likes.
            method, path = _shown(method), _shown(path)
        if len(host) >= _LEAST_TOKEN:
            host = _shown(host)
        lines = self._lines
        lines.append(
            _LINE % (
                self._stamp, event.encode(), facts.request_id, facts.listener.log_facts, facts.origin.said, method,
                host, path, status, _MS[floor((now - started) * 1e5)],
                _MS[floor((answered - started) * 1e5) if answered else 0], facts.received, facts.sent,
                _NO_ROUTE if route is None else route.log_facts,
                facts.user.encode() if allow is None else allow.record.user_id_header,
                b"" if allow is None else _CREDENTIALS[allow.method],
                _why(reason, detail) if reason else b"",
            )
        )  # fmt: skip
        if len(lines) > _FLUSH_LINES:
            self.flush()

    def add_line(self, event: str, facts: bytes) -> None:
        """Append the line of something that is no request; `facts`: JSON members."""
        self._tell_time()
        self._lines.append(b'{"time":"%b","event":"%b",%b}\n' % (self._stamp, event.encode(), facts))
        if len(self._lines) > _FLUSH_LINES:
            self.flush()

    def _tell_time(self) -> None:
        """Spell what the wall clock says, once in a millisecond."""
        now = time.time()  # noqa: TID251  # the line says when, and nothing is decided on it
        second, thousandth = divmod(int(now * 1000), 1000)
        if second != self._second:
            self._second = second
            self._whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
        self._stamp = b"%b.%03dZ" % (self._whole, thousandth)

    def flush(self) -> None:
        """Hand over what was collected."""
        if self._lines and self.write is not None:
            lines, self._lines = self._lines, []
            self.write(b"".join(lines))


def _shown(text: bytes) -> bytes:
    """Return what a client wrote as the log may show it: no token, and what JSON takes for itself escaped.

    A token that is only seen once escapes are read, or read twice, is one to whoever reads the log: the text is then
    shown as it reads.
    """
    if _TOKEN_SIGN in text:
        text = _token.sub(b"(token)", text)
    if b"%" in text and len(text) >= _LEAST_TOKEN:
        read = unquote_to_bytes(unquote_to_bytes(text))
        if _token.search(read) is not None:
            text = quote(_token.sub(b"(token)", read), safe=_BARE).encode("ascii")
    return text[:_MAX_PATH].replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def _why(reason: str, detail: str) -> bytes:
    text = f',"reason":"{reason}","error":{json.dumps(detail)}' if detail else f',"reason":"{reason}"'
    return text.encode("ascii", "replace")


class _Milliseconds(dict[int, bytes]):
    """Hundredths of a millisecond, spelled as milliseconds.

    The usual ones are spelled once: to format two floats takes as long as all the rest of the line.
    """

    def __missing__(self, hundredths: int) -> bytes:
        spelled = b"%d.%02d" % divmod(hundredths, 100)
        if hundredths < _MOST_SPELLED:
            self[hundredths] = spelled
        return spelled


_MOST_SPELLED: Final = 5000
_MS: Final = _Milliseconds()
_CREDENTIALS: Final = {"token": b"token", "session": b"session", "certificate": b"certificate"}
_NO_ROUTE: Final = b'"zone":"","route":"","upstream":""'
_LINE: Final = (
    b'{"time":"%b","event":"%b","request_id":"%b",%b,"client":"%b","method":"%b","host":"%b","path":"%b",'
    b'"status":%d,"duration_ms":%b,"upstream_ms":%b,"received":%d,"sent":%d,%b,"user_id":"%b","credential":"%b"%b}\n'
)
