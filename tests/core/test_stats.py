"""Plain counters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.stats import BUCKETS, Histogram, Stats


@pytest.mark.parametrize("index", range(len(BUCKETS)))
def test_a_bound_belongs_to_its_bucket(index):
    """`le`: at the bound in it, a breath above it in the next."""
    histogram = Histogram()
    histogram.add(BUCKETS[index])
    histogram.add(BUCKETS[index] * 1.000001)

    assert histogram.counts[index] == 1
    assert histogram.counts[index + 1] == 1


@given(st.lists(st.floats(0, 100), max_size=30))
def test_everything_is_counted_once(durations):
    """And summed up."""
    histogram = Histogram()
    for duration in durations:
        histogram.add(duration)

    assert sum(histogram.counts) == len(durations)
    assert histogram.total == pytest.approx(sum(durations))
    for bound, cumulated in zip(BUCKETS, [sum(histogram.counts[: n + 1]) for n in range(len(BUCKETS))], strict=True):
        assert cumulated == len([one for one in durations if one <= bound])


def test_counters_are_the_same_every_time():
    """By name; a reload finds them again."""
    stats = Stats()

    assert stats.route("a", "z") is stats.route("a", "z")
    assert stats.route("a", "z") is not stats.route("a", "")
    assert stats.upstream("a") is stats.upstream("a")
    assert stats.listener("a") is stats.listener("a")
