"""Scans a real listener: sslyze (Mozilla's intermediate profile), testssl.sh, and scripts of tlsfuzzer.

    make scan
    make scan SCAN='--only tlsfuzzer'

A finding that is not excepted by name (`tests/scan/findings.py`, `tests/scan/fuzzer.py`) makes it fail; a tool that
this machine does not have is told as `not run`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from tests.scan.findings import BAD, MISSING, Row, from_sslyze, from_testssl, table
from tests.scan.fuzzer import COMMIT, SOURCE, fuzz
from tests.scan.target import Target, target

TOOLS: Final = ("sslyze", "testssl", "tlsfuzzer")
_SECONDS: Final = 900


def sslyze(target: Target, tools: Path) -> Iterator[Row]:
    """Ask sslyze about each listener."""
    if not (tools / "bin" / "sslyze").exists():
        yield Row(tool="sslyze", what="all", verdict=MISSING, detail="not in its environment: make scan installs it")
        return
    for kind, port in target.ports.items():
        command = [str(tools / "bin" / "sslyze"), "--mozilla_config", "intermediate"]
        command += ["--certinfo_ca_file", str(target.authority), f"localhost:{port}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
        yield from from_sslyze(kind, done.stdout)


def testssl(target: Target, _: Path) -> Iterator[Row]:
    """Ask testssl.sh about each listener."""
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if program is None:
        yield Row(tool="testssl", what="all", verdict=MISSING, detail="not here (Debian: apt-get install testssl.sh)")
        return
    with tempfile.TemporaryDirectory(prefix="authproxy-scan-") as folder:
        for kind, port in target.ports.items():
            out = Path(folder) / f"{kind}.json"
            options = ["--quiet", "--color", "0", "--warnings", "off", "--ip", "one", "--add-ca", str(target.authority)]
            subprocess.run(
                [program, *options, "--jsonfile", str(out), f"https://localhost:{port}"],
                stdout=subprocess.DEVNULL, timeout=_SECONDS, check=False,
            )  # fmt: skip
            yield from from_testssl(kind, out.read_text() if out.exists() else "[]")


def tlsfuzzer(target: Target, tools: Path) -> Iterator[Row]:
    """Run tlsfuzzer's scripts against the listener with the RSA certificate."""
    if not target.baseline:
        yield Row(tool="tlsfuzzer", what="all", verdict=MISSING, detail="there is no openssl to compare with")
        return
    home = _checkout(tools)
    if home is None:
        detail = f"no checkout of {SOURCE} (name one with TLSFUZZER=DIRECTORY)"
        yield Row(tool="tlsfuzzer", what="all", verdict=MISSING, detail=detail)
        return
    yield from fuzz(tools / "bin" / "python", home, target)


def _checkout(tools: Path) -> Path | None:
    """Return where tlsfuzzer is: in $TLSFUZZER, or fetched at a known commit; None where neither can be."""
    named = os.environ.get("TLSFUZZER")
    home = Path(named) if named else tools / "tlsfuzzer"
    if named is None and not (home / "scripts").is_dir():
        steps = (["init", "-q"], ["fetch", "-q", "--depth=1", SOURCE, COMMIT], ["checkout", "-q", COMMIT])
        home.mkdir(parents=True, exist_ok=True)
        for step in steps:
            if subprocess.run(["git", "-C", str(home), *step], capture_output=True).returncode:
                shutil.rmtree(home, ignore_errors=True)
                return None
    return home.absolute() if (home / "scripts").is_dir() else None


def _names(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",")) if value else TOOLS
    unknown = [name for name in names if name not in TOOLS]
    if unknown:
        raise click.BadParameter(f"there is no {unknown[0]!r} (known: {', '.join(TOOLS)})")
    return names


@click.command(help=__doc__.split("\n", maxsplit=1)[0] if __doc__ else "")
@click.option("--only", default="", callback=_names, metavar="sslyze,testssl", help=f"Of {', '.join(TOOLS)}.")
@click.option(
    "--tools", type=click.Path(path_type=Path, file_okay=False), default=Path(".venv-scan"), show_default=True
)
def main(*, only: tuple[str, ...], tools: Path) -> None:
    scans = {"sslyze": sslyze, "testssl": testssl, "tlsfuzzer": tlsfuzzer}
    with target() as running:
        rows = [row for name in only for row in scans[name](running, tools.absolute())]
    click.echo(table(rows))
    if any(row.verdict == BAD for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
