"""Runtime: all that one request may see, built whole and never changed; `Current` is the one variable that names it.

Everything slow (YAML, PEM, contexts, route tables, prebuilt lines) is finished when a Runtime is made. A reload
makes another one beside it and swaps the reference; a kept-alive connection reads `Current` at its next request.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, unique

from authproxy.catalogs.interface import Catalog
from authproxy.core.client_name import Source, Users
from authproxy.core.cookie import FAMILY
from authproxy.core.decision import AllowRules, Network, TokenRules
from authproxy.core.pages import Pages
from authproxy.core.place import Place
from authproxy.core.route import RouteTable
from authproxy.core.server_names import ServerNames
from authproxy.core.stats import RouteStats
from authproxy.http1.request import HeadLimits, RequestReader
from authproxy.keystore import Demand
from authproxy.sessions.means import LoginPage, SessionMeans
from authproxy.upstream.pool import Upstream


@unique
class IdentityValue(Enum):
    """What an identity header may say."""

    ID = "id"
    NAME = "name"
    GROUPS = "groups"
    METHOD = "method"
    ZONE = "zone"
    VERSION = "version"
    CERTIFICATE = "certificate"
    """Whichever the client has shown, if any."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CertificateRules:
    """How a zone knows users by their certificates; what a connection found by them is kept under this very object."""

    demand: Demand
    """Which certificates count here, whatever the listener believes."""
    sources: tuple[Source, ...]
    """The kinds of names that count, in their order."""
    users: Users | None
    """Whose name is whose; None: the names are user ids themselves."""
    or_token: bool = False
    """A token will do as well, and outranks the certificate."""
    and_token: bool = False
    """A token of the same user is needed too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """An isolated realm of users: own prefix, peppers and rows."""

    name: str
    rules: TokenRules
    """Without a prefix and peppers where tokens do not count."""
    catalog: Catalog
    certificates: CertificateRules | None = None
    """None: no certificate counts."""
    sessions: SessionMeans | None = None
    """None: nobody signs in."""

    @property
    def takes_tokens(self) -> bool:
        """Whether a token can help to come in."""
        rules, sessions = self.certificates, self.sessions
        if sessions is not None and not sessions.or_token:
            return False
        return rules is None or rules.or_token or rules.and_token

    @property
    def passes_tokens(self) -> bool:
        """Whether a request that shows a token can come in without it: it may be for the upstream."""
        return self.certificates is not None and not self.takes_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderRules:
    """Fields that a route sets or removes; lines end with CRLF, names are folded (`core.names.fold`)."""

    set_lines: bytes = b""
    dropped: frozenset[bytes] = frozenset()
    """Names of all fields set or removed: a client's (or upstream's) own copy never stays beside ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """Replaces a prefix of the path; all bytes behind it stay as the client sent them."""

    prefix: bytes
    """Decoded, without a final slash."""
    replacement: bytes
    """Without a final slash; empty to strip."""
    is_for_some: bool = False
    """Paths of the route may begin otherwise, and go on as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """Which pages of other origins may call a route."""

    origins: frozenset[bytes]
    """As browsers spell them; with `*`, every one."""
    lines: bytes
    """What is granted: the field lines of the answer but for the origin, with CRLF."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where a request goes, who may go there, and what is changed on the way."""

    name: str
    upstream: Upstream
    stats: RouteStats
    zone: Zone | None
    """None: public, nobody is asked."""
    allow: AllowRules | None = None
    """None: everybody in the zone."""
    methods: frozenset[bytes] | None = None
    """None: every method."""
    unusual: frozenset[str] = frozenset()
    upgrades: frozenset[bytes] = frozenset({b"websocket"})
    """Lower case."""
    body_methods: frozenset[bytes] = frozenset({b"POST", b"PUT", b"PATCH"})
    max_body: int | None = None
    """Bytes; None: unlimited."""
    forward_credentials: bool = False
    rewrite: Rewrite | None = None
    upstream_host: bytes | None = None
    """The Host that the upstream sees; None: the client's."""
    reuse_after_body: bool = True
    request: HeaderRules | None = None
    response: HeaderRules | None = None
    preflight: Preflight | None = None
    """None: OPTIONS is a method like any."""
    guards_origin: bool = True
    """Pages of other origins may change nothing with somebody's session."""
    place: LoginPage | None = None
    """The proxy answers itself, about the zone's login; None: nearly all routes."""

    log_facts: bytes = field(init=False, repr=False, compare=False, default=b"")
    """What every log line of this route says of it, as JSON members."""
    is_plain: bool = field(init=False, repr=False, compare=False, default=False)
    """Requests are for a zone, pass without changes to their fields, and a token in their Authorization ends here."""

    def __post_init__(self) -> None:
        zone = "" if self.zone is None else self.zone.name
        behind = "" if self.place is not None else self.upstream.name
        text = f'"zone":"{zone}","route":{json.dumps(self.name)},"upstream":"{behind}"'
        object.__setattr__(self, "log_facts", text.encode("ascii", "replace"))
        untouched = self.request is None and self.rewrite is None and self.upstream_host is None
        asks_nothing = self.place is None and self.preflight is None
        ends_tokens = self.zone is not None and not self.zone.passes_tokens and not self.forward_credentials
        object.__setattr__(self, "is_plain", untouched and asks_nothing and ends_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Deadlines in seconds."""

    handshake: float = 10.0
    head: float = 10.0
    body_idle: float = 30.0
    keep_alive: float = 75.0
    tunnel_idle: float = 600.0
    client_write: float = 60.0
    connection_life: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Where a listener of mode redirect leads."""

    routes: RouteTable[Route]
    """Those of the https listener: only the hosts that they know are redirected to."""
    port: bytes
    """`:8443`; empty for 443."""


@unique
class ProxyHeader(Enum):
    """What a PROXY header of version 2 tells a tunnel's target."""

    NONE = "none"
    ADDRESS = "address"
    """Where the client comes from."""
    TLS = "tls"
    """And its TLS session, and the name in its certificate."""
    CERTIFICATE = "certificate"
    """And its certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelPlan:
    """What a listener of mode tcp does with a connection; times in seconds."""

    way: Place
    header: ProxyHeader = ProxyHeader.NONE
    connect: float = 3.0
    idle: float = 600.0
    half_close: float = 60.0
    life: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """What a connection that came in here may see."""

    name: str
    reader: RequestReader
    limits: HeadLimits
    routes: RouteTable[Route]
    times: Times = field(default_factory=Times)
    requests: int = 1000
    """How many requests a connection may carry."""
    body_rate: int = 500
    """Bytes a second that a request's body must come at on the whole; 0: any."""
    health: bytes | None = None
    """The path that is answered here without credentials."""
    hsts: bytes | None = None
    """The whole line, with CRLF."""
    demand: Demand | None = None
    """What whoever is at the other end must meet; None: nobody is asked for a certificate."""
    shown: ServerNames[str] | None = None
    """Which keystore is shown for which host, where certificates are asked for: a request is for a host of its handshake's."""
    own_uris: tuple[str, ...] = ()
    """The URIs in the certificate that is shown here, for upstreams that are told of the client's."""
    redirect: Redirect | None = None
    """Where plain HTTP leads; such a listener has no routes of its own."""
    tunnel: TunnelPlan | None = None
    """Where bytes are carried that need not be HTTP; such a listener has no routes either."""
    generation: int = 0
    log_facts: bytes = field(init=False, repr=False, compare=False, default=b"")
    """What every log line of this listener says of it, as JSON members."""
    whole: Route | None = field(init=False, repr=False, compare=False, default=None)
    """The only route there is, when it takes every host, path and method."""

    def __post_init__(self) -> None:
        route = self.routes.catch_all
        if route is not None and route.methods is None:
            object.__setattr__(self, "whole", route)
        text = f'"listener":{json.dumps(self.name)},"generation":{self.generation}'
        object.__setattr__(self, "log_facts", text.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One configuration at work."""

    generation: int
    listeners: Mapping[str, Listener]
    zones: Mapping[str, Zone]
    upstreams: Mapping[str, Upstream]
    identity: tuple[tuple[bytes, IdentityValue], ...]
    """(`Name: `, what) in the order of the configuration."""
    failures_per_minute: int | None = None
    """Bad credentials of one source that get a 401; further ones get a 429. None: all of them."""
    tunnels_per_user: int | None = None
    """Upgraded connections that a user of a zone may have open; None: any number."""
    trusted: tuple[Network, ...] = ()
    """Whose X-Forwarded-* and Forwarded are believed."""
    pages: Pages | None = None
    """What people are shown; None: the built-in pages."""
    own_cookies: frozenset[bytes] = field(init=False, default=frozenset())
    """The names of session cookies that are not of the family (`core.cookie.FAMILY`), in lower case."""
    prefixes: tuple[bytes, ...] = field(init=False, default=())
    """The token prefixes of all zones, with the underscore behind."""
    id_header: bytes | None = field(init=False, default=None)
    """`Name: `, when the id is all that upstreams are told."""

    def __post_init__(self) -> None:
        if len(self.identity) == 1 and self.identity[0][1] is IdentityValue.ID:
            object.__setattr__(self, "id_header", self.identity[0][0])
        cookies = {zone.sessions.cookie.name.lower() for zone in self.zones.values() if zone.sessions is not None}
        strange = {name for name in cookies if not name.startswith(FAMILY)}
        object.__setattr__(self, "own_cookies", frozenset(strange))
        object.__setattr__(
            self, "prefixes", tuple(zone.rules.prefix + b"_" for zone in self.zones.values() if zone.rules.prefix)
        )


class Current:
    """The one variable: which Runtime counts now, and whether the process is about to end."""

    __slots__ = ("draining", "ending", "runtime")

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.ending = False
        self.draining = False
