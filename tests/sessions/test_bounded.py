"""A store that must be waited for is bounded in time, in crowd, and in how long it is believed."""

import asyncio
import time
from datetime import timedelta

import pytest
from typing_extensions import override

from authproxy.core.session import Session
from authproxy.core.stats import StoreStats
from authproxy.errors import SessionStoreUnavailable
from authproxy.sessions.bounded import BoundedSessions, Bounds
from authproxy.sessions.contract import ALICE, BOB, NOW, session
from authproxy.sessions.interface import UNREAD, SessionStore, Unread
from authproxy.sessions.memory import MemorySessions
from tests.patience import SOON

ONE = session(1)


class Distant(SessionStore):
    """A store that is asked over a wire: it answers when `gate` is open, and counts what it is asked."""

    def __init__(self) -> None:
        self.inner = MemorySessions()
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = 0
        self.fault: Exception | None = None
        self.answer: Session | None = None

    @override
    def peek(self, key: bytes) -> Unread:
        return UNREAD

    async def reach(self) -> None:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        await self.gate.wait()

    @override
    async def get(self, key: bytes) -> Session | None:
        found = self.answer or await self.inner.get(key)
        await self.reach()
        return found

    @override
    async def put(self, session: Session, per_user: int) -> int:
        await self.reach()
        return await self.inner.put(session, per_user)

    @override
    async def touch(self, key: bytes, idle_ends: int) -> Session | None:
        touched = await self.inner.touch(key, idle_ends)
        await self.reach()
        return touched

    @override
    async def delete(self, key: bytes) -> bool:
        await self.reach()
        return await self.inner.delete(key)

    @override
    async def delete_user(self, zone, user_id) -> int:
        await self.reach()
        return await self.inner.delete_user(zone, user_id)

    @override
    async def sessions_of(self, zone, user_id) -> tuple[Session, ...]:
        await self.reach()
        return await self.inner.sessions_of(zone, user_id)

    @override
    async def prune(self, now: int) -> int:
        await self.reach()
        return await self.inner.prune(now)

    @override
    async def aclose(self) -> None:
        await self.inner.aclose()


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def distant():
    return Distant()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(distant, clock):
    bounds = Bounds(deadline=timedelta(milliseconds=30), waiting=2, size=3)
    return BoundedSessions(distant, name="browser", clock=clock, bounds=bounds)


async def test_a_session_is_believed_for_less_than_a_second(store, distant, clock):
    """And then asked for again: what was ended elsewhere ends here."""
    await distant.inner.put(ONE, 10)
    assert await store.get(ONE.key) == ONE
    await distant.inner.delete(ONE.key)

    clock.now += 0.699
    assert store.peek(ONE.key) == ONE
    assert await store.get(ONE.key) == ONE
    assert distant.asked == 1
    clock.now += 0.0011
    assert store.peek(ONE.key) is UNREAD
    assert await store.get(ONE.key) is None


@pytest.mark.parametrize(
    "ask", [lambda store: store.get(ONE.key), lambda store: store.touch(ONE.key, NOW)], ids=["get", "touch"]
)
async def test_a_slow_answer_is_believed_for_so_much_less(distant, clock, ask):
    """Its second begins with the question: the session may have been ended as soon as the store had read it."""
    store = BoundedSessions(distant, name="browser", clock=clock, bounds=Bounds(deadline=timedelta(seconds=20)))
    await distant.inner.put(ONE, 10)
    distant.gate.clear()
    asking = asyncio.ensure_future(ask(store))
    await asyncio.sleep(0)
    clock.now += 0.5
    distant.gate.set()
    assert await asking is not None

    clock.now += 0.199
    assert store.peek(ONE.key) is not UNREAD
    clock.now += 0.0011
    assert store.peek(ONE.key) is UNREAD


async def test_that_there_is_none_is_not_kept(store, distant):
    """Somebody who signs in elsewhere is known here at once."""
    assert await store.get(ONE.key) is None
    await distant.inner.put(ONE, 10)

    assert await store.get(ONE.key) == ONE


async def test_what_is_kept_is_bounded(store, distant):
    """The one kept longest goes."""
    for number in range(4):
        await distant.inner.put(session(number), 10)
        await store.get(session(number).key)

    assert store.peek(session(0).key) is UNREAD
    assert [store.peek(session(number).key) for number in (1, 2, 3)] == [session(number) for number in (1, 2, 3)]


@pytest.mark.parametrize("ending", ["delete", "delete_user"])
@pytest.mark.parametrize("question", ["get", "touch"])
async def test_an_answer_from_before_an_ending_is_not_believed(store, distant, question, ending):
    """A page is loaded while its user signs out: the answer about the session comes late, and is for that page alone."""
    await distant.inner.put(ONE, 10)
    distant.gate.clear()
    asked = store.get(ONE.key) if question == "get" else store.touch(ONE.key, NOW + 1)
    waiting = asyncio.ensure_future(asked)
    await asyncio.sleep(0)
    end = store.delete(ONE.key) if ending == "delete" else store.delete_user("web", ALICE)
    ended = asyncio.ensure_future(end)
    await asyncio.sleep(0)
    distant.gate.set()
    await asyncio.gather(waiting, ended)

    assert store.peek(ONE.key) is UNREAD
    assert await store.get(ONE.key) is None


async def test_an_answer_from_within_an_ending_is_not_believed(store, distant):
    """The question came after the sign-out had begun, and was answered before it was done."""
    await distant.inner.put(ONE, 10)
    distant.gate.clear()
    ended = asyncio.ensure_future(store.delete(ONE.key))
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(store.get(ONE.key))
    await asyncio.sleep(0)
    distant.gate.set()
    await asyncio.gather(waiting, ended)

    assert store.peek(ONE.key) is UNREAD


