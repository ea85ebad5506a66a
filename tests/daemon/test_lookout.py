"""Stores are looked at, and pruned, whether anybody asks them or not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs
from typing_extensions import override

from authproxy.core.session import Session
from authproxy.daemon.lookout import Lookout
from authproxy.daemon.sessions import OpenedStore
from authproxy.daemon.status import Stage, Status
from authproxy.errors import SessionStoreUnavailable
from authproxy.sessions.contract import NOW, session
from authproxy.sessions.memory import MemoryOptions, MemorySessions

MOMENT = datetime.fromtimestamp(NOW / 1000, UTC)


class Flighty(MemorySessions):  # type: ignore[misc]  # all of it but one question
    """Is away when told."""

    away = ""
    asked = 0

    @override
    async def get(self, key: bytes) -> Session | None:
        self.asked += 1
        if self.away:
            raise SessionStoreUnavailable(self.away)
        return await super().get(key)


@pytest.fixture
def store():
    return Flighty()


@pytest.fixture
def prepared(site, store):
    """A site whose people sign in with `store`; another one is nobody's."""
    site.config["sessions"] = {"far": {"kind": "memory"}, "idle": {"kind": "memory"}}
    site.config["zones"]["api"] |= {"accepts": ["session", "token"], "sessions": "far"}
    site.save()
    options = MemoryOptions(kind="memory")
    return replace(
        site.prepare(),
        sessions={
            "far": OpenedStore(options=options, store=store),
            "idle": OpenedStore(options=options, store=Flighty()),
        },
    )


@pytest.fixture
def status():
    return Status(started=MOMENT, stage=Stage.SERVING)


async def test_two_failures_in_a_row_are_away_and_one_answer_is_back(prepared, store, status):
    """Each is logged once; a single late answer is nothing."""
    lookout = Lookout(status)
    with capture_logs() as logs:
        await lookout.look(prepared, MOMENT)
        store.away = "redis db:6379: is away"
        await lookout.look(prepared, MOMENT)
        assert status.is_ready
        store.away = ""
        await lookout.look(prepared, MOMENT)
        store.away = "redis db:6379: is away"
        for _ in range(5):
            await lookout.look(prepared, MOMENT)
        assert status.away == {"far": "redis db:6379: is away"}
        store.away = ""
        await lookout.look(prepared, MOMENT)
    assert status.away == {}

    assert [(one["event"], one["store"]) for one in logs] == [("sessions.lost", "far"), ("sessions.recovered", "far")]


async def test_a_store_that_is_away_at_the_start_is_told_at_once(prepared, store, status):
    """The process starts all the same, and is not ready."""
    store.away = "nobody is there"
    await Lookout(status).look(prepared, MOMENT)

    assert not status.is_ready


async def test_a_store_that_nobody_signs_in_with_is_left_alone(prepared, store, status):
    """So is one in this process; and one that a reload took away is away no more."""
    lookout = Lookout(status)
    store.away = "nobody is there"
    await lookout.look(prepared, MOMENT)
    assert prepared.sessions["idle"].store.asked == 0
    inside = replace(prepared.sessions["far"], is_outside=False)
    await lookout.look(replace(prepared, sessions={"far": inside}), MOMENT)

    assert status.is_ready
    assert store.asked == 1


async def test_once_a_minute_what_has_ended_goes(prepared, store, status):
    """From all stores."""
    lookout = Lookout(status)
    await store.put(session(1)._replace(idle_ends=NOW), 10)
    for _ in range(59):
        await lookout.look(prepared, MOMENT)
    assert await store.sessions_of("web", None) != ()
    await lookout.look(prepared, MOMENT)

    assert await store.sessions_of("web", None) == ()


async def test_a_clock_that_is_set_back_brings_no_session_back(prepared, store, status):
    """What had ended by the later time goes at the next look; the others stay."""
    lookout, hour = Lookout(status), timedelta(hours=1)
    later = NOW + 3_600_000
    await store.put(session(1)._replace(idle_ends=later), 10)
    await store.put(session(2)._replace(idle_ends=later + 1), 10)
    await lookout.look(prepared, MOMENT)
    await lookout.look(prepared, MOMENT + hour)
    assert len(await store.sessions_of("web", None)) == 2

    await lookout.look(prepared, MOMENT)
    assert [one.key for one in await store.sessions_of("web", None)] == [session(2).key]
    await lookout.look(prepared, MOMENT - timedelta(seconds=1))
    assert len(await store.sessions_of("web", None)) == 1


@pytest.mark.parametrize(("seconds", "jumps"), [(59, 0), (60, 1), (-59, 0), (-60, 1), (86_400, 1), (-86_400, 1)])
async def test_a_jump_of_a_minute_is_told_and_counted(prepared, status, seconds, jumps):
    """Either way, once; the first look has nothing to compare with."""
    lookout = Lookout(status)
    with capture_logs() as logs:
        await lookout.look(prepared, MOMENT)
        for _ in range(3):
            await lookout.look(prepared, MOMENT + timedelta(seconds=seconds))

    assert [(one["event"], one["seconds"]) for one in logs] == [("clock.jumped", seconds)] * jumps
    assert status.clock_jumps == jumps
