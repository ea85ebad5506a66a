"""What a PromQL query names: enough of its grammar for the queries that are shipped here; Prometheus itself parses them too."""

import re
from collections.abc import Iterator

_STRING = re.compile(r'"(?:\\.|[^"\\])*"')
_SELECTOR = re.compile(r"\b((?:authproxy|process)_\w+|up|[a-z_]+:authproxy_\w+:\w+)\b(?:\s*\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_PARTS = ("_bucket", "_sum", "_count")


def selectors(query: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Return each metric of a query, as it is queried, with the labels that are asked of it."""
    for name, matchers in _SELECTOR.findall(query):
        yield name, frozenset(_MATCHER.findall(matchers))


def groupings(query: str) -> frozenset[str]:
    """Return the labels by which a query groups or joins."""
    found = _GROUPING.findall(_STRING.sub('""', query))
    return frozenset(label.strip() for group in found for label in group.split(",") if label.strip())


def family(name: str, known: frozenset[str]) -> str:
    """Return the metric that a series belongs to: itself, or the histogram of a bucket, a sum or a count."""
    if name in known:
        return name
    return next((name.removesuffix(part) for part in _PARTS if name.endswith(part)), name)
