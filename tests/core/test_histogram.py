"""Durations by bucket: sorted in later and all at once, the counts are those of one by one."""

from bisect import bisect_left
from math import fsum, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.stats import BUCKETS, Histogram, Stats

DURATIONS = st.one_of(st.floats(0, 60), st.sampled_from([0.0, *BUCKETS, *(bound * (1 + 1e-9) for bound in BUCKETS)]))


@given(st.lists(st.lists(DURATIONS, max_size=30), max_size=5))
def test_all_at_once_is_one_by_one(rounds):
    """However often somebody asks in between."""
    histogram = Histogram()
    expected = [0] * (len(BUCKETS) + 1)
    for durations in rounds:
        for duration in durations:
            histogram.add(duration)
            # A bucket holds what is at most its bound, as Prometheus has it.
            expected[bisect_left(BUCKETS, duration)] += 1
        assert list(histogram.counts) == expected

    assert isclose(histogram.total, fsum(one for durations in rounds for one in durations), abs_tol=1e-9)


@pytest.mark.parametrize("bucket", range(len(BUCKETS)))
def test_a_bound_belongs_to_its_bucket(bucket):
    """And what is a little longer to the next one."""
    histogram = Histogram()
    histogram.add(BUCKETS[bucket] * 1.000001)
    histogram.add(BUCKETS[bucket])

    counts = list(histogram.counts)
    assert (counts[bucket], counts[bucket + 1], sum(counts)) == (1, 1, 2)


def test_settling_keeps_what_waits_small_and_adding_works_on():
    """The same `add`, which the hot path has bound."""
    histogram = Histogram()
    add = histogram.add
    for _ in range(1000):
        add(0.002)
    histogram.settle()
    histogram.settle()
    assert histogram._waiting == []
    add(0.002)

    assert sum(histogram.counts) == 1001
    assert isclose(histogram.total, 2.002)


def test_settling_reaches_every_histogram():
    """Of every route, upstream and listener, and of what had none."""
    stats = Stats()
    routes = [stats.route("a", "x"), stats.route("b", ""), stats.unrouted]
    histograms = [one for counted in routes for one in (counted.duration, counted.upstream, counted.authentication)]
    histograms += [stats.upstream("c").connecting, stats.listener("d").shaking, stats.lag]
    for histogram in histograms:
        histogram.add(1.0)
    stats.settle()

    assert [histogram._waiting for histogram in histograms] == [[]] * len(histograms)
    assert stats.route("a", "x") is routes[0]
