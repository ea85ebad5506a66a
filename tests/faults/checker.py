"""The checker, a process of its own: `checker.py JSON` sends requests at a fixed rate, whatever becomes of them.

An open loop: a request is due when it is due, so that a proxy that stalls cannot hide it by slowing the load down.
Kept-alive connections from a fixed set carry most of them; the others have a connection of their own. Every answer is
verified: status, and a body that holds the request's own target and the id of the user who asked. At SIGINT every
sample is written to the file `out`.
"""

import asyncio
import contextlib
import json
import signal
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import uvloop
from typing_extensions import override

_PATIENCE: Final = 10.0
_PAUSE: Final = 0.05


@dataclass
class Asked:
    """A request under way."""

    target: str
    due: float
    sent: float
    fresh: bool
    number: int
    done: Callable[["Asked", str], None]
    timer: asyncio.TimerHandle | None = None


class Client(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, checker: "Checker", *, fresh: bool) -> None:
        self.checker = checker
        self.fresh = self.is_last = fresh
        self.asked: Asked | None = None
        self.transport: asyncio.Transport | None = None
        self._buffer = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's TLS transport is no subclass of asyncio.Transport, yet has all of its methods.
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, asked: Asked) -> None:
        """Send a request."""
        self.asked = asked
        if self.transport is None or self.transport.is_closing():
            self._finish("closed")
            return
        self.transport.write(self.checker.request(asked))

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        asked = self.asked
        if not end or asked is None:
            return
        if not head.startswith(b"HTTP/1.1 200 "):
            self._buffer = b""
            self._finish(head[9:12].decode("latin-1"))
            return
        wanted = self.checker.wanted(asked)
        if len(body) < len(wanted):
            return
        self._buffer = b""
        # A connection may end in good order, after so many requests: another takes its place.
        self.is_last = self.is_last or b"\r\nconnection: close" in head.lower()
        self._finish("ok" if body == wanted else "wrong body")

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._finish("cut")
        self.checker.lost(self)

    def _finish(self, outcome: str) -> None:
        asked, self.asked = self.asked, None
        if asked is None:
            return
        asked.done(asked, outcome)
        if self.transport is not None:
            if self.is_last or outcome != "ok":
                self.transport.close()
            else:
                self.checker.free(self)


@dataclass
class Checker:
    """Sends, verifies, remembers."""

    options: dict[str, Any]
    context: ssl.SSLContext
    samples: list[tuple[float, float, bool, str]] = field(default_factory=list)
    lags: list[tuple[float, float]] = field(default_factory=list)
    idle: list[Client] = field(default_factory=list)
    waiting: list[Asked] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    ending: bool = False

    def request(self, asked: Asked) -> bytes:
        """Return a request as bytes; it claims to be somebody else."""
        user = self.options["users"][asked.number % len(self.options["users"])]
        return (
            f"GET {asked.target} HTTP/1.1\r\nHost: proxy.test\r\nAuthorization: Bearer {user['token']}\r\n"
            "X-User-Id: somebody-else\r\nUser-Agent: checker\r\n\r\n"
        ).encode()

    def wanted(self, asked: Asked) -> bytes:
        """Return the only right body."""
        user = self.options["users"][asked.number % len(self.options["users"])]
        return f"{asked.target} {user['id']}\n".encode()

    def free(self, client: Client) -> None:
        """Give a kept connection its next request."""
        if self.waiting:
            client.ask(self.waiting.pop(0))
        else:
            self.idle.append(client)

    def lost(self, client: Client) -> None:
        """Replace a kept connection that has gone."""
        with contextlib.suppress(ValueError):
            self.idle.remove(client)
        if not client.fresh and not self.ending:
            self.spawn(self.keep())

    def spawn(self, work: Any) -> None:
        """Keep a task alive."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def connect(self, *, fresh: bool) -> Client:
        """Open a connection."""
        _, client = await asyncio.get_running_loop().create_connection(
            lambda: Client(self, fresh=fresh),
            "127.0.0.1",
            self.options["port"],
            ssl=self.context,
            server_hostname="proxy.test",
            ssl_handshake_timeout=_PATIENCE,
            local_addr=("127.0.0.1", 0),
        )
        return client

    async def keep(self) -> None:
        """Have one more kept connection."""
        while not self.ending:
            try:
                client = await self.connect(fresh=False)
            except OSError:
                await asyncio.sleep(_PAUSE)
                continue
            self.free(client)
            return

    async def ask_fresh(self, asked: Asked) -> None:
        """Send a request on a connection of its own."""
        try:
            client = await self.connect(fresh=True)
        except (OSError, TimeoutError) as error:
            asked.done(asked, type(error).__name__)
            return
        client.ask(asked)

    def done(self, asked: Asked, outcome: str) -> None:
        """Note what came of a request."""
        if asked.timer is not None:
            asked.timer.cancel()
            asked.timer = None
            self.samples.append((asked.due, time.monotonic() - asked.sent, asked.fresh, outcome))

    def late(self, asked: Asked) -> None:
        """Give a request up."""
        if asked in self.waiting:
            self.waiting.remove(asked)
        self.done(asked, "late")

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set, then wait for what is under way."""
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(self.keep() for _ in range(self.options["kept"])))
        print("ready", flush=True)  # noqa: T201
        begin, number, rate = time.monotonic(), 0, self.options["rate"]
        every = round(1 / self.options["fresh"]) if self.options["fresh"] else 0
        while not stop.is_set():
            due = begin + number / rate
            wait = due - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            sent = time.monotonic()
            self.lags.append((due, sent - due))
            fresh = bool(every) and number % every == 0
            asked = Asked(f"/check/{number}", due, sent, fresh, number, self.done)
            asked.timer = loop.call_later(_PATIENCE, self.late, asked)
            if fresh:
                self.spawn(self.ask_fresh(asked))
            elif self.idle:
                # In turn, so that none is idle for long.
                self.idle.pop(0).ask(asked)
            else:
                self.waiting.append(asked)
            number += 1
        self.ending = True
        ends = time.monotonic() + _PATIENCE + 1
        while len(self.samples) < number and time.monotonic() < ends:
            await asyncio.sleep(_PAUSE)


async def main(text: str) -> None:
    options = json.loads(text)
    context = ssl.create_default_context(cafile=options["authority"])
    if options.get("client"):
        context.load_cert_chain(options["client"])
    checker = Checker(options, context)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    await checker.run(stop)
    Path(options["out"]).write_text(json.dumps({"samples": checker.samples, "lags": checker.lags}))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1]))
