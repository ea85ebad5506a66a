"""What pools need in tests: a clock set by hand, a resolver that answers as told, tasks, and servers that listen."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from authproxy.core.stats import UpstreamStats
from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.interface import Failure
from authproxy.upstream.means import Means
from authproxy.upstream.pool import Upstream, UpstreamTimes
from authproxy.upstream.side import Endpoint
from tests.patience import PATIENCE
from tests.ports import free_port

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Clock:
    """A monotonic clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Resolver:
    """Answers with `found`, or raises `error`; holds its answer back while `gate` is shut."""

    def __init__(self) -> None:
        self.found: tuple[str, ...] = ("127.0.0.1",)
        self.error: Exception | None = None
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, host: str) -> tuple[str, ...]:
        self.asked.append(host)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.found


class World:
    """The means of an upstream, with everything that they were used for."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.resolver = Resolver()
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.pools: list[Upstream] = []
        self.means = Means(spawn=self.spawn, clock=self.clock, resolve=self.resolver, tell=self.tell)

    def spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def tell(self, event: str, /, **facts: object) -> None:
        self.told.append((event, facts))

    def events(self) -> list[str]:
        return [event for event, _ in self.told]

    async def settle(self) -> None:
        """Wait until every task has ended."""
        while self.tasks:
            await asyncio.wait(self.tasks, timeout=PATIENCE)

    def pool(self, *endpoints: Endpoint, connect: float = 5.0) -> Upstream:
        times = UpstreamTimes(connect=connect, response_head=5.0, idle=5.0)
        self.pools.append(Upstream("up", endpoints, times, UpstreamStats(), self.means))
        return self.pools[-1]

    async def dial(self, pool: Upstream, *, instead_of: UpstreamConnection | None = None) -> UpstreamConnection:
        """Have a fresh connection."""
        waiter = Waiter()
        if instead_of is None:
            pool.connect(waiter)
        else:
            pool.retry(waiter, instead_of)
        await asyncio.wait_for(waiter.done.wait(), PATIENCE)
        assert waiter.connection is not None, waiter.detail
        return waiter.connection

    async def fail(self, pool: Upstream) -> "Waiter":
        """Have no connection."""
        waiter = Waiter()
        pool.connect(waiter)
        await asyncio.wait_for(waiter.done.wait(), PATIENCE)
        assert waiter.connection is None
        return waiter

    async def aclose(self) -> None:
        for pool in self.pools:
            pool.retire()
            for side in pool.sides:
                for connection in list(side.open):
                    connection.abort()
        for task in list(self.tasks):
            task.cancel()
        await self.settle()


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


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """An upstream's surroundings."""
    made = World()
    yield made
    await made.aclose()


class Server:
    """Answers every request with `answer` (None: says nothing), and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: bytes | None = ANSWER
        self.asked: list[bytes] = []
        self.port = 0
        self.host = ""
        self._server: asyncio.Server
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self, host: str = "127.0.0.1", port: int = 0, unix: str = "") -> None:
        self.unix = unix
        if unix:
            self._server = await asyncio.start_unix_server(self._serve, unix)
        else:
            self._server = await asyncio.start_server(self._serve, host, port)
            self.host, self.port = self._server.sockets[0].getsockname()[:2]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        while True:
            try:
                self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()
                return
            if self.answer is not None:
                writer.write(self.answer)

    def stop(self) -> None:
        """Listen no more, and cut what is open."""
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    def endpoint(self, **more: Any) -> Endpoint:
        return Endpoint(host=self.host, port=self.port, unix=self.unix, authority=b"x", **more)


@pytest.fixture
async def server() -> AsyncIterator[Callable[..., Any]]:
    """Start servers, on an address or at a path, and stop them."""
    made: list[Server] = []

    async def start(host: str = "127.0.0.1", port: int = 0, unix: str = "") -> Server:
        made.append(Server())
        await made[-1].start(host, port, unix)
        return made[-1]

    yield start
    # Whoever was accepted in the last moment is known to asyncio's server some turns of the loop later, and cut then.
    for _ in range(10):
        for one in made:
            one.stop()
        await asyncio.sleep(0)


@pytest.fixture
def black_hole() -> Iterator[Callable[[str, int], int]]:
    """`black_hole(host, port)` returns a port on which connections never come about."""
    held: list[socket.socket] = []

    def dig(host: str, port: int = 0) -> int:
        hole = socket.create_server((host, port), backlog=0)
        held.append(hole)
        for _ in range(3):
            # The queue of the listener is full after these; the system drops what else knocks.
            knock = socket.socket()
            knock.setblocking(False)
            knock.connect_ex(hole.getsockname())
            held.append(knock)
        return int(hole.getsockname()[1])

    yield dig
    for one in held:
        one.close()


@pytest.fixture
def dead_port() -> int:
    """A port on which nobody listens."""
    return free_port()
