"""Sends made-up requests and answers through the proxy until time is over, and tells what went wrong.

    make fuzz                                     20 seconds in memory
    make fuzz FUZZ='--minutes 60 --seed 7'        an hour, repeatable
    make fuzz FUZZ='--wire --minutes 5'           against the real process over TLS
"""

import asyncio
import secrets
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import click

from tests.conformance.proxy import ALICE, BOB
from tests.fuzz.grammar import Case, Maker, shrink_candidates
from tests.fuzz.memory import MemoryLoop, World, good_request
from tests.fuzz.oracles import check

_SHRINK_SECONDS: Final = 10.0
_TELL_EVERY: Final = 10.0


async def problems_of(world: World, case: Case) -> list[str]:
    """Carry one input, then a good request; return what is wrong with either."""
    problems = check(case, await world.run(case))
    after = Case(client=(good_request(ALICE, 1), good_request(BOB, 2)), expect=(200, 200))
    return problems + [f"afterwards: {problem}" for problem in check(after, await world.run(after))]


def rule(problem: str) -> str:
    """The name of the rule that a problem breaks, with its first words."""
    return " ".join(problem.split()[:3])


async def shrink(world: World, case: Case, wanted: str) -> Case:
    """Make a case smaller as long as it breaks the same rule."""
    ends = time.monotonic() + _SHRINK_SECONDS
    progress = True
    while progress and time.monotonic() < ends:
        progress = False
        for smaller in shrink_candidates(case):
            if time.monotonic() > ends:
                break
            if wanted in map(rule, await problems_of(world, smaller)):
                case, progress = smaller, True
                break
    return case


async def fuzz_in_memory(seed: str, *, seconds: float, most: int = 0, tell: Callable[[str], None]) -> int:
    """Run until time is over; return how many inputs broke a rule."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MemoryLoop)
    with tempfile.TemporaryDirectory(prefix="authproxy-fuzz-") as folder:
        world = World(loop, Path(folder))
        found: dict[str, int] = {}
        begun = told = time.monotonic()
        number = 0
        while time.monotonic() - begun < seconds and (not most or number < most):
            case = Maker(f"{seed}:{number}").case()
            problems = await problems_of(world, case)
            for name in {rule(problem) for problem in problems}:
                found[name] = found.get(name, 0) + 1
                if found[name] == 1:
                    small = await shrink(world, case, name)
                    text = next(p for p in problems if rule(p) == name)
                    tell(f"\nFOUND by --seed {seed}, input {number}: {text[:1500]}\n{small!r}\n")
            number += 1
            if time.monotonic() - told > _TELL_EVERY:
                told = time.monotonic()
                tell(f"{number} inputs, {number / (told - begun):.0f} a second, {sum(found.values())} broke a rule {found or ''}")
        tell(f"{number} inputs in {time.monotonic() - begun:.0f} s from --seed {seed}, {sum(found.values())} broke a rule {found or ''}")
        await world.close()
    return sum(found.values())


def run_in_memory(work: Coroutine[Any, Any, int]) -> int:
    """Run it on a loop that connects in memory."""
    with asyncio.Runner(loop_factory=MemoryLoop) as runner:
        return runner.run(work)


@click.command(help="Sends made-up requests and answers through the proxy and tells what went wrong.")
@click.option("--minutes", type=float, default=1 / 3, show_default="20 seconds", help="How long.")
@click.option("--seed", default="", help="Repeats a run.")
def main(*, minutes: float, seed: str) -> None:
    seed = seed or secrets.token_hex(4)
    raise SystemExit(1 if run_in_memory(fuzz_in_memory(seed, seconds=minutes * 60, tell=click.echo)) else 0)


if __name__ == "__main__":
    main()
