"""What is counted of requests, by route and zone; both are names of the configuration."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from authproxy import events
from authproxy.core.stats import RouteStats, Stats
from authproxy.daemon.families import Family, add_counts, add_histogram

_ROUTE: Final = ("route", "zone")


def request_families(stats: Stats) -> Iterator[Family]:
    """Return what came in, what was refused and why, how long it took and how much it was."""
    yield from _decisions(stats)
    yield from _durations(stats)
    yield from _payloads(stats)


def _decisions(stats: Stats) -> Iterator[Family]:
    requests = CounterMetricFamily(events.METRIC_REQUESTS, "Requests answered.", labels=[*_ROUTE, "status"])
    refusals = CounterMetricFamily(
        events.METRIC_REFUSALS, "Requests refused or failed, by reason.", labels=[*_ROUTE, "reason"]
    )
    grace = CounterMetricFamily(
        events.METRIC_GRACE, "Requests that passed by a rotated credential, within its grace.", labels=_ROUTE
    )
    upgraded = GaugeMetricFamily(events.METRIC_UPGRADED, "Upgraded connections (WebSockets) that stand.", labels=_ROUTE)
    for labels, counted in (*stats.routes.items(), (("", ""), stats.unrouted)):
        add_counts(requests, labels, {str(status): count for status, count in counted.statuses.items()})
        add_counts(refusals, labels, counted.reasons)
    for labels, counted in stats.routes.items():
        upgraded.add_metric(labels, counted.upgraded)
    for labels, counted in _of_zones(stats):
        grace.add_metric(labels, counted.graced)
    yield from (requests, refusals, grace, upgraded)


def _durations(stats: Stats) -> Iterator[Family]:
    # One after the other: each is long, and others have their turn in between.
    total = HistogramMetricFamily(
        events.METRIC_REQUEST_SECONDS, "From the request's head to the answer's last byte.", labels=_ROUTE
    )
    for labels, counted in stats.routes.items():
        add_histogram(total, labels, counted.duration)
    yield total
    upstream = HistogramMetricFamily(
        events.METRIC_UPSTREAM_SECONDS, "From the request's head to the head of the upstream's answer.", labels=_ROUTE
    )
    for labels, counted in stats.routes.items():
        add_histogram(upstream, labels, counted.upstream)
    yield upstream
    authentication = HistogramMetricFamily(
        events.METRIC_AUTHENTICATION_SECONDS,
        "From the request's head to the verdict, where a catalog or a session store was waited for: all other requests "
        "are judged at once, in microseconds, and not timed.",
        labels=_ROUTE,
    )
    for labels, counted in _of_zones(stats):
        add_histogram(authentication, labels, counted.authentication)
    yield authentication


def _payloads(stats: Stats) -> Iterator[Family]:
    received = CounterMetricFamily(events.METRIC_REQUEST_BYTES, "Payload of request bodies.", labels=_ROUTE)
    sent = CounterMetricFamily(events.METRIC_ANSWER_BYTES, "Payload of answers.", labels=_ROUTE)
    for labels, counted in stats.routes.items():
        received.add_metric(labels, counted.received_bytes)
        sent.add_metric(labels, counted.sent_bytes)
    yield from (received, sent)


def _of_zones(stats: Stats) -> Iterator[tuple[tuple[str, str], RouteStats]]:
    """Return the routes where somebody is asked who he is."""
    return ((labels, counted) for labels, counted in stats.routes.items() if labels[1])
