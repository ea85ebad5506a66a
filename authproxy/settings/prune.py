"""Taking out what is wrong, so that the rest can be checked."""

from dataclasses import dataclass

from pydantic import ValidationError

from authproxy.settings.document import BY_NAME
from authproxy.settings.shape import without_tags
from authproxy.settings.tree import Path
from authproxy.settings.values import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What is left, and how it relates to what was."""

    values: dict[str, Value]
    kept: tuple[int, ...]
    """For each route that is left, its index before."""
    maimed: frozenset[Path]
    """Maps that lost an unknown key: whatever they now lack, they may have had under its misspelt name."""


def prune(values: dict[str, Value], error: ValidationError) -> Pruned:
    """Return the values without what `error` is about."""
    wrong = error.errors(include_url=False, include_input=False, include_context=False)
    places = [(details["type"], without_tags(details["loc"], values)) for details in wrong]
    unknown = {place for kind, place in places if kind == "extra_forbidden"}
    entries = {_entry(place) for kind, place in places if kind != "extra_forbidden"}
    pruned: dict[str, Value] = {}
    kept: tuple[int, ...] = ()
    for key, value in values.items():
        if (key,) in entries:
            continue
        left = _without(value, (key,), unknown)
        if key in BY_NAME and isinstance(left, dict):
            left = {name: one for name, one in left.items() if (key, name) not in entries}
        if key == "routes" and isinstance(left, list):
            kept = tuple(index for index in range(len(left)) if (key, index) not in entries)
            left = [left[index] for index in kept]
        if (key,) not in unknown:
            pruned[key] = left
    pruned["version"] = 1
    return Pruned(values=pruned, kept=kept, maimed=frozenset(place[:-1] for place in unknown if len(place) > 1))


def _entry(location: Path) -> Path:
    """Return what has to go: one named thing, one route, or a whole section."""
    return location[:2] if location[0] in BY_NAME or location[0] == "routes" else location[:1]


def _without(value: Value, path: Path, unknown: set[Path]) -> Value:
    if isinstance(value, dict):
        inner = ((key, (*path, key), one) for key, one in value.items())
        return {key: _without(one, place, unknown) for key, place, one in inner if place not in unknown}
    if isinstance(value, list):
        return [_without(one, (*path, index), unknown) for index, one in enumerate(value)]
    return value
