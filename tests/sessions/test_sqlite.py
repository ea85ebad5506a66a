"""What an SQLite file adds: other processes, permissions, and everything that can be wrong with a file."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing

import pytest

from authproxy.errors import MaterialError, SessionStoreUnavailable
from authproxy.sessions.bounded import BoundedSessions
from authproxy.sessions.contract import ALICE, HOUR, NOW, session
from authproxy.sessions.sqlite import SqliteOptions, SqliteSessions, kind
from tests.sessions.supplies import NOTHING

ONE = session(1)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "authproxy.db"


@pytest.fixture
async def opened(file):
    """`opened()` is one more process's view of the file."""
    stores = []

    def open_one():
        stores.append(SqliteSessions(file))
        return stores[-1]

    yield open_one
    for store in stores:
        await store.aclose()


def elsewhere(file, statement):
    """What another process is told, which opens the file for this alone: locks are a process's own."""
    code = (
        "import sqlite3, sys; base = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10);"
        "print(base.execute(sys.argv[2]).fetchall()); base.close()"
    )
    done = subprocess.run([sys.executable, "-c", code, file, statement], capture_output=True, text=True, check=True)
    return done.stdout.strip()


async def test_a_restart_keeps_everybody_signed_in(file, opened):
    """What was put is there for whoever opens the file next."""
    first = opened()
    await first.put(ONE, 10)
    await first.aclose()

    assert await opened().get(ONE.key) == ONE


async def test_two_processes_share_a_file(opened):
    """What one ends has ended for the other, and is not brought back by a refresh there."""
    here, there = opened(), opened()
    await here.put(ONE, 10)
    assert await there.get(ONE.key) == ONE

    await here.delete_user("web", ALICE)

    assert await there.get(ONE.key) is None
    assert await there.touch(ONE.key, NOW + HOUR) is None
    assert await here.get(ONE.key) is None


async def test_others_come_and_go_beside_those_at_work(file, opened):
    """Whoever closes the file last tidies up: nobody else does, or what is kept from then on would be lost."""
    store = opened()
    await store.put(ONE, 10)
    assert await store.get(ONE.key) == ONE
    assert elsewhere(file, "SELECT count(*) FROM sessions_1") == "[(1,)]"
    checked = await asyncio.to_thread(kind.open, SqliteOptions(kind="sqlite", file=file), NOTHING)
    await checked.aclose()
    assert elsewhere(file, "SELECT count(*) FROM sessions_1") == "[(1,)]"
    await opened().put(session(2), 10)

    assert elsewhere(file, "SELECT count(*) FROM sessions_1") == "[(2,)]"
    assert elsewhere(file, "DELETE FROM sessions_1") == "[]"
    assert await store.get(ONE.key) is None
    await store.put(session(3), 10)
    assert elsewhere(file, "SELECT count(*) FROM sessions_1") == "[(1,)]"


async def test_a_link_may_lead_to_the_file(tmp_path, file, opened):
    """What is made at its end is nobody else's either."""
    store = SqliteSessions(tmp_path / "link.db")
    (tmp_path / "link.db").symlink_to(file)
    await store.put(ONE, 10)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    checked = await asyncio.to_thread(kind.open, SqliteOptions(kind="sqlite", file=tmp_path / "link.db"), NOTHING)
    await checked.aclose()

    assert elsewhere(file, "SELECT count(*) FROM sessions_1") == "[(1,)]"
    assert file.with_name(f"{file.name}-shm").exists()
    await store.aclose()


async def test_many_processes_may_sign_in_at_once(opened):
    """None of them is told that the database is locked."""
    stores = [opened() for _ in range(4)]

    await asyncio.gather(*(store.put(session(number), 100) for number, store in enumerate(stores)))

    assert len(await stores[0].sessions_of("web", ALICE)) == len(stores)


async def test_nobody_else_can_read_the_files(file, opened):
    """The database, and what SQLite puts beside it, whatever the umask."""
    before = os.umask(0)
    try:
        store = opened()
        await store.put(ONE, 10)
    finally:
        os.umask(before)
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}

    assert found == {"authproxy.db": 0o600, "authproxy.db-wal": 0o600, "authproxy.db-shm": 0o600}


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o666])
async def test_a_file_that_others_can_use_is_refused(file, opened, mode):
    """At start, and when it becomes so later."""
    file.touch()
    file.chmod(mode)

    with pytest.raises(MaterialError, match=rf"others may read or write it \(mode {mode:04o}\): chmod 600"):
        await asyncio.to_thread(kind.open, SqliteOptions(kind="sqlite", file=file), NOTHING)
    with pytest.raises(SessionStoreUnavailable, match="chmod 600"):
        await opened().get(ONE.key)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660])
