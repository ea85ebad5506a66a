"""Does to a real proxy what goes wrong around it, and says whether good clients were served meanwhile.

    make faults
    make faults FAULTS='--only F13 --quick'

Figures of time depend on how busy the machine is: each report says how late the checker itself was, and `--relaxed`
stretches those limits by five.
"""

import importlib
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import click

from tests.faults.lab import Size
from tests.faults.verdict import Report, table

EXPERIMENTS: Final = {
    path.name[:3].upper(): f"tests.faults.{path.stem}"
    for path in sorted(Path(__file__).parent.glob("f[0-9][0-9]_*.py"))
}

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def experiment(name: str, size: Size) -> Report:
    """Run one."""
    report = importlib.import_module(EXPERIMENTS[name]).run(size)
    if not isinstance(report, Report):
        raise TypeError(f"{name} reports nothing")
    return report


def _names(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(name.strip().upper() for name in value.split(",")) if value else tuple(EXPERIMENTS)
    unknown = [name for name in names if name not in EXPERIMENTS]
    if unknown:
        raise click.BadParameter(f"there is no {unknown[0]!r} (known: {', '.join(EXPERIMENTS)})")
    return tuple(dict.fromkeys(names))


def _end(number: int, _: FrameType | None) -> NoReturn:
    # As an exception it passes through every `with` on the way out, and nothing interrupts it there.
    for one in _SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + number)


@click.command(help=__doc__.split("\n", maxsplit=1)[0] if __doc__ else "")
@click.option(
    "--only", default="", callback=_names, metavar="F07,F12", help=f"Of {', '.join(EXPERIMENTS)}; all by default."
)
@click.option("--quick", is_flag=True, help="Smaller sizes and shorter deadlines.")
@click.option("--relaxed", is_flag=True, help="Five times the time where the machine is busy with other things.")
@click.option("--rate", type=click.IntRange(1), default=200, show_default=True, help="The checker's requests a second.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write everything there.")
def main(*, only: tuple[str, ...], quick: bool, relaxed: bool, rate: int, json_file: Path | None) -> None:
    for number in _SIGNALS:
        signal.signal(number, _end)
    reports = []
    for name in only:
        report = experiment(name, Size(quick=quick, rate=rate))
        click.echo(table([report], relaxed=relaxed))
        reports.append(report)
    verdicts = {report.fault: report.verdict(relaxed=relaxed) for report in reports}
    click.echo("  ".join(f"{fault} {verdict}" for fault, verdict in verdicts.items()))
    if json_file is not None:
        told = [asdict(report) | {"verdict": verdicts[report.fault]} for report in reports]
        json_file.write_text(json.dumps(told, indent=1) + "\n")
    if "FAIL" in verdicts.values():
        sys.exit(1)


if __name__ == "__main__":
    main()
