"""The pool: newest first, never twice, never what somebody closed, and never for ever."""

import ssl
from time import monotonic

import pytest

from authproxy.upstream.interface import Failure
from authproxy.upstream.side import Endpoint
from tests.ports import free_port

HOUR = 3600.0


@pytest.fixture
async def behind(server):
    return await server()


async def test_an_idle_connection_is_handed_out_once_and_newest_first(world, behind):
    """The oldest may grow stale."""
    pool = world.pool(behind.endpoint())
    first, second = await world.dial(pool), await world.dial(pool)
    pool.give_back(first, reusable=True, now=1.0)
    pool.give_back(second, reusable=True, now=2.0)

    assert pool.idle == 2
    assert [pool.take_idle(), pool.take_idle(), pool.take_idle()] == [second, first, None]
    assert pool.stats.reused == 2


async def test_what_is_in_use_is_counted(world, behind):
    """From the moment that a connection is asked for until it is given back, or cut."""
    pool = world.pool(behind.endpoint())
    first, second = await world.dial(pool), await world.dial(pool)
    assert (pool.busy, pool.idle) == (2, 0)
    pool.give_back(first, reusable=True, now=1.0)
    pool.release(second)

    assert (pool.busy, pool.idle) == (0, 1)


async def test_what_is_not_reusable_is_closed(world, behind):
    """By the request's view."""
    pool = world.pool(behind.endpoint())
    connection = await world.dial(pool)
    pool.give_back(connection, reusable=False, now=1.0)

    assert pool.take_idle() is None
    assert not connection.is_idle


async def test_idle_connections_do_not_live_for_ever(world, behind):
    """Those that waited longer than usual servers keep them are closed, no others."""
    pool = world.pool(behind.endpoint())
    first, second = await world.dial(pool), await world.dial(pool)
    pool.give_back(first, reusable=True, now=0.0)
    pool.give_back(second, reusable=True, now=20.0)
    pool.sweep(30.0)
    assert pool.idle == 2
    pool.sweep(30.1)

    assert pool.take_idle() is second
    assert not first.is_idle


async def test_connections_in_constant_use_end_within_the_hour(world, behind):
    """Between 54 and 60 minutes: the idle ones at once, those in use with their answer."""
    pool = world.pool(behind.endpoint())
    idle, used = await world.dial(pool), await world.dial(pool)
    assert 0.9 * HOUR < idle.expires - world.clock() <= HOUR
    pool.give_back(idle, reusable=True, now=world.clock() + HOUR - 1)
    pool.sweep(min(idle.expires, used.expires) - 1)
    assert pool.idle == 1
    pool.sweep(world.clock() + HOUR + 10)
    pool.give_back(used, reusable=True, now=world.clock() + HOUR + 10)

    assert pool.take_idle() is None


async def test_a_retired_pool_keeps_nothing(world, behind):
    """What is idle is closed at once, what is in use when it comes back."""
    pool = world.pool(behind.endpoint())
    idle, used = await world.dial(pool), await world.dial(pool)
    pool.give_back(idle, reusable=True, now=0.0)
    pool.retire()
    pool.give_back(used, reusable=True, now=0.0)

    assert pool.take_idle() is None
    assert not idle.is_idle
    assert not used.is_idle


async def test_how_long_connecting_takes_is_counted(world, behind):
    """Once for each connection, not for each request."""
    pool = world.pool(behind.endpoint())
    pool.give_back(await world.dial(pool), reusable=True, now=0.0)
    assert pool.take_idle() is not None

    assert sum(pool.stats.connecting.counts) == pool.stats.connects == 1


async def test_an_upstream_that_refuses_is_told_apart(world, dead_port):
    """With its address, for the log."""
    pool = world.pool(Endpoint(host="127.0.0.1", port=dead_port))
    waiter = await world.fail(pool)

    assert waiter.failure is Failure.REFUSED
    assert waiter.detail.startswith(f"127.0.0.1:{dead_port}: ")
    assert pool.stats.connect_failures == 1
    assert sum(pool.stats.connecting.counts) == 0
    assert pool.busy == 0


async def test_a_name_that_is_not_known_is_told_so(world):
    """Not as a refused connection to nowhere."""
    world.resolver.error = OSError("no such name")
    waiter = await world.fail(world.pool(Endpoint(host="legacy.test", port=1)))

    assert waiter.detail == "legacy.test:1: the name legacy.test cannot be resolved: no such name"


