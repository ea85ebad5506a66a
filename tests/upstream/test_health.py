"""Health checks: who fails them gets no requests, and is found again when it passes."""

import asyncio

import pytest

from authproxy.upstream.interface import Failure
from authproxy.upstream.side import Endpoint, HealthCheck

BAD, GOOD = "upstream.endpoint_unhealthy", "upstream.endpoint_healthy"
CHECK = HealthCheck(head=b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", every=5.0, timeout=2.0)


def answer(status):
    return b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status


async def check(world, pool, *, times=1):
    """Let time pass until the next checks, and wait for their outcome."""
    for _ in range(times):
        world.clock.now += 5.0
        pool.sweep(world.clock())
        await world.settle()


@pytest.fixture
async def behind(server):
    return await server()


async def test_a_check_is_one_small_request_every_so_often(world, behind):
    """Not more often, and on a connection that ends with it."""
    pool = world.pool(behind.endpoint(check=CHECK))
    for now in (0.0, 4.999, 5.0, 9.999):
        pool.sweep(world.clock() + now)
        await world.settle()

    assert behind.asked == [CHECK.head, CHECK.head]
    assert (pool.idle, pool.busy) == (0, 0)
    assert pool.sides[0].stats.checks == 2


@pytest.mark.parametrize(
    ("status", "healthy"),
    [(200, True), (204, True), (302, True), (399, True), (400, False), (404, False), (503, False)],
)
async def test_2xx_and_3xx_pass(world, behind, status, healthy):
    """Whatever else is answered fails."""
    pool = world.pool(behind.endpoint(check=CHECK))
    behind.answer = answer(status)
    await check(world, pool, times=2)

    assert world.events() == ([] if healthy else [BAD])
    assert pool.sides[0].stats.check_failures == (0 if healthy else 2)


async def test_an_interim_answer_is_none(world, behind):
    """The final one counts."""
    pool = world.pool(behind.endpoint(check=CHECK))
    behind.answer = answer(103).replace(b"Content-Length: 0\r\n", b"") + answer(503)
    await check(world, pool, times=2)

    assert world.told[0][1]["error"] == "answered 503"


@pytest.mark.parametrize(
    ("said", "error"), [(b"nonsense\r\n\r\n", ""), (None, "no answer within health.timeout (0.05s)")]
)
async def test_what_does_not_answer_as_it_should_fails(world, behind, said, error):
    """Garbage, and silence."""
    behind.answer = said
    pool = world.pool(behind.endpoint(check=HealthCheck(head=CHECK.head, every=5.0, timeout=0.05)))
    await check(world, pool, times=2)

    assert world.events() == [BAD]
    assert error in world.told[0][1]["error"]


async def test_one_that_fails_its_checks_gets_no_requests_until_they_pass(world, server):
    """Two checks in a row either way; each change is told once."""
    bad, good = await server(), await server()
    pool = world.pool(*(one.endpoint(check=CHECK) for one in (bad, good)))
    bad.answer = answer(500)
    await check(world, pool)
    assert world.told == []
    await check(world, pool, times=5)
    assert world.told == [
        (BAD, {"upstream": "up", "endpoint": f"127.0.0.1:{bad.port}", "error": "answered 500"})
    ]  # fmt: skip
    assert {(await world.dial(pool)).home.endpoint.port for _ in range(4)} == {good.port}
    bad.answer = answer(200)
    await check(world, pool)
    assert len(world.told) == 1
    await check(world, pool)

    assert world.events() == [BAD, GOOD]
    assert {(await world.dial(pool)).home.endpoint.port for _ in range(2)} == {bad.port}


async def test_what_is_open_to_an_unhealthy_endpoint_is_used_no_more(world, behind):
    """Idle connections end at once, the others with their answer."""
    pool = world.pool(behind.endpoint(check=CHECK))
    idle, used = await world.dial(pool), await world.dial(pool)
    pool.give_back(idle, reusable=True, now=world.clock())
    behind.answer = answer(500)
    await check(world, pool, times=2)
    assert pool.idle == 0
    pool.give_back(used, reusable=True, now=world.clock())

    assert pool.take_idle() is None


async def test_with_none_healthy_requests_fail_at_once_and_nothing_is_sent(world, behind):
    """503: it was not even tried."""
    pool = world.pool(behind.endpoint(check=CHECK))
    behind.answer = answer(500)
    await check(world, pool, times=2)
    asked = len(behind.asked)
    waiter = await world.fail(pool)
    assert waiter.failure is Failure.UNHEALTHY
    assert len(behind.asked) == asked
    assert pool.stats.connects == 0

    behind.answer = answer(200)
    await check(world, pool, times=2)
    connection = await world.dial(pool)
    pool.give_back(connection, reusable=True, now=world.clock())
    assert pool.take_idle() is connection


async def test_a_dead_endpoint_is_unhealthy_with_its_cause(world, dead_port):
    """What the connection failed with."""
    pool = world.pool(Endpoint(host="127.0.0.1", port=dead_port, check=CHECK))
    await check(world, pool, times=2)

    assert world.told[0][1]["error"].startswith(f"127.0.0.1:{dead_port}: ")


async def test_an_ejected_endpoint_is_still_better_than_an_unhealthy_one(world, server, dead_port):
    """It is tried although its time is not over."""
    bad = await server()
    pool = world.pool(bad.endpoint(check=CHECK), Endpoint(host="127.0.0.1", port=dead_port))
    for _ in range(2):
        await world.dial(pool)
    assert world.events() == ["upstream.endpoint_ejected"]
    bad.answer = answer(500)
    await check(world, pool, times=2)
    back = await server("127.0.0.1", dead_port)
    pool.sides[1].standing.until = world.clock() + 30

    assert (await world.dial(pool)).home.endpoint.port == back.port


async def test_a_retired_upstream_says_nothing_more(world, behind):
    """A check that was under way when a reload took its upstream away."""
    pool = world.pool(behind.endpoint(check=CHECK))
    behind.answer = answer(500)
    await check(world, pool)
    pool.sweep(world.clock() + 5.0)
    await asyncio.sleep(0)
    pool.retire()
    await world.settle()

    assert world.told == []
