"""Whatever happens in whatever order: every connection is accounted for, and nobody is forgotten."""

import asyncio
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from authproxy.upstream import pool as pools
from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.interface import Failure, NoConnection
from authproxy.upstream.side import Endpoint
from tests.upstream.conftest import Waiter, World

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
OPS = ("ask", "ask", "ask", "answer", "answer", "no reuse", "cut", "fail", "close", "retry", "time", "hour", "health")


class Wire(asyncio.Transport):
    """A transport in memory that closes at once."""

    def __init__(self, connection):
        super().__init__()
        self.connection = connection
        self.closed = False

    @override
    def write(self, data):
        """Nobody reads it."""

    @override
    def is_closing(self):
        return self.closed

    @override
    def close(self):
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    @override
    def abort(self):
        self.close()


class Taker:
    """Takes an answer."""

    def on_interim(self, head):
        """Nothing."""

    def on_end(self):
        return False

    def on_answer(self, head, body, *, complete):
        """Nothing."""

    def on_body(self, data, *, complete):
        """Nothing."""

    def on_failure(self, failure, detail):
        """Nothing."""


class Model:
    """A pool, the requests that use it, and what must be true of both."""

    def __init__(self, world, pool, outcomes):
        self.world, self.pool, self.outcomes = world, pool, outcomes
        self.dialled = []
        self.waiting = []
        self.used = []

    async def reach(self, side, _limit):
        """Connect, or not, as the example says."""
        await asyncio.sleep(0)
        outcome = self.outcomes.pop() if self.outcomes else "ok"
        if outcome == "refused":
            raise NoConnection(Failure.REFUSED, "no")
        if outcome == "hangs":
            await asyncio.sleep(3600)
        connection = UpstreamConnection(side)
        connection.connection_made(Wire(connection))
        self.dialled.append(connection)
        return connection

    def use(self, connection):
        assert connection.is_idle
        assert connection not in self.used
        connection.begin(Taker(), b"")
        self.used.append(connection)

    async def step(self, op, number):  # noqa: PLR0912  # one branch for each thing that happens
        connection = self.used.pop(number % len(self.used)) if self.used and op in NEEDS_ONE else None
        now = self.world.clock()
        if op == "ask":
            idle = self.pool.take_idle()
            if idle is not None:
                self.use(idle)
            else:
                self.wait(self.pool.connect)
        elif op in {"time", "hour"}:
            self.world.clock.now += number / 10 if op == "time" else 3600
            self.pool.sweep(self.world.clock())
        elif op == "health":
            self.pool._circle.note_check(self.pool.sides[number % len(self.pool.sides)], "bad" if number % 3 else "")
        elif connection is not None and op in {"answer", "no reuse"}:
            connection.data_received(ANSWER)
            self.pool.give_back(connection, reusable=op == "answer", now=now)
        elif connection is not None:
            if op == "fail":
                self.pool.note_failure(Failure.MALFORMED, connection)
            self.pool.release(connection)
            connection.abort()
            if op == "retry":
                self.wait(lambda waiter: self.pool.retry(waiter, connection))
        if op == "close":
            for side in self.pool.sides:
                for idle in side.idle[:1]:
                    idle.eof_received()
                    idle._transport.close()
        for _ in range(number % 12):
            await asyncio.sleep(0)
        self.look()

    def wait(self, ask):
        waiter = Waiter()
        self.waiting.append(waiter)
        ask(waiter)

    def look(self):
        for waiter in [waiter for waiter in self.waiting if waiter.done.is_set()]:
            self.waiting.remove(waiter)
            if waiter.connection is not None:
                self.use(waiter.connection)
        for side in self.pool.sides:
            most = side.endpoint.max_connections
            assert side.busy >= sum(connection.home is side for connection in self.used)
            assert most is None or side.busy + len(side.idle) <= most
            assert not set(side.idle) & set(self.used)
            assert len(side.idle) == len(set(side.idle))

    async def end(self):
        """Everybody is answered, everything is given back: nothing is left."""
        for _ in range(2000):
            if not self.waiting and not self.used and not self.world.tasks:
                break
            while self.used:
                connection = self.used.pop()
                connection.data_received(ANSWER)
                self.pool.give_back(connection, reusable=True, now=self.world.clock())
            self.world.clock.now += 0.25
            self.pool.sweep(self.world.clock())
            await asyncio.sleep(0.001)
            self.look()
        assert not self.waiting
        assert [side.busy for side in self.pool.sides] == [0] * len(self.pool.sides)
        assert self.pool.waiting == 0
        self.pool.retire()
        for _ in range(3):
            await asyncio.sleep(0)
        assert self.pool.idle == 0
        assert not [connection for connection in self.dialled if connection.is_idle]
        assert not [side for side in self.pool.sides if side.open]


NEEDS_ONE = {"answer", "no reuse", "cut", "fail", "retry"}


@pytest.mark.parametrize(("endpoints", "most"), [(1, None), (2, None), (1, 2), (3, 2)])
@settings(deadline=None)
@given(
    ops=st.lists(st.tuples(st.sampled_from(OPS), st.integers(0, 40)), max_size=40),
    outcomes=st.lists(st.sampled_from(["ok", "ok", "refused", "hangs"]), max_size=12),
)
def test_every_connection_is_accounted_for(endpoints, most, ops, outcomes):
    """Used by one request at a time, never more than allowed, none left when all is done, and everybody hears."""

    async def run():
        world = World()
        pool = world.pool(
            *[Endpoint(host=f"127.0.0.{number + 1}", port=1, max_connections=most) for number in range(endpoints)],
            connect=0.02,
        )
        model = Model(world, pool, outcomes)
        with patch.object(pools, "reach", model.reach):
            for op, number in ops:
                await model.step(op, number)
            await model.end()
        await world.aclose()

    asyncio.run(run())
