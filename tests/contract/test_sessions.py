"""Every built-in kind of session store keeps the contract."""

import asyncio
import json
import tempfile
import unittest
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule
from typing_extensions import override

from authproxy.core.session import Session
from authproxy.sessions import registry
from authproxy.sessions.bounded import BoundedSessions, Bounds
from authproxy.sessions.contract import ALICE, BOB, HOUR, NOW, SessionContract, promise, session
from authproxy.sessions.interface import SessionStore
from authproxy.sessions.memory import MemorySessions
from authproxy.sessions.redis_options import RedisOptions
from authproxy.sessions.sqlite import SqliteSessions
from tests.redis_server import RedisServer
from tests.sessions.supplies import NOTHING

PRUNE = json.loads((Path(__file__).parents[1] / "vectors" / "turvata-v2.json").read_text())["session_prune"]

# What is promised here is no speed.
PATIENT = Bounds(deadline=timedelta(seconds=20))


class InFolder:
    @pytest.fixture(autouse=True)
    def in_folder(self, tmp_path: Path) -> None:
        self.file = tmp_path / "authproxy.db"


class TestMemory(SessionContract):
    """Sessions in this process."""

    @override
    async def store(self) -> SessionStore:
        return MemorySessions()


class TestSqlite(InFolder, SessionContract):
    """Sessions in a file."""

    @override
    async def store(self) -> SessionStore:
        return SqliteSessions(self.file)


class TestBounded(InFolder, SessionContract):
    """Sessions in a file, behind bounds and a short memory whose second never ends."""

    @override
    async def store(self) -> SessionStore:
        return BoundedSessions(SqliteSessions(self.file), name="browser", clock=lambda: 0.0, bounds=PATIENT)


class WithRedis:
    @pytest.fixture(autouse=True)
    def with_redis(self, redis_server: RedisServer) -> None:
        self.server = redis_server


class TestRedis(WithRedis, SessionContract):
    """Sessions in a real Redis."""

    @override
    async def store(self) -> SessionStore:
        return await asyncio.to_thread(opened, self.server)


class TestBoundedRedis(WithRedis, SessionContract):
    """Sessions in a real Redis, behind bounds and a short memory whose second never ends."""

    @override
    async def store(self) -> SessionStore:
        return BoundedSessions(
            await asyncio.to_thread(opened, self.server), name="browser", clock=lambda: 0.0, bounds=PATIENT
        )


def opened(server: RedisServer) -> SessionStore:
    options = RedisOptions.model_validate({"kind": "redis", "url": server.url, "timeout": "2s"})
    return registry.kinds()["redis"].open(options, NOTHING)


class Forgetful(SessionContract):
    @override
    async def store(self) -> SessionStore:
        store = MemorySessions()
        store._sessions = Oblivion()  # type: ignore[misc]  # the very thing that must be found out
        return store


class Oblivion(dict[bytes, Session]):
    @override
    def get(self, key: bytes, default: object = None) -> None:  # type: ignore[override]
        return None


def promises() -> Iterator[str]:
    return (name for name in vars(SessionContract) if name.startswith("test_"))


@pytest.mark.parametrize(
    "name",
    [
        "test_what_is_put_is_found",
        "test_touching_changes_the_idle_end_alone",
        "test_deleting_is_for_one",
        "test_a_users_sessions_end_together",
        "test_the_oldest_go_when_a_user_has_too_many",
        "test_peek_says_what_get_says_or_nothing",
        "test_many_may_ask_at_once",
    ],
)
def test_the_contract_finds_a_store_that_forgets(name):
    """A suite that passes whatever it is given would prove nothing."""
    assert name in set(promises())

    with pytest.raises(AssertionError):
        getattr(Forgetful(), name)()


def test_a_broken_promise_says_what_was_promised():
    """The message stands in the report of any test runner."""
    with pytest.raises(AssertionError, match="as promised"):
        promise(kept=False, text="not as promised")


async def test_pruning_is_as_in_the_original():
    """The vector of turvata: an end is exclusive."""
    store = MemorySessions()
    for number, (name, end) in enumerate(PRUNE["entries"].items()):
        made = session(number, created=0)._replace(key=name.encode(), idle_ends=end, ends=2 * end)
        await store.put(made, 10)

    assert await store.prune(PRUNE["now"]) == PRUNE["pruned"]
    assert [one.key.decode() for one in await store.sessions_of("web", None)] == PRUNE["left"]


