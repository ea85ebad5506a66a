"""An upstream: the connections to its endpoints, idle ones and fresh ones. Which endpoint is next, `circle` says."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeAlias

from authproxy.core.stats import UpstreamStats
from authproxy.upstream import health
from authproxy.upstream.circle import Circle
from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.interface import Failure, NoConnection
from authproxy.upstream.means import Means
from authproxy.upstream.race import race
from authproxy.upstream.reach import reach
from authproxy.upstream.side import Endpoint, HealthCheck, Side

# Below the keep-alive of usual servers (nginx 75 s, Go 3 min), so that a stale reuse stays rare.
_MAX_IDLE_SECONDS: Final = 30.0
# An hour, as nginx's keepalive_time: so long can a balancer behind that has been told of new machines send nothing
# there. Up to a tenth less, so that connections that were made together do not end together.
_LIFE: Final = 3600.0
_JITTER: Final = 0.1
# How long to wait for one endpoint before the next is tried beside it.
_PATIENCE: Final = 1.0
# How often to look for connections that have grown old.
_LOOK: Final = 10.0
# Failures of requests that speak against an endpoint. Not IDLE_TIMEOUT: a client that takes nothing can cause it.
_FAULTS: Final = frozenset({Failure.CLOSED, Failure.MALFORMED, Failure.TRUNCATED, Failure.HEAD_TIMEOUT})

_Side: TypeAlias = Side[UpstreamConnection]


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
        self, name: str, endpoints: Sequence[Endpoint], times: UpstreamTimes, stats: UpstreamStats, means: Means
    ) -> None:
        self.name = name
        self.times = times
        self.stats = stats
        self.sides: tuple[_Side, ...] = tuple(
            Side(endpoint, stats.endpoint(endpoint.label), means) for endpoint in endpoints
        )
        self._circle = Circle(name, self.sides, means)
        self._only = self.sides[0] if len(self.sides) == 1 else None
        self._means = means
        self._retired = False
        self._next_look = 0.0

    @property
    def authority(self) -> bytes:
        """The name of the first endpoint, for Host."""
        return self.sides[0].endpoint.authority

    @property
    def idle(self) -> int:
        """How many connections wait for a request."""
        return sum(len(side.idle) for side in self.sides)

    @property
    def busy(self) -> int:
        """How many connections are in use or being opened."""
        return sum(side.busy for side in self.sides)

    # ------------------------------------------------------------------ one request

    def take_idle(self) -> UpstreamConnection | None:
        """Return an idle connection, newest first, or None."""
        side = self._only or self._circle.next()
        while side.idle:
            connection = side.idle.pop()
            if connection.is_idle:
                self.stats.reused += 1
                side.busy += 1
                return connection
        return None

    def connect(self, waiter: Waiter) -> None:
        """Open a fresh connection for `waiter`, in a task of its own."""
        self._connect(waiter, self._circle.in_order())

    def retry(self, waiter: Waiter, failed: UpstreamConnection | None) -> None:
        """Open a fresh connection in place of one that was closed before a byte of the answer came."""
        self.stats.retries += 1
        order = self._circle.in_order()
        if failed is not None:
            if not failed.idle_since:
                # That an idle one was closed under our hands is nobody's fault.
                self._circle.note_fault(failed.home, "closed before the answer", unreachable=False)
            order.sort(key=lambda side: side is failed.home)
        self._connect(waiter, order)

    def give_back(self, connection: UpstreamConnection, *, reusable: bool, now: float) -> None:
        """Take a connection back after a whole answer; `reusable` is the request's view, the connection has its own."""
        side = connection.home
        side.busy -= 1
        if connection.finish() and reusable and len(side.idle) < side.room:
            connection.idle_since = now
            side.idle.append(connection)
        else:
            self._look_closer(connection, reusable=reusable, now=now)

    def release(self, connection: UpstreamConnection) -> None:
        """Note that a connection was aborted by its exchange."""
        connection.home.busy -= 1

    def note_failure(self, failure: Failure, connection: UpstreamConnection | None) -> None:
        """Note that a request was answered in the upstream's place; None: it never had a connection."""
        self.stats.failures[failure.value] = self.stats.failures.get(failure.value, 0) + 1
        if connection is not None and failure in _FAULTS:
            self._circle.note_fault(connection.home, failure.value, unreachable=False)

    def _look_closer(self, connection: UpstreamConnection, *, reusable: bool, now: float) -> None:
        side = connection.home
        if not side.room and not self._retired:
            self._circle.note_success(side)
        fits = side.standing.is_healthy and side.has_room and not self._retired
        if connection.is_idle and reusable and fits:
            connection.idle_since = now
            side.idle.append(connection)
        else:
            connection.close()

    # ------------------------------------------------------------------ fresh connections

    def _connect(self, waiter: Waiter, order: list[_Side]) -> None:
        if not order:
            self._means.spawn(_refuse(waiter))
            return
        order[0].busy += 1
        order[0].standing.note_use(self._means.clock())
        self._means.spawn(self._open(waiter, order))

    async def _open(self, waiter: Waiter, order: list[_Side]) -> None:
        limit = self.times.connect
        stagger = min(_PATIENCE, limit / (len(order) + 1))
        try:
            async with asyncio.timeout(limit):
                connection = await race(order, partial(self._try, order[0], stagger), stagger, self._drop)
        except NoConnection as error:
            waiter.on_connect_failed(error.failure, error.detail)
        except TimeoutError:
            places = ", ".join(
                f"{side.label} (still resolving)" if side.name.is_asking else side.label for side in order
            )
            waiter.on_connect_failed(Failure.CONNECT_TIMEOUT, f"{places}: no connection within {limit:g}s")
        except Exception as error:  # noqa: BLE001  # whatever it is, the waiter hears of it and nothing passes
            waiter.on_connect_failed(Failure.REFUSED, f"{type(error).__name__}: {error}")
        else:
            waiter.on_connected(connection)

    async def _try(self, first: _Side, stagger: float, side: _Side) -> UpstreamConnection:
        if side is not first:
            side.busy += 1
        now = self._means.clock()
        side.standing.note_use(now)
        self.stats.connects += 1
        side.stats.connects += 1
        try:
            connection = await reach(side, self.times.connect)
        except asyncio.CancelledError:
            side.busy -= 1
            # It lost against another endpoint, or time is up. Whoever had just begun is not to blame.
            if self._means.clock() - now >= stagger:
                self._note_no_connection(side, "no connection in time")
            raise
        except NoConnection as error:
            side.busy -= 1
            self._note_no_connection(side, error.detail)
            raise
        connection.expires = self._means.clock() + _LIFE * (1 - _JITTER * secrets.randbelow(1000) / 1000)
        side.open.add(connection)
        self._circle.note_connection(side)
        return connection

    def _drop(self, connection: UpstreamConnection) -> None:
        connection.home.busy -= 1
        connection.close()

    def _note_no_connection(self, side: _Side, error: str) -> None:
        self.stats.connect_failures += 1
        side.stats.connect_failures += 1
        self._circle.note_fault(side, error, unreachable=True)

    # ------------------------------------------------------------------ from time to time

    def sweep(self, now: float) -> None:
        """Close connections that were idle for too long or are too old; begin what is due in the background."""
        for side in self.sides:
            # The list is in order of `idle_since`, since the newest is taken first and given back last.
            while side.idle and now - side.idle[0].idle_since > _MAX_IDLE_SECONDS:
                side.idle.pop(0).close()
            check = side.endpoint.check
            if check is not None and now >= side.next_check:
                side.next_check = now + check.every
                self._means.spawn(self._check(side, check))
            if side.open and not side.endpoint.unix:
                side.name.keep_fresh(now)
        if now >= self._next_look:
            self._next_look = now + _LOOK
            for side in self.sides:
                side.expire(lambda connection: connection.expires <= now)

    def retire(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        self._retired = True
        self._circle.close()
        for side in self.sides:
            idle, side.idle = side.idle, []
            for connection in idle:
                connection.close()

    async def _check(self, side: _Side, check: HealthCheck) -> None:
        error = await health.ask(side, check)
        side.stats.checks += 1
        side.stats.check_failures += bool(error)
        if not self._retired:
            self._circle.note_check(side, error)


async def _refuse(waiter: Waiter) -> None:
    """Tell it in a turn of its own, as all other failures are told."""
    waiter.on_connect_failed(Failure.UNHEALTHY, "no endpoint passes its health checks")
