"""Counts a request at its end and writes its line."""

from authproxy.edge.facts import Facts
from authproxy.edge.services import Services


def record(  # noqa: PLR0913, PLR0917  # how a request ended, on the hot path without a tuple around it
    services: Services, facts: Facts, event: str, status: int, now: float, reason: str = "", detail: str = ""
) -> None:
    """Count the request and write its line.

    `now` is monotonic; `reason` is empty when all went well, `detail` is for the log only.
    """
    route = facts.route
    stats = services.stats.unrouted if route is None else route.stats
    stats.statuses[status] += 1
    started, answered = facts.started, facts.answered_at
    add = stats.duration.add
    add(now - started)
    if answered:
        add = stats.upstream.add
        add(answered - started)
    stats.sent_bytes += facts.sent
    if facts.received:
        stats.received_bytes += facts.received
    if reason:
        stats.reasons[reason] += 1
    journal = services.journal
    if journal.on:
        journal.add(facts, event, status, now, reason, detail)
