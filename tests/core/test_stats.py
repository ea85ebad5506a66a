"""Plain counters; what fills the buckets is `edge.record`."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.stats import BUCKETS, Stats
from authproxy.edge.access_log import AccessLog
from authproxy.edge.record import record


def count(stats: Stats, duration: float) -> None:
    """Count an unrouted request that took so long."""
    facts = SimpleNamespace(route=None, started=0.0, answered_at=0.0, sent=1, received=2)
    services = SimpleNamespace(stats=stats, journal=AccessLog(None))
    record(services, facts, "e", 404, duration, "no-route")  # type: ignore[arg-type]


@pytest.mark.parametrize("index", range(len(BUCKETS)))
def test_a_bound_belongs_to_its_bucket(index):
    """`le`: at the bound in it, a breath above it in the next."""
    stats = Stats()
    count(stats, BUCKETS[index])
    count(stats, BUCKETS[index] * 1.000001)

    assert stats.unrouted.duration.counts[index] == 1
    assert stats.unrouted.duration.counts[index + 1] == 1


@given(st.lists(st.floats(0, 100), max_size=30))
def test_everything_is_counted_once(durations):
    """And summed up."""
    stats = Stats()
    for duration in durations:
        count(stats, duration)
    route = stats.unrouted

    assert sum(route.duration.counts) == route.statuses[404] == route.reasons["no-route"] == len(durations)
    assert route.duration.total == pytest.approx(sum(durations))
    assert (route.sent_bytes, route.received_bytes) == (len(durations), 2 * len(durations))
    for index, bound in enumerate(BUCKETS):
        assert sum(route.duration.counts[: index + 1]) == len([one for one in durations if one <= bound])


def test_bounds_rise():
    """A bucket holds what is above the one before it."""
    assert list(BUCKETS) == sorted(set(BUCKETS))


def test_counters_are_the_same_every_time():
    """By name; a reload finds them again."""
    stats = Stats()

    assert stats.route("a", "z") is stats.route("a", "z")
    assert stats.route("a", "z") is not stats.route("a", "")
    assert stats.upstream("a") is stats.upstream("a")
    assert stats.upstream("a").endpoint("b:1") is stats.upstream("a").endpoint("b:1")
    assert stats.upstream("a").endpoint("b:1") is not stats.upstream("a").endpoint("b:2")
    assert stats.listener("a") is stats.listener("a")
