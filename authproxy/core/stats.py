"""Counters that the hot path bumps and a scrape reads: plain integers, no locks, no label look-ups."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

# Upper bounds in seconds; from well below a local service's answer to a slow report.
BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Histogram:
    """Durations by bucket.

    What `add` takes is sorted in all at once, when somebody asks or `settle` is called: that costs a tenth of finding
    each one's bucket by itself.
    """

    __slots__ = ("_counts", "_total", "_waiting", "add")

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS) + 1)
        self._total = 0.0
        self._waiting: list[float] = []
        self.add: Callable[[float], None] = self._waiting.append
        """Count a duration in seconds."""

    @property
    def counts(self) -> Sequence[int]:
        """How many lie in each bucket; not cumulative, the last one is above every bound."""
        self.settle()
        return self._counts

    @property
    def total(self) -> float:
        """The sum of all, in seconds."""
        self.settle()
        return self._total

    def settle(self) -> None:
        """Sort in what has been added."""
        waiting = self._waiting
        if not waiting:
            return
        waiting.sort()
        self._total += sum(waiting)
        before = 0
        for bucket, bound in enumerate(BUCKETS):
            upto = bisect_right(waiting, bound, before)
            self._counts[bucket] += upto - before
            before = upto
        self._counts[-1] += len(waiting) - before
        waiting.clear()


class RouteStats:
    """What is counted for one route; lives as long as the process, across reloads."""

    __slots__ = (
        "authentication", "duration", "graced", "reasons", "received_bytes", "sent_bytes", "statuses", "upgraded", "upstream",
    )  # fmt: skip

    def __init__(self) -> None:
        self.statuses: defaultdict[int, int] = defaultdict(int)
        """Answers by status."""
        self.reasons: defaultdict[str, int] = defaultdict(int)
        """Refusals by reason."""
        self.duration = Histogram()
        """From the end of the request's head to the last byte of the answer."""
        self.upstream = Histogram()
        """From the request's head read to the answer's head read."""
        self.authentication = Histogram()
        """From the head to the verdict, of requests that had to wait for it: a catalog or a session store was asked."""
        self.graced = 0
        """Requests that passed by a credential that has been rotated away, within its grace."""
        self.upgraded = 0
        """Upgraded connections that stand now."""
        self.received_bytes = 0
        """Payload of request bodies."""
        self.sent_bytes = 0
        """Payload of answers."""

    def settle(self) -> None:
        """Keep what waits to be sorted in small."""
        self.duration.settle()
        self.upstream.settle()
        self.authentication.settle()


class EndpointStats:
    """What is counted for one endpoint of an upstream; lives as long as the process."""

    __slots__ = ("check_failures", "checks", "connect_failures", "connects", "ejections", "faults")

    def __init__(self) -> None:
        self.connects = 0
        self.connect_failures = 0
        self.faults = 0
        """Connections and requests that failed there."""
        self.ejections = 0
        """How often it was left alone for a while."""
        self.checks = 0
        """Health checks."""
        self.check_failures = 0


class UpstreamStats:
    """What is counted for one upstream; lives as long as the process."""

    __slots__ = ("connect_failures", "connecting", "connects", "endpoints", "failures", "retries", "reused")

    def __init__(self) -> None:
        self.connects = 0
        self.connect_failures = 0
        self.connecting = Histogram()
        """How long it took to open a connection, name and TLS included."""
        self.reused = 0
        self.retries = 0
        self.failures: dict[str, int] = {}
        """Requests that were answered in the upstream's place, by reason."""
        self.endpoints: dict[str, EndpointStats] = {}

    def endpoint(self, label: str) -> EndpointStats:
        """Return the counters of an endpoint; the same ones every time."""
        return self.endpoints.setdefault(label, EndpointStats())


