"""What the service manager is told of the process's life: systemd's notify protocol, with the standard library alone.

Why: systemd then knows when the proxy really serves, waits for the end of a reload, shows in `systemctl status` what was
rejected, and replaces a process whose loop is stuck. Source: sd_notify(3), sd_watchdog_enabled(3). Its `vsock:` addresses
are those of virtual machines and are not spoken.
"""

import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from time import monotonic_ns
from typing import Final

from authproxy import events
from authproxy.daemon import log
from authproxy.daemon.outcome import Outcome, Result

_LOG: Final = log.get("authproxy.daemon")
# systemd ignores a datagram of more than 4096 bytes (PIPE_BUF), and `systemctl status` shows one line.
_STATUS_CHARACTERS: Final = 800
# How many messages wait for a service manager that does not read; the states that matter are fewer.
_WAITING: Final = 16
_MILLION: Final = 1_000_000
_NS_PER_US: Final = 1000


class ServiceManager:
    """Whoever listens at NOTIFY_SOCKET; without that variable nobody is told anything.

    Nothing here raises or waits: a proxy that serves must not end, or stop, because nobody hears that it does.
    """

    def __init__(self, environ: Mapping[str, str], pid: int, clock_ns: Callable[[], int] = monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._waiting: deque[bytes] = deque(maxlen=_WAITING)
        self._is_ending = False
        self._is_unheard = False
        self._name = environ.get("NOTIFY_SOCKET", "")
        self._address = b""
        self._socket: socket.socket | None = None
        if self._name.startswith(("/", "@")):
            # Addressed anew with every message, since a service manager may take a new socket at the same path.
            self._address = os.fsencode("\0" + self._name[1:] if self._name.startswith("@") else self._name)
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        elif self._name:
            self._complain("it is neither a path nor an abstract name (@...)")
        self._beat_ns = _half_of_watchdog(environ, pid) * _NS_PER_US
        self._next_beat_ns = 0

    def ready(self, serving: str) -> None:
        """Say that the proxy serves; `serving` says what and where."""
        self._tell("READY=1", status=serving)

    def reloading(self) -> None:
        """Say that a reload has begun."""
        if not self._is_ending:
            # systemd 253 and later tell by the time which reload this is; others ignore it.
            self._tell("RELOADING=1", f"MONOTONIC_USEC={self._clock_ns() // _NS_PER_US}", status="reloading")

    def reloaded(self, outcomes: Iterable[Outcome], serving: str) -> None:
        """Say that a reload has ended: what was rejected and why, or that all of it was taken over."""
        if not self._is_ending:
            # The reason comes first: the line may be cut.
            self._tell("READY=1", status=f"last reload {_told(outcomes)}; {serving}")

    def stopping(self, connections: int, seconds: float) -> None:
        """Say that the proxy drains, and needs at most so many seconds for it."""
        self._is_ending = True
        # TimeoutStopSec= of the unit may be shorter than what the configuration grants: then this counts.
        extend = f"EXTEND_TIMEOUT_USEC={int(seconds * _MILLION)}"
        self._tell("STOPPING=1", extend, status=f"draining, {connections} connections, at most {seconds:g} s")

    def beat(self) -> None:
        """Send what could not be sent before, and a sign of life each time half of the watchdog's time has passed."""
        self._flush()
        if self._beat_ns and (now := self._clock_ns()) >= self._next_beat_ns and self._send(b"WATCHDOG=1"):
            self._next_beat_ns = now + self._beat_ns

    def close(self) -> None:
        """Let go of the socket; nobody is told anything any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # ------------------------------------------------------------------ steps

    def _tell(self, *fields: str, status: str) -> None:
        # One line, whatever stands in a message: a line of its own would be a field of its own.
        line = " ".join(status.split())[:_STATUS_CHARACTERS]
        self._waiting.append("\n".join((*fields, f"STATUS={line}")).encode("utf-8", "replace"))
        self._flush()

    def _flush(self) -> None:
        while self._waiting and self._send(self._waiting[0]):
            self._waiting.popleft()

    def _send(self, message: bytes) -> bool:
        """Return False when the service manager has to read first; what nobody can take is not tried again."""
        if self._socket is None:
            return True
        try:
            self._socket.sendto(message, self._address)
        except BlockingIOError:
            return False
        except OSError as error:
            self._complain(error.strerror or str(error))
            return True
        self._is_unheard = False
        return True

    def _complain(self, reason: str) -> None:
        if not self._is_unheard:
            _LOG.warning(events.NOTIFY_FAILED, socket=self._name, error=reason)
        self._is_unheard = True


def _half_of_watchdog(environ: Mapping[str, str], pid: int) -> int:
    """Return half of the time in which a sign of life is due, in microseconds; 0: none is expected of this process."""
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return 0
    text = environ.get("WATCHDOG_USEC", "")
    return int(text) // 2 if text.isascii() and text.isdigit() else 0


def _told(outcomes: Iterable[Outcome]) -> str:
    parts = list(outcomes)
    rejected = [f"{one.part}: {one.error}" for one in parts if one.result is Result.REJECTED]
    if rejected:
        return "rejected, " + "; ".join(rejected)
    return "applied" if any(one.result is Result.APPLIED for one in parts) else "changed nothing"
