"""Which kinds of session store this installation knows: the built-in ones and those that plug-ins register."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from authproxy.errors import ConfigError
from authproxy.sessions import memory, sqlite
from authproxy.sessions.interface import SessionKind

GROUP: Final = "authproxy.sessions"
"""The group of entry points; each names a `SessionKind`."""

_BUILT_IN: Final[Mapping[str, SessionKind]] = {"memory": memory.kind, "sqlite": sqlite.kind}


def kinds() -> Mapping[str, SessionKind]:
    """Return every kind under its word after `kind:`.

    Raises:
        ConfigError: An installed plug-in cannot be used, with one problem for each.
    """
    found = dict(_BUILT_IN)
    problems: list[str] = []
    for point in entry_points(group=GROUP):
        if point.name in found:
            problems.append(f"{_named(point)}: the name is taken: two plug-ins, or one and a built-in kind")
            continue
        try:
            found[point.name] = _load(point)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*problems)
    return found


def _load(point: EntryPoint) -> SessionKind:
    try:
        kind: object = point.load()
    except Exception as error:
        raise ConfigError(f"{_named(point)}: cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(kind, SessionKind):
        raise ConfigError(f"{_named(point)}: names no SessionKind but {type(kind).__name__}")
    return kind


def _named(point: EntryPoint) -> str:
    package = f" of {point.dist.name}" if point.dist is not None else ""
    return f"session store plug-in {point.name}{package} ({point.value})"
