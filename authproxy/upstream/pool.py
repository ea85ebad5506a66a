"""An upstream: where it is, how it is verified, and the connections to it that are idle."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol, TypeAlias

from authproxy.core.stats import UpstreamStats
from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.interface import Failure
from authproxy.upstream.side import Endpoint, Side

# Idle connections kept per endpoint; beyond that an answer's connection is closed.
_MAX_IDLE: Final = 256
# Below the keep-alive of usual servers (nginx 75 s, Go 3 min), so that a stale reuse stays rare.
_MAX_IDLE_SECONDS: Final = 30.0

_Side: TypeAlias = Side[UpstreamConnection]
Spawn: TypeAlias = Callable[[Coroutine[None, None, None]], object]
"""Starts a task whose owner waits for it, see `daemon.tasks`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTimes:
    """Deadlines in seconds."""

    connect: float
    response_head: float
    idle: float


class Waiter(Protocol):
    """Waits for a connection."""

    def on_connected(self, connection: UpstreamConnection) -> None:
        """A fresh, verified connection is yours."""

    def on_connect_failed(self, failure: Failure, detail: str) -> None:
        """There will be none."""


class Upstream:
    """Hands out verified connections: an idle one at once, else a fresh one.

    Survives reloads that leave its settings and trust material unchanged, and with it its connections.
    """

    def __init__(
        self, name: str, endpoints: Sequence[Endpoint], times: UpstreamTimes, stats: UpstreamStats, spawn: Spawn
    ) -> None:
        self.name = name
        self.times = times
        self.stats = stats
        self._sides = tuple(Side[UpstreamConnection](endpoint) for endpoint in endpoints)
        self._only = self._sides[0] if len(self._sides) == 1 else None
        self._spawn = spawn
        self._retired = False

    @property
    def authority(self) -> bytes:
        """The name of the first endpoint, for Host."""
        return self._sides[0].endpoint.authority

    @property
    def idle(self) -> int:
        """How many connections wait for a request."""
        return sum(len(side.idle) for side in self._sides)

    def take_idle(self) -> UpstreamConnection | None:
        """Return an idle connection, newest first, or None."""
        side = self._only or self._least_busy()
        while side.idle:
            connection = side.idle.pop()
            if connection.is_idle:
                self.stats.reused += 1
                side.busy += 1
                return connection
        return None

    def connect(self, waiter: Waiter) -> None:
        """Open a fresh connection for `waiter`, in a task of its own."""
        side = self._only or self._least_busy()
        side.busy += 1
        self._spawn(self._open(side, waiter))

    def give_back(self, connection: UpstreamConnection, *, reusable: bool, now: float) -> None:
        """Take a connection back after a whole answer; `reusable` is the request's view, the connection has its own."""
        side = connection.home
        side.busy -= 1
        if connection.finish() and reusable and not self._retired and len(side.idle) < _MAX_IDLE:
            connection.idle_since = now
            side.idle.append(connection)
        else:
            connection.close()

    def release(self, connection: UpstreamConnection) -> None:
        """Note that a connection was aborted by its exchange."""
        connection.home.busy -= 1

    def sweep(self, now: float) -> None:
        """Close connections that were idle for too long."""
        for side in self._sides:
            # The list is in order of `idle_since`, since the newest is taken first and given back last.
            while side.idle and now - side.idle[0].idle_since > _MAX_IDLE_SECONDS:
                side.idle.pop(0).close()

    def retire(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        self._retired = True
        for side in self._sides:
            idle, side.idle = side.idle, []
            for connection in idle:
                connection.close()

    def _least_busy(self) -> _Side:
        return min(self._sides, key=lambda side: side.busy)

    async def _open(self, side: _Side, waiter: Waiter) -> None:
        self.stats.connects += 1
        try:
            connection = await _dial(side, timedelta(seconds=self.times.connect))
        except ssl.SSLError as error:
            self._failed(side, waiter, Failure.UNVERIFIED, _explain(side.endpoint, error))
        except TimeoutError:
            self._failed(side, waiter, Failure.CONNECT_TIMEOUT, f"no connection within {self.times.connect:g}s")
        except OSError as error:
            self._failed(side, waiter, Failure.REFUSED, error.strerror or str(error))
        except Exception as error:  # noqa: BLE001  # whatever it is, the waiter hears of it and nothing passes
            self._failed(side, waiter, Failure.REFUSED, f"{type(error).__name__}: {error}")
        else:
            waiter.on_connected(connection)

    def _failed(self, side: _Side, waiter: Waiter, failure: Failure, detail: str) -> None:
        side.busy -= 1
        self.stats.connect_failures += 1
        where = side.endpoint.unix or f"{side.endpoint.host}:{side.endpoint.port}"
        waiter.on_connect_failed(failure, f"{where}: {detail}")


async def _dial(side: _Side, limit: timedelta) -> UpstreamConnection:
    """Return a connection over TLS whose chain and hostname were verified by the context (or a plain one)."""
    endpoint = side.endpoint
    loop = asyncio.get_running_loop()
    if endpoint.context is not None and not endpoint.server_name:
        # An empty server_hostname would silently switch hostname checking off.
        raise ssl.SSLError("no server name to verify")
    name = endpoint.server_name if endpoint.context is not None else None
    async with asyncio.timeout(limit.total_seconds()):
        if endpoint.unix:
            _, connection = await loop.create_unix_connection(
                lambda: UpstreamConnection(side), endpoint.unix, ssl=endpoint.context, server_hostname=name
            )
        else:
            _, connection = await loop.create_connection(
                lambda: UpstreamConnection(side),
                endpoint.host,
                endpoint.port,
                ssl=endpoint.context,
                server_hostname=name,
            )
    return connection


# What OpenSSL says of the usual mistakes, in an operator's words.
_WORDS: Final = {
    "WRONG_VERSION_NUMBER": "does not speak TLS",
    "HTTP_REQUEST": "does not speak TLS",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "wants a client certificate: set the upstream's keystore",
    "TLSV1_ALERT_UNKNOWN_CA": "does not believe our client certificate",
}


def _explain(endpoint: Endpoint, error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.verify_message} (asked: {endpoint.believed})"
    reason: str | None = getattr(error, "reason", None)
    words = _WORDS.get(reason or "")
    return f"{words} ({reason})" if words else reason or str(error)
