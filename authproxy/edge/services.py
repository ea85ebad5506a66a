"""What every client connection of a process shares."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from authproxy.core.failures import Failures
from authproxy.core.stats import Stats
from authproxy.core.tally import Tally
from authproxy.door.kept import Kept
from authproxy.edge.access_log import AccessLog
from authproxy.keystore import Refused
from authproxy.runtime import Current
from authproxy.upstream.means import Spawn

_ID_DIGITS: Final = 32
_IDS_A_DRAW: Final = 256
# Seconds for which the wall clock need not be read again.
_FRESH: Final = 0.001


class RequestIds:
    """Makes request ids: 128 random bits as 32 hex digits, drawn from the system 256 at a time."""

    __slots__ = ("_ready",)

    def __init__(self) -> None:
        self._ready: list[bytes] = []

    def next(self) -> bytes:
        """Return an id that was not given before."""
        try:
            return self._ready.pop()
        except IndexError:
            drawn = secrets.token_hex(_ID_DIGITS // 2 * _IDS_A_DRAW).encode()
            self._ready = [drawn[at : at + _ID_DIGITS] for at in range(0, len(drawn), _ID_DIGITS)]
            return self._ready.pop()


class WallClock:
    """The time of day, read once in a millisecond: to make it costs more than all that is compared with it."""

    __slots__ = ("_read", "moment", "until")

    def __init__(self, read: Callable[[], datetime]) -> None:
        self._read = read
        self.moment = read()
        """What it was when it was last read."""
        self.until = 0.0
        """Monotonic: until when that will do."""

    def look(self, now: float) -> datetime:
        """Read it; `now` is monotonic."""
        self.moment = self._read()
        self.until = now + _FRESH
        return self.moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Shared by all connections; made once by `daemon`."""

    current: Current
    journal: AccessLog
    spawn: Spawn
    monotonic: Callable[[], float]
    """Seconds of a clock that never jumps: every deadline."""
    now: Callable[[], datetime]
    """The wall clock, aware: every expiry."""
    on_crash: Callable[[str, BaseException], None]
    """Told a request id and what went wrong in this program; logs it with its traceback."""
    on_revoked: Callable[[str, str, Refused], None]
    """Told a listener, a client's address, and why a reload shuts it out."""
    stats: Stats
    failures: Failures = field(default_factory=Failures)
    """Bad credentials by source."""
    tunnels: Tally = field(default_factory=Tally)
    """Open tunnels by user."""
    ids: RequestIds = field(default_factory=RequestIds)
    clock: WallClock = field(init=False)
    """The same wall clock, for every request."""
    connections: set[Kept] = field(default_factory=set)
    """Every open client connection."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "clock", WallClock(self.now))
