"""The counters as Prometheus reads them: collected at the scrape, so that the hot path bumps plain integers."""

import platform
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from importlib.metadata import version
from typing import Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from authproxy import events
from authproxy.core.stats import BUCKETS, Histogram, Stats
from authproxy.daemon.endpoints import endpoint_families
from authproxy.daemon.expiry import Kind, first_ends
from authproxy.daemon.status import Status
from authproxy.daemon.tunnels import tunnel_families
from authproxy.edge.services import Services

_Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
_BUILD: Final = (version("tls-authproxy"), platform.python_version())
_ROUTE: Final = ("route", "zone")
_EXPIRY: Final = (
    (events.METRIC_CERT_EXPIRY, "Seconds until a certificate ends.", Kind.KEYSTORE),
    (events.METRIC_TRUST_EXPIRY, "Seconds until the first of the trusted authorities ends.", Kind.TRUSTSTORE),
    (events.METRIC_CRL_EXPIRY, "Seconds until the first revocation list is out of date.", Kind.CRL),
)


class Source(Protocol):
    """Who is asked at a scrape."""

    stats: Stats
    status: Status
    services: Services

    def lines_dropped(self) -> int:
        """Return how many lines of the access log were lost."""
        ...

    def now(self) -> datetime:
        """Return the wall clock's time."""
        ...


