"""Runs the Autobahn test cases straight to an echo server and through the proxy, and compares case by case.

make websocket
make websocket WEBSOCKET='--cases 9.*'
"""

import asyncio
import sys
from collections import Counter

import click

from tests.websocket.suite import Outcomes, Range, differences, outcomes


def _count(found: Outcomes) -> str:
    counted = Counter(f"{one.behavior}/{one.close}" for one in found.values())
    return ", ".join(f"{count} {name}" for name, count in counted.most_common())


@click.command(help=__doc__.split("\n", maxsplit=1)[0] if __doc__ else "")
@click.option("--cases", default="", metavar="1.*,9.1.1", help="Some only; all by default.")
@click.option("--at-once", type=click.IntRange(1), default=4, show_default=True, help="Cases under way at a time.")
def main(*, cases: str, at_once: int) -> None:
    chosen = cases.split(",") if cases else None
    with Range() as place:
        straight = asyncio.run(outcomes(place.straight, chosen, at_once))
        click.echo(f"straight           {len(straight)} cases: {_count(straight)}")
        through = asyncio.run(outcomes(place.through, chosen, at_once))
        click.echo(f"through the proxy  {len(through)} cases: {_count(through)}")
    found = differences(straight, through)
    click.echo("\n".join(found) if found else "the same, case by case")
    if found or not straight:
        sys.exit(1)


if __name__ == "__main__":
    main()
