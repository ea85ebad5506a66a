"""Measures this proxy beside others: CPU microseconds per authenticated request, TLS in and TLS out.

    make bench
    .venv/bin/python tests/bench/run.py --only authproxy,nginx-map --rounds 8 --json result.json
    make bench BENCH='--test all --rounds 6 --json docs/performance.json --publish'

All targets are up at once, each on a port of its own, and take short turns in shuffled order. Read the ratios; single
figures belong to one machine and one hour.
"""

import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn, TypeAlias

import click

from authproxy.daemon.process import raise_descriptor_limit
from tests.bench import material as bench_material
from tests.bench import publish, results
from tests.bench.bulk import download
from tests.bench.goals import goal_table
from tests.bench.idle import hold, most_connections
from tests.bench.load import Load, Style
from tests.bench.measure import Meter, NoAnswers, is_possible
from tests.bench.processes import Cores, Crew, StartError
from tests.bench.report import machine, table
from tests.bench.results import Result
from tests.bench.sample import TRIALS, Sample
from tests.bench.targets import KINDS, Site, Target
from tests.bench.upstream import Upstream, start_upstream

_LEGEND: Final = """\
least        the least of all rounds; every other figure is the median of the rounds
busy         the share of its core that it used; below 0.9 the load, the upstream or others on this machine were the limit
x authproxy  as a multiple of authproxy's: the median of the ratios within each round, and their range
failed       answers with another status than 200, and broken connections
authproxy writes its access log, keeps its limits and counts its metrics; the others do nothing of the kind.
"""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NEW_AT_A_TIME: Final = 16
_PACED_CONNECTIONS: Final = 16
_PACED_RATE: Final = 500
_MEMORY_TIMES: Final = 5

