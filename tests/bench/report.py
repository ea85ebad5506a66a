"""What was measured, as a table for people and as JSON for programs."""

import os
import platform
import re
import ssl
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tests.bench.measure import Window

OWN: Final = "authproxy"
NAIVE: Final = "naive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """How many times as much CPU one target takes as another, from the rounds in which both were measured."""

    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One target, over all rounds."""

    target: str
    microseconds: float
    """The median; of `rate` and `busy` too."""
    least: float
    rate: float
    busy: float
    failed: int
    to_own: Ratio | None
    """Its CPU time as a multiple of authproxy's; None when authproxy was not measured."""
    to_naive: Ratio | None
    """The same for the naive proxy."""


def summarize(windows: Sequence[Window]) -> list[Row]:
    """Return a row for each target, the cheapest first."""
    by_target: dict[str, list[Window]] = {}
    for window in windows:
        by_target.setdefault(window.target, []).append(window)
    rows = [
        Row(
            target=name,
            microseconds=statistics.median(one.microseconds for one in own),
            least=min(one.microseconds for one in own),
            rate=statistics.median(one.rate for one in own),
            busy=statistics.median(one.busy for one in own),
            failed=sum(one.failed for one in own),
            to_own=ratio(own, by_target.get(OWN, [])),
            to_naive=ratio(own, by_target.get(NAIVE, [])),
        )
        for name, own in by_target.items()
    ]
    return sorted(rows, key=lambda row: row.microseconds)


def ratio(these: Sequence[Window], those: Sequence[Window]) -> Ratio | None:
    """Compare round by round: only what was measured within seconds had the same machine."""
    other = {window.round: window.microseconds for window in those}
    found = [window.microseconds / other[window.round] for window in these if window.round in other]
    return Ratio(median=statistics.median(found), least=min(found), most=max(found)) if found else None


def table(rows: Sequence[Row]) -> str:
    """Return the rows, aligned."""
    head = ("target", "us/request", "least", "requests/s", "busy", f"x {OWN}", "(range)", f"x {NAIVE}", "failed")
    lines = [head, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(line, widths, strict=True)) for line in lines)
    )


def _cells(row: Row) -> tuple[str, ...]:
    own, naive = row.to_own, row.to_naive
    return (
        row.target,
        f"{row.microseconds:.1f}",
        f"{row.least:.1f}",
        f"{row.rate:.0f}",
        f"{row.busy:.2f}",
        "-" if own is None else f"{own.median:.2f}",
        "-" if own is None else f"{own.least:.2f}..{own.most:.2f}",
        "-" if naive is None else f"{naive.median:.3f}",
        str(row.failed),
    )


def machine() -> dict[str, str]:
    """Return where it was measured, as far as figures depend on it."""
    usable, cores = len(os.sched_getaffinity(0)), os.cpu_count()
    return {
        "cpu": _cpu_model(),
        "cores": f"{cores}" if usable == cores else f"{cores}, {usable} usable",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_version()}, aiohttp {version('aiohttp')}, uvloop {version('uvloop')}",
        "openssl": ssl.OPENSSL_VERSION,
        "load average": f"{os.getloadavg()[0]:.1f} before the start",
    }


def as_json(facts: dict[str, object], windows: Sequence[Window]) -> dict[str, object]:
    """Return everything, every single window included."""
    plain = [
        {**asdict(one), "microseconds": one.microseconds, "rate": one.rate, "busy": one.busy} for one in windows
    ]  # fmt: skip
    return {**facts, "rows": [asdict(row) for row in summarize(windows)], "windows": plain}


def _cpu_model() -> str:
    path = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", path.read_text(), re.MULTILINE) if path.exists() else None
    return found[1].strip() if found else platform.machine()
