"""A zone's settings and material become what one request may see of it."""

from collections.abc import Mapping

from authproxy.catalogs.interface import Catalog
from authproxy.core.client_name import Source
from authproxy.core.decision import TokenRules
from authproxy.core.pepper import Pepper
from authproxy.core.secret import Secret
from authproxy.core.stats import Stats
from authproxy.daemon.material import Material, Sources, gather
from authproxy.daemon.sessions import means_of
from authproxy.keystore import Demand
from authproxy.runtime import CertificateRules, Zone
from authproxy.sessions.interface import SessionStore
from authproxy.settings.zones import Zone as ZoneSettings


def read_peppers(sources: Sources) -> dict[str, list[Secret[bytes]]]:
    """Return the peppers of every zone, newest first; ConfigError with every problem."""
    zones = sources.loaded.settings.zones
    return gather(sources.loaded, "zones", zones, lambda name: _peppers(sources, name))


def _peppers(sources: Sources, name: str) -> list[Secret[bytes]]:
    references = sources.loaded.settings.zones[name].peppers
    return [sources.pepper(reference, "zones", name, "peppers", index) for index, reference in enumerate(references)]


def zone_of(  # noqa: PLR0913, PLR0917  # all that a zone is made of
    sources: Sources,
    material: Material,
    catalogs: Mapping[str, Catalog],
    stores: Mapping[str, SessionStore],
    stats: Stats,
    name: str,
) -> Zone:
    """Return a zone ready for requests; SecretError: one of its peppers cannot be read."""
    settings = sources.loaded.settings.zones[name]
    secrets = _peppers(sources, name)
    peppers = tuple(map(Pepper, secrets))
    return Zone(
        name=name,
        rules=TokenRules(zone=name, prefix=(settings.prefix or "").lower().encode(), peppers=peppers),
        catalog=catalogs[settings.catalog],
        certificates=_certificate_rules(settings, material, name),
        sessions=means_of(name, settings, stores, list(zip(secrets, peppers, strict=True)), stats),
    )


def _certificate_rules(settings: ZoneSettings, material: Material, name: str) -> CertificateRules | None:
    own = settings.certificate
    if own is None or "certificate" not in settings.counts:
        return None
    known = material.users.get(name)
    return CertificateRules(
        demand=Demand(is_required=True, trust=material.truststores[own.trust]),
        sources=tuple(map(Source, own.sources)),
        users=None if known is None else known.users,
        or_token="token" in settings.counts and not settings.require,
        and_token="token" in settings.require,
    )
