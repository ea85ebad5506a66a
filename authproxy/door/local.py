"""Unix sockets that listen: made, found dead, and removed, without ever touching what somebody else put there."""

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

BACKLOG = 1024
"""How many may wait to be accepted, on any socket."""
# Owner and group may connect; the directory decides who gets so far.
_MODE = 0o660


def listen_unix(path: Path) -> socket.socket:
    """Return a socket that listens at `path` with mode 0660 and does not block; raises OSError.

    A socket that nobody serves any more is replaced. Anything else that is there, a symbolic link above all, stays
    what it is, and the address counts as taken.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_socket(path) and not _is_served(path):
            # Left by a process that was killed; a live one's socket is never taken away.
            path.unlink()
        made.bind(str(path))
        _open_to_group(path)
        made.listen(BACKLOG)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells this file from one that comes to stand in its place; None where there is none."""
    with suppress(OSError):
        facts = path.lstat()
        return facts.st_dev, facts.st_ino
    return None


def remove_unix(path: Path, known: tuple[int, int] | None) -> None:
    """Remove the socket at `path` if it still is the one with that `identity`."""
    if known is not None and identity(path) == known and _is_socket(path):
        with suppress(OSError):
            path.unlink()


def _is_socket(path: Path) -> bool:
    """Say whether `path` itself is a socket, not only a link to one."""
    with suppress(OSError):
        return stat.S_ISSOCK(path.lstat().st_mode)
    return False


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # Without waiting: a server whose queue is full serves all the same.
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            # It may be somebody's whom this user cannot ask.
            return True
        return True


def _open_to_group(path: Path) -> None:
    # chmod follows links: whoever can write the directory could put one there meanwhile. This descriptor is the
    # very file, and a link would not be opened.
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise FileExistsError(f"{path} was replaced")
        Path(f"/proc/self/fd/{descriptor}").chmod(_MODE)
    finally:
        os.close(descriptor)
