"""Breaks the refusal table's code bit by bit, and tells which breakage no test notices.

    make mutants                                          every module of the refusal table
    make mutants MUTANTS=authproxy/http1/chunked.py       one of them
    make mutants MUTANTS=--rows                           every row of the wire's table, by the edits in `breaks.py`
    make mutants MUTANTS='--rows trailers'                those of this name

What survives is printed: either a test is missing, or the mutant is equivalent, which `equivalent.py` says with the
reason. Nothing is random: what is noticed once is noticed every time.
"""

import subprocess
import sys
from typing import Final

import click

from tests.mutants.equivalent import EQUIVALENT
from tests.mutants.operators import mutants
from tests.mutants.rows import try_rows
from tests.mutants.trial import ROOT, Trial

MODULES: Final = (
    *(f"authproxy/core/{name}.py" for name in (
        "path", "names", "route", "decision", "token", "bearer", "match", "failures",
    )),
    *(f"authproxy/http1/{name}.py" for name in (
        "request", "fields", "head", "usual", "chunked", "answer", "lines", "shape", "body", "websocket",
    )),
    *(f"authproxy/edge/{name}.py" for name in ("gate", "decide", "refusal")),
)  # fmt: skip


def _try_all(module: str) -> bool:
    """Try every mutant of a module; return whether each is noticed or known to change nothing."""
    trial = Trial(module)
    accepted = {name: reason for reason, names in EQUIVALENT.get(module, {}).items() for name in names}
    tried = equivalent = survived = 0
    for mutant in mutants((ROOT / module).read_text()):
        tried += 1
        if mutant.name in accepted:
            equivalent += 1
            del accepted[mutant.name]
        elif trial.passes(mutant.source):
            survived += 1
            click.echo(f"{module}:{mutant.line}: survived: {mutant.name}")
    for name in accepted:
        click.echo(f"{module}: there is no such mutant any more: {name}")
    noticed = tried - equivalent - survived
    click.echo(f"{module}: {tried} mutants, {noticed} noticed, {equivalent} equivalent, {survived} survived")
    return not survived and not accepted


@click.command(help="Breaks the refusal table's code bit by bit, and tells which breakage no test notices.")
@click.argument("modules", nargs=-1)
@click.option("--rows", is_flag=True, help="Break the program by hand for each row of the wire's table instead.")
def main(*, modules: tuple[str, ...], rows: bool) -> None:
    if rows:
        raise SystemExit(0 if try_rows(modules) else 1)
    if len(modules) == 1:
        raise SystemExit(0 if _try_all(modules[0]) else 1)
    # A process for each: what the tests import stays as it was found.
    codes = [subprocess.call([sys.executable, "-m", "tests.mutants.run", module]) for module in modules or MODULES]
    raise SystemExit(max(codes))


if __name__ == "__main__":
    main()