async def test_a_resolver_that_hangs_is_told_as_such(world):
    """The wait ends with the time for connecting; the look-up goes on for those who come later."""
    world.resolver.gate.clear()
    pool = world.pool(Endpoint(host="legacy.test", port=1), connect=0.01)
    waiter = await world.fail(pool)

    assert waiter.failure is Failure.CONNECT_TIMEOUT
    assert waiter.detail == "legacy.test:1 (still resolving): no connection within 0.01s"
    assert pool.busy == 0
    world.resolver.gate.set()
    await world.settle()
    assert len(world.resolver.asked) == 1


async def test_an_upstream_that_does_not_answer_is_late(world, black_hole):
    """Within the time for connecting."""
    pool = world.pool(Endpoint(host="127.0.0.1", port=black_hole("127.0.0.1")), connect=0.05)
    waiter = await world.fail(pool)

    assert waiter.failure is Failure.CONNECT_TIMEOUT
    assert waiter.detail.endswith("no connection within 0.05s")
    assert pool.busy == 0


async def test_a_context_without_a_name_to_verify_is_refused(world, behind):
    """An empty name would switch the check off."""
    pool = world.pool(behind.endpoint(context=ssl.create_default_context(), server_name=""))

    assert (await world.fail(pool)).failure is Failure.UNVERIFIED


async def test_a_unix_socket_is_connected_to_by_its_path(world, tmp_path, server):
    """And found nowhere else."""
    missing = world.pool(Endpoint(unix=str(tmp_path / "nobody")))
    assert (await world.fail(missing)).detail.startswith(f"unix:{tmp_path}/nobody: ")
    behind = await server(unix=str(tmp_path / "http"))
    connection = await world.dial(world.pool(behind.endpoint()))

    assert connection.address == str(tmp_path / "http")


@pytest.mark.parametrize("failure", Failure)
def test_lateness_is_504_untried_503_and_all_else_502(failure):
    """For every way to fail."""
    late = 504 if "timeout" in failure.value else 502

    assert failure.status == (503 if failure in {Failure.UNHEALTHY, Failure.BUSY} else late)


# ---------------------------------------------------------------- names and their addresses


async def test_a_new_connection_follows_the_name_and_an_old_one_ends(world, server):
    """At most 30 s after the change: the new one after 10, the old one after 20 even if nobody connects."""
    old = await server("127.0.0.1", free_port())
    new = await server("127.0.0.2", old.port)
    pool = world.pool(Endpoint(host="legacy.test", port=old.port))
    idle, used = await world.dial(pool), await world.dial(pool)
    pool.give_back(idle, reusable=True, now=world.clock())
    world.resolver.found = (new.host,)
    for _ in range(2):
        world.clock.now += 10.0
        pool.sweep(world.clock())
        await world.settle()
    assert pool.idle == 0
    assert not idle.is_idle
    pool.give_back(used, reusable=True, now=world.clock())
    assert pool.idle == 0

    assert (await world.dial(pool)).address == new.host
    assert len(world.resolver.asked) == 3


async def test_a_dead_first_address_is_paid_for_once_and_with_at_most_300_ms(world, server, black_hole):
    """The next connection goes where the last one came about."""
    alive = await server("127.0.0.2", free_port())
    black_hole("127.0.0.1", alive.port)
    world.resolver.found = ("127.0.0.1", "127.0.0.2")
    costs: list[list[float]] = [[], []]
    for _ in range(3):
        pool = world.pool(Endpoint(host="legacy.test", port=alive.port))
        for some in costs:
            begin = monotonic()
            assert (await world.dial(pool)).address == "127.0.0.2"
            some.append(monotonic() - begin)

    # A busy machine adds to some of them.
    assert 0.2 < min(costs[0]) < 0.4
    assert min(costs[1]) < 0.15


async def test_an_address_that_refuses_costs_nothing(world, server):
    """As IPv6 does where there is none: the next one is tried at once."""
    alive = await server("127.0.0.2", free_port())
    world.resolver.found = ("::1", "127.0.0.2")
    costs = []
    for _ in range(5):
        pool = world.pool(Endpoint(host="legacy.test", port=alive.port))
        begin = monotonic()
        assert (await world.dial(pool)).address == "127.0.0.2"
        costs.append(monotonic() - begin)

    assert min(costs) < 0.2


async def test_when_no_address_answers_all_of_them_are_told(world, dead_port):
    """With the name and each address."""
    world.resolver.found = ("127.0.0.1", "127.0.0.2")
    waiter = await world.fail(world.pool(Endpoint(host="legacy.test", port=dead_port)))

    assert f"legacy.test:{dead_port} (127.0.0.1): " in waiter.detail
    assert f"legacy.test:{dead_port} (127.0.0.2): " in waiter.detail