Turn: TypeAlias = Callable[[int, Target], Sample]
"""Measures a target in a round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the command line asks for."""

    trials: tuple[str, ...]
    only: tuple[str, ...]
    rounds: int
    seconds: float
    connections: int
    idle: int

    def takes_part(self, target: str, trial: str) -> bool:
        """Tell whether a target is measured in a trial: a list on the command line is taken as it is."""
        return target in self.only if self.only else target in (TRIALS[trial].targets or KINDS)

    @property
    def targets(self) -> list[str]:
        """Return everybody who takes part in something."""
        return [name for name in KINDS if any(self.takes_part(name, trial) for trial in self.trials)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Everything at work."""

    wish: Wish
    material: bench_material.Material
    upstream: Upstream
    load: Load
    targets: list[Target]

    def trial(self, name: str) -> Result:
        """Measure everybody who takes part, in turns."""
        load = self._load(name)
        result = Result(facts={"load": load.description} if name != "bodies" else {})
        rounds = 1 if name == "memory" else self.wish.rounds
        turn = self._turn(name, Meter(load=load, upstream=self.upstream, seconds=self.wish.seconds))
        targets = [target for target in self.targets if self.wish.takes_part(target.name, name)]
        click.echo(f"\n{name}: {TRIALS[name].about}")
        for number in range(1, rounds + 1):
            # In another order every time: who comes after whom shall not matter.
            for target in random.sample(targets, len(targets)):
                click.echo(f"round {number}/{rounds}  {target.name:<20}", nl=False)
                try:
                    sample = turn(number, target)
                except NoAnswers as error:
                    click.echo(f"  {error}")
                    result.failed[target.name] = str(error)
                    targets.remove(target)
                else:
                    result.samples.append(sample)
                    told = (f"{sample.figures[one.key]:10.{one.digits}f} {one.title}" for one in TRIALS[name].columns)
                    click.echo("".join(told))
        return result

    def _load(self, name: str) -> Load:
        match name:
            case "handshakes":
                return replace(self.load, style=Style.FRESH, connections=_NEW_AT_A_TIME)
            case "paced" | "memory":
                return replace(self.load, style=Style.PACED, connections=_PACED_CONNECTIONS, rate=_PACED_RATE)
            case _:
                return self.load

    def _turn(self, name: str, meter: Meter) -> Turn:
        match name:
            case "memory":
                # There is one turn only, and of few requests each counts for much.
                longer = replace(meter, seconds=meter.seconds * _MEMORY_TIMES)
                return lambda _, target: hold(longer, target, self.material, self.wish.idle)
            case "bodies":
                return partial(download, material=self.material)
            case _:
                return lambda number, target: meter.window(number, target).sample()


def measure(wish: Wish, cores: Cores) -> dict[str, Result]:
    """Start everything, check every target, measure those that are right; nothing is left behind."""
    facts = {"date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", **machine()}
    # What this process itself does between the turns is not the proxy's neighbour either.
    os.sched_setaffinity(0, {cores.others})
    with tempfile.TemporaryDirectory(prefix="authproxy-bench-") as path, Crew(Path(path)) as crew:
        click.echo("making keys, tokens and requests")
        material = bench_material.make(Path(path))
        upstream = start_upstream(crew, material, cores.others)
        load = Load(crew=crew, material=material, core=cores.others, connections=wish.connections)
        held = wish.idle if "memory" in wish.trials else 0
        site = Site(crew=crew, material=material, upstream=upstream, core=cores.proxy, held=held)
        started = Result(facts={**facts, "upstream": upstream.description})
        bench = Bench(
            wish=wish, material=material, upstream=upstream, load=load, targets=_start_all(wish, site, started)
        )
        found = {name: bench.trial(name) for name in wish.trials}
    for name, result in found.items():
        result.facts = started.facts | result.facts
        result.left_out |= {one: why for one, why in started.left_out.items() if wish.takes_part(one, name)}
        result.failed |= {one: why for one, why in started.failed.items() if wish.takes_part(one, name)}
    return found


def _start_all(wish: Wish, site: Site, started: Result) -> list[Target]:
    right = []
    for name in wish.targets:
        kind = KINDS[name]
        if not kind.is_here:
            started.left_out[name] = f"{kind.needs} is not installed"
            continue
        click.echo(f"starting {name}: {kind.full_name()}")
        try:
            target = kind.start(site, name)
        except StartError as error:
            started.failed[name] = str(error)
            continue
        wrong = kind.problems(target.port, site.material)
        if wrong:
            started.failed[name] = "; ".join(wrong)
            site.crew.stop(*target.processes)
        else:
            right.append(target)
            started.facts[name] = kind.full_name()
    return right


def show(found: Mapping[str, Result]) -> None:
    """Print the tables, with all that one must know to read them."""
    for name, result in found.items():
        click.echo(f"\n{name}: {TRIALS[name].about}\n{TRIALS[name].legend}\n\n{table(TRIALS[name], result.samples)}")
        for title, which in (("left out", result.left_out), ("NOT MEASURED", result.failed)):
            for target, reason in which.items():
                click.echo(f"{title:<13} {target}: {reason}")
    click.echo(f"\n{_LEGEND}")
    for fact, value in next(iter(found.values())).facts.items():
        if fact not in KINDS:
            click.echo(f"{fact:<13} {value}")
    click.echo(f"\n{goal_table(found)}")


def _targets(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    return _known(value, tuple(KINDS))


def _trials(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(TRIALS) if value == "all" else _known(value, tuple(TRIALS))


def _known(value: str, known: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",")) if value else ()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.BadParameter(f"there is no {unknown[0]!r} (known: {', '.join(known)})")
    return tuple(dict.fromkeys(names))


def _possible(idle: int) -> int:
    most = most_connections()
    if most < idle:
        click.echo(f"a process may have too few descriptors here (ulimit -n): {most} idle connections, not {idle}")
    return min(idle, most)


def _end(number: int, _: FrameType | None) -> NoReturn:
    # As an exception it passes through every `with` on the way out, and nothing interrupts it there.
    for one in _SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + number)


@click.command(help=__doc__.split("\n", maxsplit=1)[0] if __doc__ else "")
@click.option(
    "--test", "trials", default="requests", callback=_trials, show_default=True, metavar="A,B",
    help=f"Of {', '.join(TRIALS)}; or all.",
)  # fmt: skip
@click.option("--rounds", type=click.IntRange(1), default=4, show_default=True, help="Turns of every target.")
@click.option("--seconds", type=click.FloatRange(0.1), default=1.2, show_default=True, help="Length of a turn.")
@click.option("--connections", type=click.IntRange(1), default=64, show_default=True, help="Kept-alive connections.")
@click.option("--idle", type=click.IntRange(1), default=10_000, show_default=True, help="Idle ones that are held.")
@click.option("--only", default="", callback=_targets, metavar="A,B", help=f"Of {', '.join(KINDS)}; all by default.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False),
    help="Write everything there; other tests in it stay.",
)  # fmt: skip
@click.option("--publish", "is_published", is_flag=True, help="Put docs/performance.json into README, docs and plot.")
@click.option("--smoke", is_flag=True, help="Only try whether it works: one round of half a second, two targets.")
def main(
    *, trials: tuple[str, ...], rounds: int, seconds: float, connections: int, idle: int, only: tuple[str, ...],
    json_file: Path | None, is_published: bool, smoke: bool,
) -> None:  # fmt: skip
    if not is_possible():
        raise click.ClickException("this kernel does not tell the CPU time of threads (Linux with schedstat is needed)")
    raise_descriptor_limit()
    wish = Wish(trials=trials, only=only, rounds=rounds, seconds=seconds, connections=connections, idle=_possible(idle))
    if smoke:
        wish = replace(wish, only=("authproxy", "naive"), rounds=1, seconds=0.5, idle=100)
    for number in _SIGNALS:
        signal.signal(number, _end)
    found = measure(wish, Cores.here())
    show(found)
    if json_file is not None:
        results.write(json_file, found)
    if is_published:
        publish.write()
    if any(result.failed or not result.samples for result in found.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
