"""The session stores of a configuration: opened, used on across reloads, pruned; and what a zone is given of one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from authproxy.core.cookie import CookieRules
from authproxy.core.pepper import Pepper
from authproxy.core.secret import Secret
from authproxy.core.session import SessionRules
from authproxy.core.session_key import SessionKey
from authproxy.core.stats import Stats
from authproxy.daemon.material import Material, Sources, gather, read_keystore, read_truststore
from authproxy.daemon.supply import Supply
from authproxy.errors import SessionStoreUnavailable
from authproxy.options import Options
from authproxy.sessions import registry
from authproxy.sessions.bounded import BoundedSessions, Bounds
from authproxy.sessions.interface import SessionStore
from authproxy.sessions.means import Login, SessionMeans
from authproxy.settings import Loaded
from authproxy.settings.zones import Login as LoginSettings
from authproxy.settings.zones import SessionLife
from authproxy.settings.zones import Zone as ZoneSettings

_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedStore:
    """A store, and what it was opened with."""

    options: Options
    store: SessionStore
    given: tuple[object, ...] = ()
    """What it asked for when it was opened: secrets, trust, keys."""
    is_outside: bool = True
    """Whether it may be away."""


def open_stores(
    sources: Sources, material: Material, before: Mapping[str, OpenedStore], stats: Stats
) -> dict[str, OpenedStore]:
    """Return every session store of the configuration; one that would be opened with the very same is used on.

    Raises:
        ConfigError: with every problem.
    """
    loaded, kinds = sources.loaded, registry.kinds()

    def open_one(name: str) -> OpenedStore:
        options = loaded.settings.sessions[name]
        known = before.get(name)
        is_same = known is not None and known.options == options
        if known is not None and is_same and not known.given:
            return known
        kind = kinds[str(getattr(options, "kind", ""))]
        supply = Supply(sources, ("sessions", name), material.keystores.__getitem__, material.truststores.__getitem__)
        store = kind.open(options, supply)
        if known is not None and is_same and known.given == supply.given:
            return known
        if not kind.bounded:
            bounds = Bounds(deadline=kind.deadline(options))
            store = BoundedSessions(store, name=name, clock=monotonic, bounds=bounds, stats=stats.store(name))
        return OpenedStore(options=options, store=store, given=supply.given, is_outside=not kind.bounded)

    return gather(loaded, "sessions", loaded.settings.sessions, open_one)


def open_store(sources: Sources, name: str, now: datetime) -> SessionStore:
    """Return one store with nothing around it, for whoever asks it from outside a proxy; reads no more than it needs.

    Raises:
        ConfigError: with every problem.
    """
    loaded = sources.loaded

    def open_it(_: str) -> SessionStore:
        options = loaded.settings.sessions[name]
        supply = Supply(
            sources,
            ("sessions", name),
            lambda keystore: read_keystore(keystore, sources),
            lambda truststore: read_truststore(sources, truststore, now),
        )
        return registry.kinds()[str(getattr(options, "kind", ""))].open(options, supply)

    return gather(loaded, "sessions", {name: None}, open_it)[name]


def notes_of(loaded: Loaded) -> list[str]:
    """Return a line for each host on which people of two zones sign in."""
    settings = loaded.settings
    first: dict[tuple[str, str | None], str] = {}
    told: dict[tuple[str, str], str] = {}
    for index, route in enumerate(settings.routes):
        zone = settings.zones.get(route.zone or "")
        if zone is None or "session" not in zone.counts:
            continue
        name = str(route.zone)
        for listener in route.listeners:
            other = first.setdefault((listener, route.host), name)
            if other != name:
                text = (
                    f"zones {other} and {name} share an origin: to a browser a page of one may act on the other as "
                    "whoever is signed in there; give each a host of its own"
                )
                told.setdefault((other, name), f"{loaded.where('routes', index)}: {text}")
    return list(told.values())


async def prune(stores: Mapping[str, OpenedStore], now: int) -> None:
    """Remove what has ended; a store that is away does so another time, and tells whoever asks it."""
    for opened in stores.values():
        try:
            await opened.store.prune(now)
        except SessionStoreUnavailable:
            continue


def means_of(
    name: str,
    settings: ZoneSettings,
    stores: Mapping[str, SessionStore],
    secrets: list[tuple[Secret[bytes], Pepper]],
    stats: Stats,
) -> SessionMeans | None:
    """Return what a zone whose people sign in is given, or None for every other zone."""
    if "session" not in settings.counts or settings.sessions is None:
        return None
    life, login = settings.session or SessionLife(), settings.login or LoginSettings()
    cookie = life.cookie or f"__Host-authproxy-{name}"
    return SessionMeans(
        rules=SessionRules(
            zone=name,
            keys=tuple(SessionKey(secret, pepper.id, name) for secret, pepper in secrets),
            idle=life.idle // _MILLISECOND,
            absolute=life.absolute // _MILLISECOND,
            per_user=life.per_user,
        ),
        store=stores[settings.sessions],
        cookie=CookieRules(cookie.encode(), life.same_site.title().encode()),
        login=Login(
            path=login.path,
            after=login.after,
            logout=login.logout_path,
            after_logout=login.after_logout,
            title=login.title,
        ),
        or_token="token" in settings.counts,
        stats=stats.sessions_of(name),
    )