async def test_an_ending_that_failed_is_not_forgotten(store, distant):
    """What was kept is asked for again."""
    await distant.inner.put(ONE, 10)
    await store.get(ONE.key)
    distant.fault = OSError("away")
    with pytest.raises(SessionStoreUnavailable):
        await store.delete(ONE.key)

    assert store.peek(ONE.key) is UNREAD


async def test_signing_in_again_makes_nothing_else_believed(store, distant):
    """The cap may have ended any of the user's sessions; others' are believed on."""
    other = session(2, BOB)
    await distant.inner.put(ONE, 10)
    await distant.inner.put(other, 10)
    await store.get(ONE.key)
    await store.get(other.key)

    await store.put(session(3), 1)

    assert store.peek(ONE.key) is UNREAD
    assert store.peek(other.key) == other


async def test_pruning_forgets_what_has_ended(store, distant):
    """And nothing else."""
    await distant.inner.put(ONE, 10)
    await distant.inner.put(session(2), 10)
    await store.get(ONE.key)
    await store.touch(session(2).key, NOW + 1)

    assert await store.prune(NOW + 1) == 1

    assert store.peek(session(2).key) is UNREAD
    assert store.peek(ONE.key) == ONE


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.get(ONE.key),
        lambda store: store.put(ONE, 10),
        lambda store: store.touch(ONE.key, NOW),
        lambda store: store.delete(ONE.key),
        lambda store: store.delete_user("web", ALICE),
        lambda store: store.sessions_of("web", None),
        lambda store: store.prune(NOW),
    ],
    ids=["get", "put", "touch", "delete", "delete_user", "sessions_of", "prune"],
)
async def test_a_store_that_hangs_or_fails_is_unavailable(store, distant, ask):
    """Within its deadline, whatever it raises; and it is asked again as soon as it is back."""
    distant.gate.clear()
    begun = time.monotonic()
    with pytest.raises(SessionStoreUnavailable, match="sessions browser: did not answer in time"):
        await ask(store)
    assert time.monotonic() - begun < SOON
    distant.gate.set()
    distant.fault = OSError("secret of the store")
    with pytest.raises(SessionStoreUnavailable, match="sessions browser: failed with OSError") as refusal:
        await ask(store)
    assert "secret" not in str(refusal.value)
    distant.fault = SessionStoreUnavailable("its own words")
    with pytest.raises(SessionStoreUnavailable, match="its own words"):
        await ask(store)
    distant.fault = None

    await ask(store)


async def test_questions_are_counted_and_timed():
    """Each with the seconds it took, and those without an answer by reason too."""
    distant, stats, times = Distant(), StoreStats(), iter([0.0, 0.0, 2.0] + [5.0] * 100)
    bounds = Bounds(deadline=timedelta(milliseconds=10), waiting=1)
    store = BoundedSessions(distant, name="browser", clock=lambda: next(times), bounds=bounds, stats=stats)
    await store.put(ONE, 10)
    assert (sum(stats.duration.counts), stats.duration.total, dict(stats.failures)) == (1, 0.0, {})

    distant.fault = OSError()
    with pytest.raises(SessionStoreUnavailable):
        await store.sessions_of("web", None)
    distant.fault = SessionStoreUnavailable("away")
    with pytest.raises(SessionStoreUnavailable):
        await store.sessions_of("web", None)
    distant.fault = None
    distant.answer = session(2)
    with pytest.raises(SessionStoreUnavailable):
        await store.get(ONE.key)
    distant.gate.clear()
    waiting = asyncio.ensure_future(store.delete(ONE.key))
    await asyncio.sleep(0)
    with pytest.raises(SessionStoreUnavailable):
        await store.delete(ONE.key)
    with pytest.raises(SessionStoreUnavailable):
        await waiting

    assert stats.failures == {"error": 3, "crowded": 1, "timeout": 1}
    assert (sum(stats.duration.counts), stats.duration.total) == (5, 3.0)


async def test_a_crowd_is_told_at_once(store, distant):
    """Two may wait; the third is not kept waiting, and when they are through others may ask."""
    distant.gate.clear()
    waiting = [asyncio.ensure_future(store.get(session(number).key)) for number in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(SessionStoreUnavailable, match="2 requests are waiting already"):
        await store.get(ONE.key)

    distant.gate.set()
    assert await asyncio.gather(*waiting) == [None, None]
    assert await store.get(ONE.key) is None


async def test_people_who_ask_in_the_same_moment_are_no_crowd(distant, clock):
    """A thousand of them, for a store that has not yet answered the first."""
    store = BoundedSessions(distant, name="browser", clock=clock, bounds=Bounds(deadline=timedelta(seconds=25)))
    distant.gate.clear()
    waiting = [asyncio.ensure_future(store.get(ONE.key)) for _ in range(1000)]
    await asyncio.sleep(0)
    distant.gate.set()

    assert await asyncio.gather(*waiting) == [None] * 1000


async def test_an_answer_to_another_question_is_none(store, distant):
    """A store that mixes up its answers signs nobody in as somebody else."""
    distant.answer = session(2)

    with pytest.raises(SessionStoreUnavailable, match="gave an answer to another question"):
        await store.get(ONE.key)


async def test_what_is_known_without_waiting_is_not_kept_twice():
    """A store inside that knows at once is asked each time."""
    inner = MemorySessions()
    store = BoundedSessions(inner, name="near", clock=lambda: 0.0)
    await inner.put(ONE, 10)
    assert await store.get(ONE.key) == ONE

    await inner.delete(ONE.key)

    assert store.peek(ONE.key) is None
    assert await store.get(ONE.key) is None
