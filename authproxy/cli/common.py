"""What several commands share: the options every one spells the same way, and reading the configuration.

Nothing heavy is imported here: `healthcheck` uses these options and must start fast.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from authproxy.errors import ConfigError

if TYPE_CHECKING:
    from authproxy.settings import Loaded

CONFIG_NAME = Path("authproxy.yaml")
SYSTEM_CONFIG = Path("/etc/authproxy/authproxy.yaml")

P = ParamSpec("P")
R = TypeVar("R")


def default_config() -> Path:
    """Return the file that is read when none is named: the working directory's, else the machine's if there is one."""
    if not CONFIG_NAME.exists() and not _is_missing(SYSTEM_CONFIG):
        return SYSTEM_CONFIG
    return CONFIG_NAME


def _is_missing(path: Path) -> bool:
    # What may not be looked at is there for all we know, and whoever reads it says why that fails.
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def config_option(command: Callable[P, R]) -> Callable[P, R]:
    """Add `-c/--config`, passed on as `config: Path`; whether that file exists is not checked."""
    return click.option(
        "-c",
        "--config",
        envvar="AUTHPROXY_CONFIG",
        # Whether it can be read is the configuration's business (exit code 78), not the command line's (2).
        type=click.Path(path_type=Path, readable=False),
        default=default_config,
        show_default=f"{CONFIG_NAME}, else {SYSTEM_CONFIG}",
        show_envvar=True,
        help="The configuration file.",
    )(command)


def json_option(command: Callable[P, R]) -> Callable[P, R]:
    """Add `--json`, passed on as `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text for people.")(command)


def load_settings(config: Path) -> Loaded:
    """Return the settings in `config`, with every installed catalog kind known and `${VAR}` taken from the environment.

    Raises:
        ConfigError: with all problems at once.
    """
    if _is_missing(config):
        # The image looks for the machine's file, and whoever starts it for the first time has not mounted one.
        mount = "; a container needs it mounted, as with -v DIRECTORY:/etc/authproxy:ro"
        raise ConfigError(
            f"{config}: there is no such file (name one with -c or AUTHPROXY_CONFIG{mount * (config == SYSTEM_CONFIG)})"
        )
    from authproxy import settings
    from authproxy.catalogs.registry import kinds as catalog_kinds
    from authproxy.sessions.registry import kinds as session_kinds

    return settings.load(
        config,
        catalog_kinds={name: kind.options for name, kind in catalog_kinds().items()},
        session_kinds={name: kind.options for name, kind in session_kinds().items()},
        environ=os.environ,  # noqa: TID251  (this is the border)
    )
