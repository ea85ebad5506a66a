"""Routes: every request has one reading, one route and one answer to who may pass."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from authproxy.settings.checks.finding import Finding, Known
from authproxy.settings.model import Settings
from authproxy.settings.routes import Allow, HeaderValue, Route
from authproxy.settings.tree import Path
from authproxy.settings.words import fold, is_framing

Demands: TypeAlias = tuple[str | None, Allow | None, tuple[str, ...] | None]


def check(settings: Settings, known: Known) -> Iterator[Finding]:
    """Yield what is wrong with routes, one by one and between them."""
    if not settings.routes and known.is_empty("routes") and _serves_http(settings, known):
        yield Finding(("routes",), "needs at least one route, as in [{path: /, upstream: NAME}]", key=True)
    reserved = frozenset(fold(name) for name in settings.identity.headers)
    for index, route in enumerate(settings.routes):
        here: Path = ("routes", index)
        yield from _access(here, route, known)
        yield from _headers((*here, "headers", "request"), route.headers.request, reserved)
        yield from _headers((*here, "headers", "response"), route.headers.response, frozenset())
        if route.strip_prefix is not None and route.rewrite is not None:
            yield Finding((*here, "rewrite"), "strip_prefix and rewrite exclude one another: keep one", key=True)
        if route.strip_prefix is not None and not _can_strip(route, route.strip_prefix):
            text = f"must be the route's path, whole leading segments of it or a path under it: {route.path}"
            yield Finding((*here, "strip_prefix"), text)
        if route.allow is not None and not (route.allow.users or route.allow.groups or route.allow.networks):
            yield Finding((*here, "allow"), "needs users, groups or networks; leave it away to let the whole zone in")
        yield from _preflight((*here, "preflight"), route)
    yield from _twice(settings.routes)
    yield from _unusual(settings.routes)


def _serves_http(settings: Settings, known: Known) -> bool:
    """Return whether anybody needs routes: not where every listener is of mode tcp, as far as they can be read."""
    if settings.listeners:
        return any(listener.mode != "tcp" for listener in settings.listeners.values())
    return known.is_empty("listeners")


def _can_strip(route: Route, prefix: str) -> bool:
    """Return whether any path of the route begins so."""
    return _is_under(route.path, prefix) or (not route.exact and _is_under(prefix, route.path))


def _is_under(path: str, prefix: str) -> bool:
    return (path.rstrip("/") + "/").startswith(prefix.rstrip("/") + "/")


def _access(path: Path, route: Route, known: Known) -> Iterator[Finding]:
    zones = known.names["zones"]
    if not route.public and route.zone is None and zones is not None:
        choice = f"`zone: NAME` (known: {', '.join(sorted(zones))})" if zones else "a zone (none is defined)"
        yield Finding(path, f"who may pass? needs {choice}, or `public: true`", key=True)
    if not route.public:
        return
    for key, value in (("zone", route.zone), ("allow", route.allow), ("unusual_path", route.unusual_path or None)):
        if value is not None:
            yield Finding((*path, key), f"a public route asks nobody: take `{key}` or `public: true` away", key=True)


def _preflight(path: Path, route: Route) -> Iterator[Finding]:
    preflight = route.preflight
    if preflight is None:
        return
    if "*" in preflight.origins and len(preflight.origins) > 1:
        yield Finding((*path, "origins"), "* is every origin: let it stand alone")
    if "*" in preflight.origins and preflight.credentials:
        text = "browsers refuse this with `origins: [*]`: name the origins that may send cookies"
        yield Finding((*path, "credentials"), text, key=True)
    for index, method in enumerate(preflight.methods):
        if route.methods is not None and method not in route.methods:
            yield Finding((*path, "methods", index), f"{method} is not in the methods of this route")


def _headers(path: Path, headers: Mapping[str, HeaderValue], reserved: frozenset[bytes]) -> Iterator[Finding]:
    seen: dict[bytes, str] = {}
    for name in headers:
        if is_framing(name):
            cure = ": the upstream's `host` decides" if fold(name) == b"HOST" else ""
            yield Finding((*path, name), f"this header is the proxy's own business{cure}", key=True)
        if fold(name) == b"X_REQUEST_ID":
            text = "this header carries the number in the access log: it is always the proxy's own"
            yield Finding((*path, name), text, key=True)
        if fold(name) in reserved or fold(name).startswith(b"X_AUTHPROXY_"):
            yield Finding((*path, name), "this header tells who the caller is: see identity.headers", key=True)
        first = seen.setdefault(fold(name), name)
        if first != name:
            yield Finding((*path, name), f"is the same header as {first}: keep one", key=True)


def _twice(routes: tuple[Route, ...]) -> Iterator[Finding]:
    names: dict[str, int] = {}
    places: dict[tuple[str, str | None, str, bool], int] = {}
    for index, route in enumerate(routes):
        if route.name is not None and names.setdefault(route.name, index) != index:
            yield Finding(("routes", index, "name"), f"routes[{names[route.name]}] has this name: names are unique")
        for listener in route.listeners:
            # Where a route covers what is below its path, a slash at the end means nothing.
            path = route.path if route.exact else route.path.rstrip("/")
            first = places.setdefault((listener, route.host, path, route.exact), index)
            if first != index:
                text = f"same listener, host and path as routes[{first}]: which one is meant? keep one"
                yield Finding(("routes", index), text)
                break


def _unusual(routes: tuple[Route, ...]) -> Iterator[Finding]:
    # One route for each set of demands is enough to compare with, however many routes there are.
    demands: dict[str, dict[Demands, int]] = {}
    for index, route in enumerate(routes):
        if not route.public:
            demands.setdefault(route.upstream, {}).setdefault(_demands(route), index)
    for index, route in enumerate(routes):
        for asked, other in demands[route.upstream].items() if route.unusual_path and not route.public else ():
            if _is_stricter(asked, _demands(route)):
                text = (
                    f"routes[{other}] asks more of callers of the same upstream, which may read such a path as one of "
                    "its own: take unusual_path away, or give the upstream a route of its own"
                )
                yield Finding(("routes", index, "unusual_path"), text, key=True)
                break


def _demands(route: Route) -> Demands:
    return route.zone, route.allow, route.methods


def _is_stricter(asked: Demands, than: Demands) -> bool:
    """Return whether one route asks for anything that the other does not ask for as well."""
    return any(ours is not None and ours != theirs for ours, theirs in zip(asked, than, strict=True))
