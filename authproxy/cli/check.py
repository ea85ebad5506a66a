"""`authproxy check`: the road of a start, without its last step."""

import json
import os
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from authproxy.cli.common import config_option, json_option, load_settings
from authproxy.errors import ConfigError

if TYPE_CHECKING:
    from authproxy.daemon.prepare import Prepared
    from authproxy.settings import Loaded


@click.command(name="check")
@config_option
@click.option("--strict", is_flag=True, help="Fail on notes and rejected rows too.")
@json_option
@click.pass_context
def command(context: click.Context, config: Path, strict: bool, as_json: bool) -> None:
    """Check a configuration, the keys, secrets and catalogs it names, and that its TLS shakes hands.

    \b
    Example:  authproxy check -c /etc/authproxy/authproxy.yaml
    """
    from authproxy.catalogs.interface import Reloadable

    try:
        loaded = load_settings(config)
        prepared = _prepared(loaded)
    except ConfigError as error:
        # They are told on standard error too, as without --json.
        if as_json:
            _print({"config": str(config), "good": False, "problems": list(error.problems)})
        raise
    catalogs = {name: opened.catalog for name, opened in prepared.catalogs.items()}
    read = {name: catalog.reload() for name, catalog in catalogs.items() if isinstance(catalog, Reloadable)}
    rejected = [line for reloaded in read.values() for line in reloaded.problems]
    notes = [*prepared.notes, *(line for reloaded in read.values() for line in reloaded.notes)]
    records = {name: reloaded.records for name, reloaded in read.items()}
    settings, good = loaded.settings, not (strict and (rejected or notes))
    if as_json:
        _print({
            "config": str(config), "good": good, "problems": [], "files": [str(file) for file in loaded.files],
            "notes": notes, "rejected": rejected,
            "listeners": list(settings.listeners), "routes": len(settings.routes), "records": records,
        })  # fmt: skip
    else:
        _tell(rejected, notes)
        users = "".join(f", {_count(count, 'user')} in {name}" for name, count in records.items())
        parts = f"{_count(len(settings.listeners), 'listener')}, {_count(len(settings.routes), 'route')}{users}"
        told = f"{_count(len(rejected), 'rejected row')} and {_count(len(notes), 'note')}"
        click.echo(f"{config}: {'good' if good else f'not good for --strict, with {told}'}: {parts}")
    if not good:
        context.exit(1)


def _prepared(loaded: "Loaded") -> "Prepared":
    """Take the road of a start up to its last step."""
    from authproxy.core.stats import Stats
    from authproxy.daemon.outside import check_log
    from authproxy.daemon.prepare import Workshop, prepare, read_inputs
    from authproxy.daemon.state import check_state

    def never(work: Coroutine[None, None, None]) -> None:
        work.close()

    check_log(loaded)
    check_state(loaded)
    workshop = Workshop(environ=os.environ, stats=Stats(), spawn=never)  # noqa: TID251  # this is the border
    now = datetime.now(UTC)  # noqa: TID251  # the clock enters here
    return prepare(workshop, read_inputs(workshop, loaded, now, None), 0, None)


def _print(facts: dict[str, object]) -> None:
    click.echo(json.dumps(facts, indent=2))


def _tell(rejected: list[str], notes: list[str]) -> None:
    for line in rejected:
        click.echo(f"rejected: {line}", err=True)
    for line in notes:
        click.echo(f"note: {line}", err=True)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
