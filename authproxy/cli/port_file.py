"""A file that tells the editors of this machine a port, as `.nrepl-port` does: decimal digits and nothing else."""

import contextlib
import os
import re
import socket
from pathlib import Path
from typing import Final

import click

_MODE: Final = 0o600
_PORT: Final = re.compile(rb"\s*([0-9]{1,5})\s*")
# More is no port, and need not be read.
_MOST: Final = 64
_MAX_PORT: Final = 65535


class PortFile:
    """Written whole or not at all, and taken away at the end if it is still ours."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_name(f".{path.name}.{os.getpid()}")
        self._port: bytes | None = None

    def prepare(self) -> None:
        """Prove that it can be written, before anybody listens; warn of a port in it that somebody listens on.

        Raises:
            click.UsageError: it cannot be written, or it holds something that is no port.
        """
        held = self._held()
        if held is not None:
            if held and not (port := _read(held)):
                raise click.UsageError(f"{self._path}: holds something that is no port: it is left alone")
            if held and _is_live(port):
                click.echo(f"authproxy: {self._path}: told port {port}, where somebody listens: replaced", err=True)
        try:
            os.close(os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, _MODE))
        except OSError as error:
            raise click.UsageError(f"{self._path}: cannot be written: {_why(error)}") from error

    def write(self, port: int) -> None:
        """Tell the port."""
        self._port = str(port).encode()
        try:
            self._draft.write_bytes(self._port)
            self._draft.chmod(_MODE)
            self._draft.replace(self._path)
        except OSError as error:
            raise click.ClickException(f"{self._path}: cannot be written: {_why(error)}") from error

    def withdraw(self) -> None:
        """Take it away, unless somebody else has written another port since."""
        with contextlib.suppress(OSError):
            self._draft.unlink(missing_ok=True)
            if self._port is not None and self._path.read_bytes() == self._port:
                self._path.unlink()

    def _held(self) -> bytes | None:
        """Return what it holds, None when it is not there."""
        if self._path.exists() and not self._path.is_file():
            raise click.UsageError(f"{self._path}: is no regular file")
        try:
            with self._path.open("rb") as file:
                return file.read(_MOST)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise click.UsageError(f"{self._path}: cannot be written: {_why(error)}") from error


def _read(held: bytes) -> int:
    """Return the port, or 0 for none."""
    found = _PORT.fullmatch(held)
    port = 0 if found is None else int(found[1])
    return port if port <= _MAX_PORT else 0


def _is_live(port: int) -> bool:
    with socket.socket() as asked:
        asked.settimeout(1)
        return asked.connect_ex(("127.0.0.1", port)) == 0


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
