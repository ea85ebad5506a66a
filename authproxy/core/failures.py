"""How many bad credentials a source has shown within its minute: one small entry for each, no timer.

A minute begins with a source's first failure; what it counted is forgotten with it. The table is bounded: when it is
full the oldest minute goes, so that somebody with many addresses can make room, never be let in by it.

Why per source and not per user: a count per user id would let any stranger who knows the id lock its owner out. Why
windows and not a bucket that refills: "twenty a minute" is what the operator reads, and what is seen.
"""

from ipaddress import IPv6Address
from math import ceil
from typing import Final

from authproxy.core.decision import read_address

_MINUTE: Final = 60.0
_MAX_SOURCES: Final = 100_000
# Entries whose minute is over go when others come: more of them than come, so that the table shrinks again.
_SWEPT: Final = 2
# A provider gives a customer at least this much of IPv6 (RFC 6177).
_HOST_BITS: Final = 64


def source_of(address: str) -> int | str:
    """Return what is counted for an address: all of an IPv4 one, the /64 of an IPv6 one, else the text itself."""
    parsed = read_address(address)
    if parsed is None:
        return address
    return int(parsed) >> _HOST_BITS if isinstance(parsed, IPv6Address) else -1 - int(parsed)


class Failures:
    """Counts by source; `now` is always monotonic, in seconds, and never smaller than before."""

    __slots__ = ("_minutes", "_most")

    def __init__(self, most: int = _MAX_SOURCES) -> None:
        self._minutes: dict[int | str, tuple[float, int]] = {}
        """When each source's minute ends and how many failures it has; the earliest end first."""
        self._most = most

    def __len__(self) -> int:
        return len(self._minutes)

    def note(self, address: str, limit: int, now: float) -> int:
        """Count a failure; return for how many whole seconds further ones are too many, 0 when this one is not."""
        source = source_of(address)
        minute = self._minutes.get(source)
        if minute is not None and minute[0] > now:
            end, count = minute
            self._minutes[source] = (end, count + 1)
            return ceil(end - now) if count >= limit else 0
        self._minutes.pop(source, None)
        self._make_room(now)
        self._minutes[source] = (now + _MINUTE, 1)
        return 0

    def _make_room(self, now: float) -> None:
        for _ in range(_SWEPT):
            first = next(iter(self._minutes), None)
            if first is None or (self._minutes[first][0] > now and len(self._minutes) < self._most):
                return
            del self._minutes[first]
