"""F01: fifty certificates in a minute, by signal and by the watch, and nobody notices but new connections."""

import asyncio
import contextlib
import ssl
import time
from functools import partial
from typing import Any, Final

from tests.faults.attack import Attacker, head_of, tell
from tests.faults.lab import Lab, Size
from tests.faults.renewal import Pki, Watcher, der, shown, waited
from tests.faults.verdict import Report, quantile

_EVERY: Final = 1.2
_WATCH: Final = 1.0
_HELD: Final = 20
_PING: Final = 0.002


async def hold(options: dict[str, Any]) -> int:
    """Keep connections, ask on each of them every second; return how many ended before they were told to."""
    attacker = Attacker(options)
    ends = time.monotonic() + options["seconds"]

    async def one() -> bool:
        reader, writer = await attacker.open()
        try:
            while time.monotonic() < ends:
                writer.write(b"GET /livez HTTP/1.1\r\nHost: proxy.test\r\n\r\n")
                if await head_of(reader) != 200 or await reader.readexactly(3) != b"ok\n":
                    return True
                await asyncio.sleep(1.0)
        except (OSError, asyncio.IncompleteReadError):
            return True
        finally:
            writer.transport.abort()
        return False

    return sum(await asyncio.gather(*(one() for _ in range(_HELD))))


async def ping(options: dict[str, Any]) -> list[tuple[float, float]]:
    """Ask the proxy itself, one small request after the other; return when each began and how long it took."""
    attacker, came = Attacker(options), []
    ends = time.monotonic() + options["seconds"]
    reader, writer = await attacker.open()
    tell("ready")
    while time.monotonic() < ends:
        begin = time.monotonic()
        writer.write(b"GET /livez HTTP/1.1\r\nHost: proxy.test\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(3)
        came.append((begin, time.monotonic() - begin))
        await asyncio.sleep(_PING)
    with contextlib.suppress(OSError):
        writer.transport.abort()
    return came


def run(size: Size) -> Report:
    """Two certificates take turns; every other time nobody says so, and the watch finds out."""
    report = Report(fault="F01", title="certificate reload")
    count = size.of(6, 50)
    report.done = f"{count} certificates, half of them told by SIGHUP, half found by the watch ({_WATCH:g} s)"
    with Lab(size) as lab:
        pki = Pki(lab)
        leaves = [pki.server(), pki.server()]
        pki.put_pair("server", leaves[1])
        lab.start_services()
        lab.start_proxy(_config(lab))
        watcher = Watcher(lab)
        context = ssl.create_default_context(cafile=lab.material.authority)
        lab.start_checker()
        signalled: list[float] = []
        noticed: list[float] = []
        reloads: list[tuple[float, float]] = []
        with lab.experiment():
            seconds = count * _EVERY + 2
            holding = lab.attack(hold, seconds=seconds)
            pinging = lab.attack(ping, seconds=seconds)
            pinging.wait_for(1, 20)
            for number in range(count):
                begin, known = time.monotonic(), der(leaves[number % 2])
                pki.put_pair("server", leaves[number % 2])
                if number % 2:
                    watcher.hup()
                    reloads.append((begin, watcher.wait("reload.applied", part="trust")))
                waited(partial(_is_shown, lab.port, context, known), "the new certificate")
                (signalled if number % 2 else noticed).append(time.monotonic() - begin)
                time.sleep(max(0.0, begin + _EVERY - time.monotonic()))
            cut = holding.result()
            pings = [(float(at), float(took)) for at, took in pinging.result()]
        judge(report, signalled, noticed, reloads, pings)
        report.exactly("kept connections that were cut", cut, 0)
        report.exactly("rejected reloads", lab.delta_of("authproxy_reload_total", result="failed"), 0)
        lab.others(report)
        attack = lab.window("attack")
        report.at_least("requests beside", attack.sent, 0.95 * size.rate * count * _EVERY, noisy=True)
        lab.recovered(report)
    return report


def _is_shown(port: int, context: ssl.SSLContext, known: bytes) -> bool:
    return shown(port, context) == known


def _config(lab: Lab) -> dict[str, Any]:
    return lab.config(
        keystores={"main": {"certificate": "server.crt", "key": "server.key"}},
        listeners={"public": {"bind": f"127.0.0.1:{lab.port}", "keystore": "main", "health": "/livez"}},
        reload={"watch": f"{_WATCH:g}s"},
        **lab.limits(requests_per_connection="off"),
    )


def judge(
    report: Report,
    signalled: list[float],
    noticed: list[float],
    reloads: list[tuple[float, float]],
    pings: list[tuple[float, float]],
) -> None:
    """Add the figures of time."""
    report.at_most("new certificate shown after SIGHUP", max(signalled), 1.0, "s", noisy=True)
    report.at_most("new certificate shown without a signal", max(noticed), _WATCH + 1.0, "s", noisy=True)
    report.at_most("longest reload", max(took for _, took in reloads) * 1000, 200, "ms", noisy=True)
    during: list[float] = []
    beside: list[float] = []
    spans = [(begin, begin + took) for begin, took in reloads]
    for at, took in pings:
        inside = any(begin - took <= at <= end for begin, end in spans)
        (during if inside else beside).append(took)
    # What a request waits for without a reload is no stall of a reload.
    usual = quantile(sorted(beside), 0.99)
    report.at_most(
        "stall: longest wait in a reload, less the usual", (max(during) - usual) * 1000, 20, "ms", noisy=True
    )
    report.notes.append(
        f"{len(during)} pings in reloads p50 {quantile(sorted(during), 0.5) * 1000:.1f} p99 "
        f"{quantile(sorted(during), 0.99) * 1000:.1f} ms; beside p99 {usual * 1000:.1f} longest {max(beside) * 1000:.1f} ms"
    )
