"""`authproxy version`: what a bug report needs to begin with."""

import importlib.metadata
import json
import platform
import ssl

import click

from authproxy.cli.common import json_option

DISTRIBUTION = "tls-authproxy"
# Read from their metadata, not imported: the answer must come at once, and also when one of them does not load.
LIBRARIES = ("aiohttp", "uvloop")


def number() -> str:
    """Return this program's version."""
    return importlib.metadata.version(DISTRIBUTION)


def facts() -> dict[str, str]:
    """Return the versions of this program and of what it stands on, by name."""
    return {
        "authproxy": number(),
        "Python": platform.python_version(),
        "OpenSSL": ssl.OPENSSL_VERSION.removeprefix("OpenSSL "),
    } | {name: _installed(name) for name in LIBRARIES}


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@click.command
@json_option
def command(as_json: bool) -> None:
    """Print the versions of authproxy and of what it stands on.

    \b
    Example:
      authproxy version --json
    """
    if as_json:
        click.echo(json.dumps({name.lower(): version for name, version in facts().items()}))
    else:
        click.echo("\n".join(f"{name} {version}" for name, version in facts().items()))
