"""Puts the kept results into README, docs and the plot, so that no figure there was copied by hand.

Run as a program it does nothing but that: `.venv/bin/python tests/bench/publish.py`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.bench import results
from tests.bench.goals import verdicts
from tests.bench.plot import svg
from tests.bench.report import summarize, table
from tests.bench.results import Result
from tests.bench.sample import TRIALS

ROOT: Final = Path(__file__).parents[2]
KEPT: Final = Path("docs/performance.json")
_PLOT: Final = Path("docs/performance.svg")
_PAGES: Final = (Path("README.md"), Path("docs/performance.md"))
_PLACE: Final = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- /measured -->)", re.DOTALL)
_OVERVIEW: Final = {
    "requests": "CPU us/request",
    "handshakes": "CPU us/new connection",
    "latency": "p99 ms at 64",
    "memory": "KiB/idle connection",
}
_FACTS: Final = ("cpu", "cores", "kernel", "python", "openssl")


def published(found: Mapping[str, Result], root: Path = ROOT) -> dict[Path, str]:
    """Return what the files should hold."""
    pages = {path: _PLACE.sub(lambda place: _filled(place, found), (root / path).read_text()) for path in _PAGES}
    return {**pages, _PLOT: svg(found)}


def write() -> None:
    """Write it."""
    for path, text in published(results.read(ROOT / KEPT)).items():
        (ROOT / path).write_text(text)


def _filled(place: re.Match[str], found: Mapping[str, Result]) -> str:
    return f"{place[1]}{_text(place[2], found)}\n{place[3]}"


def _text(name: str, found: Mapping[str, Result]) -> str:
    match name:
        case "overview":
            return _overview(found)
        case "goals":
            return _markdown([("authproxy's goal", "wanted", "measured", ""), *verdicts(found)])
        case "facts":
            return _facts(found)
        case _:
            result = found[name]
            load = f"; {result.facts['load']}" if name == "handshakes" else ""
            about = f"{result.facts['date']}, load average {result.facts['load average']}{load}"
            return f"{about}\n\n```\n{table(TRIALS[name], result.samples)}\n```"


def _overview(found: Mapping[str, Result]) -> str:
    columns = {name: {row.target: row for row in summarize(TRIALS[name], found[name].samples)} for name in _OVERVIEW}
    lines = [("", *_OVERVIEW.values(), "CPU/request, times authproxy's")]
    for target, row in columns["requests"].items():
        cells = []
        for name in _OVERVIEW:
            first, other = TRIALS[name].columns[0], columns[name].get(target)
            cells.append("-" if other is None else f"{other.medians[first.key]:.{first.digits}f}")
        own = "-" if row.to_own is None else f"{row.to_own.median:.2f}"
        lines.append((target, *cells, own))
    return _markdown(lines)


def _facts(found: Mapping[str, Result]) -> str:
    first = found["requests"].facts
    about = ", ".join(f"{name} {first[name]}" for name in _FACTS)
    rounds = len({one.round for one in found["requests"].samples})
    # A table may be made of several runs; each of them had its own weather.
    runs = sorted({(found[name].facts["date"], found[name].facts["load average"]) for name in _OVERVIEW})
    when = "; ".join(f"{date}, load average {load}" for date, load in runs)
    return f"{when}; {rounds} rounds (memory: one). On: {about}."


def _markdown(lines: list[tuple[str, ...]]) -> str:
    head, *rows = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, "|---" + "|---:" * (len(lines[0]) - 1) + "|", *rows])


if __name__ == "__main__":
    write()
