"""Measures this proxy beside others: CPU microseconds per authenticated request, TLS in and TLS out.

    make bench
    .venv/bin/python tests/bench/run.py --only authproxy,nginx-map --rounds 8 --json result.json

All targets are up at once, each on a port of its own, and take short turns in shuffled order. Read the ratios; single
figures belong to one machine and one hour.
"""

import json
import os
import random
import signal
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import click

from tests.bench import material as bench_material
from tests.bench.check import problems
from tests.bench.load import Load
from tests.bench.measure import Meter, NoAnswers, Window, is_possible
from tests.bench.processes import Cores, Crew, StartError
from tests.bench.report import as_json, machine, summarize, table
from tests.bench.targets import KINDS, Site, Target
from tests.bench.upstream import start_upstream

_LEGEND: Final = """\
us/request  CPU time of all of a target's processes for one request: the median of the rounds, then the least
busy        the share of its core that it used; below 0.9 the load, the upstream or other users of the machine were the limit
x NAME      CPU time as a multiple of NAME's: the median of the ratios within each round, and their range
failed      answers with another status than 200, and broken connections
authproxy writes its access log, the others write none.
"""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the command line asks for."""

    only: tuple[str, ...]
    rounds: int
    seconds: float
    connections: int


@dataclass(slots=True, kw_only=True)
class Found:
    """What came of it."""

    facts: dict[str, object] = field(default_factory=dict)
    windows: list[Window] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """Targets that are not installed."""
    failed: dict[str, str] = field(default_factory=dict)
    """Targets that did not start, or gave wrong answers, or none."""


def measure(wish: Wish, cores: Cores) -> Found:
    """Start everything, check every target, measure those that are right; nothing is left behind."""
    found = Found(facts={"machine": machine()})
    # What this process itself does between the turns is not the proxy's neighbour either.
    os.sched_setaffinity(0, {cores.others})
    with tempfile.TemporaryDirectory(prefix="authproxy-bench-") as path, Crew(Path(path)) as crew:
        click.echo("making keys, tokens and requests")
        material = bench_material.make(Path(path))
        upstream = start_upstream(crew, material, cores.others)
        load = Load(crew=crew, material=material, core=cores.others, connections=wish.connections)
        found.facts |= {"upstream": upstream.description, "load": load.description}
        targets = _start_all(wish, Site(crew=crew, material=material, upstream=upstream, core=cores.proxy), found)
        _take_turns(wish, Meter(load=load, upstream=upstream, seconds=wish.seconds), targets, found)
    found.facts |= {"left_out": found.left_out, "failed": found.failed}
    return found


def _start_all(wish: Wish, site: Site, found: Found) -> list[Target]:
    right = []
    for name in wish.only:
        kind = KINDS[name]
        if not kind.is_here:
            found.left_out[name] = f"{kind.needs} is not installed"
            continue
        click.echo(f"starting {name}: {kind.full_name()}")
        try:
            target = kind.start(site, name)
        except StartError as error:
            found.failed[name] = str(error)
            continue
        wrong = problems(target.port, site.material)
        if wrong:
            found.failed[name] = "; ".join(wrong)
            site.crew.stop(*target.processes)
        else:
            right.append(target)
    return right


def _take_turns(wish: Wish, meter: Meter, targets: list[Target], found: Found) -> None:
    for number in range(1, wish.rounds + 1):
        # In another order every time: who comes after whom shall not matter.
        for target in random.sample(targets, len(targets)):
            click.echo(f"round {number}/{wish.rounds}  {target.name:<20}", nl=False)
            try:
                window = meter.window(number, target)
            except NoAnswers as error:
                click.echo(f"  {error}")
                found.failed[target.name] = str(error)
                targets.remove(target)
            else:
                found.windows.append(window)
                click.echo(f"{window.microseconds:8.1f} us/request {window.rate:9.0f} requests/s")


def show(found: Found) -> None:
    """Print the table, with all that one must know to read it."""
    facts = found.facts
    click.echo()
    click.echo(table(summarize(found.windows)))
    click.echo()
    click.echo(_LEGEND)
    about = facts["machine"]
    lines = dict(about) if isinstance(about, dict) else {}
    for name, value in {**lines, "upstream": facts["upstream"], "load": facts["load"]}.items():
        click.echo(f"{name:<13} {value}")
    for title, which in (("left out", found.left_out), ("NOT MEASURED", found.failed)):
        for name, reason in which.items():
            click.echo(f"{title:<13} {name}: {reason}")


def _targets(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",")) if value else tuple(KINDS)
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        raise click.BadParameter(f"there is no {unknown[0]!r} (known: {', '.join(KINDS)})")
    return tuple(dict.fromkeys(names))


def _end(number: int, _: FrameType | None) -> NoReturn:
    # As an exception it passes through every `with` on the way out, and nothing interrupts it there.
    for one in _SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + number)


@click.command(help=__doc__.split("\n", maxsplit=1)[0] if __doc__ else "")
@click.option("--rounds", type=click.IntRange(1), default=4, show_default=True, help="Turns of every target.")
@click.option("--seconds", type=click.FloatRange(0.1), default=1.2, show_default=True, help="Length of a turn.")
@click.option("--connections", type=click.IntRange(1), default=64, show_default=True, help="Kept-alive connections.")
@click.option("--only", default="", callback=_targets, metavar="A,B", help=f"Of {', '.join(KINDS)}; all by default.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write everything there.")
@click.option("--smoke", is_flag=True, help="Only try whether it works: one round of half a second, two targets.")
def main(
    *, rounds: int, seconds: float, connections: int, only: tuple[str, ...], json_file: Path | None, smoke: bool
) -> None:
    wish = Wish(only=only, rounds=rounds, seconds=seconds, connections=connections)
    if smoke:
        wish = replace(wish, only=("authproxy", "naive"), rounds=1, seconds=0.5)
    if not is_possible():
        raise click.ClickException("this kernel does not tell the CPU time of threads (Linux with schedstat is needed)")
    for number in _SIGNALS:
        signal.signal(number, _end)
    found = measure(wish, Cores.here())
    show(found)
    if json_file is not None:
        json_file.write_text(json.dumps(as_json(found.facts, found.windows), indent=1) + "\n")
    if found.failed or not found.windows:
        sys.exit(1)


if __name__ == "__main__":
    main()
