"""Reading what a reference refers to. The secret itself never stands in a message.

Why a file that the group can read is accepted: Kubernetes and Docker mount secrets so. It earns a note.
"""

import base64
import binascii
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from authproxy.core.secret import Secret
from authproxy.errors import SecretError, why
from authproxy.options import SecretRef

# HMAC-SHA512 (RFC 2104, 3): keys shorter than the hash weaken it; turvata 0.4 requires 32 bytes.
MIN_PEPPER_BYTES: Final = 32
_MAX_BYTES: Final = 64 * 1024
_HEX_DIGITS: Final = frozenset(b"0123456789abcdefABCDEF")


def read_secret(
    ref: SecretRef, environ: Mapping[str, str], *, where: str = "", notes: list[str] | None = None
) -> Secret[bytes]:
    """Return the secret, less one newline at its end.

    `where` (`Loaded.where(...)`) leads every message; what is accepted but should be known goes to `notes`.

    Raises:
        SecretError: it is missing, empty, unreadable, or its file can be read or written by people who should not.
    """
    return _Source(ref, environ, where, notes).read()


def read_pepper(
    ref: SecretRef, environ: Mapping[str, str], *, where: str = "", notes: list[str] | None = None
) -> Secret[bytes]:
    """Return a pepper: the bytes behind `hex:` or `base64:`, else all bytes as they are, a newline at the end included.

    Raises:
        SecretError: as `read_secret`, and where it is shorter than 32 bytes or not what its prefix says.
    """
    source = _Source(ref, environ, where, notes)
    return Secret(source.pepper())


class _Source:
    """One reference on its way to its secret."""

    def __init__(self, ref: SecretRef, environ: Mapping[str, str], where: str, notes: list[str] | None) -> None:
        self._environ = environ
        self._notes = notes
        self._prefix = f"{where}: " if where else ""
        self._cure = ""
        self._env = ref.env
        self._path = ref.file if ref.file is not None else self._credential(ref.credential)
        self._name = f"environment variable {self._env}" if self._path is None else str(self._path)

    def read(self) -> Secret[bytes]:
        raw = self._raw()
        # Windows' line end counts as one, for that is how it was typed.
        secret = raw.removesuffix(b"\n").removesuffix(b"\r") if raw.endswith(b"\n") else raw
        if not secret:
            raise self._error("is empty")
        return Secret(secret)

    def pepper(self) -> bytes:
        self._cure = f" (a first one is made by `authproxy pepper new --out {self._path}`)"
        raw = self._raw()
        pepper = self._decoded(raw)
        if len(pepper) < MIN_PEPPER_BYTES:
            raise self._error(f"a pepper has at least {MIN_PEPPER_BYTES} bytes: make one with `authproxy pepper new`")
        if pepper is raw and _HEX_DIGITS.issuperset(raw.strip()):
            self._note("hexadecimal digits are taken as they are: write hex: before them if they stand for bytes")
        return pepper

    def _decoded(self, raw: bytes) -> bytes:
        try:
            if raw.startswith(b"hex:"):
                return binascii.unhexlify(raw.removeprefix(b"hex:").strip())
            if raw.startswith(b"base64:"):
                return base64.b64decode(raw.removeprefix(b"base64:").strip(), validate=True)
        except (ValueError, binascii.Error):
            scheme = raw.partition(b":")[0].decode()
            # `from None`: the cause's text may hold a part of the pepper.
            raise self._error(f"what stands behind {scheme}: is not {scheme}") from None
        return raw

    def _raw(self) -> bytes:
        if self._path is not None:
            return self._file(self._path)
        value = self._environ.get(str(self._env))
        if value is None:
            raise self._error("is not set")
        return os.fsencode(value)

    def _credential(self, name: str | None) -> Path | None:
        if name is None:
            return None
        directory = self._environ.get("CREDENTIALS_DIRECTORY")
        if not directory:
            text = f"credential {name}: $CREDENTIALS_DIRECTORY is not set: add LoadCredential={name}:PATH to the unit"
            raise SecretError(f"{self._prefix}{text}")
        return Path(directory) / name

    def _file(self, path: Path) -> bytes:
        try:
            # Without waiting: a named pipe in the place of a secret must not stop the start for ever.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:  # noqa: PTH123  a descriptor, so that what is judged is what is read
                self._judge(path, os.fstat(descriptor))
                raw = file.read(_MAX_BYTES + 1)
        except FileNotFoundError as error:
            raise self._error(f"cannot be read: there is no such file{self._cure}") from error
        except OSError as error:
            raise self._error(f"cannot be read: {why(error)}") from error
        if len(raw) > _MAX_BYTES:
            raise self._error(f"is larger than {_MAX_BYTES} bytes")
        return raw

    def _judge(self, path: Path, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise self._error("is not a regular file")
        mode = stat.S_IMODE(status.st_mode)
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            raise self._error(f"everybody can {_verbs(mode)} it (mode {mode:04o}): chmod 600 {path}")
        if mode & stat.S_IWGRP:
            raise self._error(f"its group can write it (mode {mode:04o}): chmod 600 {path}")
        if mode & stat.S_IRGRP:
            self._note(f"its group can read it (mode {mode:04o})")

    def _error(self, text: str) -> SecretError:
        return SecretError(f"{self._prefix}{self._name}: {text}")

    def _note(self, text: str) -> None:
        if self._notes is not None:
            self._notes.append(f"{self._prefix}{self._name}: {text}")


def _verbs(mode: int) -> str:
    verbs = {stat.S_IROTH: "read", stat.S_IWOTH: "write"}
    return " and ".join(verb for bit, verb in verbs.items() if mode & bit)
