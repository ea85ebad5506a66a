"""Counts a request at its end and writes its line."""

from bisect import bisect_left

from authproxy.core.stats import BUCKETS
from authproxy.edge.facts import Facts
from authproxy.edge.services import Services


def record(  # noqa: PLR0913, PLR0917  # how a request ended, on the hot path without a tuple around it
    services: Services, facts: Facts, event: str, status: int, now: float, reason: str = "", detail: str = ""
) -> None:
    """Count the request and write its line.

    `now` is monotonic; `reason` is empty when all went well, `detail` is for the log only.
    """
    route = facts.route
    duration = now - facts.started
    stats = services.stats.unrouted if route is None else route.stats
    stats.statuses[status] += 1
    histogram = stats.duration
    histogram.counts[bisect_left(BUCKETS, duration)] += 1
    histogram.total += duration
    waited = 0.0
    if facts.answered_at:
        waited = facts.answered_at - facts.started
        histogram = stats.upstream
        histogram.counts[bisect_left(BUCKETS, waited)] += 1
        histogram.total += waited
    stats.sent_bytes += facts.sent
    if facts.received:
        stats.received_bytes += facts.received
    if reason:
        stats.reasons[reason] += 1
    if services.journal.on:
        services.journal.add(facts, event, status, duration, waited, reason, detail)
