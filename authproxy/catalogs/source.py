"""Reads a file that says who may come in: whole, and only where not everybody can write to it."""

import os
import stat
from pathlib import Path
from typing import Final

from authproxy.errors import MaterialError, why

# A hundred thousand rows; what is larger wants a database, and a mistaken path (a disk, a log) is noticed.
MAX_FILE_BYTES: Final = 64 * 1024 * 1024


def read_source(path: Path) -> bytes:
    """Return what is in the file.

    Raises:
        MaterialError: It cannot be read, is no file, too large, written to just now, or open for everybody to write.
    """
    try:
        # Not to wait for a writer if somebody put a pipe there.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise MaterialError(str(path), "is not a file")
            if before.st_mode & stat.S_IWOTH:
                raise MaterialError(str(path), f"everybody can write it and let himself in: chmod o-w {path}")
            data = file.read(MAX_FILE_BYTES + 1)
            after = os.fstat(file.fileno())
    except FileNotFoundError as error:
        raise MaterialError(str(path), "there is no such file") from error
    except OSError as error:
        raise MaterialError(str(path), f"cannot be read: {why(error)}") from error
    if len(data) > MAX_FILE_BYTES:
        raise MaterialError(str(path), f"is larger than {MAX_FILE_BYTES} bytes")
    if len(data) != after.st_size or before.st_mtime_ns != after.st_mtime_ns:
        raise MaterialError(str(path), "was written to while it was read: it is tried again at the next poll")
    return data
