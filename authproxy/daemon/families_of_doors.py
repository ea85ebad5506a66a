"""What is counted of client connections and their handshakes, by listener."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from authproxy import events
from authproxy.core.stats import Stats
from authproxy.daemon.families import Family, add_counts, add_histogram
from authproxy.door.caps import Caps

_LABELS: Final = ("listener",)


def door_families(stats: Stats, caps: Caps, connections: int) -> Iterator[Family]:
    """Return who came, who was not let in, and how near the limits are; `connections` are open."""
    yield from _connections(stats)
    yield from _handshakes(stats)
    yield GaugeMetricFamily(events.METRIC_CONNECTIONS, "Open client connections.", value=connections)
    yield GaugeMetricFamily(
        events.METRIC_CONNECTIONS_LIMIT, "Client connections that there may be (limits.connections).", value=caps.connections
    )  # fmt: skip
    yield GaugeMetricFamily(events.METRIC_HANDSHAKES_PENDING, "Handshakes under way.", value=caps.unfinished)
    yield GaugeMetricFamily(
        events.METRIC_HANDSHAKES_LIMIT, "Handshakes that may be under way (limits.handshakes).", value=caps.handshakes
    )


def _connections(stats: Stats) -> Iterator[Family]:
    accepted = CounterMetricFamily(events.METRIC_ACCEPTED, "Connections accepted.", labels=_LABELS)
    refused = CounterMetricFamily(
        events.METRIC_REFUSED_CONNECTIONS, "Connections closed at the door, by reason.", labels=[*_LABELS, "reason"]
    )
    revoked = CounterMetricFamily(
        events.METRIC_REVOKED_CONNECTIONS,
        "Connections ended because a reload shuts their clients out, by reason.",
        labels=[*_LABELS, "reason"],
    )
    for name, counted in stats.listeners.items():
        accepted.add_metric([name], counted.accepted)
        add_counts(refused, [name], counted.refused)
        add_counts(revoked, [name], counted.revoked)
    yield from (accepted, refused, revoked)


def _handshakes(stats: Stats) -> Iterator[Family]:
    results = CounterMetricFamily(events.METRIC_HANDSHAKES, "TLS handshakes, by result.", labels=[*_LABELS, "result"])
    seconds = HistogramMetricFamily(
        events.METRIC_HANDSHAKE_SECONDS, "From the acceptance to the end of a good TLS handshake.", labels=_LABELS
    )
    sessions = CounterMetricFamily(
        events.METRIC_TLS_SESSIONS,
        "Good TLS handshakes by version, and whether a session was resumed.",
        labels=[*_LABELS, "version", "handshake"],
    )
    for name, counted in stats.listeners.items():
        add_counts(results, [name], {"ok": counted.handshakes, **counted.handshake_failures})
        add_histogram(seconds, [name], counted.shaking)
        for (version, handshake), count in counted.sessions.items():
            sessions.add_metric([name, version, handshake], count)
    yield from (results, seconds, sessions)
