"""What the families of `/metrics` have in common; each of them is made in the module of its subject."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from authproxy.core.stats import BUCKETS, Histogram

Family: TypeAlias = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


def add_counts(family: CounterMetricFamily, labels: Sequence[str], counts: Mapping[str, int]) -> None:
    """Add a series for each count; its key is the last label."""
    for value, count in counts.items():
        family.add_metric([*labels, value], count)


def add_histogram(family: HistogramMetricFamily, labels: Sequence[str], histogram: Histogram) -> None:
    """Add the buckets, cumulative as Prometheus wants them."""
    buckets: list[tuple[str, float]] = []
    total = 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), histogram.counts, strict=True):
        total += count
        buckets.append((bound, total))
    family.add_metric(labels, buckets=buckets, sum_value=histogram.total)
