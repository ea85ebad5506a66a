"""F13: clients that are slow on purpose are closed in time, and cost others nothing."""

import asyncio
import contextlib
import time
from collections import Counter
from typing import Any, Final

from tests.faults.attack import Attacker, at_rate, end_of, head_of, tell
from tests.faults.lab import Lab, Size
from tests.faults.verdict import Report

KINDS: Final = ("head", "body", "reading", "hello")
_SLACK: Final = 3.0
_FEW: Final = 5
# So long a reader's kernel may still take bytes after the answer's head.
_FILLING: Final = 2.0
# Slow readers outlast the look at them.
_LONGER: Final = 20.0
# New clients of each kind a second, slowhttptest's default.
_RATE: Final = 50
# What slowhttptest does too: a client that announces little room.
_WINDOW: Final = 4096


async def slow(options: dict[str, Any]) -> dict[str, Any]:
    """`count` clients of one kind; tell when the last was closed, and how."""
    attacker = Attacker(options)
    patience = options["deadline"] + 3 * _SLACK
    work = {"head": _head, "body": _body, "reading": _reading, "hello": _hello}[options["kind"]]
    came = await at_rate(_RATE, options["count"], lambda _: work(attacker, patience))
    wrong = [one for one in came if isinstance(one, BaseException)]
    if wrong:
        raise wrong[0]
    ends = [seconds for seconds, _ in came if seconds is not None]
    return {
        "open": sum(seconds is None for seconds, _ in came),
        "last": max(ends, default=0.0),
        "first": min(ends, default=0.0),
        "how": Counter(how for _, how in came),
    }


async def _wait(reader: asyncio.StreamReader, begin: float, patience: float) -> tuple[float | None, str]:
    data = await end_of(reader, patience)
    if data is None:
        return None, "still open"
    return time.monotonic() - begin, data[9:12].decode() or "closed"


async def _head(attacker: Attacker, patience: float) -> tuple[float | None, str]:
    """A field line without an end, a byte every half second."""
    reader, writer = await attacker.open()
    begin = time.monotonic()
    writer.write(b"GET / HTTP/1.1\r\nHost: proxy.test\r\nX-Slow: ")
    waiting = asyncio.get_running_loop().create_task(_wait(reader, begin, patience))
    with contextlib.suppress(OSError):
        while not waiting.done():
            writer.write(b"x")
            await asyncio.wait([waiting], timeout=0.5)
    writer.transport.abort()
    return await waiting


async def _body(attacker: Attacker, patience: float) -> tuple[float | None, str]:
    """A long body of which only the beginning comes."""
    reader, writer = await attacker.open()
    begin = time.monotonic()
    writer.write(attacker.request("POST /up HTTP/1.1", "Content-Length: 100000") + b"x" * 100)
    came = await _wait(reader, begin, patience)
    writer.transport.abort()
    return came


async def _reading(attacker: Attacker, patience: float) -> tuple[float | None, str]:
    """A long answer that nobody reads; tells when it has begun.

    What the proxy has closed still looks open from here while its last bytes wait to be read: the proxy itself is asked.
    """
    reader, writer = await attacker.open(limit=1024, window=_WINDOW)
    writer.write(attacker.request(f"GET /down/{64 << 20} HTTP/1.1"))
    await head_of(reader)
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport too
    tell("reading")
    await asyncio.sleep(patience + _LONGER)
    writer.transport.abort()
    return patience, "hung up"


async def _hello(attacker: Attacker, patience: float) -> tuple[float | None, str]:
    """A TCP connection and no hello."""
    reader, writer = await attacker.open(plain=True)
    came = await _wait(reader, time.monotonic(), patience)
    writer.transport.abort()
    return came


def run(size: Size) -> Report:
    """All kinds at once."""
    report = Report(fault="F13", title="slow clients")
    deadlines = {"head": 10.0, "body": 30.0, "reading": 60.0, "hello": 10.0}
    sections: dict[str, Any] = {}
    if size.quick:
        deadlines = dict.fromkeys(KINDS, 2.0)
        sections["timeouts"] = {"handshake": "2s", "head": "2s", "body_idle": "2s", "client_write": "2s"}
    counts = {kind: size.of(50, 200) for kind in KINDS} | {"hello": size.of(100, 500)}
    with Lab(size) as lab:
        lab.start_services()
        # It has much to carry; how long a connection to it takes is another experiment.
        upstreams = {"service": lab.upstream(), "bulk": lab.upstream(lab.bulk_port, timeouts={"connect": "30s"})}
        lab.start_proxy(lab.config(upstreams=upstreams, **sections, **lab.limits(connections_per_source=4000)))
        lab.start_checker()
        with lab.experiment():
            attacks = {
                kind: lab.attack(slow, kind=kind, count=counts[kind], deadline=deadlines[kind]) for kind in KINDS
            }
            attacks["reading"].wait_for(counts["reading"], 60)
            begun = time.monotonic()
            told = {kind: attack.result() for kind, attack in attacks.items() if kind != "reading"}
            time.sleep(max(0.0, begun + deadlines["reading"] + _SLACK + _FILLING - time.monotonic()))
            left = lab.delta("authproxy_connections")
            attacks["reading"].result()
        report.done = ", ".join(f"{counts[kind]} x {kind}" for kind in KINDS)
        # Of the good clients' connections, some are new and some are on their way out.
        report.at_most("slow reading: still open", left, _FEW)
        for kind in told:
            report.exactly(f"slow {kind}: still open", told[kind]["open"], 0)
            report.at_most(
                f"slow {kind}: last closed after", told[kind]["last"], deadlines[kind] + _SLACK, "s", noisy=True
            )
            wrong = sum(count for how, count in told[kind]["how"].items() if how not in {"408", "closed"})
            report.exactly(f"slow {kind}: neither 408 nor a close", wrong - told[kind]["open"], 0)
            report.notes.append(f"slow {kind}: first closed after {told[kind]['first']:.1f} s, {told[kind]['how']}")
        lab.others(report, 100)
        lab.recovered(report)
        report.notes.append(f"log: {lab.new_events()}")
    return report
