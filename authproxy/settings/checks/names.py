"""Every name that is used must be defined, and catalogs must not consist of themselves."""

from collections.abc import Iterator, Mapping

from authproxy.core.nearest import did_you_mean
from authproxy.options import SYSTEM_TRUST, Options, references
from authproxy.settings.checks.finding import Finding, Known
from authproxy.settings.model import Settings
from authproxy.settings.tree import Path

_ONE = {
    "sessions": "session store",
    "catalogs": "catalog",
    "zones": "zone",
    "upstreams": "upstream",
    "listeners": "listener",
}


def check(settings: Settings, known: Known) -> Iterator[Finding]:
    """Yield names that nothing bears, each with the nearest that something does, and circles of catalogs."""
    for path, section, name in _references(settings):
        if name is not None and not known.may_hold(section, name):
            others = known.names[section] or frozenset()
            word = _ONE.get(section, section.removesuffix("s"))
            hint = did_you_mean(name, others) or f" (there are no {section})"
            yield Finding(path, f"unknown {word}{hint}")
    if SYSTEM_TRUST in settings.truststores:
        text = f"`trust: {SYSTEM_TRUST}` means the authorities of this system: give the truststore another name"
        yield Finding(("truststores", SYSTEM_TRUST), text, key=True)
    yield from _circles(settings.catalogs)


def _references(settings: Settings) -> Iterator[tuple[Path, str, str | None]]:
    for name, listener in settings.listeners.items():
        here: Path = ("listeners", name)
        yield (*here, "keystore"), "keystores", listener.keystore
        yield (*here, "redirect", "to"), "listeners", None if listener.redirect is None else listener.redirect.to
        yield (*here, "client_certificates", "trust"), "truststores", listener.client_certificates.trust
        for host, keystore in listener.sni.items():
            yield (*here, "sni", host), "keystores", keystore
    for name, zone in settings.zones.items():
        yield ("zones", name, "catalog"), "catalogs", zone.catalog
        yield ("zones", name, "sessions"), "sessions", zone.sessions
        trust = None if zone.certificate is None else zone.certificate.trust
        yield ("zones", name, "certificate", "trust"), "truststores", trust
    for name, options in settings.catalogs.items():
        for index, member in enumerate(_members(options)):
            yield ("catalogs", name, "of", index), "catalogs", member
    for name, upstream in settings.upstreams.items():
        yield ("upstreams", name, "trust"), "truststores", upstream.trust
        yield ("upstreams", name, "keystore"), "keystores", upstream.keystore
    yield from _of_kinds("catalogs", settings.catalogs)
    yield from _of_kinds("sessions", settings.sessions)
    yield from _of_routes(settings)
    if settings.ops is not None:
        yield ("ops", "keystore"), "keystores", settings.ops.keystore
        yield ("ops", "client_certificates", "trust"), "truststores", settings.ops.client_certificates.trust


def _of_routes(settings: Settings) -> Iterator[tuple[Path, str, str | None]]:
    for index, route in enumerate(settings.routes):
        here: Path = ("routes", index)
        yield (*here, "zone"), "zones", route.zone
        yield (*here, "upstream"), "upstreams", route.upstream
        for place, listener in enumerate(route.listeners):
            yield (*here, "listeners", place), "listeners", listener


def _of_kinds(section: str, named: Mapping[str, Options]) -> Iterator[tuple[Path, str, str]]:
    for name, options in named.items():
        for key, other, wanted in references(options):
            yield (section, name, key), other, wanted


def _members(options: Options) -> tuple[str, ...]:
    """Return the catalogs that a composite consists of: what its kind calls `of`."""
    members = getattr(options, "of", ()) if getattr(options, "kind", None) == "composite" else ()
    return tuple(str(member) for member in members)


def _circles(catalogs: Mapping[str, Options]) -> Iterator[Finding]:
    for name in _unfinished(catalogs):
        for index, member in enumerate(_members(catalogs[name])):
            if name in _all_below(member, catalogs):
                yield Finding(("catalogs", name, "of", index), f"{name} would consist of itself: take {member} out")


def _unfinished(catalogs: Mapping[str, Options]) -> list[str]:
    """Return the catalogs on or above a circle: one that consists of finished catalogs alone is finished."""
    open_members = {name: len(set(_members(options)) & catalogs.keys()) for name, options in catalogs.items()}
    users: dict[str, list[str]] = {}
    for name, options in catalogs.items():
        for member in set(_members(options)):
            users.setdefault(member, []).append(name)
    finished = [name for name, count in open_members.items() if count == 0]
    for name in finished:
        for user in users.get(name, ()):
            open_members[user] -= 1
            if open_members[user] == 0:
                finished.append(user)
    return [name for name, count in open_members.items() if count]


def _all_below(name: str, catalogs: Mapping[str, Options]) -> frozenset[str]:
    found, waiting = {name}, [name]
    while waiting:
        options = catalogs.get(waiting.pop())
        fresh = [member for member in _members(options) if member not in found] if options is not None else []
        found.update(fresh)
        waiting += fresh
    return frozenset(found)
