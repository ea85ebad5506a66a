"""People who sign in, as Prometheus reads them."""

from collections.abc import Collection, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from authproxy import events
from authproxy.core.stats import Stats
from authproxy.daemon.families import Family, add_counts, add_histogram

_ZONE: Final = ("zone",)
_STORE: Final = ("store",)


def session_families(stats: Stats, away: Collection[str]) -> Iterator[Family]:
    """Return what is counted of the sessions of each zone, and of each store that must be waited for, or is `away`."""
    logins = CounterMetricFamily(events.METRIC_LOGINS, "Forms posted to a login, by result.", labels=[*_ZONE, "result"])
    ended = CounterMetricFamily(
        events.METRIC_SESSIONS_ENDED, "Sessions ended by this process, by reason.", labels=[*_ZONE, "reason"]
    )
    refreshes = CounterMetricFamily(
        events.METRIC_SESSION_REFRESHES, "Sessions given more time because they are used.", labels=_ZONE
    )
    for zone, counted in stats.sessions.items():
        add_counts(logins, [zone], counted.logins)
        add_counts(ended, [zone], counted.ended)
        refreshes.add_metric([zone], counted.refreshes)
    duration = HistogramMetricFamily(
        events.METRIC_STORE_SECONDS, "From a question to the session store to its answer.", labels=_STORE
    )
    failures = CounterMetricFamily(
        events.METRIC_STORE_FAILURES, "Questions that the session store did not answer.", labels=[*_STORE, "reason"]
    )
    gone = GaugeMetricFamily(events.METRIC_STORE_AWAY, "1 while the session store cannot be asked.", labels=_STORE)
    for name, asked in stats.stores.items():
        gone.add_metric([name], float(name in away))
        add_histogram(duration, [name], asked.duration)
        add_counts(failures, [name], asked.failures)
    yield from (logins, ended, refreshes, duration, failures, gone)
