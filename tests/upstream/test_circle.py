"""Several endpoints: requests are shared out, and go past those that fail."""

import asyncio
from collections import Counter
from dataclasses import replace
from time import monotonic

import pytest

from authproxy.upstream.interface import Failure
from authproxy.upstream.side import Endpoint

EJECTED, READMITTED = "upstream.endpoint_ejected", "upstream.endpoint_readmitted"


@pytest.fixture
async def two(server):
    return await server(), await server()


def place(connection):
    return connection.home.endpoint.port


async def pass_one(world, pool):
    """Let one request pass; return the port it went to."""
    connection = pool.take_idle() or await world.dial(pool)
    done = Answered()
    connection.begin(done, b"GET / HTTP/1.1\r\n\r\n")
    await done.whole.wait()
    pool.give_back(connection, reusable=True, now=world.clock())
    return place(connection)


class Answered:
    """Waits for a whole answer."""

    def __init__(self):
        self.whole = asyncio.Event()

    def on_interim(self, head):
        """Nothing."""

    def on_end(self):
        return False

    def on_answer(self, head, body, *, complete):
        if complete:
            self.whole.set()

    def on_body(self, data, *, complete):
        if complete:
            self.whole.set()

    def on_failure(self, failure, detail):
        raise AssertionError(detail)


async def test_the_least_busy_endpoint_is_taken(world, two):
    """Whatever the turn."""
    pool = world.pool(*(one.endpoint() for one in two))
    first, second, third = [await world.dial(pool) for _ in range(3)]
    assert place(first) != place(second)
    assert place(third) == place(first)
    pool.release(first)
    pool.release(third)

    assert {place(await world.dial(pool)) for _ in range(2)} == {place(first)}


async def test_equals_take_turns(world, two):
    """Requests one after the other reach all endpoints alike, on few connections."""
    pool = world.pool(*(one.endpoint() for one in two))
    places = Counter([await pass_one(world, pool) for _ in range(20)])

    assert set(places.values()) == {10}
    assert pool.stats.connects == 2


async def test_a_dead_endpoint_costs_no_request_anything_and_is_left_alone(world, server, dead_port):
    """The request goes on to the other; the dead one is tried once now and once when its time is over."""
    alive = await server()
    pool = world.pool(Endpoint(host="127.0.0.1", port=dead_port), alive.endpoint())
    dead, good = pool.sides
    for _ in range(20):
        assert await pass_one(world, pool) == alive.port
    assert dead.stats.connects == 1
    assert world.events() == [EJECTED]
    assert world.told[0][1]["endpoint"] == f"127.0.0.1:{dead_port}"
    world.clock.now += 1.0
    for _ in range(20):
        assert await pass_one(world, pool) == alive.port

    assert dead.stats.connects == 2
    assert (dead.stats.ejections, dead.standing.penalty) == (2, 2.0)
    assert world.events() == [EJECTED]
    assert (dead.busy, good.busy) == (0, 0)


async def test_a_burst_does_not_fall_upon_an_endpoint_whose_time_is_over(world, server, dead_port):
    """One request tries it; the others do not wait for the outcome."""
    alive = await server()
    pool = world.pool(Endpoint(host="127.0.0.1", port=dead_port), alive.endpoint())
    for _ in range(2):
        await world.dial(pool)
    world.clock.now += 1.0
    await asyncio.gather(*(world.dial(pool) for _ in range(20)))

    assert pool.sides[0].stats.connects == 2


async def test_an_endpoint_that_is_back_is_used_again(world, server, dead_port):
    """From its first trial on."""
    alive = await server()
    pool = world.pool(Endpoint(host="127.0.0.1", port=dead_port), alive.endpoint())
    await pass_one(world, pool)
    await pass_one(world, pool)
    await server("127.0.0.1", dead_port)
    world.clock.now += 1.0
    places = Counter([await pass_one(world, pool) for _ in range(10)])

    assert world.events() == [EJECTED, READMITTED]
    assert places[dead_port] >= 4


