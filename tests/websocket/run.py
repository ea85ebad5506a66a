"""Runs the Autobahn test cases straight to an echo server and through the proxy, and compares case by case.

make websocket
make websocket WEBSOCKET='--cases 9.*'
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Final

import click

from tests.websocket.suite import Outcomes, Range, differences, outcomes

GROUPS: Final = tuple(f"{number}.*" for number in (1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 13))
"""All of Autobahn's cases (it has no 8 and no 11); some groups take minutes."""


def _run(about: str, port: int, cases: Sequence[str], at_once: int) -> Outcomes:
    found: Outcomes = {}
    for group in cases:
        click.echo(f"{about:<18} {group:<5} {len(found):4} cases done", err=True)
        found |= asyncio.run(outcomes(port, [group], at_once))
    click.echo(f"{about:<18} {len(found)} cases: {_count(found)}")
    return found


def _count(found: Outcomes) -> str:
    counted = Counter(f"{one.behavior}/{one.close}" for one in found.values())
    return ", ".join(f"{count} {name}" for name, count in counted.most_common())


@click.command(help=__doc__.split("\n", maxsplit=1)[0] if __doc__ else "")
@click.option("--cases", default="", metavar="1.*,9.1.1", help="Some only; all by default.")
@click.option("--at-once", type=click.IntRange(1), default=4, show_default=True, help="Cases under way at a time.")
def main(*, cases: str, at_once: int) -> None:
    chosen = cases.split(",") if cases else GROUPS
    with Range() as place:
        straight = _run("straight", place.straight, chosen, at_once)
        through = _run("through the proxy", place.through, chosen, at_once)
    found = differences(straight, through)
    click.echo("\n".join(found) if found else "the same, case by case")
    if found or not straight:
        sys.exit(1)


if __name__ == "__main__":
    main()
