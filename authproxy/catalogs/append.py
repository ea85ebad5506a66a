"""Adds a row to a YAML token file without touching what stands there: comments, order, spelling.

Why text and not a YAML writer: people keep these files in their hands and in version control. Whether the text then
says what it should is not believed but read back before anything is replaced.
"""

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import yaml

from authproxy.catalogs.sheet import Sheet
from authproxy.catalogs.yaml_entries import LOADER
from authproxy.catalogs.yaml_rows import read_yaml
from authproxy.core.record import TokenRecord, user_id_text
from authproxy.errors import MaterialError

NEW_FILE_MODE: Final = 0o644

_EMPTY_LIST: Final = re.compile(rb"(?m)^\[\s*\][ \t]*(?:#[^\n]*)?$")
# Words that mean themselves in every version of YAML; everything else is put in quotes.
_BARE: Final = re.compile(r"(?!(?:null|true|false|yes|no|on|off|y|n)$)[A-Za-z][A-Za-z0-9._-]*", re.IGNORECASE)


def row_text(record: TokenRecord) -> str:
    """Return `record` as a row of a token file, ending with a line end; what is absent or default is left out."""
    lines = [f"user_id: {user_id_text(record.user_id)}"]
    if record.zone is not None:
        lines.append(f"zone: {_word(record.zone)}")
    if record.name:
        lines.append(f"name: {_word(record.name)}")
    if record.groups:
        lines.append(f"groups: [{', '.join(map(_word, record.groups))}]")
    lines.append(f"rotation_version: {record.rotation_version}")
    lines.append(f"hash: {record.hash.hex()}")
    if record.expires_at is not None:
        lines.append(f"expires_at: {time_text(record.expires_at)}")
    if record.previous_hash is not None and record.grace_expires_at is not None:
        lines.append(f"previous_hash: {record.previous_hash.hex()}")
        lines.append(f"grace_expires_at: {time_text(record.grace_expires_at)}")
    if record.disabled:
        lines.append("disabled: true")
    return "- " + "\n  ".join(lines) + "\n"


def time_text(time: datetime) -> str:
    """Return an instant in UTC as RFC 3339 text."""
    return time.isoformat().replace("+00:00", "Z")


def _word(text: str) -> str:
    # JSON's text is YAML's text, as long as nothing is written as a pair of surrogates.
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def append(path: Path, record: TokenRecord) -> None:
    """Make `record` the last row of the YAML file at `path`, in one step that leaves the old file or the new one.

    The file keeps its mode and owner; one that does not exist is made. Others who append through this function wait.

    Raises:
        MaterialError: The user has a row already, or the file is not one that a row can be added to; it is as it was.
    """
    if path.suffix.lower() == ".edn":
        raise MaterialError(str(path), "rows are added to YAML files only")
    # Behind a link, so that the link stays.
    path = path.resolve()
    try:
        with _alone(path.parent):
            before = path.read_bytes() if path.exists() else b""
            after = _joined(before, record, str(path))
            _replace(path, after)
    except OSError as error:
        reason = error.strerror or "unknown error"
        raise MaterialError(str(path), f"cannot be written: {reason[:1].lower()}{reason[1:]}") from error


def _joined(before: bytes, record: TokenRecord, source: str) -> bytes:
    sheet = _sheet(before, source)
    _refuse_second(sheet, record, source)
    row = row_text(record).encode()
    empty = _EMPTY_LIST.search(before)
    if sheet is not None and not sheet.records and empty is not None:
        after = before[: empty.start()] + row.rstrip(b"\n") + before[empty.end() :]
    else:
        indent = b" " * (0 if sheet is None else _column(before))
        after = before + (b"" if before.endswith(b"\n") or not before else b"\n")
        after += b"".join(indent + line for line in row.splitlines(keepends=True))
    if b"\r\n" in before:
        after = after.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if not _proven(after, sheet, record, source):
        raise MaterialError(source, "is not a plain list of rows, one below the other: add the row by hand")
    return after


def _sheet(data: bytes, source: str) -> Sheet | None:
    lines = (line.strip() for line in data.splitlines())
    holds_rows = any(line and line != b"---" and not line.startswith(b"#") for line in lines)
    return read_yaml(data, source) if holds_rows else None


def _refuse_second(sheet: Sheet | None, record: TokenRecord, source: str) -> None:
    for row in sheet.records if sheet is not None else ():
        if row.user_id == record.user_id and (None in {row.zone, record.zone} or row.zone == record.zone):
            raise MaterialError(source, f"user {user_id_text(record.user_id)} has a row already")


def _column(data: bytes) -> int:
    for event in yaml.parse(data, Loader=LOADER):
        if isinstance(event, yaml.SequenceStartEvent) and event.start_mark is not None:
            return event.start_mark.column
    return 0


def _proven(after: bytes, before: Sheet | None, record: TokenRecord, source: str) -> bool:
    old = before.records if before is not None else ()
    try:
        return set(read_yaml(after, source).records) == {*old, record}
    except MaterialError:
        return False


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        # So that the new name, too, is on the disk when the token is shown.
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, NEW_FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            if path.exists():
                _dress(descriptor, path.stat())
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def _dress(descriptor: int, old: os.stat_result) -> None:
    own = os.fstat(descriptor)
    if (own.st_uid, own.st_gid) != (old.st_uid, old.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, old.st_mode & 0o7777)
