"""F14: bodies of a gigabyte, either way, and a slow reader: whole, never held, and no temporary file."""

import asyncio
import hashlib
import json
import time
from pathlib import Path
from typing import Any, Final

from tests.faults.attack import Attacker, head_of
from tests.faults.lab import MIB, Lab, Size
from tests.faults.service import BLOCK
from tests.faults.verdict import Report

_SLOW_RATE: Final = 200_000
_PIECE: Final = 20_000
_GROWTH: Final = 16
_CROWD: Final = 20
_STALL: Final = 250


def expected(size: int) -> str:
    """Return the hash of so many bytes."""
    digest = hashlib.sha256()
    for _ in range(size // len(BLOCK)):
        digest.update(BLOCK)
    return digest.hexdigest()


async def down(options: dict[str, Any]) -> dict[str, Any]:
    """Read an answer of `size` bytes as fast as it comes."""
    attacker, size, digest, got = Attacker(options), options["size"], hashlib.sha256(), 0
    reader, writer = await attacker.open(limit=1 << 20)
    writer.write(attacker.request(f"GET /down/{size} HTTP/1.1"))
    begin = time.monotonic()
    await head_of(reader)
    while got < size and (data := await reader.read(1 << 20)):
        digest.update(data)
        got += len(data)
    writer.transport.abort()
    return {"size": got, "sha256": digest.hexdigest(), "seconds": time.monotonic() - begin}


async def up(options: dict[str, Any]) -> dict[str, Any]:
    """Send a body of `size` bytes; return what the service says of it."""
    attacker, size = Attacker(options), options["size"]
    reader, writer = await attacker.open()
    writer.write(attacker.request("POST /up HTTP/1.1", f"Content-Length: {size}"))
    begin = time.monotonic()
    for _ in range(size // len(BLOCK)):
        writer.write(BLOCK)
        await writer.drain()
    await head_of(reader)
    told: dict[str, Any] = json.loads(await reader.readuntil(b"}"))
    writer.transport.abort()
    return told | {"seconds": time.monotonic() - begin}


async def slowly(options: dict[str, Any]) -> dict[str, Any]:
    """Read a large answer at 200 kB/s for some seconds."""
    attacker, got = Attacker(options), 0
    reader, writer = await attacker.open(limit=_PIECE, window=1 << 16)
    writer.write(attacker.request(f"GET /down/{1 << 30} HTTP/1.1"))
    await head_of(reader)
    begin = time.monotonic()
    while (spent := time.monotonic() - begin) < options["seconds"]:
        got += len(await reader.readexactly(_PIECE))
        await asyncio.sleep(max(0.0, got / _SLOW_RATE - spent))
    writer.transport.abort()
    return {"size": got}


async def crowd(options: dict[str, Any]) -> dict[str, Any]:
    """Let many downloads begin at once."""
    sizes = await asyncio.gather(*(down(options) for _ in range(options["count"])))
    return {"size": sum(one["size"] for one in sizes)}


def _new_files(folder: Path, before: set[Path]) -> list[str]:
    return [one.name for one in set(folder.iterdir()) - before if not one.name.startswith(("attack-", "samples."))]


def run(size: Size) -> Report:
    """One after the other, each measured by itself."""
    amount = size.of(48, 1024) * MIB
    report = Report(fault="F14", title="large bodies", done=f"{amount // MIB} MiB down and up, a reader of 200 kB/s")
    with Lab(size) as lab:
        lab.start_services()
        lab.start_proxy(lab.config(**lab.limits(connections_per_source=4000)))
        lab.start_checker()
        for work in (down, up):
            lab.attack(work, size=8 * MIB).result()
        files = set(lab.folder.iterdir())
        figures: dict[str, tuple[float, dict[str, Any]]] = {}
        with lab.experiment():
            for work in (down, up, slowly):
                before = lab.sampler.rss()
                lab.sampler.forget_peak()
                told = lab.attack(work, size=amount, seconds=size.of(4, 20)).result(600)
                figures[work.__name__] = (lab.sampler.peak() - before, told)
            with lab.phases.phase("crowd"):
                lab.attack(crowd, size=size.of(4, 32) * MIB, count=_CROWD).result(600)
        for name, (growth, told) in figures.items():
            report.at_most(f"memory for {name}", growth, _GROWTH, "MiB")
            if name != "slowly":
                report.exactly(f"{name}: the body is the same", float(told["sha256"] == expected(amount)), 1)
                report.notes.append(f"{name}: {told['size'] / MIB / told['seconds']:.0f} MiB/s")
        new = _new_files(lab.folder, files)
        report.exactly("temporary files", len(new), 0)
        report.notes += [f"new file: {name}" for name in new]
        lab.others(report)
        begin, _ = lab.phases.spans["attack"]
        end, _ = lab.phases.spans["crowd"]
        lab.phases.spans["alone"] = (begin, end)
        report.at_most("others' p99 beside one stream", lab.window("alone").p99 * 1000, 100, "ms", noisy=True)
        stall = f"others' longest wait beside {_CROWD} downloads"
        report.at_most(stall, lab.window("crowd").worst * 1000, _STALL, "ms", noisy=True)
        lab.recovered(report)
    return report