async def test_a_group_may_share_a_file(file, opened, mode):
    """As containers mount volumes."""
    file.touch()
    file.chmod(mode)

    checked = await asyncio.to_thread(kind.open, SqliteOptions(kind="sqlite", file=file), NOTHING)
    await checked.aclose()
    assert await opened().get(ONE.key) is None


def test_what_is_no_database_is_told_at_start(tmp_path, file):
    """Nothing is made, and nothing is written over."""
    file.write_bytes(b"version: 1\n")
    file.chmod(0o600)

    for path, problem in (
        (file, "is no SQLite database"),
        (tmp_path, "is no file"),
        (tmp_path / "away" / "sessions.db", "there is no directory"),
        (file / "sessions.db", "cannot be used: not a directory"),
    ):
        with pytest.raises(MaterialError, match=problem):
            kind.open(SqliteOptions(kind="sqlite", file=path), NOTHING)
    assert file.read_bytes() == b"version: 1\n"
    assert list(tmp_path.iterdir()) == [file]


def test_a_directory_of_somebody_else_is_told_at_start(monkeypatch, file):
    """A volume that belongs to another user: nobody could ever sign in. A file that is there needs no new one beside it."""
    monkeypatch.setattr(os, "access", lambda path, _: path != file.parent)

    with pytest.raises(MaterialError, match=f"user {os.geteuid()} cannot make it in {file.parent}: give it that"):
        kind.open(SqliteOptions(kind="sqlite", file=file), NOTHING)
    file.touch(mode=0o600)
    kind.open(SqliteOptions(kind="sqlite", file=file), NOTHING)


async def test_checking_makes_nothing(file):
    """`authproxy check` opens stores and throws them away."""
    checked = await asyncio.to_thread(kind.open, SqliteOptions(kind="sqlite", file=file), NOTHING)
    await checked.aclose()

    assert not file.exists()


async def test_who_waits_behind_a_lock_is_told_with_who_met_it(file, opened):
    """Ten changes do not wait for ten times as long, one after the other; when the lock is gone all are made."""
    store = opened()
    await store.put(ONE, 10)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        begun = time.monotonic()
        came = await asyncio.gather(*(store.put(session(number), 20) for number in range(10)), return_exceptions=True)
        # One after the other, they would take ten times a quarter of a second, and more.
        assert time.monotonic() - begun < 2.0
        assert {type(one) for one in came} == {SessionStoreUnavailable}
        other.execute("ROLLBACK")

    assert await asyncio.gather(*(store.put(session(number), 20) for number in range(10))) == [0] * 10


async def test_a_locked_database_is_told_soon_and_readers_go_on(file, opened):
    """F08: while another process holds the write lock, changes fail within half a second and reading does not."""
    # Only while it is locked do the bounds count: a busy machine may take longer to make the file.
    unbounded = opened()
    await unbounded.put(ONE, 10)
    store = BoundedSessions(opened(), name="browser", clock=time.monotonic)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    took = []
    for change in (store.put(session(2), 10), store.touch(ONE.key, NOW), store.delete(ONE.key)):
        begun = time.monotonic()
        with pytest.raises(SessionStoreUnavailable, match=r"locked|in time"):
            await change
        took.append(time.monotonic() - begun)
        assert await store.get(ONE.key) == ONE
    other.execute("ROLLBACK")
    other.close()

    # The machine may be busy with others for longer than that, and not each time.
    assert min(took) < 0.5
    assert await unbounded.delete(ONE.key)
    assert await unbounded.get(ONE.key) is None


async def test_a_reader_that_opens_while_it_is_locked_reads(file, opened):
    """A proxy that starts beside a long write serves those who are signed in."""
    await opened().put(ONE, 10)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        assert await opened().get(ONE.key) == ONE
    finally:
        other.close()


