"""The pool: newest first, never twice, never what somebody closed."""

import asyncio
import ssl

import pytest

from authproxy.core.stats import UpstreamStats
from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.interface import Failure
from authproxy.upstream.pool import Upstream, UpstreamTimes
from authproxy.upstream.side import Endpoint

TIMES = UpstreamTimes(connect=5.0, response_head=5.0, idle=5.0)


class Waiter:
    """Waits for a connection."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.connection: UpstreamConnection | None = None
        self.failure: Failure | None = None
        self.detail = ""

    def on_connected(self, connection: UpstreamConnection) -> None:
        self.connection = connection
        self.done.set()

    def on_connect_failed(self, failure: Failure, detail: str) -> None:
        self.failure, self.detail = failure, detail
        self.done.set()


class Tasks:
    """Owns what the pool starts."""

    def __init__(self) -> None:
        self.running: set[asyncio.Task[None]] = set()

    def spawn(self, work):
        task = asyncio.get_running_loop().create_task(work)
        self.running.add(task)
        task.add_done_callback(self.running.discard)


@pytest.fixture
async def port():
    """A server that accepts and says nothing."""
    writers = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in writers:
        writer.transport.abort()


def upstream(*ports: int, **more) -> Upstream:
    endpoints = [Endpoint(host="127.0.0.1", port=port, authority=b"x", **more) for port in ports]
    return Upstream("up", endpoints, TIMES, UpstreamStats(), Tasks().spawn)


async def dial(pool: Upstream) -> UpstreamConnection:
    waiter = Waiter()
    pool.connect(waiter)
    await asyncio.wait_for(waiter.done.wait(), 5)
    assert waiter.connection is not None, waiter.detail
    return waiter.connection


async def test_an_idle_connection_is_handed_out_once_and_newest_first(port):
    """The oldest may grow stale."""
    pool = upstream(port)
    first, second = await dial(pool), await dial(pool)
    pool.give_back(first, reusable=True, now=1.0)
    pool.give_back(second, reusable=True, now=2.0)

    assert pool.idle == 2
    assert [pool.take_idle(), pool.take_idle(), pool.take_idle()] == [second, first, None]
    assert pool.stats.reused == 2
    first.abort()
    second.abort()


async def test_what_is_not_reusable_is_closed(port):
    """By the request's view."""
    pool = upstream(port)
    connection = await dial(pool)
    pool.give_back(connection, reusable=False, now=1.0)

    assert pool.take_idle() is None
    assert not connection.is_idle


async def test_idle_connections_do_not_live_for_ever(port):
    """Those that waited longer than usual servers keep them are closed, no others."""
    pool = upstream(port)
    first, second = await dial(pool), await dial(pool)
    pool.give_back(first, reusable=True, now=0.0)
    pool.give_back(second, reusable=True, now=20.0)
    pool.sweep(30.0)
    assert pool.idle == 2
    pool.sweep(30.1)

    assert pool.take_idle() is second
    assert not first.is_idle
    second.abort()


async def test_a_retired_pool_keeps_nothing(port):
    """What is idle is closed at once, what is in use when it comes back."""
    pool = upstream(port)
    idle, used = await dial(pool), await dial(pool)
    pool.give_back(idle, reusable=True, now=0.0)
    pool.retire()
    pool.give_back(used, reusable=True, now=0.0)

    assert pool.take_idle() is None
    assert not idle.is_idle
    assert not used.is_idle


async def test_an_upstream_that_refuses_is_told_apart():
    """With its address, for the log."""
    pool = upstream(1)
    waiter = Waiter()
    pool.connect(waiter)
    await asyncio.wait_for(waiter.done.wait(), 5)

    assert waiter.failure is Failure.REFUSED
    assert waiter.detail.startswith("127.0.0.1:1: ")
    assert pool.stats.connect_failures == 1


async def test_a_context_without_a_name_to_verify_is_refused(port):
    """An empty name would switch the check off."""
    pool = upstream(port, context=ssl.create_default_context(), server_name="")
    waiter = Waiter()
    pool.connect(waiter)
    await asyncio.wait_for(waiter.done.wait(), 5)

    assert waiter.failure is Failure.UNVERIFIED


async def test_the_least_busy_endpoint_is_taken(port):
    """Requests spread over all of them."""
    pool = upstream(port, port)
    first, second, third = [await dial(pool) for _ in range(3)]

    assert first.home is not second.home
    assert third.home in {first.home, second.home}
    pool.give_back(second, reusable=True, now=0.0)
    assert pool.take_idle() is second
    for connection in (first, second, third):
        connection.abort()


@pytest.mark.parametrize(
    ("failure", "status"), [(failure, 504 if "timeout" in failure.value else 502) for failure in Failure]
)
def test_lateness_is_504_and_all_else_502(failure, status):
    """For every way to fail."""
    assert failure.status == status
