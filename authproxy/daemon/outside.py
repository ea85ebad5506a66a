"""What a configuration needs of the machine: listening sockets and the access log. Taken before the swap."""

import errno
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from authproxy.core.place import Place
from authproxy.core.stats import Stats
from authproxy.daemon.doors import Doors
from authproxy.daemon.outcome import Outcome
from authproxy.daemon.prepare import Prepared
from authproxy.daemon.writer import LogWriter, cannot_open
from authproxy.door.caps import Caps
from authproxy.edge.server import OwnPage
from authproxy.edge.services import Services
from authproxy.errors import ConfigError, MaterialError
from authproxy.settings import Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What was taken for a configuration that is not at work yet."""

    sockets: Mapping[tuple[str, Place], socket.socket]
    writer: LogWriter | None
    """None: the access log is off, or stays what it is."""


def check_log(loaded: Loaded) -> None:
    """Return when the access log can probably be opened; creates nothing.

    Raises:
        ConfigError: its directory is missing or not writable, or it is a directory itself.
    """
    target = loaded.settings.logging.access
    if not isinstance(target, Path):
        return
    fault = None
    if target.is_dir():
        fault = errno.EISDIR
    elif not target.parent.is_dir():
        fault = errno.ENOENT
    elif not os.access(target if target.exists() else target.parent, os.W_OK):
        fault = errno.EACCES
    if fault is not None:
        raise ConfigError(
            f"{loaded.where('logging', 'access')}: {cannot_open(target, OSError(fault, os.strerror(fault)))}"
        )


class Outside:
    """Holds them, and follows the configuration."""

    def __init__(self, services: Services, stats: Stats, page: OwnPage) -> None:
        self._services = services
        self._doors = Doors(services, stats, page, services.monotonic)
        self._target: str | Path = "off"
        self._writer: LogWriter | None = None
        self._dropped = 0

    @property
    def lines_dropped(self) -> int:
        """How many lines of the access log were lost."""
        return self._dropped + (0 if self._writer is None else self._writer.dropped)

    @property
    def caps(self) -> Caps:
        """How many connections there are, and may be."""
        return self._doors.caps

    def take(self, loaded: Loaded) -> Taken:
        """Open what is not open yet; nothing is used so far.

        Raises:
            ConfigError: something cannot be had; what was opened is closed again.
        """
        target = loaded.settings.logging.access
        writer = None
        if target not in {self._target, "off"}:
            try:
                writer = LogWriter(target)
            except MaterialError as error:
                raise ConfigError(f"{loaded.where('logging', 'access')}: {error}") from error
        try:
            return Taken(sockets=self._doors.open_new(loaded), writer=writer)
        except ConfigError:
            if writer is not None:
                writer.close()
            raise

    def apply(self, prepared: Prepared, taken: Taken) -> None:
        """Use what was taken; let go of what the configuration names no longer."""
        self._doors.apply(prepared.loaded, prepared.contexts, taken.sockets)
        target = prepared.loaded.settings.logging.access
        if target == self._target:
            return
        journal = self._services.journal
        journal.flush()
        old, self._writer, self._target = self._writer, taken.writer, target
        journal.write = None if taken.writer is None else taken.writer.write
        journal.on = taken.writer is not None
        if old is not None:
            self._dropped += old.dropped
            old.close()

    def renew(self) -> tuple[Outcome, ...]:
        """Listen anew where nobody finds the socket any more; return what cannot be had."""
        return self._doors.renew()

    def rotate(self) -> None:
        """Open the access log anew under its name."""
        if self._writer is not None:
            self._writer.reopen()

    def stop_listening(self) -> None:
        """Accept no more."""
        self._doors.close()

    def close(self) -> None:
        """Write what is waiting, and let go."""
        self._services.journal.flush()
        if self._writer is not None:
            self._writer.close()
