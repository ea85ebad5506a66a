"""Settings and material become a Runtime. The only module that knows every concrete class."""

import ssl
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from authproxy.catalogs.interface import Catalog
from authproxy.core.decision import AllowRules
from authproxy.core.names import RequestNames, fold
from authproxy.core.record import UserId
from authproxy.core.route import RouteTable
from authproxy.core.server_names import ServerNames
from authproxy.core.stats import Stats
from authproxy.daemon.material import Material, Sources, gather
from authproxy.daemon.pages import pages_of
from authproxy.daemon.tables import table_of
from authproxy.daemon.tunnels import plan_of
from authproxy.daemon.upstreams import health_check, tell
from authproxy.daemon.zones import zone_of
from authproxy.door.gate import server_judge
from authproxy.errors import ConfigError
from authproxy.http1.request import HeadLimits, RequestReader
from authproxy.keystore import Demand, client_context, fingerprint, pin_judge
from authproxy.runtime import (
    HeaderRules,
    IdentityValue,
    Listener,
    Preflight,
    Redirect,
    Rewrite,
    Route,
    Runtime,
    Times,
    Zone,
)
from authproxy.sessions.interface import SessionStore
from authproxy.settings import Settings
from authproxy.settings.addresses import UnixSocket, Url
from authproxy.settings.listeners import Listener as ListenerSettings
from authproxy.settings.redirects import port_of, target_of
from authproxy.settings.routes import HeaderValue
from authproxy.settings.routes import Route as RouteSettings
from authproxy.settings.upstreams import Upstream as UpstreamSettings
from authproxy.upstream.means import Means, Spawn
from authproxy.upstream.pool import Upstream, UpstreamTimes
from authproxy.upstream.side import Endpoint

