"""Key files reach the disk whole or not at all, and are never readable by others, not even for a moment."""

import contextlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from authproxy.errors import MaterialError

KEY_MODE = 0o400
PUBLIC_MODE = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A file that does not exist yet."""

    path: Path
    data: bytes = field(repr=False)
    mode: int = KEY_MODE
    what: str = ""
    """For people: what it holds."""


def write_all(files: Sequence[NewFile], *, replace: bool = False) -> None:
    """Write every file, or none: each goes under a temporary name first, and all are renamed at the end.

    Missing directories are made. Only the renaming itself can stop half-way, when the disk fails.

    Raises:
        MaterialError: one cannot be written, or exists and `replace` is not wished.
    """
    if len({file.path.resolve() for file in files}) < len(files):
        raise MaterialError(str(files[-1].path), "would be written twice, nothing was written (choose another name)")
    existing = [file.path for file in files if os.path.lexists(file.path)]
    if existing and not replace:
        raise MaterialError(str(existing[0]), "exists already, nothing was written (--force replaces it)")
    temporary: list[Path] = []
    try:
        for file in files:
            temporary.append(file.path.with_name(f".{file.path.name}.{secrets.token_hex(8)}"))
            _write(file, temporary[-1])
        for file, written in zip(files, temporary, strict=True):
            _rename(written, file.path)
    finally:
        for path in temporary:
            with contextlib.suppress(OSError):
                path.unlink()


def _write(file: NewFile, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, KEY_MODE)
        with os.fdopen(descriptor, "wb") as output:
            # The umask has its say in open, not here.
            os.fchmod(output.fileno(), file.mode)
            output.write(file.data)
            output.flush()
            os.fsync(output.fileno())
    except OSError as error:
        raise _unwritable(file.path, error) from error


def _rename(written: Path, path: Path) -> None:
    try:
        written.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> MaterialError:
    return MaterialError(str(path), f"cannot be written: {(error.strerror or 'unknown error').lower()}")
