"""Which route a request takes: by host, then by path in whole segments. No route, no way through."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import Generic, NamedTuple, TypeVar

R = TypeVar("R")


@unique
class NoRoute(Enum):
    """Why no route was found."""

    UNKNOWN_HOST = "unknown-host"
    NO_MATCH = "no-route"


class Pattern(NamedTuple):
    """What a route answers to."""

    host: str | None
    """An exact host name, `*.suffix` for the names one or more labels below it, or None for every host. Lower case."""
    path: str
    """Starts with `/`; a final slash means nothing unless `exact`."""
    exact: bool = False


@dataclass(slots=True)
class _Paths(Generic[R]):
    """The routes of one host pattern."""

    exact: dict[bytes, R] = field(default_factory=dict)
    prefix: dict[bytes, R] = field(default_factory=dict)
    deepest: int = 0

    def add(self, pattern: Pattern, route: R) -> None:
        path = pattern.path.encode()
        if pattern.exact:
            self.exact[path] = route
            return
        path = path.rstrip(b"/")
        self.prefix[path] = route
        self.deepest = max(self.deepest, path.count(b"/"))

    def find(self, path: bytes) -> R | None:
        route = self.exact.get(path) if self.exact else None
        if route is not None:
            return route
        if self.deepest:
            # Whole segments: cut the path where the deepest prefix ends, then walk up.
            key = b"/".join(path.split(b"/", self.deepest + 1)[: self.deepest + 1])
            while key:
                route = self.prefix.get(key)
                if route is not None:
                    return route
                key = key[: key.rfind(b"/")]
        return self.prefix.get(b"")


class RouteTable(Generic[R]):
    """Finds the route for a host and a once-decoded path.

    Exact host before wildcard (longest suffix first) before none; within a host exact path, then longest prefix.
    When a host's own routes do not match the path, the less exact ones are asked.
    """

    __slots__ = ("_any", "_hosts", "_wildcards", "by_path", "catch_all")

    def __init__(self, routes: Iterable[tuple[Pattern, R]]) -> None:
        self._any: _Paths[R] | None = None
        self._hosts: dict[str, _Paths[R]] = {}
        wildcards: dict[str, _Paths[R]] = {}
        for pattern, route in routes:
            if pattern.host is None:
                self._any = self._any or _Paths()
                self._any.add(pattern, route)
            elif pattern.host.startswith("*."):
                wildcards.setdefault(pattern.host[1:], _Paths()).add(pattern, route)
            else:
                self._hosts.setdefault(pattern.host, _Paths()).add(pattern, route)
        self._wildcards = sorted(wildcards.items(), key=lambda item: -len(item[0]))
        alone = None if self._hosts or self._wildcards else self._any
        self.catch_all: R | None = None if alone is None or alone.exact or alone.deepest else alone.prefix.get(b"")
        """The only route there is, when it takes every host and path."""
        self.by_path: Callable[[bytes], R | None] | None = None if alone is None else alone.find
        """Finds the route for a once-decoded path, or none, when no route is for certain hosts only."""

    def find(self, host: str, path: bytes) -> R | NoRoute:
        """Return the route, or why there is none. `host` is folded and without port."""
        if self.by_path is not None:
            return self.by_path(path) or NoRoute.NO_MATCH
        known = False
        for paths in self._candidates(host):
            known = True
            route = paths.find(path)
            if route is not None:
                return route
        return NoRoute.NO_MATCH if known else NoRoute.UNKNOWN_HOST

    def knows(self, host: str) -> bool:
        """Tell whether any route is for this host, whatever the path. `host` is folded and without port."""
        return next(iter(self._candidates(host)), None) is not None

    def _candidates(self, host: str) -> Iterable[_Paths[R]]:
        if (exact := self._hosts.get(host)) is not None:
            yield exact
        for suffix, paths in self._wildcards:
            if host.endswith(suffix) and len(host) > len(suffix):
                yield paths
        if self._any is not None:
            yield self._any
