"""F07: whatever an upstream does wrong, the client can see it, nothing is repeated that must not be, others go on."""

import asyncio
import contextlib
import time
from collections import Counter
from typing import Any, Final

from tests.faults.attack import Attacker, at_rate
from tests.faults.broken import Broken, Record
from tests.faults.lab import Lab, Size
from tests.faults.verdict import Report

REFUSED: Final = frozenset({"502"})
LATE: Final = frozenset({"504"})
CUT: Final = frozenset({"truncated"})
EXPECTED: Final = {
    "refused": REFUSED,
    "black-hole": LATE,
    "reset-at-accept": REFUSED,
    "wrong-name": REFUSED,
    "reset-after-request": REFUSED,
    "stall-before-head": LATE,
    "endless-head": REFUSED,
    "garbage-head": REFUSED,
    "reset-after-head": CUT | REFUSED,
    "reset-in-body": CUT,
    "reset-in-chunk": CUT,
    "stall-in-body": CUT,
}
"""What a client may see of each fault; `clean` is never among it."""
_SECONDS: Final = 1.0
_SLACK: Final = 1.0
# Requests a second: what takes time shall be the faults, not the handshakes.
_RATE: Final = 24


async def outcome(reader: asyncio.StreamReader) -> str:
    """Read an answer: its status, `truncated` when it breaks off, `clean` for a whole 200."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = head[9:12].decode()
        if b"transfer-encoding: chunked" in head:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                await reader.readexactly(size + 2)
            await reader.readuntil(b"\r\n")
        else:
            length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
    except (OSError, asyncio.IncompleteReadError):
        return "truncated"
    return "clean" if status == "200" else status


async def ask(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Ask every broken upstream `count` times with GET and POST; tell what was seen, and the longest time."""
    attacker = Attacker(options)
    seen: dict[str, Counter[str]] = {kind: Counter() for kind in EXPECTED}
    longest = dict.fromkeys(EXPECTED, 0.0)

    async def one(kind: str, method: str, number: int) -> None:
        reader, writer = await attacker.open()
        body = b"hello" if method == "POST" else b""
        more = ["Content-Length: 5"] if body else []
        begin = time.monotonic()
        writer.write(attacker.request(f"{method} /{kind}/{method}/{number} HTTP/1.1", *more) + body)
        try:
            async with asyncio.timeout(_SECONDS * 5):
                found = await outcome(reader)
        except TimeoutError:
            found = "nothing"
        longest[kind] = max(longest[kind], time.monotonic() - begin)
        seen[kind][found] += 1
        with contextlib.suppress(OSError):
            writer.transport.abort()

    async def in_turn(number: int) -> None:
        turn, place = divmod(number, len(EXPECTED))
        await one(list(EXPECTED)[place], ("GET", "POST")[turn % 2], turn)

    came = await at_rate(_RATE, 2 * options["count"] * len(EXPECTED), in_turn)
    wrong = [one for one in came if isinstance(one, BaseException)]
    if wrong:
        raise wrong[0]
    return {kind: {"seen": seen[kind], "longest": longest[kind]} for kind in EXPECTED}


def run(size: Size) -> Report:
    """All kinds at once, a good upstream beside them."""
    report = Report(fault="F07", title="upstream faults")
    count = size.of(4, 40)
    report.done = f"{len(EXPECTED)} kinds, {count} GET and {count} POST each, deadlines of {_SECONDS:g} s"
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(Lab(size))
        lab.start_services()
        certificate = lab.folder / "upstream.pem"
        broken = {kind: stack.enter_context(Broken(kind, certificate)) for kind in EXPECTED}
        times = dict.fromkeys(("connect", "response_head", "idle"), f"{_SECONDS:g}s")
        upstreams = {kind: lab.upstream(one.port, timeouts=times) for kind, one in broken.items()}
        upstreams["wrong-name"]["server_name"] = "other.test"
        upstreams["service"] = lab.upstream()
        routes = [{"path": f"/{kind}/", "zone": "api", "upstream": kind} for kind in broken]
        routes.append({"path": "/check/", "zone": "api", "upstream": "service"})
        lab.start_proxy(lab.config(upstreams=upstreams, routes=routes, **lab.limits(connections_per_source=4000)))
        lab.start_checker()
        with lab.experiment():
            told = lab.attack(ask, count=count).result()
        for one in broken.values():
            one.stop()
        judge(report, told, {kind: one.record for kind, one in broken.items()})
        lab.others(report, 100)
        start, attack = lab.window("start"), lab.window("attack")
        limit = max(1.2 * start.p99, start.p99 + 0.005)
        report.at_most("the good upstream's p99", attack.p99 * 1000, limit * 1000, "ms", noisy=True)
        lab.recovered(report)
    return report


def judge(report: Report, told: dict[str, dict[str, Any]], records: dict[str, Record]) -> None:
    """Add what clients and broken upstreams saw."""
    for kind, expected in EXPECTED.items():
        wrong = sum(count for found, count in told[kind]["seen"].items() if found not in expected)
        report.exactly(f"{kind}: clients that saw anything but {'/'.join(sorted(expected))}", wrong, 0)
        report.at_most(f"{kind}: longest", told[kind]["longest"], _SECONDS + _SLACK, "s", noisy=True)
        if wrong:
            report.notes.append(f"{kind}: {told[kind]['seen']}")
    tries = [count for one in records.values() for target, count in one.asked.items() if "/POST/" in target]
    report.at_most("most often a POST reached an upstream", max(tries, default=0), 1)
    tries = [count for one in records.values() for target, count in one.asked.items() if "/GET/" in target]
    report.at_most("most often a GET reached an upstream", max(tries, default=0), 2)
    report.exactly("requests to a server of another name", records["wrong-name"].asked.total(), 0)
    report.exactly("requests on a connection after its fault", sum(one.reused for one in records.values()), 0)
    report.exactly("faulty connections left open", sum(one.left_open for one in records.values()), 0)
    for kind, one in records.items():
        report.notes += [f"{kind}: {error!r}" for error in one.errors]
    report.exactly("faults that could not be played", sum(len(one.errors) for one in records.values()), 0)