class ListenerStats:
    """What is counted for one listener; lives as long as the process."""

    __slots__ = ("accepted", "handshake_failures", "handshakes", "refused", "revoked", "sessions", "shaking")

    def __init__(self) -> None:
        self.accepted = 0
        self.handshakes = 0
        self.shaking = Histogram()
        """From the acceptance to the end of the handshake."""
        self.sessions: defaultdict[tuple[str, str], int] = defaultdict(int)
        """TLS sessions by version, and `full` or `resumed`."""
        self.handshake_failures: dict[str, int] = {}
        self.refused: dict[str, int] = {}
        """Connections that were closed at the door since there were too many."""
        self.revoked: dict[str, int] = {}
        """Connections that were ended since a reload shuts their clients out, by reason."""


class TunnelStats:
    """What is counted for the connections of a listener of mode tcp; lives as long as the process."""

    __slots__ = ("ends", "open", "opened", "received", "sent")

    def __init__(self) -> None:
        self.open = 0
        """Connections that stand now."""
        self.opened = 0
        self.received = 0
        """Bytes of clients that were passed on."""
        self.sent = 0
        self.ends: defaultdict[str, int] = defaultdict(int)
        """How connections ended; `whole` when both sides said so."""


class SessionStats:
    """What is counted of the people who sign in to one zone; lives as long as the process."""

    __slots__ = ("ended", "logins", "refreshes")

    def __init__(self) -> None:
        self.logins: defaultdict[str, int] = defaultdict(int)
        """Forms that were posted, by result: `ok`, or why nobody was signed in."""
        self.ended: defaultdict[str, int] = defaultdict(int)
        """Sessions that this process ended, by reason."""
        self.refreshes = 0
        """Sessions that were given more time since they are used."""


class StoreStats:
    """What is counted of one session store that must be waited for; lives as long as the process."""

    __slots__ = ("duration", "failures")

    def __init__(self) -> None:
        self.duration = Histogram()
        """From a question to its answer or to the deadline."""
        self.failures: defaultdict[str, int] = defaultdict(int)
        """Questions without an answer, by reason."""


class Stats:
    """All counters of a process, by the names of the configuration."""

    __slots__ = ("crashes", "lag", "listeners", "routes", "sessions", "stores", "tunnels", "unrouted", "upstreams")

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], RouteStats] = {}
        """By route and zone (empty for public routes)."""
        self.upstreams: dict[str, UpstreamStats] = {}
        self.listeners: dict[str, ListenerStats] = {}
        self.tunnels: dict[str, TunnelStats] = {}
        """By listener."""
        self.sessions: dict[str, SessionStats] = {}
        """By zone, of those where people sign in."""
        self.stores: dict[str, StoreStats] = {}
        """Session stores that must be waited for."""
        self.unrouted = RouteStats()
        """Requests that were refused before a route was known, and those for the health page."""
        self.lag = Histogram()
        """How much later than it was set a timer went off."""
        self.crashes = {"request": 0, "connection": 0, "task": 0, "loop": 0}
        """Faults of this program, by what they ended."""

    def settle(self) -> None:
        """Keep what waits to be sorted in small."""
        for route in (*self.routes.values(), self.unrouted):
            route.settle()
        for upstream in self.upstreams.values():
            upstream.connecting.settle()
        for listener in self.listeners.values():
            listener.shaking.settle()
        for store in self.stores.values():
            store.duration.settle()
        self.lag.settle()

    def route(self, name: str, zone: str) -> RouteStats:
        """Return the counters of a route; the same ones every time."""
        return self.routes.setdefault((name, zone), RouteStats())

    def upstream(self, name: str) -> UpstreamStats:
        """Return the counters of an upstream; the same ones every time."""
        return self.upstreams.setdefault(name, UpstreamStats())

    def tunnel(self, listener: str) -> TunnelStats:
        """Return the counters of a listener's tunnels; the same ones every time."""
        return self.tunnels.setdefault(listener, TunnelStats())

    def listener(self, name: str) -> ListenerStats:
        """Return the counters of a listener; the same ones every time."""
        return self.listeners.setdefault(name, ListenerStats())

    def sessions_of(self, zone: str) -> SessionStats:
        """Return the counters of a zone's sessions; the same ones every time."""
        return self.sessions.setdefault(zone, SessionStats())

    def store(self, name: str) -> StoreStats:
        """Return the counters of a session store; the same ones every time."""
        return self.stores.setdefault(name, StoreStats())