async def test_an_endpoint_that_hangs_is_gone_round_and_left_alone(world, server, black_hole):
    """Within the time for connecting, and the next request does not pay again."""
    world.means = replace(world.means, clock=monotonic)
    alive = await server()
    hole = black_hole("127.0.0.1")
    pool = world.pool(alive.endpoint(), Endpoint(host="127.0.0.1", port=hole), connect=0.3)
    assert [place(await world.dial(pool)) for _ in range(4)] == [alive.port] * 4

    assert pool.sides[1].stats.connects == 1
    assert world.events() == [EJECTED]
    assert pool.sides[1].busy == 0


async def test_the_last_endpoint_is_never_left_alone(world, dead_port, server):
    """When all are down every request is tried, and the first that is back is found at once."""
    endpoints = [Endpoint(host="127.0.0.1", port=dead_port), Endpoint(host="127.0.0.2", port=dead_port)]
    pool = world.pool(*endpoints)
    for _ in range(5):
        waiter = await world.fail(pool)
        assert waiter.failure is Failure.REFUSED
        assert all(f"127.0.0.{number}:" in waiter.detail for number in (1, 2))
    await server("127.0.0.1", dead_port)

    assert place(await world.dial(pool)) == dead_port


async def test_an_only_endpoint_is_never_left_alone(world, dead_port, server):
    """There is nowhere else to go."""
    pool = world.pool(Endpoint(host="127.0.0.1", port=dead_port))
    for _ in range(5):
        await world.fail(pool)
    assert world.told == []
    await server("127.0.0.1", dead_port)

    await world.dial(pool)


@pytest.mark.parametrize(
    ("failure", "counts"),
    [(failure, "timeout" not in failure.value or failure is Failure.HEAD_TIMEOUT) for failure in (
        Failure.CLOSED, Failure.MALFORMED, Failure.TRUNCATED, Failure.HEAD_TIMEOUT, Failure.IDLE_TIMEOUT
    )],
)  # fmt: skip
async def test_three_failed_requests_in_a_row_eject(world, two, failure, counts):
    """By the upstream's fault; a client that takes nothing ejects nobody."""
    pool = world.pool(*(one.endpoint() for one in two))
    connection = await world.dial(pool)
    for _ in range(2):
        pool.note_failure(failure, connection)
    assert world.told == []
    pool.note_failure(failure, connection)

    assert world.events() == ([EJECTED] if counts else [])
    assert pool.stats.failures == {failure.value: 3}


async def test_an_answer_between_failures_forgives_them(world, two):
    """And the pool keeps connections as before."""
    pool = world.pool(*(one.endpoint() for one in two))
    connection = await world.dial(pool)
    pool.release(connection)
    for _ in range(3):
        pool.note_failure(Failure.MALFORMED, connection)
        pool.note_failure(Failure.MALFORMED, connection)
        for _ in range(2):
            await pass_one(world, pool)

    assert world.told == []
    assert pool.idle == 2
    assert all(side.room for side in pool.sides)


async def test_a_retry_goes_elsewhere(world, two):
    """To an endpoint that has not just failed, if there is one."""
    pool = world.pool(*(one.endpoint() for one in two))
    connection = await world.dial(pool)
    pool.release(connection)
    for number in range(3):
        assert pool.stats.retries == number
        other = await world.dial(pool, instead_of=connection)
        assert other.home is not connection.home
        pool.release(other)

    assert world.events() == [EJECTED]


async def test_that_an_idle_connection_was_closed_is_nobodys_fault(world, two):
    """Servers close them whenever they like."""
    pool = world.pool(*(one.endpoint() for one in two))
    await pass_one(world, pool)
    connection = next(side.idle[0] for side in pool.sides if side.idle)
    for _ in range(5):
        await world.dial(pool, instead_of=connection)

    assert connection.home.stats.faults == 0