class ProxyCollector(Collector):
    """Turns what is counted into metric families; labels come from the configuration only, never from a client."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @override
    def collect(self) -> Iterable[_Family]:
        """Return every family, counted up to now."""
        yield from self._requests()
        yield from self._upstreams()
        yield from endpoint_families(self._source.stats, self._source.services.current.runtime)
        yield from self._listeners()
        yield from tunnel_families(self._source.stats)
        yield from self._reloads()
        yield from self._process()

    def _requests(self) -> Iterator[_Family]:
        stats = self._source.stats
        routes = [((route, zone), counted) for (route, zone), counted in stats.routes.items()]
        everything = [*routes, (("", ""), stats.unrouted)]
        requests = CounterMetricFamily(events.METRIC_REQUESTS, "Requests answered.", labels=[*_ROUTE, "status"])
        refusals = CounterMetricFamily(
            events.METRIC_REFUSALS, "Requests refused or failed, by reason.", labels=[*_ROUTE, "reason"]
        )
        for labels, counted in everything:
            _add(requests, labels, {str(status): count for status, count in counted.statuses.items()})
            _add(refusals, labels, counted.reasons)
        yield requests
        yield refusals
        duration = HistogramMetricFamily(
            events.METRIC_REQUEST_SECONDS, "From the request's head to the answer's last byte.", labels=_ROUTE
        )
        waited = HistogramMetricFamily(
            events.METRIC_UPSTREAM_SECONDS,
            "From the request's head to the head of the upstream's answer.",
            labels=_ROUTE,
        )
        received = CounterMetricFamily(events.METRIC_REQUEST_BYTES, "Payload of request bodies.", labels=_ROUTE)
        sent = CounterMetricFamily(events.METRIC_ANSWER_BYTES, "Payload of answers.", labels=_ROUTE)
        for labels, counted in routes:
            _add_histogram(duration, labels, counted.duration)
            _add_histogram(waited, labels, counted.upstream)
            received.add_metric(labels, counted.received_bytes)
            sent.add_metric(labels, counted.sent_bytes)
        yield from (duration, waited, received, sent)

    def _upstreams(self) -> Iterator[_Family]:
        labels = ["upstream"]
        connects = CounterMetricFamily(events.METRIC_UPSTREAM_CONNECTS, "Connections tried.", labels=labels)
        failed = CounterMetricFamily(events.METRIC_UPSTREAM_CONNECT_FAILURES, "Connections failed.", labels=labels)
        reused = CounterMetricFamily(events.METRIC_UPSTREAM_REUSES, "Requests on a kept connection.", labels=labels)
        retried = CounterMetricFamily(events.METRIC_UPSTREAM_RETRIES, "Requests sent a second time.", labels=labels)
        failures = CounterMetricFamily(
            events.METRIC_UPSTREAM_FAILURES, "Requests answered in its place.", labels=[*labels, "reason"]
        )
        for name, counted in self._source.stats.upstreams.items():
            connects.add_metric([name], counted.connects)
            failed.add_metric([name], counted.connect_failures)
            reused.add_metric([name], counted.reused)
            retried.add_metric([name], counted.retries)
            _add(failures, (name,), counted.failures)
        idle = GaugeMetricFamily(events.METRIC_UPSTREAM_IDLE, "Connections that wait for a request.", labels=labels)
        busy = GaugeMetricFamily(
            events.METRIC_UPSTREAM_BUSY, "Connections in use or being opened: requests in flight.", labels=labels
        )
        waiting = GaugeMetricFamily(
            events.METRIC_UPSTREAM_WAITING, "Requests that wait for a connection to be free.", labels=labels
        )
        for name, upstream in self._source.services.current.runtime.upstreams.items():
            idle.add_metric([name], upstream.idle)
            busy.add_metric([name], upstream.busy)
            waiting.add_metric([name], upstream.waiting)
        yield from (connects, failed, reused, retried, failures, idle, busy, waiting)

    def _listeners(self) -> Iterator[_Family]:
        accepted = CounterMetricFamily(events.METRIC_ACCEPTED, "Connections accepted.", labels=["listener"])
        shaken = CounterMetricFamily(
            events.METRIC_HANDSHAKES, "TLS handshakes, by result.", labels=["listener", "result"]
        )
        refused = CounterMetricFamily(
            events.METRIC_REFUSED_CONNECTIONS,
            "Connections closed at the door, by reason.",
            labels=["listener", "reason"],
        )
        revoked = CounterMetricFamily(
            events.METRIC_REVOKED_CONNECTIONS,
            "Connections ended because a reload shuts their clients out, by reason.",
            labels=["listener", "reason"],
        )
        for name, counted in self._source.stats.listeners.items():
            _add(revoked, (name,), counted.revoked)
            accepted.add_metric([name], counted.accepted)
            _add(refused, (name,), counted.refused)
            _add(shaken, (name,), {"ok": counted.handshakes, **counted.handshake_failures})
        connections = GaugeMetricFamily(
            events.METRIC_CONNECTIONS, "Open client connections.", value=len(self._source.services.connections)
        )
        yield from (accepted, refused, revoked, shaken, connections)

    def _reloads(self) -> Iterator[_Family]:
        status = self._source.status
        reloads = CounterMetricFamily(events.METRIC_RELOADS, "Reloads, by part and result.", labels=["part", "result"])
        for key, count in status.reloads.items():
            reloads.add_metric(key, count)
        yield reloads
        success = GaugeMetricFamily(
            events.METRIC_RELOAD_SUCCESS, "1 when the last reload of a part succeeded.", labels=["part"]
        )
        at = GaugeMetricFamily(events.METRIC_RELOAD_TIME, "When a part was last reloaded.", labels=["part"])
        for part, outcome in status.parts.items():
            success.add_metric([part], float(outcome.success))
            at.add_metric([part], outcome.at.timestamp())
        yield from (success, at)
        yield GaugeMetricFamily(events.METRIC_GENERATION, "Which configuration is at work.", value=status.generation)
        records = GaugeMetricFamily(events.METRIC_CATALOG_RECORDS, "Rows that count.", labels=["catalog"])
        rejected = GaugeMetricFamily(events.METRIC_CATALOG_PROBLEMS, "Rows that do not count.", labels=["catalog"])
        for name, count in status.records.items():
            records.add_metric([name], count)
        for name, count in status.rejected.items():
            rejected.add_metric([name], count)
        yield from (records, rejected)

    def _process(self) -> Iterator[_Family]:
        status = self._source.status
        now = self._source.now()
        for metric, told, kind in _EXPIRY:
            left = GaugeMetricFamily(metric, told, labels=[kind.section])
            for name, end in first_ends(status.endings, kind, now).items():
                left.add_metric([name], (end - now).total_seconds())
            yield left
        yield GaugeMetricFamily(events.METRIC_UNSAFE, "Unsafe wishes in the configuration.", value=len(status.unsafe))
        yield CounterMetricFamily(
            events.METRIC_DROPPED_LINES, "Lines of the access log that were lost.", value=self._source.lines_dropped()
        )
        build = GaugeMetricFamily(events.METRIC_BUILD, "What runs.", labels=["version", "python"])
        build.add_metric(_BUILD, 1)
        yield build


def _add(family: CounterMetricFamily, labels: tuple[str, ...], counts: Mapping[str, int]) -> None:
    for value, count in counts.items():
        family.add_metric([*labels, value], count)


def _add_histogram(family: HistogramMetricFamily, labels: tuple[str, str], histogram: Histogram) -> None:
    buckets: list[tuple[str, float]] = []
    total = 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), histogram.counts, strict=True):
        total += count
        buckets.append((bound, total))
    family.add_metric(labels, buckets=buckets, sum_value=histogram.total)