async def test_a_damaged_file_is_told_and_another_one_is_used(file, opened):
    """Once it has been replaced the store works by itself."""
    file.write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)
    file.chmod(0o600)
    store = opened()

    with pytest.raises(SessionStoreUnavailable):
        await store.get(ONE.key)
    with pytest.raises(SessionStoreUnavailable):
        await store.put(ONE, 10)
    file.unlink()

    await store.put(ONE, 10)
    assert await store.get(ONE.key) == ONE


@pytest.mark.parametrize("left", [(), ("-wal", "-shm")])
async def test_a_file_that_is_removed_ends_what_was_in_it(file, opened, left):
    """For those at work too: nobody goes on in a file that nobody else can see."""
    stores = [opened(), opened()]
    await stores[0].put(ONE, 10)
    for store in stores:
        assert await store.get(ONE.key) == ONE
    for suffix in {"", "-wal", "-shm"} - set(left):
        file.with_name(file.name + suffix).unlink()

    for store in stores:
        assert await store.get(ONE.key) is None
    assert await stores[1].touch(ONE.key, NOW + HOUR) is None
    await stores[0].put(session(2), 10)
    await stores[1].put(session(3), 10)
    assert [await store.get(session(2).key) for store in stores] == [session(2)] * 2
    assert elsewhere(file, "SELECT count(*) FROM sessions_1") == "[(2,)]"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert elsewhere(file, "PRAGMA integrity_check") == "[('ok',)]"


async def test_a_file_that_takes_its_place_counts(file, opened, tmp_path):
    """As when a copy is restored, and the old one's log removed: sessions of the new one are there, those of the old one are not."""
    other = SqliteSessions(tmp_path / "other.db")
    await other.put(session(2), 10)
    await other.aclose()
    store = opened()
    await store.put(ONE, 10)
    assert await store.get(ONE.key) == ONE
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink()
    (tmp_path / "other.db").replace(file)

    assert await store.get(ONE.key) is None
    assert await store.get(session(2).key) == session(2)
    assert await store.delete(session(2).key)
    assert elsewhere(file, "SELECT count(*) FROM sessions_1") == "[(0,)]"


async def test_a_directory_that_is_gone_is_told(tmp_path):
    """Nobody is let in by what was in it."""
    (tmp_path / "var").mkdir()
    store = SqliteSessions(tmp_path / "var" / "authproxy.db")
    await store.put(ONE, 10)
    (tmp_path / "var").rename(tmp_path / "gone")

    with pytest.raises(SessionStoreUnavailable, match="there is no directory"):
        await store.get(ONE.key)
    (tmp_path / "gone").rename(tmp_path / "var")
    assert await store.get(ONE.key) == ONE
    await store.aclose()


async def test_a_directory_that_comes_later_is_found(tmp_path):
    """A disk that was not mounted yet."""
    store = SqliteSessions(tmp_path / "later" / "sessions.db")
    with pytest.raises(SessionStoreUnavailable, match="there is no directory"):
        await store.get(ONE.key)

    (tmp_path / "later").mkdir()

    assert await store.get(ONE.key) is None
    await store.aclose()


async def test_rows_that_no_session_can_be_are_none(file, opened):
    """Somebody else's hand in the table makes no request fail, and their rows go as others do."""
    store = opened()
    await store.put(ONE, 10)
    with sqlite3.connect(file) as base:
        base.execute("UPDATE sessions_1 SET mac = 'text'")
    base.close()

    assert await store.get(ONE.key) is None
    assert await store.sessions_of("web", None) == ()
    assert await store.delete_user("web", ALICE) == 1


async def test_a_transaction_that_failed_leaves_nothing(file, opened):
    """Neither half of it, nor a lock."""
    store = opened()
    await store.put(ONE, 10)
    with sqlite3.connect(file) as base:
        base.execute(
            "CREATE TRIGGER full BEFORE INSERT ON sessions_1 WHEN new.version = 2 BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
    base.close()

    with pytest.raises(SessionStoreUnavailable, match="full"):
        await store.put(session(2, created=NOW + 13 * HOUR), 1)

    assert await store.sessions_of("web", None) == (ONE,)
    assert await opened().put(session(3), 10) == 0


async def test_a_closed_store_says_so(opened):
    """And does not open the file again."""
    store = opened()
    await store.aclose()

    with pytest.raises(SessionStoreUnavailable, match="is closed"):
        await store.get(ONE.key)
