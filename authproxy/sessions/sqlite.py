"""Kind `sqlite`: sessions in a file, which several processes of one machine may share, and which outlives them.

Reading and writing have a thread and a connection each: in WAL mode readers go on while somebody, here or in another
process, holds the write lock, and must not queue behind a write that waits for it.
"""

from pathlib import Path
from sqlite3 import Connection
from typing import Final, Literal, final

from typing_extensions import override

from authproxy.core.record import UserId
from authproxy.core.session import Session, session_of
from authproxy.kinds import Supplies
from authproxy.options import LocalPath, Options
from authproxy.sessions.database import Lane, check_file
from authproxy.sessions.interface import UNREAD, SessionKind, SessionStore, Unread

_FIELDS: Final = "key, zone, user_id, version, current_version, created, ends, idle_ends, mac"


class SqliteOptions(Options):
    """Sessions in an SQLite file."""

    kind: Literal["sqlite"]
    """Where the sessions are."""
    file: LocalPath
    """The database, made with mode 0600 when it is not there; on a disk of this machine, for SQLite's locks need one."""


@final
class SqliteSessions(SessionStore):
    """Sessions in one table, whose name has the version of its layout."""

    def __init__(self, path: Path) -> None:
        self._reader: Final = Lane(path)
        self._writer: Final = Lane(path)

    @override
    def peek(self, key: bytes) -> Unread:
        """Return `UNREAD`: a file is never read in the event loop."""
        return UNREAD

    @override
    async def get(self, key: bytes) -> Session | None:
        """Return the row; one that no session can be is none."""

        def _ask(base: Connection) -> tuple[Session, ...]:
            return _read(base, "key = ?", key)

        found = await self._reader.run(_ask)
        return found[0] if found else None

    @override
    async def put(self, session: Session, per_user: int) -> int:
        """Remove what has ended, write, and count, all in one transaction."""

        def _do(base: Connection) -> int:
            base.execute("BEGIN IMMEDIATE")
            _prune(base, session.created)
            marks = ", ".join("?" * len(session))
            base.execute(f"INSERT OR REPLACE INTO sessions_1 ({_FIELDS}) VALUES ({marks})", session)  # noqa: S608
            gone = base.execute(
                "DELETE FROM sessions_1 WHERE key IN (SELECT key FROM sessions_1 WHERE zone = ? AND user_id = ?"
                " AND key <> ? ORDER BY created DESC, key DESC LIMIT -1 OFFSET ?)",
                (session.zone, session.user_id, session.key, per_user - 1),
            ).rowcount
            base.execute("COMMIT")
            return gone

        return await self._writer.run(_do)

    @override
    async def touch(self, key: bytes, idle_ends: int) -> Session | None:
        """Update the row; there is no moment in which a row that was deleted could come back."""

        def _do(base: Connection) -> tuple[Session, ...]:
            base.execute("BEGIN IMMEDIATE")
            base.execute("UPDATE sessions_1 SET idle_ends = ? WHERE key = ?", (idle_ends, key))
            touched = _read(base, "key = ?", key)
            base.execute("COMMIT")
            return touched

        touched = await self._writer.run(_do)
        return touched[0] if touched else None

    @override
    async def delete(self, key: bytes) -> bool:
        """Delete the row."""

        def _do(base: Connection) -> int:
            return base.execute("DELETE FROM sessions_1 WHERE key = ?", (key,)).rowcount

        return await self._writer.run(_do) > 0

    @override
    async def delete_user(self, zone: str, user_id: UserId) -> int:
        """Delete the user's rows."""

        def _do(base: Connection) -> int:
            found = base.execute("DELETE FROM sessions_1 WHERE zone = ? AND user_id = ?", (zone, user_id))
            return found.rowcount

        return await self._writer.run(_do)

    @override
    async def sessions_of(self, zone: str, user_id: UserId | None) -> tuple[Session, ...]:
        """Return the rows, the oldest first."""

        def _ask(base: Connection) -> tuple[Session, ...]:
            if user_id is None:
                return _read(base, "zone = ?", zone)
            return _read(base, "zone = ? AND user_id = ?", zone, user_id)

        return await self._reader.run(_ask)

    @override
    async def prune(self, now: int) -> int:
        """Delete the rows that have ended."""
        return await self._writer.run(lambda base: _prune(base, now))

    @override
    async def aclose(self) -> None:
        """Close both connections and end their threads."""
        await self._reader.aclose()
        await self._writer.aclose()


def _read(base: Connection, where: str, *values: object) -> tuple[Session, ...]:
    rows = base.execute(f"SELECT {_FIELDS} FROM sessions_1 WHERE {where} ORDER BY created, key", values)  # noqa: S608
    read = (session_of(row) for row in rows)
    return tuple(session for session in read if session is not None)


def _prune(base: Connection, now: int) -> int:
    return base.execute("DELETE FROM sessions_1 WHERE idle_ends <= ? OR ends <= ?", (now, now)).rowcount


def _open(options: SqliteOptions, _supplies: Supplies) -> SessionStore:
    check_file(options.file)
    return SqliteSessions(options.file)


kind = SessionKind(options=SqliteOptions, open=_open)
