"""Breaks the program by hand for each row of the wire's table, and tells which rows' tests do not notice."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import click

from tests.conformance.test_table import TABLE, WHOLE
from tests.mutants.breaks import BREAKS, Break
from tests.mutants.trial import ROOT

# For a row whose break makes its tests wait for what never comes.
_SECONDS: Final = 240
# On a machine that is busy a proxy may take too long to start.
_ATTEMPTS: Final = 3
_COPIED: Final = ("authproxy", "tests", "config", "certs", "pyproject.toml")


def rows() -> dict[str, list[str]]:
    """Return what pytest is to run for each row: names of tests, or a file."""
    found: dict[str, list[str]] = {}
    for section, told in TABLE.items():
        for row, tests in told.items():
            found[f"{section}: {row}" if row in found else row] = [f"test_{test.strip()}" for test in tests.split(",")]
    return found | {file: [file] for file in WHOLE}


def broken(source: str, edit: Break) -> str:
    """Return the source with the edit.

    Raises:
        LookupError: what is to be replaced is not there, or not once.
    """
    if source.count(edit.old) != 1:
        raise LookupError(f"{edit.path}: stands {source.count(edit.old)} times there, not once: {edit.old!r}")
    return source.replace(edit.old, edit.new)


def _run(tree: Path, tests: list[str]) -> tuple[bool, str]:
    """Run a row's tests until one fails; return whether one did, and which."""
    if tests[0].endswith(".py"):
        chosen = [f"tests/conformance/{tests[0]}"]
    else:
        files = sorted((tree / "tests" / "conformance").glob("test_*.py"))
        chosen = [
            f"{file.relative_to(tree)}::{test}"
            for file in files
            for test in tests
            if f"def {test}(" in file.read_text()
        ]
    command = [
        sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no", "-rfE", "-p", "no:cacheprovider",
        "-p", "no:randomly", "-p", "no:xdist", *chosen,
    ]  # fmt: skip
    # The program of the copy is found before the one that is installed, by its tests and by the process that they start.
    environ = {**os.environ, "PYTHONPATH": str(tree)}
    try:
        done = subprocess.run(command, cwd=tree, env=environ, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return False, "took too long"
    # A proxy that does not start, say, is an error of every test and nothing that one of them noticed.
    lines = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    return (True, lines[0].partition("::")[2]) if lines else (False, done.stdout.strip()[-200:])


def problems() -> list[str]:
    """Return which rows have no break, which breaks have no row, and which no longer fit."""
    found = [f"{row}: breaks.py says nothing of it" for row in rows() if row not in BREAKS]
    found += [f"{row}: there is no such row any more" for row in BREAKS if row not in rows()]
    for row, edit in BREAKS.items():
        try:
            broken((ROOT / "authproxy" / edit.path).read_text(), edit)
        except LookupError as error:
            found.append(f"{row}: {error}")
    return found


def try_rows(wanted: tuple[str, ...]) -> bool:
    """Break each row, or those whose names hold one of these; return whether their tests noticed."""
    told = problems()
    if told:
        click.echo("\n".join(told))
        return False
    all_well = True
    with tempfile.TemporaryDirectory(prefix="authproxy-rows-") as folder:
        tree = Path(folder)
        for name in _COPIED:
            origin = ROOT / name
            if origin.is_dir():
                shutil.copytree(origin, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(origin, tree / name)
        for row, tests in rows().items():
            if wanted and not any(part in row for part in wanted):
                continue
            edit = BREAKS[row]
            path = tree / "authproxy" / edit.path
            whole = path.read_text()
            path.write_text(broken(whole, edit))
            has_failed, which = False, ""
            for _ in range(_ATTEMPTS):
                has_failed, which = _run(tree, tests)
                if has_failed or " error" not in which:
                    break
            path.write_text(whole)
            all_well &= has_failed
            click.echo(f"{row}: {'noticed by' if has_failed else 'NOT NOTICED:'} {which}")
    return all_well
