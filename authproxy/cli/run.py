"""`authproxy run`: the daemon."""

from functools import partial
from pathlib import Path

import click

from authproxy.cli.common import config_option, load_settings


@click.command(name="run")
@config_option
def command(config: Path) -> None:
    """Run the proxy until SIGTERM or Ctrl-C; SIGHUP reloads configuration, keys, trust and catalogs.

    \b
    Example:  authproxy run -c /etc/authproxy/authproxy.yaml
    """
    from authproxy.daemon.main import run

    run(partial(load_settings, config))
