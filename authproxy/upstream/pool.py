"""An upstream: where it is, how it is verified, and the connections to it that are idle."""

import ssl
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol, TypeAlias

from authproxy.core.stats import UpstreamStats
from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.dial import dial, explain
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
            connection = await dial(
                side, side.endpoint.unix or side.endpoint.host, timedelta(seconds=self.times.connect)
            )
        except ssl.SSLError as error:
            self._failed(side, waiter, Failure.UNVERIFIED, explain(side.endpoint, error))
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
