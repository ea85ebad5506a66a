"""F12: ten thousand idle TLS connections cost little memory, nobody's time, and end at the keep-alive limit."""

import asyncio
import time
from typing import Any, Final, cast

from typing_extensions import override

from tests.faults.actors import descriptors
from tests.faults.attack import Attacker, tell
from tests.faults.lab import Lab, Size
from tests.faults.verdict import Report, quantile

_DIALS: Final = 64
_SLACK: Final = 5.0
# Descriptors of the process beside the connections, and some for upstream connections.
_SPARE: Final = 1000


class Idle(asyncio.Protocol):
    """Asks once, then says nothing, and notes when the other side ends it.

    Before its first request a connection has the deadline of a head; idle it is after an answer.
    """

    def __init__(self, request: bytes, ends: list[float], refusals: list[bytes]) -> None:
        self.answered = asyncio.get_running_loop().create_future()
        self._request = request
        self._ends = ends
        self._refusals = refusals
        self._since = 0.0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)

    @override
    def data_received(self, data: bytes) -> None:
        self._since = time.monotonic()
        if not self.answered.done():
            if not data.startswith(b"HTTP/1.1 200 "):
                self._refusals.append(data[:30])
            self.answered.set_result(None)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answered.done():
            self._refusals.append(b"no answer")
            self.answered.set_result(None)
        self._ends.append(time.monotonic() - self._since)


async def idle(options: dict[str, Any]) -> dict[str, Any]:
    """Open `count` connections, ask once on each, tell how many stand, wait for their end."""
    attacker = Attacker(options)
    ends: list[float] = []
    refusals: list[bytes] = []
    gate = asyncio.Semaphore(_DIALS)
    loop = asyncio.get_running_loop()

    clients: list[Idle] = []

    async def one() -> None:
        async with gate:
            try:
                _, client = await loop.create_connection(
                    lambda: Idle(attacker.request(), ends, refusals), "127.0.0.1", attacker.port, ssl=attacker.context,
                    server_hostname="proxy.test", local_addr=(attacker.source(), 0),
                )  # fmt: skip
            except OSError as error:
                refusals.append(str(error).encode())
            else:
                clients.append(client)
                await client.answered

    begin = time.monotonic()
    await asyncio.gather(*(one() for _ in range(options["count"])))
    tell({"stand": len(clients) - len(ends), "refused": len(refusals), "seconds": time.monotonic() - begin})
    patience = time.monotonic() + options["keep_alive"] + 4 * _SLACK
    while len(ends) < len(clients) and time.monotonic() < patience:
        await asyncio.sleep(0.1)
    ends.sort()
    return {"open": len(clients) - len(ends), "first": quantile(ends, 0), "last": quantile(ends, 1)}


def run(size: Size) -> Report:
    """Open, look, wait."""
    report = Report(fault="F12", title="idle TLS connections")
    count = min(size.of(500, 10_000), descriptors() - _SPARE)
    # The last connection must stand well before the first one ends.
    keep_alive = size.of(4, 100)
    with Lab(size) as lab:
        lab.start_services()
        caps = lab.limits(connections=count + 2000, connections_per_source=count + 2000)
        lab.start_proxy(lab.config(timeouts={"keep_alive": f"{keep_alive}s"}, **caps))
        lab.start_checker()
        with lab.experiment():
            attack = lab.attack(idle, count=count, keep_alive=keep_alive)
            opened = attack.wait_for(1, 240)
            with lab.phases.phase("standing"):
                rss = lab.sampler.rss()
                time.sleep(size.phase)
            told = attack.wait_for(2, keep_alive + 60)
        report.done = f"{opened['stand']} opened in {opened['seconds']:.1f} s, {opened['refused']} refused"
        report.exactly("connections that stood", opened["stand"], count)
        report.at_most("memory for each", (rss - lab.rss_before) * 1024 / max(1, opened["stand"]), 50, "KiB")
        report.at_most("memory of the process", rss, 550, "MiB")
        standing = lab.window("standing")
        report.at_most("others' p99 while they stand", standing.p99 * 1000, 50, "ms", noisy=True)
        lab.others(report)
        report.exactly("still open after the limit", told["open"], 0)
        report.at_least("first closed after", told["first"], keep_alive - 1, "s")
        report.at_most("last closed after", told["last"], keep_alive + _SLACK, "s")
        if not size.quick:
            report.at_most("memory afterwards, of the peak", lab.sampler.rss() / lab.rss_peak * 100, 80, "%")
        report.notes.append(
            f"memory {lab.rss_before:.0f} MiB before, {rss:.0f} standing, {lab.rss_peak:.0f} peak, "
            f"{lab.sampler.rss():.0f} after; others' p99 over the whole attack {lab.window('attack').p99 * 1000:.1f} ms"
        )
        lab.recovered(report)
    return report
