"""What was measured, as a table for people."""

import os
import platform
import re
import ssl
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tests.bench.sample import Sample, Trial

OWN: Final = "authproxy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """How many times as much one target takes as another, from the rounds in which both were measured."""

    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One target, over all rounds."""

    target: str
    medians: Mapping[str, float]
    """By the keys of the trial's columns."""
    least: float
    """Of the figure that targets are compared by."""
    most: float
    failed: int
    to_own: Ratio | None
    """That figure as a multiple of authproxy's; None when authproxy was not measured."""


def summarize(trial: Trial, samples: Sequence[Sample]) -> list[Row]:
    """Return a row for each target, the cheapest first."""
    by_target: dict[str, list[Sample]] = {}
    for sample in samples:
        by_target.setdefault(sample.target, []).append(sample)
    main = trial.columns[0].key
    rows = [
        Row(
            target=name,
            medians={one.key: statistics.median(each.figures[one.key] for each in own) for one in trial.columns},
            least=min(each.figures[main] for each in own),
            most=max(each.figures[main] for each in own),
            failed=sum(each.failed for each in own),
            to_own=ratio(main, own, by_target.get(OWN, [])),
        )
        for name, own in by_target.items()
    ]
    return sorted(rows, key=lambda row: row.medians[main])


def ratio(key: str, these: Sequence[Sample], those: Sequence[Sample]) -> Ratio | None:
    """Compare round by round: only what was measured within seconds had the same machine."""
    other = {sample.round: sample.figures[key] for sample in those}
    found = [sample.figures[key] / other[sample.round] for sample in these if other.get(sample.round)]
    return Ratio(median=statistics.median(found), least=min(found), most=max(found)) if found else None


def table(trial: Trial, samples: Sequence[Sample]) -> str:
    """Return the rows, aligned."""
    first, *others = trial.columns
    head = ("target", first.title, "least", *(one.title for one in others), f"x {OWN}", "(range)", "failed")
    return aligned([head, *(_cells(trial, row) for row in summarize(trial, samples))])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells with every column as wide as it must be, the first to the left."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(line, widths, strict=True)) for line in lines)
    )


def _cells(trial: Trial, row: Row) -> tuple[str, ...]:
    (first, *others), own = trial.columns, row.to_own
    return (
        row.target,
        f"{row.medians[first.key]:.{first.digits}f}",
        f"{row.least:.{first.digits}f}",
        *(f"{row.medians[one.key]:.{one.digits}f}" for one in others),
        "-" if own is None else f"{own.median:.2f}",
        "-" if own is None else f"{own.least:.2f}..{own.most:.2f}",
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


def _cpu_model() -> str:
    path = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", path.read_text(), re.MULTILINE) if path.exists() else None
    return found[1].strip() if found else platform.machine()
