"""The effective settings: what a file means once every default is filled in. Secrets stay references.

A header's text may have come from the environment (`${API_KEY}`), so what is set on the way to an upstream is masked.
"""

from collections.abc import Mapping
from typing import TypeAlias

import yaml

from authproxy.options import Options
from authproxy.settings.load import Loaded

Shown: TypeAlias = "str | int | float | bool | list[Shown] | dict[str, Shown] | None"
MASK = "(masked)"


def effective_values(loaded: Loaded) -> dict[str, Shown]:
    """Return the settings as plain values, as they could stand in a file; keys without a value, and empty lists, are left out."""
    dumped: dict[str, Shown] = loaded.settings.model_dump(mode="json", warnings=False)
    shown = _keys_with_value(loaded.settings, dumped)
    # What was included is part of what is shown.
    shown.pop("include", None)
    for route in _maps(shown.get("routes")):
        _mask(route)
    return shown


def effective(loaded: Loaded) -> str:
    """Return the settings as YAML, every default filled in, references to secrets in the place of secrets."""
    return yaml.safe_dump(effective_values(loaded), sort_keys=False, allow_unicode=True, width=120)


def _keys_with_value(model: Options, dumped: dict[str, Shown]) -> dict[str, Shown]:
    held = {name: getattr(model, name) for name in type(model).model_fields}
    return {name: _shown(one, dumped[name]) for name, one in held.items() if one is not None and one != ()}


def _shown(value: object, dumped: Shown) -> Shown:
    """Return `dumped` without the keys of models that have no value; null as the value of a map is kept."""
    if isinstance(value, Options) and isinstance(dumped, dict):
        return _keys_with_value(value, dumped)
    if isinstance(value, Mapping) and isinstance(dumped, dict):
        return {str(name): _shown(one, dumped[str(name)]) for name, one in value.items()}
    if isinstance(value, tuple | list) and isinstance(dumped, list):
        return [_shown(one, shown) for one, shown in zip(value, dumped, strict=True)]
    # PyYAML writes plain text only, and a plug-in may have kept what it was given.
    return str(dumped) if isinstance(dumped, str) else dumped


def _maps(value: Shown) -> list[dict[str, Shown]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _mask(route: dict[str, Shown]) -> None:
    headers = route.get("headers")
    request = headers.get("request") if isinstance(headers, dict) else None
    if isinstance(headers, dict) and isinstance(request, dict):
        headers["request"] = {name: MASK if isinstance(value, str) else value for name, value in request.items()}
