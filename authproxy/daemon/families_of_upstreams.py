"""What is counted of upstreams, and how their pools are; what is known of each endpoint stands in `endpoints`."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from authproxy import events
from authproxy.core.stats import Stats
from authproxy.daemon.families import Family, add_counts, add_histogram
from authproxy.runtime import Runtime

_LABELS: Final = ("upstream",)


def upstream_families(stats: Stats, runtime: Runtime) -> Iterator[Family]:
    """Return what is counted of each upstream, and how the pools of those at work are."""
    yield from _counters(stats)
    yield from _pools(runtime)


def _counters(stats: Stats) -> Iterator[Family]:
    connects = CounterMetricFamily(events.METRIC_UPSTREAM_CONNECTS, "Connections tried.", labels=_LABELS)
    failed = CounterMetricFamily(events.METRIC_UPSTREAM_CONNECT_FAILURES, "Connections failed.", labels=_LABELS)
    connecting = HistogramMetricFamily(
        events.METRIC_UPSTREAM_CONNECT_SECONDS,
        "How long it took to open a connection, name and TLS included.",
        labels=_LABELS,
    )
    reused = CounterMetricFamily(events.METRIC_UPSTREAM_REUSES, "Requests on a kept connection.", labels=_LABELS)
    retried = CounterMetricFamily(events.METRIC_UPSTREAM_RETRIES, "Requests sent a second time.", labels=_LABELS)
    failures = CounterMetricFamily(
        events.METRIC_UPSTREAM_FAILURES, "Requests answered in its place.", labels=[*_LABELS, "reason"]
    )
    for name, counted in stats.upstreams.items():
        connects.add_metric([name], counted.connects)
        failed.add_metric([name], counted.connect_failures)
        add_histogram(connecting, [name], counted.connecting)
        reused.add_metric([name], counted.reused)
        retried.add_metric([name], counted.retries)
        add_counts(failures, [name], counted.failures)
    yield from (connects, failed, connecting, reused, retried, failures)


def _pools(runtime: Runtime) -> Iterator[Family]:
    idle = GaugeMetricFamily(events.METRIC_UPSTREAM_IDLE, "Connections that wait for a request.", labels=_LABELS)
    busy = GaugeMetricFamily(
        events.METRIC_UPSTREAM_BUSY, "Connections in use or being opened: requests in flight.", labels=_LABELS
    )
    waiting = GaugeMetricFamily(
        events.METRIC_UPSTREAM_WAITING, "Requests that wait for a connection to be free.", labels=_LABELS
    )
    limit = GaugeMetricFamily(
        events.METRIC_UPSTREAM_LIMIT, "Connections that it may have, where max_connections says so.", labels=_LABELS
    )
    for name, upstream in runtime.upstreams.items():
        idle.add_metric([name], upstream.idle)
        busy.add_metric([name], upstream.busy)
        waiting.add_metric([name], upstream.waiting)
        most = sum(side.endpoint.max_connections or 0 for side in upstream.sides)
        if most:
            limit.add_metric([name], most)
    yield from (idle, busy, waiting, limit)
