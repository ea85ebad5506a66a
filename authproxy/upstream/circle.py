"""The endpoints of an upstream, and which of them comes next.

Requests go to the endpoint with the fewest in progress. One that fails is left alone for a while (`standing`), and one
whose health checks fail until they pass again; the last one of which nothing bad is known is never left alone.
"""

from collections.abc import Sequence

from authproxy import events
from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.means import Means
from authproxy.upstream.side import Side


class Circle:
    """Chooses; an upstream with one endpoint asks it for fresh connections only."""

    def __init__(self, upstream: str, sides: Sequence[Side[UpstreamConnection]], means: Means) -> None:
        self._upstream = upstream
        self._sides = tuple(sides)
        self._means = means
        self._turn = 0
        self._is_closed = False
        self._is_awaited = False

    def next(self) -> Side[UpstreamConnection]:
        """Return whose turn it is: the least busy that nothing speaks against; equals take turns."""
        self._turn = (self._turn + 1) % len(self._sides)
        side = next(iter(self.in_order()), self._sides[0])
        if side.idle and not side.room:
            side.standing.note_use(self._means.clock())
        return side

    def in_order(self) -> list[Side[UpstreamConnection]]:
        """Return the healthy sides in the order to be tried, those that are ejected last; empty: none is healthy."""
        sides = [*self._sides[self._turn :], *self._sides[: self._turn]]
        sides.sort(key=_busy)
        if all(side.standing.is_good for side in sides):
            return sides
        now = self._means.clock()
        healthy = [side for side in sides if side.standing.is_healthy]
        healthy.sort(key=lambda side: 0.0 if side.standing.is_open(now) else side.standing.until)
        return healthy

    def note_fault(self, side: Side[UpstreamConnection], error: str, *, unreachable: bool) -> None:
        """Note that a side failed, and leave it alone for a while if that is enough and there is another."""
        side.stats.faults += 1
        if len(self._sides) == 1:
            return
        now, standing = self._means.clock(), side.standing
        was_ejected = standing.penalty > 0
        others = any(other.standing.is_open(now) for other in self._sides if other is not side)
        if standing.note_fault(unreachable=unreachable) and others:
            seconds = standing.eject(now, unreachable=unreachable)
            side.stats.ejections += 1
            if not was_ejected:
                self._tell(events.UPSTREAM_ENDPOINT_EJECTED, side, error=error, seconds=seconds)
        self._set_room(side)

    def note_success(self, side: Side[UpstreamConnection]) -> None:
        """Note that an answer came whole."""
        if side.standing.note_success():
            self._tell(events.UPSTREAM_ENDPOINT_READMITTED, side)
        self._set_room(side)

    def note_connection(self, side: Side[UpstreamConnection]) -> None:
        """Note that a connection was made."""
        if side.standing.note_connection():
            self._tell(events.UPSTREAM_ENDPOINT_READMITTED, side)
            self._set_room(side)

    def note_check(self, side: Side[UpstreamConnection], error: str) -> None:
        """Note the outcome of a health check; empty: it passed."""
        if not side.standing.note_check(passed=not error):
            return
        if error:
            # What is open there leads to something that cannot serve.
            side.expire(lambda _: True)
            self._tell(events.UPSTREAM_ENDPOINT_UNHEALTHY, side, error=error)
        else:
            self._tell(events.UPSTREAM_ENDPOINT_HEALTHY, side)
        self._set_room(side)

    def set_awaited(self, awaited: bool) -> None:
        """Have every connection looked at that is given back, while requests wait for one."""
        if awaited is not self._is_awaited:
            self._is_awaited = awaited
            for side in self._sides:
                self._set_room(side)

    def close(self) -> None:
        """Have every connection looked at that is given back: the upstream is retired."""
        self._is_closed = True
        for side in self._sides:
            self._set_room(side)

    def _set_room(self, side: Side[UpstreamConnection]) -> None:
        side.make_room(usual=side.standing.is_good and not self._is_closed and not self._is_awaited)

    def _tell(self, event: str, side: Side[UpstreamConnection], **facts: object) -> None:
        self._means.tell(event, upstream=self._upstream, endpoint=side.label, **facts)


def _busy(side: Side[UpstreamConnection]) -> int:
    return side.busy
