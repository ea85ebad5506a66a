"""What `docs/metrics.md` promises, and what a scrape shows, in the same form."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

PAGE = Path(__file__).parents[1] / "docs/metrics.md"
_ROW = re.compile(r"^\| `(\w+)` \| (\w+) \|([^|]*)\| ([^|]+) \| `(.+)` \|$", re.MULTILINE)


def rows() -> Mapping[str, tuple[str, frozenset[str]]]:
    """Type and labels of each metric of the page, by the name that is queried: a counter's with `_total`."""
    found = {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _, _ in _all_rows()}
    assert len(found) == len(_all_rows()), "a metric stands there twice"
    return found


def examples() -> Mapping[str, str]:
    """The example query of each metric."""
    return {name: query for name, _, _, _, query in _all_rows()}


def _all_rows() -> list[tuple[str, ...]]:
    text = PAGE.read_text()
    found = _ROW.findall(text)
    assert len(found) == len(re.findall(r"^\| `", text, re.MULTILINE)), "a row of the page has another form"
    return found


def queried(family: Metric) -> str:
    """The name that a family is queried by."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def labels(samples: Iterable[Sample]) -> frozenset[str]:
    """The labels of some samples, without that of buckets."""
    return frozenset(name for sample in samples for name in sample.labels) - {"le"}
