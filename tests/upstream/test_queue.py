"""An upstream that may have only so many connections: requests wait for their turn, or hear at once that there is none."""

import asyncio

import pytest
from typing_extensions import override

from authproxy.upstream.interface import Failure
from authproxy.upstream.side import Endpoint, HealthCheck
from tests.patience import PATIENCE
from tests.upstream.conftest import Waiter


@pytest.fixture
async def behind(server):
    return await server()


@pytest.fixture
async def full(world, behind):
    """An upstream with both of its connections in use."""
    pool = world.pool(behind.endpoint(max_connections=2))
    return pool, await world.dial(pool), await world.dial(pool)


def wait_for(pool):
    waiter = Waiter()
    assert pool.take_idle() is None
    pool.connect(waiter)
    return waiter


async def test_no_more_connections_are_opened_than_allowed(world, full, behind):
    """Whoever comes next waits, and gets what is given back: first come, first served."""
    pool, first, second = full
    waiters = [wait_for(pool), wait_for(pool)]
    await world.settle()
    assert [waiter.done.is_set() for waiter in waiters] == [False, False]
    assert (pool.busy, pool.waiting, pool.stats.connects) == (2, 2, 2)
    pool.give_back(second, reusable=True, now=world.clock())
    pool.give_back(first, reusable=True, now=world.clock())
    await world.settle()

    assert [waiter.connection for waiter in waiters] == [second, first]
    assert (pool.busy, pool.waiting, pool.stats.connects, pool.stats.reused) == (2, 0, 2, 2)


async def test_nobody_waits_when_the_queue_is_empty_again(world, full):
    """Connections are kept as before."""
    pool, first, second = full
    waiter = wait_for(pool)
    pool.give_back(first, reusable=True, now=world.clock())
    await waiter.done.wait()
    for connection in (first, second):
        pool.give_back(connection, reusable=True, now=world.clock())

    assert (pool.busy, pool.idle) == (0, 2)
    assert pool.sides[0].room


@pytest.mark.parametrize("how", ["cut", "not reusable"])
async def test_a_connection_that_ends_leaves_its_place_to_the_next(world, full, how):
    """A fresh one is opened for whoever waits."""
    pool, first, _ = full
    waiter = wait_for(pool)
    if how == "cut":
        first.abort()
        pool.release(first)
    else:
        pool.give_back(first, reusable=False, now=world.clock())
    await asyncio.wait_for(waiter.done.wait(), PATIENCE)

    assert waiter.connection not in {None, first}
    assert (pool.busy, pool.waiting) == (2, 0)


async def test_one_that_was_closed_while_it_was_handed_over_is_replaced(world, full):
    """The request does not learn of it."""
    pool, first, _ = full
    waiter = wait_for(pool)
    pool.give_back(first, reusable=True, now=world.clock())
    first.close()
    await asyncio.wait_for(waiter.done.wait(), PATIENCE)

    assert waiter.connection not in {None, first}
    assert pool.busy == 2


async def test_as_many_wait_as_are_served_and_no_more(world, full):
    """The next one hears at once."""
    pool, *_ = full
    waiters = [wait_for(pool) for _ in range(3)]
    await asyncio.wait_for(waiters[2].done.wait(), PATIENCE)

    assert waiters[2].failure is Failure.BUSY
    assert waiters[2].detail == "all 2 connections are in use, and as many requests wait (max_connections)"
    assert pool.waiting == 2


async def test_whoever_gives_up_keeps_no_place(world, full):
    """The others move up; one that does not wait, or not any more, changes nothing."""
    pool, first, _ = full
    gone, stays, late = wait_for(pool), wait_for(pool), Waiter()
    pool.give_up(late)
    assert pool.waiting == 2
    pool.give_up(gone)
    pool.give_up(gone)
    assert pool.waiting == 1
    pool.connect(late)
    assert pool.waiting == 2
    pool.give_back(first, reusable=True, now=world.clock())
    await asyncio.wait_for(stays.done.wait(), PATIENCE)

    assert stays.connection is first
    assert not gone.done.is_set()
    pool.give_up(late)
    assert pool.waiting == 0
    pool.give_back(first, reusable=True, now=world.clock())
    assert pool.take_idle() is first


async def test_nobody_waits_longer_than_for_a_connection(world, full):
    """Those whose time is over are told so, at its very end."""
    pool, *_ = full
    waiter = wait_for(pool)
    pool.sweep(world.clock() + 4.999)
    assert not waiter.done.is_set()
    pool.sweep(world.clock() + 5.0)

    assert waiter.failure is Failure.BUSY
    assert waiter.detail == "all 2 connections (max_connections) were in use for 5s"
    assert pool.waiting == 0


async def test_two_endpoints_have_as_many_each(world, server):
    """The queue is one for both."""
    pool = world.pool(*[(await server()).endpoint(max_connections=1) for _ in range(2)])
    first, second = await world.dial(pool), await world.dial(pool)
    assert first.home is not second.home
    waiters = [wait_for(pool) for _ in range(3)]
    pool.give_back(second, reusable=True, now=world.clock())
    await waiters[0].done.wait()
    assert waiters[0].connection is second
    await waiters[2].done.wait()

    assert waiters[2].failure is Failure.BUSY
    assert pool.stats.connects == 2


async def test_a_dead_upstream_does_not_keep_the_queue_waiting(world, dead_port):
    """Every failure lets the next one try."""
    pool = world.pool(Endpoint(host="127.0.0.1", port=dead_port, max_connections=1))
    waiters = [wait_for(pool) for _ in range(2)]
    for waiter in waiters:
        await asyncio.wait_for(waiter.done.wait(), PATIENCE)

    assert [waiter.failure for waiter in waiters] == [Failure.REFUSED] * 2
    assert (pool.busy, pool.waiting) == (0, 0)


async def test_health_that_comes_back_serves_those_who_wait(world, behind):
    """At the next look, even if nothing is given back any more."""
    check = HealthCheck(head=b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", every=5.0, timeout=2.0)
    pool = world.pool(behind.endpoint(max_connections=1, check=check))
    used = await world.dial(pool)
    waiter = wait_for(pool)
    pool.sides[0].standing.is_healthy = False
    pool.give_back(used, reusable=True, now=world.clock())
    await world.settle()
    assert (waiter.done.is_set(), pool.busy) == (False, 0)
    pool.sides[0].standing.is_healthy = True
    pool.sweep(world.clock())
    await asyncio.wait_for(waiter.done.wait(), PATIENCE)

    assert waiter.connection is not None


async def test_a_retry_counts_too(world, full):
    """An idle connection makes way for a fresh one."""
    pool, first, second = full
    pool.give_back(first, reusable=True, now=world.clock())
    second.abort()
    pool.release(second)
    await world.dial(pool)
    assert pool.idle == 1
    await world.dial(pool, instead_of=second)

    assert (pool.busy, pool.idle) == (2, 0)
    assert not first.is_idle


async def test_many_who_gave_up_cost_no_depth(world, behind):
    """Each gives its connection back at once; however many wait, that is done one after the other."""
    pool = world.pool(behind.endpoint(max_connections=2000))
    pool.sides[0].busy = 1999
    connection = await world.dial(pool)

    class Gone(Waiter):
        @override
        def on_connected(self, connection):
            super().on_connected(connection)
            pool.give_back(connection, reusable=True, now=world.clock())

    waiters = [Gone() for _ in range(2000)]
    for waiter in waiters:
        pool.connect(waiter)
    pool.give_back(connection, reusable=True, now=world.clock())
    await world.settle()

    assert all(waiter.connection is connection for waiter in waiters)
    assert pool.waiting == 0
