"""A load generator: `client.py PORT CONNECTIONS AUTHORITY REQUESTS` repeats the heads in REQUESTS until SIGINT.

Each connection has one request under way. At the end one line of JSON says how many were answered, how many of those
with another status than 200, and how often a connection broke.
"""

import asyncio
import json
import re
import signal
import ssl
import sys
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Final, cast

import uvloop
from typing_extensions import override

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SECONDS_UNTIL_REDIAL: Final = 0.05


@dataclass
class Tally:
    """What came of the requests."""

    answers: int = 0
    refused: int = 0
    broken: int = 0


class Client(asyncio.Protocol):
    """Sends a request, waits for the whole answer, sends the next."""

    def __init__(self, heads: "cycle[bytes]", tally: Tally, lost: asyncio.Event) -> None:
        self._heads = heads
        self._tally = tally
        self._lost = lost
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's TLS transport is no subclass of asyncio.Transport, yet has all of its methods.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(next(self._heads))

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end or self._transport is None:
            return
        length = _LENGTH.search(head)
        if length is None:
            self._transport.abort()
        elif len(body) >= int(length[1]):
            self._buffer = b""
            self._tally.answers += 1
            self._tally.refused += not head.startswith(b"HTTP/1.1 200 ")
            self._transport.write(next(self._heads))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._tally.broken += 1
        self._lost.set()


async def keep_one(port: int, context: ssl.SSLContext, heads: "cycle[bytes]", tally: Tally) -> None:
    """Have one connection at work, and another whenever it breaks."""
    loop = asyncio.get_running_loop()
    while True:
        lost = asyncio.Event()
        try:
            await loop.create_connection(
                lambda lost=lost: Client(heads, tally, lost),  # type: ignore[misc]
                "127.0.0.1",
                port,
                ssl=context,
                server_hostname="proxy.test",
            )
        except OSError:
            tally.broken += 1
        else:
            await lost.wait()
        await asyncio.sleep(_SECONDS_UNTIL_REDIAL)


async def main(port: str, connections: str, authority: str, requests: str) -> None:
    heads = cycle([head + b"\r\n\r\n" for head in Path(requests).read_bytes().split(b"\r\n\r\n")[:-1]])
    context = ssl.create_default_context(cafile=authority)
    tally, stop = Tally(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    workers = [asyncio.create_task(keep_one(int(port), context, heads, tally)) for _ in range(int(connections))]
    await stop.wait()
    print(json.dumps(vars(tally)), flush=True)  # noqa: T201  # the one thing it says
    for worker in workers:
        worker.cancel()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(*sys.argv[1:]))
