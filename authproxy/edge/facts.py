"""What is known of one request by its end: the counters and the log line are made of it, and of nothing else."""

from typing import NamedTuple

from authproxy.core.decision import Allow
from authproxy.edge.access_log import Entry
from authproxy.edge.services import Services
from authproxy.http1.request import RequestHead
from authproxy.runtime import Listener, Route


class Facts:
    """Filled in as the request goes its way."""

    __slots__ = (
        "address", "allow", "answered_at", "generation", "received", "request", "request_id", "route", "sent", "started",
        "user",
    )  # fmt: skip

    def __init__(self, request: RequestHead, request_id: bytes, address: str, started: float, generation: int) -> None:
        self.request = request
        self.request_id = request_id
        self.address = address
        """The client's, behind trusted proxies."""
        self.started = started
        """Monotonic, when the head was whole."""
        self.generation = generation
        self.route: Route | None = None
        self.allow: Allow | None = None
        self.user = ""
        """Whom a refused credential claimed to be."""
        self.answered_at = -1.0
        """Monotonic, when the upstream's head was whole; negative: there was none."""
        self.received = 0
        """Payload bytes of the request's body."""
        self.sent = 0
        """Payload bytes of the answer's body."""


class Outcome(NamedTuple):
    """How it ended."""

    event: str
    status: int
    reason: str
    detail: str


def record(services: Services, listener: Listener, facts: Facts, outcome: Outcome) -> None:
    """Count the request and write its line."""
    route = facts.route
    duration = services.monotonic() - facts.started
    waited = facts.answered_at - facts.started if facts.answered_at >= 0 else -1.0
    if route is not None:
        stats = route.stats
        stats.statuses[outcome.status] = stats.statuses.get(outcome.status, 0) + 1
        stats.duration.add(duration)
        stats.received_bytes += facts.received
        stats.sent_bytes += facts.sent
        if waited >= 0:
            stats.upstream.add(waited)
    else:
        # Refused before a route was known: counted under the listener alone.
        counted = services.stats.unrouted
        counted.statuses[outcome.status] = counted.statuses.get(outcome.status, 0) + 1
    if outcome.reason:
        reasons = services.stats.unrouted.reasons if route is None else route.stats.reasons
        reasons[outcome.reason] = reasons.get(outcome.reason, 0) + 1
    if services.journal.on:
        _write(services, listener, facts, outcome, (duration, waited))


def _write(services: Services, listener: Listener, facts: Facts, outcome: Outcome, times: tuple[float, float]) -> None:
    route = facts.route
    zone = None if route is None else route.zone
    request = facts.request
    allow = facts.allow
    user = facts.user if allow is None else allow.identity.record.user_id_header.decode("ascii")
    services.journal.add(Entry(
        outcome.event, facts.request_id, listener.name, facts.address, request.method, request.host, request.path,
        outcome.status, times[0], times[1], facts.received, facts.sent, "" if zone is None else zone.name,
        "" if route is None else route.name, "" if route is None else route.upstream.name, user, outcome.reason,
        outcome.detail, facts.generation,
    ))  # fmt: skip
