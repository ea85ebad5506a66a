"""Key and certificate files become bytes here, or a message; nothing waits and nothing big is read."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from authproxy.errors import MaterialError, SecretError, why

# The fattest honest file is a trust bundle: Debian's, with 146 authorities, has 220 KiB.
MAX_BYTES = 1 << 20
# The fattest public revocation lists have some hundred thousand entries of about 40 bytes each.
MAX_LIST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The bytes of one file as they were at one instant, with the mode they had then."""

    path: Path
    data: bytes
    mode: int
    """Permission bits."""


def read(path: Path, limit: int = MAX_BYTES) -> Content:
    """Return what `path` holds, at most `limit` bytes.

    The mode is that of the open file, so nobody can change it between the question and the answer.
    Symbolic links are followed (Kubernetes mounts secrets so).

    Raises:
        SecretError: the file may not be read.
        MaterialError: it is missing, not a regular file, or larger than that.
    """
    # Without O_NONBLOCK the opening of a FIFO waits for a writer, for ever.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except PermissionError as error:
        raise SecretError(
            f"{path}: this user ({os.geteuid()}) may not read it (give the file to the user that runs authproxy)"
        ) from error
    except (OSError, ValueError) as error:
        raise MaterialError(str(path), _reason(error)) from error
    try:
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            return _read_open(path, file.fileno(), limit)
    except OSError as error:
        raise MaterialError(str(path), _reason(error)) from error


def refuse_if_exposed(content: Content, what: str = "private key") -> tuple[str, ...]:
    """Return notes about who may read the secret; nothing that others may write, or everybody read, passes.

    Raises:
        SecretError: the file is too open.
    """
    mode = content.mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        who = "everybody" if mode & stat.S_IWOTH else "its group"
        raise SecretError(f"{content.path}: a {what} that {who} may write, mode {mode:04o} (chmod 0400)")
    if mode & stat.S_IROTH:
        raise SecretError(f"{content.path}: a {what} that everybody may read, mode {mode:04o} (chmod 0400)")
    if mode & stat.S_IRGRP:
        return (f"{content.path}: the {what} may be read by its group, mode {mode:04o}",)
    return ()


def _read_open(path: Path, descriptor: int, limit: int) -> Content:
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        raise MaterialError(str(path), "is not a regular file (a pipe or device cannot be read again at reload)")
    chunks: list[bytes] = []
    missing = limit + 1
    while missing and (chunk := os.read(descriptor, missing)):
        chunks.append(chunk)
        missing -= len(chunk)
    if not missing:
        raise MaterialError(
            str(path), f"is larger than {limit >> 20} MiB, this is no file of keys, certificates or revocations"
        )
    return Content(path=path, data=b"".join(chunks), mode=stat.S_IMODE(facts.st_mode))


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "is a directory, should be a file"
    if isinstance(error, OSError):
        return f"cannot be read: {why(error)}"
    return "is no usable file name"
