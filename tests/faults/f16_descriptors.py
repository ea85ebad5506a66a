"""F16: few descriptors and many clients: own caps refuse before the kernel does, those who are in are served."""

import asyncio
import shutil
import time
from typing import Any, Final

from tests.faults.attack import Attacker, head_of
from tests.faults.lab import Lab, Size
from tests.faults.verdict import Report

_LIMIT: Final = 256
_CLIENTS: Final = 400
_EVERY: Final = 0.5


async def crowd(options: dict[str, Any]) -> dict[str, Any]:
    """Let `count` clients come at once and ask again and again for `seconds`."""
    attacker = Attacker(options)
    ends = time.monotonic() + options["seconds"]
    told = {"served": 0, "refused": 0, "cut": 0, "answers": 0}

    async def one() -> None:
        try:
            async with asyncio.timeout_at(ends):
                reader, writer = await attacker.open()
        except (OSError, TimeoutError):
            told["refused"] += 1
            return
        answers = 0
        while time.monotonic() < ends:
            writer.write(attacker.request())
            if await head_of(reader) != 200:
                break
            await reader.readline()
            answers += 1
            await asyncio.sleep(_EVERY)
        else:
            told["served"] += 1
            told["answers"] += answers
            writer.transport.abort()
            return
        told["cut" if answers else "refused"] += 1
        writer.transport.abort()

    await asyncio.gather(*(one() for _ in range(options["count"])))
    return told


def run(size: Size) -> Report:
    """With a limit of 256 descriptors."""
    report = Report(fault="F16", title="few descriptors")
    if shutil.which("prlimit") is None:
        report.skipped = "prlimit (util-linux) is not installed"
        return report
    with Lab(size) as lab:
        lab.start_services()
        lab.start_proxy(lab.config(), before=["prlimit", f"--nofile={_LIMIT}:{_LIMIT}"])
        lab.start_checker(kept=8)
        events = lab.new_events()
        lines = lab.sampler.log_lines()
        with lab.experiment():
            begin = time.monotonic()
            told = lab.attack(crowd, count=_CLIENTS, seconds=size.of(5, 15)).result()
            seconds = time.monotonic() - begin
            logged = lab.sampler.log_lines() - lines
        attack = lab.window("attack")
        report.done = f"ulimit -n {_LIMIT}, {_CLIENTS} clients: {told}"
        report.at_least("clients served to the end", told["served"], 80)
        report.exactly("clients served once, then failed", told["cut"], 0)
        report.exactly("others' failed requests on live connections", attack.failed_kept, 0)
        report.at_most("descriptors in use", lab.sampler.fds_most, _LIMIT - 1)
        after = lab.new_events()
        exhausted = sum(count - events.get(name, 0) for name, count in after.items() if "exhausted" in name)
        report.exactly("times without a descriptor (EMFILE)", exhausted, 0)
        report.at_most("log lines a second", logged / seconds, 1)
        refused = sum(lab.delta(name) for name in {n.partition("{")[0] for n in lab.metrics()} if "refused" in name)
        report.at_least("counted as refused in the metrics", refused, 1)
        _, over = lab.phases.spans["attack"]
        report.at_most("new connections are served again after", lab.first_ok_fresh(over), 1, "s", noisy=True)
        report.notes.append(f"log: {after}; checker {attack.outcomes}")
        lab.recovered(report)
    return report
