"""`authproxy run`: the daemon."""

import signal
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
    # By default SIGHUP ends a process. One that comes before there is a handler is kept for it, and obeyed then.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        from authproxy.daemon.main import run

        run(partial(load_settings, config))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
