"""The counters as Prometheus reads them: collected at the scrape, so that the hot path bumps plain integers.

What is told of requests, upstreams and doors stands in the modules of those names; `docs/metrics.md` lists everything.
"""

import platform
from collections.abc import Iterable, Iterator
from datetime import datetime
from importlib.metadata import version
from typing import Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from authproxy import events
from authproxy.core.stats import Stats
from authproxy.daemon.endpoints import endpoint_families
from authproxy.daemon.expiry import Kind, first_ends
from authproxy.daemon.families import Family, add_counts, add_histogram
from authproxy.daemon.families_of_doors import door_families
from authproxy.daemon.families_of_requests import request_families
from authproxy.daemon.families_of_sessions import session_families
from authproxy.daemon.families_of_upstreams import upstream_families
from authproxy.daemon.status import Status
from authproxy.daemon.tunnels import tunnel_families
from authproxy.door.caps import Caps
from authproxy.edge.services import Services

_BUILD: Final = (version("tls-authproxy"), platform.python_version())
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

    @property
    def caps(self) -> Caps:
        """Return how many connections there are, and may be."""
        ...

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
    def collect(self) -> Iterable[Family]:
        """Return every family, counted up to now."""
        source = self._source
        stats, runtime = source.stats, source.services.current.runtime
        yield from request_families(stats)
        yield from upstream_families(stats, runtime)
        yield from endpoint_families(stats, runtime)
        yield from door_families(stats, source.caps, len(source.services.connections))
        yield from tunnel_families(stats)
        yield from session_families(stats, source.status.away)
        yield from self._reloads()
        yield from self._process()

    def _reloads(self) -> Iterator[Family]:
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

    def _process(self) -> Iterator[Family]:
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
        yield GaugeMetricFamily(
            events.METRIC_READY,
            "1 while it serves, 0 while it starts or drains, or a session store is away.",
            value=float(status.is_ready),
        )
        lag = HistogramMetricFamily(
            events.METRIC_LOOP_LAG, "How much later than it was set a timer went off, four times a second."
        )
        add_histogram(lag, (), self._source.stats.lag)
        yield lag
        crashes = CounterMetricFamily(
            events.METRIC_CRASHES, "Faults of this program, by what they ended.", labels=["part"]
        )
        add_counts(crashes, (), self._source.stats.crashes)
        yield crashes
        yield CounterMetricFamily(
            events.METRIC_CLOCK_JUMPS, "How often the wall clock was set by a minute or more.", value=status.clock_jumps
        )
        build = GaugeMetricFamily(events.METRIC_BUILD, "What runs.", labels=["version", "python"])
        build.add_metric(_BUILD, 1)
        yield build