class Machine(RuleBasedStateMachine):
    """Whatever is done, in whatever order: a store says what a plain model says."""

    made = Bundle("made")

    def open(self) -> SessionStore:
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.store = self.open()
        self.model: dict[bytes, Session] = {}
        self.now = NOW
        self.count = 0

    def of(self, zone: str, user: bytes) -> list[Session]:
        found = [one for one in self.model.values() if one.zone == zone and one.user_id == user]
        return sorted(found, key=lambda one: (one.created, one.key))

    def do(self, work):
        return self.loop.run_until_complete(work)

    @rule(
        target=made,
        user=st.sampled_from([ALICE, BOB]),
        zone=st.sampled_from(["web", "api"]),
        cap=st.integers(1, 4),
        later=st.integers(0, HOUR),
    )
    def put(self, user, zone, cap, later):
        self.now += later
        self.count += 1
        one = session(0, user, zone=zone, created=self.now)._replace(key=self.count.to_bytes(32, "big"))
        surplus = [known for known in self.alive(self.of(zone, user)) if known.key != one.key][: -cap + 1 or None]
        gone = self.do(self.store.put(one, cap))
        # Those that have ended may be counted or be gone already: a store prunes when it sees fit.
        assert gone >= len(surplus)
        self.model[one.key] = one
        for known in surplus:
            self.model.pop(known.key, None)
        return one.key

    def alive(self, found: list[Session]) -> list[Session]:
        return [one for one in found if min(one.idle_ends, one.ends) > self.now]

    @rule(key=made, idle=st.integers(-HOUR, 20 * HOUR))
    def touch(self, key, idle):
        before = self.model.get(key)
        if before is not None and not self.alive([before]):
            # `core.session` refuses what has ended, and never has it touched.
            return
        touched = self.do(self.store.touch(key, self.now + idle))
        assert touched == (before and before._replace(idle_ends=self.now + idle))
        if touched is not None:
            self.model[key] = touched

    @rule(key=made)
    def get(self, key):
        found, wanted = self.do(self.store.get(key)), self.model.get(key)
        if wanted is None or self.alive([wanted]):
            assert found == wanted
        else:
            assert found in {None, wanted}

    @rule(key=made)
    def delete(self, key):
        known = self.model.pop(key, None)
        was_there = self.do(self.store.delete(key))
        assert was_there is (known is not None) or (known is not None and not self.alive([known]))

    @rule(user=st.sampled_from([ALICE, BOB]), zone=st.sampled_from(["web", "api"]))
    def delete_user(self, user, zone):
        found = self.of(zone, user)
        assert len(self.alive(found)) <= self.do(self.store.delete_user(zone, user)) <= len(found)
        for one in found:
            del self.model[one.key]

    @rule(later=st.integers(0, 5 * HOUR))
    def prune(self, later):
        self.now += later
        ended = [one for one in self.model.values() if not self.alive([one])]
        assert self.do(self.store.prune(self.now)) <= len(ended)
        for one in ended:
            del self.model[one.key]
        for zone in ("web", "api"):
            wanted = sorted(
                (one for one in self.model.values() if one.zone == zone), key=lambda one: (one.created, one.key)
            )
            assert self.do(self.store.sessions_of(zone, None)) == tuple(wanted)

    @override
    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.do(self.store.aclose())
            self.loop.close()


class MemoryMachine(Machine):
    @override
    def open(self) -> SessionStore:
        return MemorySessions()


class SqliteMachine(Machine):
    @override
    def open(self) -> SessionStore:
        self.folder = tempfile.TemporaryDirectory()
        return SqliteSessions(Path(self.folder.name) / "sessions.db")

    @override
    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "folder"):
            self.folder.cleanup()


class BoundedMachine(SqliteMachine):
    @override
    def open(self) -> SessionStore:
        return BoundedSessions(super().open(), name="browser", clock=lambda: 0.0, bounds=PATIENT)


def tried(machine: type[Machine]) -> type[unittest.TestCase]:
    found: type[unittest.TestCase] = machine.TestCase
    found.settings = settings(stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # type: ignore[attr-defined]
    return found


class RedisMachine(Machine):
    """Against a Redis of its own, which hypothesis cannot be given as a fixture."""

    server: RedisServer

    @override
    def open(self) -> SessionStore:
        self.server.ask("FLUSHALL")
        return opened(self.server)


@pytest.fixture(autouse=True)
def server_of_machines(request: pytest.FixtureRequest) -> None:
    if request.cls is not None and issubclass(request.cls, TestRedisMachine):
        RedisMachine.server = request.getfixturevalue("shared_redis")


TestMemoryMachine = tried(MemoryMachine)
TestSqliteMachine = tried(SqliteMachine)
TestBoundedMachine = tried(BoundedMachine)
TestRedisMachine = tried(RedisMachine)
