"""CPU time per answered request, in windows that the targets take in turn.

Why paired: on a machine that others use, the same program costs 1.3 to 2 times as much from one minute to the next.
Whoever takes turns within seconds has the same weather, so the ratios within a round hold where single figures do not.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from tests.bench.load import Load
from tests.bench.sample import Sample
from tests.bench.targets import Target
from tests.bench.upstream import Upstream

Spent: TypeAlias = dict[tuple[int, int], int]
"""Nanoseconds on the CPU of every thread, by process and thread."""

_WARM_SECONDS: Final = 0.3
_WARM_ANSWERS: Final = 8
"""For each connection: handshakes and first connections to the upstream belong to no window."""
_WARM_PATIENCE: Final = 15.0


class NoAnswers(Exception):
    """A target answered too little to be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One turn of one target."""

    target: str
    round: int
    requests: int
    seconds: float
    cpu_seconds: float
    failed: int
    """Answers with another status, and broken connections, from the start of the load to its end."""
    p50: float
    """Milliseconds until half of the requests were answered; until 99 % were in `p99`."""
    p99: float

    @property
    def microseconds(self) -> float:
        """CPU time for one request."""
        return self.cpu_seconds / self.requests * 1e6

    @property
    def rate(self) -> float:
        """Requests in a second."""
        return self.requests / self.seconds

    @property
    def busy(self) -> float:
        """The share of one core that was used."""
        return self.cpu_seconds / self.seconds

    def sample(self) -> Sample:
        """Return what goes into the tables."""
        figures = {
            "cpu_us": self.microseconds,
            "rate": self.rate,
            "busy": self.busy,
            "per_cpu": 1e6 / self.microseconds,
        }
        return Sample(
            target=self.target,
            round=self.round,
            figures={**figures, "p50_ms": self.p50, "p99_ms": self.p99},
            failed=self.failed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """Takes measurements."""

    load: Load
    upstream: Upstream
    seconds: float

    def window(self, number: int, target: Target) -> Window:
        """Put `target` under load and measure it for one turn of round `number`.

        Raises:
            NoAnswers: there is nothing to measure.
        """
        name = f"load-{target.name}"
        process = self.load.start(name, target.port, target.requests)
        try:
            self._warm_up(target)
            spent, answered, begin = cpu_of(target), self.upstream.answered(), time.monotonic()
            time.sleep(self.seconds)
            # The same order as before, so that what the questions take falls out.
            spent_then, answered_then, end = cpu_of(target), self.upstream.answered(), time.monotonic()
        finally:
            tally = self.load.stop(name, process)
        # The second question about the count has counted itself.
        requests = answered_then - answered - 1
        if requests < 1:
            raise NoAnswers(f"{target.name} answered nothing in {self.seconds:g}s")
        return Window(
            target=target.name,
            round=number,
            requests=requests,
            seconds=end - begin,
            cpu_seconds=difference(spent, spent_then) / 1e9,
            failed=tally.refused + tally.broken,
            p50=tally.p50,
            p99=tally.p99,
        )

    def _warm_up(self, target: Target) -> None:
        begin, wanted = time.monotonic(), self.upstream.answered() + self.load.connections * _WARM_ANSWERS
        time.sleep(_WARM_SECONDS)
        while self.upstream.answered() < wanted:
            if time.monotonic() - begin > _WARM_PATIENCE:
                raise NoAnswers(f"{target.name} does not get going within {_WARM_PATIENCE:g}s")
            time.sleep(0.02)


def cpu_of(target: Target) -> Spent:
    """Return what every thread of the target's processes has spent."""
    spent: Spent = {}
    for process in target.processes:
        for pid in _family(process.pid):
            for task in _tasks(pid):
                # A thread may end while we look.
                try:
                    spent[pid, int(task.name)] = int((task / "schedstat").read_text().split()[0])
                except (FileNotFoundError, ProcessLookupError):
                    continue
    return spent


def resident_of(target: Target) -> int:
    """Return the bytes of memory that the target's processes have."""
    pages = 0
    for process in target.processes:
        for pid in _family(process.pid):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def difference(before: Spent, after: Spent) -> int:
    """Return what was spent in between, by those threads that are still there."""
    return sum(spent - before.get(thread, 0) for thread, spent in after.items())


def _family(pid: int) -> Iterator[int]:
    """Yield a process and all that descend from it."""
    yield pid
    for task in _tasks(pid):
        try:
            children = (task / "children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for child in children:
            yield from _family(int(child))


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_possible() -> bool:
    """Tell whether this kernel counts what is needed."""
    task = Path(f"/proc/self/task/{os.getpid()}")
    return (task / "schedstat").exists() and (task / "children").exists()
