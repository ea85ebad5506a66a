"""A proxy's parts for the edge's own tests: one zone, one upstream that nobody asks, routes and heads as they are needed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from authproxy.catalogs.interface import MISS, Miss
from authproxy.core.decision import TokenRules
from authproxy.core.names import RequestNames
from authproxy.core.peer import Peer
from authproxy.core.pepper import Pepper
from authproxy.core.record import TokenRecord, UserId
from authproxy.core.route import Pattern, RouteTable
from authproxy.core.secret import Secret
from authproxy.core.stats import Stats
from authproxy.core.token import generate
from authproxy.edge.access_log import AccessLog
from authproxy.edge.facts import Facts, facts_of
from authproxy.edge.origin import Origin, origin_of
from authproxy.edge.services import Services
from authproxy.errors import CatalogUnavailable
from authproxy.http1.request import HeadLimits, RequestHead, RequestReader
from authproxy.runtime import Current, Listener, Route, Runtime, Zone
from authproxy.upstream.means import Means
from authproxy.upstream.pool import Upstream, UpstreamTimes
from authproxy.upstream.side import Endpoint

NOW = datetime(2026, 7, 1, tzinfo=UTC)
USER = UserId(UUID("550e8400-e29b-41d4-a716-446655440000").bytes)
USER_TEXT = "550e8400-e29b-41d4-a716-446655440000"
SECRET = b"s" * 32
PEPPER = Pepper(Secret(b"p" * 32))
RECORD = TokenRecord(
    user_id=USER, rotation_version=3, hash=PEPPER.digest(USER, 3, SECRET), name="alice", groups=("admins",)
)
GOOD = b"Authorization: Bearer " + generate("svc", 3, USER, SECRET).encode()
WRONG = b"Authorization: Bearer " + generate("svc", 3, USER, b"x" * 32).encode()
STATS = Stats()
UPSTREAM = Upstream(
    "up", [Endpoint(host="127.0.0.1", port=1)], UpstreamTimes(connect=1, response_head=1, idle=1),
    STATS.upstream("up"), Means(spawn=print),
)  # fmt: skip


class Users:
    """A catalog of one user; `known` is what it tells at once, `found` what it tells who waits."""

    def __init__(self, known: TokenRecord | Miss | None = RECORD, found: TokenRecord | None = None) -> None:
        self.known = known
        self.found = found
        self.is_away = False

    def peek(self, zone: str, user_id: UserId) -> TokenRecord | Miss | None:
        """What is known at once."""
        return self.known if user_id == USER and zone == "api" else None

    async def look_up(self, zone: str, user_id: UserId) -> TokenRecord | None:
        """What is known after a while."""
        if self.is_away:
            raise CatalogUnavailable("nobody is there")
        return self.found if user_id == USER and zone == "api" else None

    async def aclose(self) -> None:
        """Nothing is open."""


def zone(users: Users | None = None) -> Zone:
    """The zone `api`."""
    return Zone(name="api", rules=TokenRules(zone="api", prefix=b"svc", peppers=(PEPPER,)), catalog=users or Users())


def route(users: Users | None = None, *, public: bool = False, **changes: object) -> Route:
    """A route of that zone, or a public one."""
    plain = Route(name="/", upstream=UPSTREAM, stats=STATS.route("/", "api"), zone=None if public else zone(users))
    return replace(plain, **changes)  # type: ignore[arg-type]  # what tests change is checked by what they assert


def listener(*routes: tuple[Pattern, Route], **changes: object) -> Listener:
    """A listener with these routes."""
    plain = Listener(
        name="public",
        reader=RequestReader(RequestNames(), HeadLimits()),
        limits=HeadLimits(),
        routes=RouteTable(routes),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def head(*lines: bytes, start: bytes = b"GET / HTTP/1.1", host: bytes = b"proxy.test") -> RequestHead:
    """A head, as it is read."""
    found = RequestReader(RequestNames(), HeadLimits()).read(b"\r\n".join([start, b"Host: " + host, *lines]))
    assert isinstance(found, RequestHead), found
    return found


def runtime(**changes: object) -> Runtime:
    """What counts."""
    return replace(Runtime(generation=1, listeners={}, zones={}, upstreams={}, identity=()), **changes)  # type: ignore[arg-type]


def facts(request: RequestHead, where: Listener, what: Runtime | None = None, origin: Origin | None = None) -> Facts:
    """What is known of a request from 192.0.2.7."""
    stranger = origin_of(Peer(address="192.0.2.7", port=1, local_port=8443))
    return facts_of(what or runtime(), where, request, b"id", origin or stranger, 0.0)


def services(monotonic: Callable[[], float] = lambda: 0.0) -> Services:
    """What all connections share."""
    return Services(
        current=Current(runtime()), journal=AccessLog(None), spawn=print, monotonic=monotonic, now=lambda: NOW,
        on_crash=print, on_revoked=print, stats=STATS,
    )  # fmt: skip


__all__ = [
    "GOOD", "MISS", "NOW", "PEPPER", "RECORD", "SECRET", "USER", "USER_TEXT", "WRONG", "Users", "facts", "head",
    "listener", "route", "runtime", "services", "zone",
]  # fmt: skip
