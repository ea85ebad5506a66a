"""Runs an attacker in a process of its own: `python -m tests.faults.attack MODULE FUNCTION JSON`."""

import asyncio
import contextlib
import importlib
import json
import resource
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import uvloop

SOURCES: Final = tuple(f"127.0.0.{number}" for number in range(2, 12))
"""Where attackers come from; good clients come from 127.0.0.1."""


_HELD_UP: Final = 0.05
TOLD: Final = "told: "
"""What a line begins with that an attacker tells; everything else is noise."""


def tell(value: Any) -> None:
    """Tell the experiment something."""
    print(TOLD + json.dumps(value), flush=True)  # noqa: T201  # how attackers speak


class Attacker:
    """What all attackers need."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.port: int = options["port"]
        self.token: str = options["token"]
        self.context = ssl.create_default_context(cafile=options["authority"])
        self._next = 0

    def source(self) -> str:
        """Return the next address to come from."""
        self._next += 1
        return SOURCES[self._next % len(SOURCES)]

    async def open(
        self, source: str = "", *, limit: int = 1 << 16, plain: bool = False, window: int = 0
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection from an attacker's address; a small `window` makes the other side wait early."""
        tls: dict[str, Any] = {} if plain else {"ssl": self.context, "server_hostname": "proxy.test"}
        wire = socket.socket()
        wire.setblocking(False)
        try:
            if window:
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
            wire.bind((source or self.source(), 0))
            await asyncio.get_running_loop().sock_connect(wire, ("127.0.0.1", self.port))
            return await asyncio.open_connection(sock=wire, limit=limit, **tls)
        except BaseException:
            wire.close()
            raise

    def request(self, line: str = "GET /check/x HTTP/1.1", *lines: str) -> bytes:
        """Return a request with a good credential."""
        fields = ["Host: proxy.test", f"Authorization: Bearer {self.token}", *lines]
        return (line + "\r\n" + "".join(one + "\r\n" for one in fields) + "\r\n").encode()


async def head_of(reader: asyncio.StreamReader) -> int:
    """Read an answer's head; return its status, 0 when there is none."""
    try:
        return int((await reader.readuntil(b"\r\n\r\n"))[9:12])
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        return 0


async def end_of(reader: asyncio.StreamReader, seconds: float) -> bytes | None:
    """Read until the connection ends; return what came, or None when it did not end in time."""
    data = b""
    with contextlib.suppress(OSError):
        try:
            async with asyncio.timeout(seconds):
                while piece := await reader.read(1 << 16):
                    data = (data + piece)[:4096]
        except TimeoutError:
            return None
    return data


async def at_rate(rate: float, count: int, work: Any) -> Sequence[Any]:
    """Begin `work(number)` so many times a second, whatever becomes of it; return what came of all.

    An attacker that was held up itself goes on from there: a burst of all that was missed would be another attack.
    """
    begin, tasks = time.monotonic(), []
    for number in range(count):
        wait = begin + number / rate - time.monotonic()
        if wait < -_HELD_UP:
            begin -= wait
        await asyncio.sleep(max(0.0, wait))
        tasks.append(asyncio.get_running_loop().create_task(work(number)))
    return await asyncio.gather(*tasks, return_exceptions=True)


def main(module: str, function: str, text: str) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    work = getattr(importlib.import_module(module), function)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        tell(runner.run(work(json.loads(text))))


if __name__ == "__main__":
    main(*sys.argv[1:])
