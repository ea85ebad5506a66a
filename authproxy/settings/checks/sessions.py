"""Browser sessions: whoever signs in can, at a path that is nobody else's, and no zone reads another one's cookie."""

from collections.abc import Iterator
from typing import Final

from authproxy.core.redirect import safe_next
from authproxy.settings.checks.finding import Finding
from authproxy.settings.model import Settings
from authproxy.settings.tree import Path
from authproxy.settings.zones import Login, Zone

_SESSION: Final = "session"
_KEYS: Final = ("sessions", _SESSION, "login")


def check(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with sessions and logins."""
    cookies: dict[str, str] = {}
    for name, zone in settings.zones.items():
        here: Path = ("zones", name)
        if _SESSION not in zone.accepts:
            yield from _idle(here, zone)
            continue
        if zone.require:
            yield Finding(
                (*here, "require"), "sessions cannot count beside it: take session out of `accepts`", key=True
            )
        if zone.sessions is None:
            text = "takes sessions, and nothing says where they are kept: add `sessions: NAME`"
            yield Finding(here, text, key=True)
        yield from _tokens(here, zone)
        yield from _paths(here, zone)
        cookie = (zone.session.cookie if zone.session is not None else None) or f"__Host-authproxy-{name}"
        first = cookies.setdefault(cookie.lower(), name)
        if first != name:
            yield Finding((*here, _SESSION, "cookie"), f"zone {first} has this cookie: every zone has its own")
    yield from _places(settings)


def _idle(here: Path, zone: Zone) -> Iterator[Finding]:
    for key in _KEYS:
        if getattr(zone, key) is not None:
            text = f"has no effect: add {_SESSION} to `accepts`, or take this away"
            yield Finding((*here, key), text, key=True)


def _tokens(here: Path, zone: Zone) -> Iterator[Finding]:
    """People sign in with a token."""
    if "token" not in zone.counts:
        for key, value in (("prefix", zone.prefix), ("peppers", zone.peppers)):
            if not value:
                yield Finding((*here, key), "is needed where people sign in, which they do with a token", key=True)


def _paths(here: Path, zone: Zone) -> Iterator[Finding]:
    login = zone.login or Login()
    if login.path.rstrip("/") == login.logout_path.rstrip("/"):
        yield Finding((*here, "login", "logout_path"), "is the path of the login too: choose another")
    for key, path in (("path", login.path), ("logout_path", login.logout_path)):
        if path == "/":
            yield Finding((*here, "login", key), "would take the place of the service's own start page: choose another")
    # Browsers would be led in a circle, or to a page that there is none of.
    if safe_next(login.after, (login.path, login.logout_path)) is None:
        yield Finding((*here, "login", "after"), "is a path of the login itself, and leads nowhere: choose a page")
    if safe_next(login.after_logout, (login.logout_path,)) is None:
        text = "is the path of the logout itself, where only forms are posted to: choose a page"
        yield Finding((*here, "login", "after_logout"), text)


def _places(settings: Settings) -> Iterator[Finding]:
    """No two zones sign in at one place, and no route says what happens there."""
    taken: dict[tuple[str, str | None, str], str] = {
        (listener, route.host, route.path): f"routes[{index}]"
        for index, route in enumerate(settings.routes)
        for listener in route.listeners
        if route.exact
    }
    told: set[tuple[str, str]] = set()
    for route in settings.routes:
        zone = settings.zones.get(route.zone or "")
        if zone is None or route.public or _SESSION not in zone.accepts:
            continue
        login = zone.login or Login()
        for key, path in (("path", login.path), ("logout_path", login.logout_path)):
            owner = f"zone {route.zone}"
            firsts = {taken.setdefault((listener, route.host, path), owner) for listener in route.listeners}
            others = sorted(firsts - {owner})
            if others and (owner, key) not in told:
                told.add((owner, key))
                text = f"{others[0]} has this path on the same host and listener: choose another"
                yield Finding(("zones", str(route.zone), "login", key), text)
