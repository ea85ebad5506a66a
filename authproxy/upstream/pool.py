"""An upstream: the connections to its endpoints, idle ones and fresh ones. Which endpoint is next, `circle` says."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from authproxy.core.stats import UpstreamStats
from authproxy.upstream import health
from authproxy.upstream.circle import Circle
from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.interface import Failure, NoConnection
from authproxy.upstream.means import Means
from authproxy.upstream.queue import Queue, Waiter
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
        room = sum(endpoint.max_connections or 0 for endpoint in endpoints)
        self._queue = Queue(room, means.clock, self._circle.set_awaited)

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

    @property
    def waiting(self) -> int:
        """How many requests wait because all connections that are allowed are in use."""
        return len(self._queue)

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
        self._connect(waiter, self._circle.in_order(), self.times.connect)

    def retry(self, waiter: Waiter, failed: UpstreamConnection | None) -> None:
        """Open a fresh connection in place of one that was closed before a byte of the answer came."""
        self.stats.retries += 1
        order = self._circle.in_order()
        if failed is not None:
            if not failed.idle_since:
                # That an idle one was closed under our hands is nobody's fault.
                self._circle.note_fault(failed.home, "closed before the answer", unreachable=False)
            order.sort(key=lambda side: side is failed.home)
        self._connect(waiter, order, self.times.connect)

    def give_up(self, waiter: Waiter) -> None:
        """Let `waiter` wait no longer: whoever has gone keeps no place from others."""
        self._queue.drop(waiter)

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
        self._leave(connection.home)

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
        if not (connection.is_idle and reusable and fits):
            connection.close()
            self._serve_next()
        elif self._queue:
            connection.idle_since = now
            side.busy += 1
            self._means.spawn(self._hand_over(connection, *self._queue.next()))
        else:
            connection.idle_since = now
            side.idle.append(connection)

    # ------------------------------------------------------------------ those who wait

    def _wait(self, waiter: Waiter, limit: float) -> None:
        if not self._queue.add(waiter, limit):
            detail = f"all {self._queue.room} connections are in use, and as many requests wait (max_connections)"
            self._means.spawn(_refuse(waiter, Failure.BUSY, detail))

    def _leave(self, side: _Side) -> None:
        """Count one connection less in use; the place is for the next who waits."""
        side.busy -= 1
        if self._queue:
            self._serve_next()

    def _serve_next(self) -> None:
        while self._queue and (order := [side for side in self._circle.in_order() if side.is_free]):
            waiter, limit = self._queue.next()
            self._connect(waiter, order, limit)

    async def _hand_over(self, connection: UpstreamConnection, waiter: Waiter, limit: float) -> None:
        """In a turn of its own: what it is used for at once may give it back at once, and so on."""
        if connection.is_idle:
            self.stats.reused += 1
            waiter.on_connected(connection)
        else:
            connection.home.busy -= 1
            self._connect(waiter, self._circle.in_order(), limit)

    # ------------------------------------------------------------------ fresh connections

    def _connect(self, waiter: Waiter, order: list[_Side], limit: float) -> None:
        if not order:
            self._means.spawn(_refuse(waiter, Failure.UNHEALTHY, "no endpoint passes its health checks"))
            return
        free = [side for side in order if side.is_free]
        if not free:
            self._wait(waiter, limit)
            return
        free[0].take_place()
        free[0].standing.note_use(self._means.clock())
        self._means.spawn(self._open(waiter, free, limit))

    async def _open(self, waiter: Waiter, order: list[_Side], limit: float) -> None:
        stagger = min(_PATIENCE, self.times.connect / (len(order) + 1))
        try:
            async with asyncio.timeout(limit):
                connection = await race(order, partial(self._try, order[0], stagger), stagger, self._drop)
        except NoConnection as error:
            waiter.on_connect_failed(error.failure, error.detail)
        except TimeoutError:
            places = ", ".join(
                f"{side.label} (still resolving)" if side.name.is_asking else side.label for side in order
            )
            waiter.on_connect_failed(Failure.CONNECT_TIMEOUT, f"{places}: no connection within {self.times.connect:g}s")
        except Exception as error:  # noqa: BLE001  # whatever it is, the waiter hears of it and nothing passes
            waiter.on_connect_failed(Failure.REFUSED, f"{type(error).__name__}: {error}")
        else:
            # Only now: one that is neither in use nor in the pool must not be taken for idle and closed.
            connection.home.open.add(connection)
            waiter.on_connected(connection)

    async def _try(self, first: _Side, stagger: float, side: _Side) -> UpstreamConnection:
        if side is not first:
            if not side.is_free:
                raise NoConnection(
                    Failure.BUSY, f"{side.label}: all connections that max_connections allows are in use"
                )
            side.take_place()
        now = self._means.clock()
        side.standing.note_use(now)
        self.stats.connects += 1
        side.stats.connects += 1
        try:
            connection = await reach(side, self.times.connect)
        except asyncio.CancelledError:
            # It lost against another endpoint, or time is up. Whoever had just begun is not to blame.
            if self._means.clock() - now >= stagger:
                self._note_no_connection(side, "no connection in time")
            self._leave(side)
            raise
        except NoConnection as error:
            self._note_no_connection(side, error.detail)
            self._leave(side)
            raise
        done = self._means.clock()
        self.stats.connecting.add(done - now)
        connection.expires = done + _LIFE * (1 - _JITTER * secrets.randbelow(1000) / 1000)
        self._circle.note_connection(side)
        return connection

    def _drop(self, connection: UpstreamConnection) -> None:
        connection.close()
        self._leave(connection.home)

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
        for waiter in self._queue.late(now):
            detail = f"all {self._queue.room} connections (max_connections) were in use for {self.times.connect:g}s"
            waiter.on_connect_failed(Failure.BUSY, detail)
        self._serve_next()
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


async def _refuse(waiter: Waiter, failure: Failure, detail: str) -> None:
    """Tell it in a turn of its own, as all other failures are told."""
    waiter.on_connect_failed(failure, detail)
