"""`authproxy config`: what the configuration means."""

import json
from pathlib import Path

import click

from authproxy.cli.common import config_option, json_option, load_settings
from authproxy.cli.group import Group


@click.group(cls=Group)
def command() -> None:
    """Show the effective configuration.

    \b
    Example:  authproxy config show -c authproxy.yaml
    """


@command.command(short_help="Print every setting, defaults too.")
@config_option
@json_option
def show(config: Path, *, as_json: bool) -> None:
    """Print every setting with its default filled in.

    Secrets are shown as the references they are, and header values on the way to an upstream as (masked).

    \b
    Example:  authproxy config show -c authproxy.yaml
              authproxy config show --json | jq .listeners
    """
    from authproxy.settings import effective, effective_values

    loaded = load_settings(config)
    if as_json:
        click.echo(json.dumps(effective_values(loaded), indent=2))
    else:
        click.echo(effective(loaded), nl=False)
