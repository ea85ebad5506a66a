"""Which route a listener's request takes: those of the configuration, and the proxy's own pages beside them."""

from collections.abc import Iterator
from dataclasses import replace

from authproxy.core.route import Pattern, RouteTable
from authproxy.core.stats import Stats
from authproxy.runtime import Route
from authproxy.sessions.means import LoginPage
from authproxy.settings.routes import Route as RouteSettings


def table_of(
    described: tuple[RouteSettings, ...], routes: list[Route], listener: str, stats: Stats
) -> RouteTable[Route]:  # fmt: skip
    """Return the routes that are served on a listener; none where it redirects."""
    served = [(one, route) for one, route in zip(described, routes, strict=True) if listener in one.listeners]
    own = {pattern: route for one, kept in served for pattern, route in _places(one, kept, stats)}
    return RouteTable([*((Pattern(one.host, one.path, one.exact), route) for one, route in served), *own.items()])


def _places(described: RouteSettings, route: Route, stats: Stats) -> Iterator[tuple[Pattern, Route]]:
    """Yield the pages of a zone's login for the host of one of its routes."""
    zone = route.zone
    if zone is None or zone.sessions is None:
        return
    for path, place in zone.sessions.login.places.items():
        yield Pattern(described.host, path, exact=True), _page(route, zone.name, place, stats)


def _page(route: Route, zone: str, place: LoginPage, stats: Stats) -> Route:
    name = f"{zone} {place.value}"
    return replace(
        route,
        name=name,
        stats=stats.route(name, zone),
        allow=None,
        methods=None,
        preflight=None,
        request=None,
        response=None,
        place=place,
    )
