"""One endpoint of an upstream, with the connections to it and what is known of it."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from authproxy.core.place import Place
from authproxy.core.stats import EndpointStats
from authproxy.upstream.means import Means
from authproxy.upstream.names import Name
from authproxy.upstream.standing import Standing

# Idle connections kept per endpoint; beyond that an answer's connection is closed.
_MAX_IDLE: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """A small request that tells whether an endpoint can serve."""

    head: bytes
    """The whole request."""
    every: float
    """Seconds from one to the next."""
    timeout: float
    """Seconds until the head of the answer, the connection included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One place where an upstream is."""

    host: str = ""
    """Name or address; empty for a Unix socket."""
    port: int = 0
    unix: str = ""
    """Path of a Unix socket; empty for TCP."""
    context: ssl.SSLContext | None = None
    """Verifies chain and hostname; None for plain HTTP."""
    server_name: str = ""
    """What the certificate must name; never empty with a context."""
    believed: str = "this system's authorities"
    """Whose word about certificates counts, for messages."""
    judge: Callable[[object], str] | None = None
    """Says of a session (`ssl_object`) what else is wrong with its server, empty for nothing; None: chain and name are all."""
    authority: bytes = b""
    """What Host says when the upstream is to see its own name."""
    check: HealthCheck | None = None
    """None: it counts as healthy."""
    max_connections: int | None = None
    """How many may be open at a time, health checks aside; None: any number."""

    @property
    def label(self) -> str:
        """What logs and metrics call it."""
        return str(Place(host=self.host, port=self.port, unix=self.unix))


class Kept(Protocol):
    """What a side needs to know of its connections."""

    address: str
    expires: float

    def expire(self) -> None:
        """Carry no further request."""


C = TypeVar("C", bound=Kept)


class Side(Generic[C]):
    """An endpoint with its connections."""

    __slots__ = ("busy", "endpoint", "idle", "label", "name", "next_check", "open", "room", "standing", "stats")

    def __init__(self, endpoint: Endpoint, stats: EndpointStats, means: Means) -> None:
        self.endpoint = endpoint
        self.label = endpoint.label
        self.stats = stats
        self.standing = Standing()
        self.name = Name(endpoint.host, means, self._leave_others)
        self.idle: list[C] = []
        """Connections that wait for a request; the one used last is at the end."""
        self.open: set[C] = set()
        """Those that carry requests, idle or not."""
        self.busy = 0
        """Connections in use or being opened."""
        self.room = _MAX_IDLE
        """How many may be idle; 0 while whoever gives one back is to look closer, see `Upstream.give_back`."""
        self.next_check = 0.0

    def make_room(self, *, usual: bool) -> None:
        """Take connections back without a closer look, or not."""
        self.room = _MAX_IDLE if usual else 0

    @property
    def is_free(self) -> bool:
        """Whether one more connection may be used."""
        most = self.endpoint.max_connections
        return most is None or self.busy < most

    def take_place(self) -> None:
        """Count one more connection in use; an idle one makes way if it would be one too many."""
        self.busy += 1
        most = self.endpoint.max_connections
        while most is not None and self.idle and self.busy + len(self.idle) > most:
            self.idle.pop(0).expire()

    @property
    def has_room(self) -> bool:
        """Whether one more connection may be idle."""
        return len(self.idle) < _MAX_IDLE

    def forget(self, connection: C) -> None:
        """Note that a connection is gone and must not be handed out again."""
        self.open.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)

    def expire(self, unwanted: Callable[[C], bool]) -> None:
        """Let no connection that is unwanted carry a further request."""
        for connection in [connection for connection in self.open if unwanted(connection)]:
            if connection in self.idle:
                self.idle.remove(connection)
            connection.expire()

    def _leave_others(self, known: frozenset[str]) -> None:
        self.expire(lambda connection: connection.address not in known)
