"""The endpoints of upstreams, for `/metrics`, `/status` and `/readyz`; labels come from the configuration only."""

from collections.abc import Iterator
from time import monotonic
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from authproxy import events
from authproxy.core.stats import Stats
from authproxy.runtime import Runtime
from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.pool import Upstream
from authproxy.upstream.side import Side

_LABELS: Final = ("upstream", "endpoint")


def endpoint_families(stats: Stats, runtime: Runtime) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
    """Return what is counted of each endpoint, and how those at work are."""
    connects = CounterMetricFamily(events.METRIC_ENDPOINT_CONNECTS, "Connections tried.", labels=_LABELS)
    failed = CounterMetricFamily(events.METRIC_ENDPOINT_CONNECT_FAILURES, "Connections failed.", labels=_LABELS)
    faults = CounterMetricFamily(
        events.METRIC_ENDPOINT_FAULTS, "Connections and requests that failed there.", labels=_LABELS
    )
    ejections = CounterMetricFamily(
        events.METRIC_ENDPOINT_EJECTIONS, "How often it was left alone for a while.", labels=_LABELS
    )
    checks = CounterMetricFamily(
        events.METRIC_ENDPOINT_CHECKS, "Health checks, by result.", labels=[*_LABELS, "result"]
    )  # fmt: skip
    for name, upstream in stats.upstreams.items():
        for label, counted in upstream.endpoints.items():
            connects.add_metric([name, label], counted.connects)
            failed.add_metric([name, label], counted.connect_failures)
            faults.add_metric([name, label], counted.faults)
            ejections.add_metric([name, label], counted.ejections)
            checks.add_metric([name, label, "ok"], counted.checks - counted.check_failures)
            checks.add_metric([name, label, "failed"], counted.check_failures)
    yield from (connects, failed, faults, ejections, checks)
    yield from _gauges(runtime)


def _gauges(runtime: Runtime) -> Iterator[GaugeMetricFamily]:
    idle = GaugeMetricFamily(events.METRIC_ENDPOINT_IDLE, "Connections that wait for a request.", labels=_LABELS)
    busy = GaugeMetricFamily(
        events.METRIC_ENDPOINT_BUSY, "Connections in use or being opened: requests in flight.", labels=_LABELS
    )
    healthy = GaugeMetricFamily(
        events.METRIC_ENDPOINT_HEALTHY, "1 while its health checks pass, or it has none.", labels=_LABELS
    )
    ejected = GaugeMetricFamily(
        events.METRIC_ENDPOINT_EJECTED, "1 while it is left alone because it failed.", labels=_LABELS
    )
    for name, upstream in runtime.upstreams.items():
        for side in upstream.sides:
            labels = [name, side.label]
            idle.add_metric(labels, len(side.idle))
            busy.add_metric(labels, side.busy)
            healthy.add_metric(labels, float(side.standing.is_healthy))
            ejected.add_metric(labels, float(side.standing.penalty > 0))
    yield from (idle, busy, healthy, ejected)


def describe_endpoints(runtime: Runtime) -> dict[str, object]:
    """Return how each endpoint is, for `/status`."""
    return {
        name: {side.label: _describe(side) for side in upstream.sides} for name, upstream in runtime.upstreams.items()
    }


def _describe(side: Side[UpstreamConnection]) -> dict[str, object]:
    return {
        "state": state_of(side),
        "busy": side.busy,
        "idle": len(side.idle),
        "addresses": list(side.name.known),
    }


def state_of(side: Side[UpstreamConnection]) -> str:
    """Return how an endpoint is, in one word."""
    if not side.standing.is_healthy:
        return "unhealthy"
    return "ejected" if side.standing.penalty else "good"


def readiness_lines(runtime: Runtime) -> list[str]:
    """Return a line for each upstream, for people: `[+]` while it can be asked; the proxy itself is ready all the same."""
    return [_line(name, upstream) for name, upstream in runtime.upstreams.items()]


def _line(name: str, upstream: Upstream) -> str:
    now = monotonic()
    sign = "+" if any(side.standing.is_open(now) for side in upstream.sides) else "-"
    bad = [f"{side.label} {state_of(side)}" for side in upstream.sides if state_of(side) != "good"]
    return f"[{sign}] upstream:{name} {', '.join(bad)}".rstrip()
