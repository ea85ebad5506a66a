"""F17: what is meant to fill the memory does not, and others do not notice."""

import asyncio
import contextlib
import json
import os
from typing import Any, Final

from tests.faults.attack import Attacker, head_of
from tests.faults.lab import Lab, Size
from tests.faults.verdict import Report

_AT_ONCE: Final = 4
_GROWTH: Final = 50
_PATIENCE: Final = 60.0


async def pipelined(options: dict[str, Any]) -> list[int]:
    """`count` requests at once whose answers are read."""
    attacker = Attacker(options)
    reader, writer = await attacker.open()
    count = options["count"]

    async def send() -> None:
        for _ in range(count // 100):
            writer.write(attacker.request() * 100)
            await writer.drain()

    sending = asyncio.get_running_loop().create_task(send())
    statuses = []
    for _ in range(count):
        status = await head_of(reader)
        statuses.append(status)
        if status != 200:
            break
        await reader.readline()
    await sending
    writer.transport.abort()
    return [sum(one == 200 for one in statuses) == count]


async def deaf(options: dict[str, Any]) -> list[int]:
    """`count` requests at once whose answers nobody reads."""
    attacker = Attacker(options)
    _, writer = await attacker.open(limit=1024, window=4096)
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport too
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(options["seconds"]):
            for _ in range(options["count"] // 100):
                writer.write(attacker.request() * 100)
                await writer.drain()
            await asyncio.sleep(options["seconds"])
    writer.transport.abort()
    return [1]


async def tiny_chunks(options: dict[str, Any]) -> list[int]:
    """A body of 1-byte chunks; the service must have got every one."""
    attacker, count = Attacker(options), options["count"] * 100
    reader, writer = await attacker.open()
    writer.write(attacker.request("POST /up HTTP/1.1", "Transfer-Encoding: chunked"))
    with contextlib.suppress(OSError):
        for _ in range(count // 1000):
            writer.write(b"1\r\nx\r\n" * 1000)
            await writer.drain()
        writer.write(b"0\r\n\r\n")
    status = await head_of(reader)
    told = json.loads(await reader.readuntil(b"}")) if status == 200 else {}
    writer.transport.abort()
    return [told.get("size") == count]


async def trailers(options: dict[str, Any]) -> list[int]:
    """Ten thousand trailer fields."""
    attacker = Attacker(options)
    reader, writer = await attacker.open()
    writer.write(attacker.request("POST /up HTTP/1.1", "Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n")
    with contextlib.suppress(OSError):
        for number in range(options["count"]):
            writer.write(b"X-Trailer-%d: x\r\n" % number)
        await writer.drain()
    status = await head_of(reader)
    writer.transport.abort()
    return [status in {0, 400, 431, 502}]


async def huge_head(options: dict[str, Any]) -> list[int]:
    """A megabyte of header fields."""
    attacker = Attacker(options)
    reader, writer = await attacker.open()
    writer.write(attacker.request()[:-2])
    with contextlib.suppress(OSError):
        for number in range(1000):
            writer.write(b"X-Field-%d: %b\r\n" % (number, b"x" * 1000))
            await writer.drain()
    status = await head_of(reader)
    writer.transport.abort()
    return [status in {0, 431}]


async def fragments(options: dict[str, Any]) -> list[int]:
    """A WebSocket message of 1-byte fragments, never ended; what comes back is counted, not kept."""
    attacker, count, back = Attacker(options), options["count"] * 10, 0
    reader, writer = await attacker.open()
    ask = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]  # fmt: skip
    writer.write(attacker.request("GET /ws HTTP/1.1", *ask))
    if await head_of(reader) != 101:
        return [0]

    async def send() -> None:
        writer.write(b"\x02\x81abcdx")
        for _ in range(count // 1000):
            writer.write((b"\x00\x81" + os.urandom(5)) * 1000)
            await writer.drain()

    sending = asyncio.get_running_loop().create_task(send())
    while back < 7 * (count + 1) and (data := await reader.read(1 << 16)):
        back += len(data)
    await sending
    writer.transport.abort()
    return [back == 7 * (count + 1)]


_WORKS: Final = (pipelined, deaf, tiny_chunks, trailers, huge_head, fragments)


async def mix(options: dict[str, Any]) -> list[Any]:
    """One kind, several at once; tells how many went as they should."""
    work = {one.__name__: one for one in _WORKS}[options["kind"]]
    async with asyncio.timeout(_PATIENCE * 3):
        came = await asyncio.gather(*(work(options) for _ in range(_AT_ONCE)), return_exceptions=True)
    return [repr(one) if isinstance(one, BaseException) else int(one[0]) for one in came]


def run(size: Size) -> Report:
    """Every kind by itself for the memory, all within one attack phase for the others' time."""
    count = size.of(1000, 10_000)
    report = Report(fault="F17", title="memory attacks")
    report.done = (
        f"{_AT_ONCE} at once of each: {count} pipelined, {count * 100} tiny chunks, {count} trailers, 1 MB of fields, "
        f"{count * 10} WebSocket fragments"
    )
    with Lab(size) as lab:
        lab.start_services()
        lab.start_proxy(lab.config(**lab.limits(connections_per_source=4000, requests_per_connection=2 * count)))
        lab.start_checker()
        with lab.experiment():
            before = lab.sampler.rss()
            for work in _WORKS:
                lab.sampler.forget_peak()
                with lab.phases.phase(work.__name__):
                    told = lab.attack(mix, kind=work.__name__, count=count, seconds=size.of(1, 5)).result(300)
                report.at_most(f"{work.__name__}: memory over the start", lab.sampler.peak() - before, _GROWTH, "MiB")
                report.exactly(f"{work.__name__}: answered as they should", told.count(1), _AT_ONCE)
                if told.count(1) < _AT_ONCE:
                    report.notes.append(f"{work.__name__}: {told}")
        lab.others(report, 100)
        worst = {work.__name__: round(lab.window(work.__name__).p99 * 1000, 1) for work in _WORKS}
        report.notes.append(f"others' p99 in ms by kind: {worst}")
        lab.recovered(report)
    return report
