"""The state directory: what the proxy must remember itself, and by default the control socket."""

import os
import stat
from pathlib import Path
from typing import Final

from authproxy.errors import ConfigError, why
from authproxy.settings import Loaded

_ROOT: Final = 0


def check_state(loaded: Loaded) -> None:
    """Return when the state directory is there and fit, or can probably be made; creates nothing.

    Raises:
        ConfigError: it is none, somebody else could write there, or its parent directory is missing or not writable.
    """
    path = loaded.settings.state
    if path is None:
        return
    fault = _fault(path) if os.path.lexists(path) else _parent_fault(path.parent)
    if fault:
        raise ConfigError(f"{loaded.where('state')}: {path}: {fault}")


def make_state(loaded: Loaded) -> None:
    """Create the state directory with mode 0700 unless it is there, and check it.

    Raises:
        ConfigError: it cannot be made, is no directory, or somebody else could write there.
    """
    path = loaded.settings.state
    if path is None:
        return
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{loaded.where('state')}: {path}: cannot be created: {why(error)}") from error
    check_state(loaded)


def _fault(path: Path) -> str:
    try:
        facts = path.stat()
    except OSError as error:
        return f"cannot be looked at: {why(error)}"
    if not stat.S_ISDIR(facts.st_mode):
        return "is not a directory"
    if facts.st_uid not in {_ROOT, os.geteuid()}:
        return f"belongs to another user (uid {facts.st_uid}): give it to the one that runs authproxy"
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others can write there, mode {stat.S_IMODE(facts.st_mode):04o} (chmod 0700)"
    return "" if os.access(path, os.W_OK | os.X_OK) else "this user cannot write there"


def _parent_fault(parent: Path) -> str:
    if not parent.is_dir():
        return f"cannot be created: there is no directory {parent}"
    return "" if os.access(parent, os.W_OK | os.X_OK) else f"cannot be created: this user cannot write to {parent}"
