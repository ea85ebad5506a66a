"""Sends made-up requests and answers through the proxy until time is over, and tells what went wrong.

make fuzz                                     20 seconds with transports in memory
make fuzz FUZZ='--minutes 60 --seed 7'        an hour, repeatable
make fuzz FUZZ='--wire --minutes 5'           against the real process over TLS
"""

import asyncio
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import click

from tests.fuzz.grammar import Case, Maker
from tests.fuzz.shrink import shrink_candidates

_SHRINK_SECONDS: Final = 10.0
_TELL_EVERY: Final = 10.0


class Carrier(Protocol):
    """Carries inputs through a proxy."""

    async def problems_of(self, case: Case) -> list[str]:
        """Carry one input, then a good request; return what is wrong with either."""


Tell: TypeAlias = Callable[[str], None]


def rule(problem: str) -> str:
    """The name of the rule that a problem breaks, with its first words."""
    return " ".join(problem.split()[:3])


async def shrink(carrier: Carrier, case: Case, wanted: str) -> Case:
    """Make a case smaller as long as it breaks the same rule."""
    ends = time.monotonic() + _SHRINK_SECONDS
    progress = True
    while progress and time.monotonic() < ends:
        progress = False
        for smaller in shrink_candidates(case):
            if time.monotonic() > ends:
                break
            if wanted in map(rule, await carrier.problems_of(smaller)):
                case, progress = smaller, True
                break
    return case


async def first_find(carrier: Carrier, seed: str, most: int) -> tuple[int, Case, list[str]] | None:
    """Return the first input that breaks a rule, with its number and what is wrong."""
    for number in range(most):
        case = Maker(f"{seed}:{number}").case()
        problems = await carrier.problems_of(case)
        if problems:
            return number, case, problems
    return None


async def fuzz(carrier: Carrier, seed: str, seconds: float, tell: Tell) -> int:
    """Run until time is over and tell the first find of every rule; return how many inputs broke one."""
    found: dict[str, int] = {}
    begun = told = time.monotonic()
    number = broke = 0
    while time.monotonic() - begun < seconds:
        case = Maker(f"{seed}:{number}").case()
        problems = await carrier.problems_of(case)
        broke += bool(problems)
        for name in {rule(problem) for problem in problems}:
            found[name] = found.get(name, 0) + 1
            if found[name] == 1:
                text = next(problem for problem in problems if rule(problem) == name)
                tell(f"\nFOUND by --seed {seed}, input {number}: {text[:1500]}")
                tell(f"{await shrink(carrier, case, name)!r}\n")
        number += 1
        if time.monotonic() - told > _TELL_EVERY:
            told = time.monotonic()
            tell(f"{number} inputs, {number / (told - begun):.0f} a second, {broke} broke a rule {found or ''}")
    tell(f"{number} inputs in {time.monotonic() - begun:.0f} s from --seed {seed}, {broke} broke a rule {found or ''}")
    return broke


def in_memory(folder: Path, work: Callable[[Carrier], Awaitable[int]]) -> int:
    """Do the work with transports in memory."""
    from tests.fuzz.memory import World

    loop = asyncio.SelectorEventLoop()
    world = World(loop, folder)

    async def run() -> int:
        try:
            return await work(world)
        finally:
            await world.close()

    try:
        return loop.run_until_complete(run())
    finally:
        loop.close()


def over_tls(folder: Path, work: Callable[[Carrier], Awaitable[int]]) -> int:
    """Do the work with the real process."""
    from tests.fuzz.wire import Process

    process = Process(folder)

    async def run() -> int:
        try:
            found = await work(process)
        finally:
            left = await process.close()
        for problem in left:
            click.echo(f"FOUND at the end: {problem}")
        return found + len(left)

    return asyncio.run(run())


@click.command(help="Sends made-up requests and answers through the proxy and tells what went wrong.")
@click.option("--minutes", type=float, default=1 / 3, show_default="20 seconds", help="How long.")
@click.option("--seed", default="", help="Repeats a run.")
@click.option("--wire", is_flag=True, help="Against the real process over TLS.")
def main(*, minutes: float, seed: str, wire: bool) -> None:
    seed = seed or secrets.token_hex(4)
    with tempfile.TemporaryDirectory(prefix="authproxy-fuzz-") as folder:
        carried = over_tls if wire else in_memory
        found = carried(Path(folder), lambda carrier: fuzz(carrier, seed, minutes * 60, click.echo))
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