_HTTPS: Final = 443
_UNQUOTED: Final = str.maketrans({'"': "'", "\\": "/"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a Runtime is made from, beside the settings."""

    sources: Sources
    material: Material
    catalogs: Mapping[str, Catalog]
    sessions: Mapping[str, SessionStore]
    stats: Stats
    spawn: Spawn
    previous: Mapping[str, tuple[object, Upstream]] = field(default_factory=dict)
    """The upstreams at work with what they were made from; an equal one is used on, with its connections."""
    demands: Mapping[str, Demand | None] = field(default_factory=dict)
    """What each listener demands of its clients' certificates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A Runtime, and what the next build may use again."""

    runtime: Runtime
    upstreams: Mapping[str, tuple[object, Upstream]]


def build(parts: Parts, generation: int) -> Built:
    """Return a whole Runtime; nothing that is at work is touched.

    Raises:
        ConfigError: with every problem; SecretError when a secret is among them.
    """
    settings = parts.sources.loaded.settings
    zones = gather(
        parts.sources.loaded,
        "zones",
        settings.zones,
        lambda name: zone_of(parts.sources, parts.material, parts.catalogs, parts.sessions, parts.stats, name),
    )
    upstreams = gather(parts.sources.loaded, "upstreams", settings.upstreams, lambda name: _upstream(parts, name))
    by_name = {name: upstream for name, (_, upstream) in upstreams.items()}
    routes = [_route(parts, index, zones, by_name) for index in range(len(settings.routes))]
    tables = {name: table_of(settings.routes, routes, name, parts.stats) for name in settings.listeners}
    runtime = Runtime(
        generation=generation,
        listeners={name: _listener(parts, name, tables, generation) for name in settings.listeners},
        zones=zones,
        upstreams=by_name,
        identity=tuple(
            (name.encode() + b": ", IdentityValue(what)) for name, what in settings.identity.headers.items()
        ),
        failures_per_minute=_cap(settings.limits.failures_per_minute),
        tunnels_per_user=_cap(settings.limits.websockets_per_user),
        trusted=settings.trusted_proxies,
        pages=pages_of(parts.sources),
    )
    return Built(runtime=runtime, upstreams=upstreams)


def _cap(value: int | str) -> int | None:
    return value if isinstance(value, int) else None


def _upstream(parts: Parts, name: str) -> tuple[object, Upstream]:
    settings = parts.sources.loaded.settings.upstreams[name]
    material = parts.material
    trust = None if settings.trust is None else material.truststores[settings.trust]
    own = None if settings.keystore is None else material.keystores[settings.keystore]
    made_from = (
        settings,
        None if trust is None else trust.fingerprint,
        None if own is None else tuple(fingerprint(certificate) for certificate in own.chain),
    )
    before = parts.previous.get(name)
    if before is not None and before[0] == made_from:
        return before
    context = client_context(trust, own) if any(url.tls for url in settings.urls) else None
    pins = pin_judge(settings.pins, f"upstreams.{name}.pins") if settings.pins else None
    judge = server_judge(pins, None if trust is None else trust.denied)
    endpoints = tuple(_endpoint(settings, url, context, judge) for url in settings.urls)
    times = UpstreamTimes(
        connect=settings.timeouts.connect.total_seconds(),
        response_head=settings.timeouts.response_head.total_seconds(),
        idle=settings.timeouts.idle.total_seconds(),
    )
    return made_from, Upstream(name, endpoints, times, parts.stats.upstream(name), Means(spawn=parts.spawn, tell=tell))


def _endpoint(
    settings: UpstreamSettings, url: Url, context: ssl.SSLContext | None, judge: Callable[[object], str] | None
) -> Endpoint:
    address = url.address
    if isinstance(address, UnixSocket):
        check = health_check(settings.health, b"localhost")
        return Endpoint(
            unix=address.path, authority=b"localhost", check=check, max_connections=settings.max_connections
        )  # fmt: skip
    default = address.port == (443 if url.tls else 80)
    authority = str(address).rpartition(":")[0] if default else str(address)
    return Endpoint(
        host=address.host,
        port=address.port,
        context=context if url.tls else None,
        server_name=(settings.server_name or address.host) if url.tls else "",
        believed="this system's authorities" if settings.trust is None else f"truststores.{settings.trust}",
        judge=judge,
        authority=authority.encode(),
        check=health_check(settings.health, authority.encode()),
        max_connections=settings.max_connections,
    )


def _route(parts: Parts, index: int, zones: Mapping[str, Zone], upstreams: Mapping[str, Upstream]) -> Route:
    settings = parts.sources.loaded.settings.routes[index]
    zone = None if settings.public or settings.zone is None else zones[settings.zone]
    upstream = upstreams[settings.upstream]
    reuse = parts.sources.loaded.settings.upstreams[settings.upstream].reuse_after_body
    own_host = parts.sources.loaded.settings.upstreams[settings.upstream].host == "upstream"
    name = (settings.name or f"{settings.host or ''}{settings.path}").translate(_UNQUOTED)
    return Route(
        name=name,
        upstream=upstream,
        stats=parts.stats.route(name, "" if zone is None else zone.name),
        zone=zone,
        allow=_allow(settings),
        methods=None if settings.methods is None else frozenset(method.encode() for method in settings.methods),
        unusual=frozenset(settings.unusual_path),
        upgrades=frozenset(protocol.lower().encode() for protocol in settings.upgrades),
        body_methods=frozenset(method.encode() for method in settings.body_methods),
        max_body=settings.max_body,
        forward_credentials=settings.unsafe_forward_credentials,
        rewrite=_rewrite(settings),
        upstream_host=upstream.authority if own_host else None,
        reuse_after_body=reuse,
        request=_header_rules(parts, index, "request", settings.headers.request),
        response=_header_rules(parts, index, "response", settings.headers.response),
        preflight=_preflight(settings),
        guards_origin=settings.cross_origin == "refuse",
    )


def _preflight(settings: RouteSettings) -> Preflight | None:
    own = settings.preflight
    if own is None:
        return None
    lines = b"Access-Control-Allow-Methods: %b\r\n" % ", ".join(own.methods).encode()
    if own.headers:
        lines += b"Access-Control-Allow-Headers: %b\r\n" % ", ".join(own.headers).encode()
    if own.credentials:
        lines += b"Access-Control-Allow-Credentials: true\r\n"
    lines += b"Access-Control-Max-Age: %d\r\n" % own.max_age.total_seconds()
    return Preflight(origins=frozenset(origin.encode() for origin in own.origins), lines=lines)


def _allow(settings: RouteSettings) -> AllowRules | None:
    if settings.allow is None:
        return None
    return AllowRules(
        users=frozenset(UserId(user.bytes) for user in settings.allow.users),
        groups=frozenset(settings.allow.groups),
        networks=tuple(settings.allow.networks),
    )


def _rewrite(settings: RouteSettings) -> Rewrite | None:
    if settings.strip_prefix is not None:
        prefix = settings.strip_prefix.rstrip("/")
        return Rewrite(
            prefix=prefix.encode(), replacement=b"", is_for_some=len(prefix) > len(settings.path.rstrip("/"))
        )
    if settings.rewrite is not None:
        prefix = settings.path if settings.exact else settings.path.rstrip("/")
        return Rewrite(prefix=prefix.encode(), replacement=settings.rewrite.rstrip("/").encode())
    return None


def _header_rules(parts: Parts, index: int, side: str, values: Mapping[str, HeaderValue]) -> HeaderRules | None:
    if not values:
        return None
    lines = b""
    for name, value in values.items():
        if value is None:
            continue
        path = ("routes", index, "headers", side, name)
        text = value.encode() if isinstance(value, str) else parts.sources.secret(value, *path).reveal()
        if b"\r" in text or b"\n" in text or b"\0" in text:
            raise ConfigError(f"{parts.sources.loaded.where(*path)}: a header's value is one line")
        lines += b"%b: %b\r\n" % (name.encode(), text)
    return HeaderRules(set_lines=lines, dropped=frozenset(fold(name.encode()) for name in values))


def _redirect(settings: Settings, own: ListenerSettings, tables: Mapping[str, RouteTable[Route]]) -> Redirect | None:
    target, port = target_of(settings, own), port_of(settings, own)
    if own.mode != "redirect" or target is None or port is None:
        return None
    return Redirect(routes=tables[target], port=b"" if port == _HTTPS else b":%d" % port)


def _shown(own: ListenerSettings) -> ServerNames[str] | None:
    if own.client_certificates.mode == "none" or not own.sni or own.keystore is None:
        return None
    return ServerNames(default=own.keystore, names=own.sni)


def _own_uris(material: Material, own: ListenerSettings) -> tuple[str, ...]:
    """Return the URIs in the certificates that a listener shows; none where they are not the same for every name."""
    told = {material.keystores[name].uris for name in (own.keystore, *own.sni.values()) if name}
    return told.pop() if len(told) == 1 else ()


def _listener(parts: Parts, name: str, tables: Mapping[str, RouteTable[Route]], generation: int) -> Listener:
    settings = parts.sources.loaded.settings
    own = settings.listeners[name]
    limits = HeadLimits(head=settings.limits.head, line=settings.limits.line, fields=settings.limits.fields)
    times = settings.timeouts
    hsts = None if own.hsts is None else int(own.hsts.total_seconds())
    return Listener(
        name=name,
        generation=generation,
        reader=RequestReader(
            RequestNames(settings.identity.headers, drop_unusual=own.drop_unusual_names),
            limits,
            reported=bool(settings.trusted_proxies),
        ),
        limits=limits,
        demand=parts.demands.get(name),
        shown=_shown(own),
        routes=tables[name],
        own_uris=_own_uris(parts.material, own),
        redirect=_redirect(settings, own, tables),
        tunnel=plan_of(settings, own),
        times=Times(
            handshake=times.handshake.total_seconds(),
            head=times.head.total_seconds(),
            body_idle=times.body_idle.total_seconds(),
            keep_alive=times.keep_alive.total_seconds(),
            tunnel_idle=times.tunnel_idle.total_seconds(),
            client_write=times.client_write.total_seconds(),
            connection_life=times.connection_life.total_seconds(),
        ),
        requests=_cap(settings.limits.requests_per_connection) or sys.maxsize,
        body_rate=_cap(settings.limits.body_rate) or 0,
        health=None if own.health is None else own.health.encode(),
        hsts=None if hsts is None else b"Strict-Transport-Security: max-age=%d\r\n" % hsts,
    )
