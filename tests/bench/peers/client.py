"""A load generator: `client.py PORT CONNECTIONS AUTHORITY REQUESTS [RATE]` repeats the heads in REQUESTS until SIGINT.

Each connection has one request under way. With RATE, that many requests a second are due in all, at even distances;
one that cannot be sent in time, because the answer before it is late, is timed from when it was due. At the end one
line of JSON says how many were answered, how many of those with another status than 200, how often a connection broke,
and in how many milliseconds half and 99 % were answered, the first few of every connection left out.
"""

import asyncio
import json
import re
import signal
import ssl
import sys
import time
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Final, cast

import uvloop
from typing_extensions import override

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SECONDS_UNTIL_REDIAL: Final = 0.05
_WARM_ANSWERS: Final = 8


@dataclass
class Tally:
    """What came of the requests."""

    answers: int = 0
    refused: int = 0
    broken: int = 0
    took: list[float] = field(default_factory=list)

    def told(self, connections: int) -> dict[str, float]:
        """Return the report."""
        warm = sorted(self.took[connections * _WARM_ANSWERS :])
        return {
            "answers": self.answers,
            "refused": self.refused,
            "broken": self.broken,
            "p50": warm[len(warm) // 2] * 1e3 if warm else 0.0,
            "p99": warm[len(warm) * 99 // 100] * 1e3 if warm else 0.0,
        }


class Client(asyncio.Protocol):
    """Sends a request, waits for the whole answer, sends the next, when it is due."""

    def __init__(self, heads: "cycle[bytes]", tally: Tally, lost: asyncio.Event, distance: float) -> None:
        self._heads = heads
        self._distance = distance
        self._due = self._begin = 0.0
        self._tally = tally
        self._lost = lost
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's TLS transport is no subclass of asyncio.Transport, yet has all of its methods.
        self._transport = cast("asyncio.Transport", transport)
        self._due = time.perf_counter()
        self._send()

    def _send(self) -> None:
        if self._transport is not None:
            self._begin = time.perf_counter()
            self._transport.write(next(self._heads))

    def _send_late(self) -> None:
        self._send()
        self._begin = self._due

    def _next(self) -> None:
        now = time.perf_counter()
        self._tally.took.append(now - self._begin)
        self._due += self._distance
        if not self._distance:
            self._send()
        elif self._due > now:
            # The loop's timer is coarse; that it rings late is not the proxy's fault, so time starts when it rings.
            asyncio.get_running_loop().call_later(self._due - now, self._send)
        else:
            self._send_late()

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
            self._next()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._tally.broken += 1
        self._lost.set()


async def keep_one(  # noqa: PLR0917  # a script's arguments
    port: int, context: ssl.SSLContext, heads: "cycle[bytes]", tally: Tally, distance: float, delay: float
) -> None:
    """Have one connection at work, and another whenever it breaks."""
    await asyncio.sleep(delay)
    loop = asyncio.get_running_loop()
    while True:
        lost = asyncio.Event()
        try:
            await loop.create_connection(
                lambda lost=lost: Client(heads, tally, lost, distance),  # type: ignore[misc]
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


async def main(port: str, connections: str, authority: str, requests: str, rate: str = "0") -> None:
    heads = cycle([head + b"\r\n\r\n" for head in Path(requests).read_bytes().split(b"\r\n\r\n")[:-1]])
    context = ssl.create_default_context(cafile=authority)
    tally, stop = Tally(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    count = int(connections)
    distance = count / float(rate) if float(rate) else 0.0
    workers = [
        asyncio.create_task(keep_one(int(port), context, heads, tally, distance, distance * number / count))
        for number in range(count)
    ]
    await stop.wait()
    print(json.dumps(tally.told(count)), flush=True)  # noqa: T201  # the one thing it says
    for worker in workers:
        worker.cancel()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(*sys.argv[1:]))
