"""Everything that a measurement starts: on the core it belongs to, and gone when the measurement is."""

import ctypes
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_PR_SET_PDEATHSIG: Final = 1
_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LAST_LINES: Final = 8
_GRACE: Final = 3.0


class StartError(Exception):
    """A program did not come up; says why, as far as its output tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """Who runs where: the proxies alone on one core, all others on another, if there are two."""

    proxy: int
    others: int

    @classmethod
    def here(cls) -> Self:
        """Choose the first two that this process may use."""
        usable = sorted(os.sched_getaffinity(0))
        return cls(proxy=usable[0], others=usable[1] if len(usable) > 1 else usable[0])


class Crew:
    """Starts programs and ends all of them when it is left, however it is left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(*self._running)

    def start(self, name: str, command: Sequence[str | Path], core: int) -> subprocess.Popen[bytes]:
        """Start a program on `core` in a session of its own; what it says goes to `NAME.log`."""
        # What is started inherits the cores, all of its threads included; setting them afterwards would come too late.
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {core})
        # A signal between the fork and the list would leave a program behind of which nobody knows.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            with self._log(name).open("ab") as log:
                process = subprocess.Popen(
                    [str(part) for part in command],
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=partial(self._in_child, mask),  # noqa: PLW1509  # no other thread is here
                )
            self._running.append(process)
        finally:
            os.sched_setaffinity(0, before)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return process

    def stop(self, *processes: subprocess.Popen[bytes]) -> None:
        """End programs and all that they started."""
        stopping = list(processes)
        for process in stopping:
            if process.poll() is None:
                process.terminate()
        ends = time.monotonic() + _GRACE
        for process in stopping:
            try:
                process.wait(max(0.0, ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass
            finally:
                _kill_session(process)
            if process in self._running:
                self._running.remove(process)

    def said(self, name: str, lines: int = _LAST_LINES) -> str:
        """Return the last `lines` of what a program has said."""
        path = self._log(name)
        told = path.read_text(errors="replace").splitlines() if path.exists() else []
        return "\n".join(told[-lines:])

    def wait_for(self, name: str, process: subprocess.Popen[bytes], port: int, seconds: float = 20.0) -> None:
        """Return once `process` listens on `port`.

        Raises:
            StartError: it has ended, or takes too long.
        """
        ends = time.monotonic() + seconds
        while not _listens(port):
            if process.poll() is not None:
                raise StartError(f"{name} ended at once with {process.returncode}: {self.said(name)}")
            if time.monotonic() > ends:
                self.stop(process)
                raise StartError(f"{name} does not listen after {seconds:g}s: {self.said(name)}")
            time.sleep(0.01)

    def _in_child(self, mask: set[int]) -> None:
        # A child hears when this process dies, even where nothing can be cleaned up any more.
        self._prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a program's session, such as workers whose master is gone."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True


def version_of(command: Sequence[str]) -> str:
    """Return the version that a program tells, or an empty text."""
    told = subprocess.run(command, capture_output=True, text=True, timeout=10)
    found = re.search(r"\d+\.\d+(\.\d+)*", told.stdout + told.stderr)
    return found[0] if found else ""
