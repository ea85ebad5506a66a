"""Zones: every credential that counts has what it is checked with, and two zones never share it."""

from collections.abc import Iterator, Mapping
from typing import Final

from authproxy.core.client_name import OWN_IDS, Source
from authproxy.options import SecretRef
from authproxy.settings.checks.finding import Finding
from authproxy.settings.model import Settings
from authproxy.settings.tree import Path
from authproxy.settings.zones import CertificateIdentity, Zone

_CERTIFICATE: Final = "certificate"
_EXAMPLE: Final = "certificate: {trust: NAME, from: [uri], users: FILE}"


def check(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with zones."""
    for name, zone in settings.zones.items():
        here: Path = ("zones", name)
        if "token" in zone.counts:
            yield from _tokens(here, zone)
        said = set(zone.accepts) if "accepts" in zone.model_fields_set else set(zone.require)
        if not (said <= set(zone.require) or said >= set(zone.require)):
            yield Finding(
                (*here, "require"), "names what `accepts` leaves out, and the other way round: name it there too"
            )
        yield from _certificates(here, zone)
        if _CERTIFICATE in zone.counts:
            yield from _asked(settings, name, zone)
    yield from _isolation(settings.zones)


def _tokens(here: Path, zone: Zone) -> Iterator[Finding]:
    for key, value in (("prefix", zone.prefix), ("peppers", zone.peppers)):
        if not value:
            what = (Zone.model_fields[key].description or "").rstrip(".")
            yield Finding((*here, key), f"is needed where tokens count: {what[:1].lower()}{what[1:]}", key=True)


def _certificates(here: Path, zone: Zone) -> Iterator[Finding]:
    place = (*here, _CERTIFICATE)
    if zone.certificate is None:
        if _CERTIFICATE in zone.counts:
            yield Finding(here, f"takes certificates, and nothing says whose they are: add `{_EXAMPLE}`", key=True)
        return
    if _CERTIFICATE not in zone.counts:
        text = "has no effect: add certificate to `accepts` or to `require`, or take this away"
        yield Finding(place, text, key=True)
    yield from _sources(place, zone.certificate)


def _sources(place: Path, certificate: CertificateIdentity) -> Iterator[Finding]:
    for index, kind in enumerate(certificate.sources):
        if kind in certificate.sources[:index]:
            yield Finding((*place, "from", index), f"{kind} stands twice: keep one")
        elif certificate.users is None and Source(kind) not in OWN_IDS:
            text = f"{kind} is never a user id itself: add `users: FILE`, which says whose it is"
            yield Finding((*place, "from", index), text)


def _asked(settings: Settings, name: str, zone: Zone) -> Iterator[Finding]:
    """A certificate that no listener asks for is never shown."""
    leading = {listener for route in settings.routes if route.zone == name for listener in route.listeners}
    modes = {one: settings.listeners[one].client_certificates.mode for one in leading if one in settings.listeners}
    deaf = sorted(one for one, mode in modes.items() if mode == "none")
    if deaf and ("token" not in zone.counts or _CERTIFICATE in zone.require or len(deaf) == len(modes)):
        text = (
            f"nobody can show a certificate on listener {' and '.join(deaf)}, where routes of this zone are served: "
            "add `client_certificates: {mode: optional, trust: NAME}` there"
        )
        yield Finding(("zones", name, "require" if zone.require else "accepts"), text, key=True)


def _isolation(zones: Mapping[str, Zone]) -> Iterator[Finding]:
    """A token's hash does not cover its prefix: who shares a pepper accepts the other's tokens under its own prefix."""
    prefixes: dict[str, str] = {}
    peppers: dict[SecretRef, str] = {}
    for name, zone in zones.items():
        first = name if zone.prefix is None else prefixes.setdefault(zone.prefix.lower(), name)
        if first != name:
            yield Finding(("zones", name, "prefix"), f"zone {first} has this prefix: every zone has its own")
        for index, pepper in enumerate(zone.peppers):
            first = peppers.setdefault(pepper, name)
            if first != name:
                text = f"zone {first} has this pepper: with its own, no token of one zone can pass in the other"
                yield Finding(("zones", name, "peppers", index), text)
