"""Writes the access log from a thread of its own, so that a slow disk or pipe never stops the event loop."""

import contextlib
import os
import queue
import threading
from pathlib import Path
from typing import Final

from authproxy.errors import MaterialError, why

_MAX_WAITING: Final = 256


class LogWriter:
    """Takes batches of lines; when the other end does not keep up, batches are dropped and counted."""

    def __init__(self, target: str | Path) -> None:
        """Open `target`: `stdout`, `stderr` or a file, which is appended to.

        Raises:
            MaterialError: the file cannot be opened.
        """
        self.dropped = 0
        """Lines that were lost."""
        self._target = target
        self._descriptor = _open(target)
        self._queue: queue.Queue[bytes | None] = queue.Queue(_MAX_WAITING)
        self._reopen = threading.Event()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def write(self, lines: bytes) -> None:
        """Hand over whole lines."""
        try:
            self._queue.put_nowait(lines)
        except queue.Full:
            self.dropped += lines.count(b"\n")

    def reopen(self) -> None:
        """Open the file anew before the next batch: a rotated log goes on under its old name."""
        self._reopen.set()

    def close(self) -> None:
        """Write what is waiting and end."""
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=1)
        self._thread.join(timeout=2)
        if isinstance(self._target, Path) and not self._thread.is_alive():
            os.close(self._descriptor)

    def _run(self) -> None:
        while (lines := self._queue.get()) is not None:
            if self._reopen.is_set():
                self._reopen.clear()
                self._open_again()
            self._write_all(lines)

    def _write_all(self, lines: bytes) -> None:
        view = memoryview(lines)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            # A full disk or a closed pipe: traffic goes on, and the metric says that lines are missing.
            self.dropped += lines.count(b"\n")

    def _open_again(self) -> None:
        if not isinstance(self._target, Path):
            return
        with contextlib.suppress(MaterialError):
            old, self._descriptor = self._descriptor, _open(self._target)
            os.close(old)


def _open(target: str | Path) -> int:
    if not isinstance(target, Path):
        return 2 if target == "stderr" else 1
    try:
        return os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise cannot_open(target, error) from error


def cannot_open(target: Path, error: OSError) -> MaterialError:
    """Return what is said of a log that cannot be opened."""
    return MaterialError(str(target), f"cannot be opened: {why(error)}")
