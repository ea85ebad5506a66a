"""An SQLite file that several processes share, asked by one thread at a time."""

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Final, TypeVar, final

from authproxy.errors import MaterialError, SessionStoreUnavailable, why

# How long to wait for somebody else's write: below the deadline of those who ask, so that they are told why.
_LOCKED_SECONDS: Final = 0.18
_OTHERS: Final = 0o007
_MODE: Final = 0o600
_MAGIC: Final = b"SQLite format 3\0"

# A new layout gets a table of a new name: an older program beside a newer one goes on with its own.
_LAYOUT: Final = """
CREATE TABLE IF NOT EXISTS sessions_1 (
    key BLOB PRIMARY KEY, zone TEXT NOT NULL, user_id BLOB NOT NULL, version INTEGER NOT NULL,
    current_version INTEGER NOT NULL, created INTEGER NOT NULL, ends INTEGER NOT NULL, idle_ends INTEGER NOT NULL,
    mac BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_1_user ON sessions_1 (zone, user_id, created);
CREATE INDEX IF NOT EXISTS sessions_1_idle ON sessions_1 (idle_ends);
CREATE INDEX IF NOT EXISTS sessions_1_ends ON sessions_1 (ends);
"""

# A process that closes any descriptor of a file loses all its locks on it (POSIX, fcntl), SQLite's among them; somebody
# else then takes himself for the last one, and removes the log from under those who are at work. So once a connection
# stands nothing but SQLite opens the file in this process, and connections come about one at a time.
_OPENING: Final = Lock()

R = TypeVar("R")


def check_file(path: Path) -> None:
    """Raise MaterialError when this cannot become, or is not, a database that belongs to this program alone.

    Nothing is made. Whoever may write to the file can end sessions and prolong them to their absolute end, not make any.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        _check_directory(path)
        return
    except OSError as error:
        raise MaterialError(str(path), f"cannot be used: {why(error)}") from error
    _check_rights(path, found)
    with _OPENING:
        # Who has it open has this file beside it; perhaps it is this process.
        if Path(f"{path.resolve()}-shm").exists():
            return
        _check_begin(path)


def _check_directory(path: Path) -> None:
    """Raise MaterialError when there is no directory that this process can make the file in."""
    if not path.parent.is_dir():
        raise MaterialError(str(path), f"there is no directory {path.parent}: make it")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        # A volume that belongs to another user, mostly: nobody could ever sign in.
        raise MaterialError(str(path), f"user {os.geteuid()} cannot make it in {path.parent}: give it that directory")


def _check_rights(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise MaterialError(str(path), "is no file")
    if found.st_mode & _OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        raise MaterialError(str(path), f"others may read or write it (mode {mode:04o}): chmod 600")


def _check_begin(path: Path) -> None:
    try:
        with path.open("rb") as file:
            begin = file.read(len(_MAGIC))
    except OSError as error:
        raise MaterialError(str(path), f"cannot be read: {why(error)}") from error
    if begin not in {b"", _MAGIC}:
        raise MaterialError(str(path), "is no SQLite database")


def _identity(path: Path) -> tuple[int, int] | None:
    """Return which file is there, or None for none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@final
class Lane:
    """One thread with one connection, opened by the first question and again after a failure."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._thread: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        self._base: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        """Which file the connection is to."""
        self._failed = 0.0
        """When a question failed last; monotonic."""

    async def run(self, task: Callable[[sqlite3.Connection], R]) -> R:
        """Return what `task` returns, run in the thread; a transaction that it left open is rolled back.

        Raises:
            SessionStoreUnavailable: The database is locked, damaged, away, or closed.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, task, monotonic())
        except RuntimeError as error:
            raise SessionStoreUnavailable(f"{self._path}: is closed") from error

    def _run(self, task: Callable[[sqlite3.Connection], R], asked: float) -> R:
        if asked < self._failed:
            # Who waited while another one waited for a lock in vain would only wait as long again.
            raise SessionStoreUnavailable(f"{self._path}: failed for those who asked before, a moment ago")
        try:
            base = self._connection()
            try:
                return task(base)
            finally:
                if base.in_transaction:
                    base.execute("ROLLBACK")
        except (sqlite3.Error, MaterialError, OSError) as error:
            # Whatever it was, the next question begins with a new connection: that the file is there again is not told.
            self._disconnect()
            self._failed = monotonic()
            reason = why(error) if isinstance(error, OSError) else str(error)
            text = reason if isinstance(error, MaterialError) else f"{self._path}: {reason}"
            raise SessionStoreUnavailable(text) from error

    def _connection(self) -> sqlite3.Connection:
        """Return the connection to the file that is there now.

        Whoever removes the file, or puts another one in its place, means to end or change what is in it; without a look
        this process alone would go on with the old one, where nobody else could ever end a session.
        """
        if self._base is not None and self._file != _identity(self._path):
            # SQLite leaves what lies beside the new file alone: it tells that its own one has moved.
            self._disconnect()
        if self._base is None:
            self._base = self._connect()
            self._file = _identity(self._path)
        return self._base

    def _connect(self) -> sqlite3.Connection:
        path = self._path.resolve()
        with _OPENING:
            try:
                found = path.stat()
            except FileNotFoundError:
                _check_directory(path)
                # Made here and not by SQLite, so that there is no moment in which others could open it; the files that
                # SQLite puts beside it get the same mode.
                with suppress(FileExistsError):
                    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE))
            else:
                _check_rights(path, found)
            return self._open()

    def _open(self) -> sqlite3.Connection:
        base = sqlite3.connect(self._path, timeout=_LOCKED_SECONDS, isolation_level=None)
        try:
            base.execute("PRAGMA journal_mode = WAL").fetchall()
            # A sign-out is on the disk when it is answered; signing in and out is rare enough for that.
            base.execute("PRAGMA synchronous = FULL")
            base.execute("PRAGMA trusted_schema = OFF")
            base.executescript(_LAYOUT)
        except BaseException:
            base.close()
            raise
        return base

    def _disconnect(self) -> None:
        base, self._base = self._base, None
        if base is not None:
            with suppress(sqlite3.Error):
                base.close()

    async def aclose(self) -> None:
        """Close the connection when what was asked before is done; then nobody can ask any more."""
        with suppress(RuntimeError):
            await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown(wait=False)
