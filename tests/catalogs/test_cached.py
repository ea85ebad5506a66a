"""Bounds around a catalog that must be waited for."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from typing_extensions import override

from authproxy.catalogs.cached import Bounds, CachedCatalog
from authproxy.catalogs.contract import ALICE, BOB, NOBODY
from authproxy.catalogs.interface import MISS, Catalog, Miss
from authproxy.core.record import TokenRecord, UserId
from authproxy.errors import CatalogUnavailable

SOON = timedelta(milliseconds=20)


class Clock:
    """Seconds that pass when told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Remote(Catalog):
    """Answers when `gate` is open, with what `answers` says, and counts the questions."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.questions: list[tuple[str, UserId]] = []
        self.closed = False
        self.answer: Callable[[UserId], object] = {ALICE.user_id: ALICE, BOB.user_id: BOB}.get

    @override
    def peek(self, zone: str, user_id: UserId) -> Miss:
        return MISS

    @override
    async def look_up(self, zone: str, user_id: UserId) -> TokenRecord | None:
        self.questions.append((zone, user_id))
        await self.gate.wait()
        return self.answer(user_id)  # type: ignore[return-value]

    @override
    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def remote():
    return Remote()


@pytest.fixture
def cached(remote, clock):
    return CachedCatalog(remote, name="far", clock=clock)


@pytest.fixture
def bounded(remote, clock):
    return lambda **bounds: CachedCatalog(remote, name="far", clock=clock, bounds=Bounds(**bounds))


def user(number: int) -> UserId:
    return UserId(number.to_bytes(16, "big"))


async def turn(times: int = 5) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


def fail(error: BaseException) -> Callable[[UserId], object]:
    def raise_(_: UserId) -> object:
        raise error

    return raise_


@pytest.mark.parametrize(("user_id", "kept"), [(ALICE.user_id, 5.0), (NOBODY, 1.0)])
async def test_answers_are_kept_for_their_time(cached, remote, clock, user_id, kept):
    """A record for five seconds, its absence for one; at that very instant it is asked for again."""
    wanted = await cached.look_up("api", user_id)

    clock.now += kept - 0.001
    assert cached.peek("api", user_id) == wanted
    assert await cached.look_up("api", user_id) == wanted
    assert len(remote.questions) == 1

    clock.now += 0.001
    assert cached.peek("api", user_id) is MISS
    await cached.look_up("api", user_id)
    assert len(remote.questions) == 2


async def test_zones_are_kept_apart(cached, remote):
    """The same user in another zone is another question."""
    await cached.look_up("api", ALICE.user_id)

    assert cached.peek("web", ALICE.user_id) is MISS
    await cached.look_up("web", ALICE.user_id)
    assert remote.questions == [("api", ALICE.user_id), ("web", ALICE.user_id)]


@pytest.mark.parametrize("then", [None, replace(ALICE, disabled=True)], ids=["removed", "disabled"])
async def test_a_change_is_seen_when_the_time_is_up(cached, remote, clock, then):
    """Removed or disabled, the user is out after five seconds at most."""
    await cached.look_up("api", ALICE.user_id)
    remote.answer = lambda _: then
    clock.now += 5

    assert await cached.look_up("api", ALICE.user_id) == then
    assert cached.peek("api", ALICE.user_id) == then


async def test_a_new_user_is_seen_after_a_second(cached, remote, clock):
    """That there was none is forgotten sooner, and then outlived by the record."""
    remote.answer = {}.get
    assert await cached.look_up("api", ALICE.user_id) is None
    remote.answer = lambda _: ALICE
    clock.now += 1

    assert await cached.look_up("api", ALICE.user_id) == ALICE
    clock.now += 2
    assert cached.peek("api", ALICE.user_id) == ALICE


async def test_what_does_not_answer_in_time_is_unavailable(bounded, remote):
    """The question is cancelled, nothing is kept, and the next one is asked anew."""
    catalog = bounded(deadline=SOON)
    remote.gate.clear()

    with pytest.raises(CatalogUnavailable, match="catalog far: did not answer in time"):
        await catalog.look_up("api", ALICE.user_id)

    assert catalog.peek("api", ALICE.user_id) is MISS
    remote.gate.set()
    assert await catalog.look_up("api", ALICE.user_id) == ALICE


@pytest.mark.parametrize("error", [OSError("refused"), KeyError("x"), CatalogUnavailable("down")])
async def test_every_failure_is_unavailable(cached, remote, error):
    """Never None, which would be a 401, and never another exception; the next question may fare better."""
    remote.answer = fail(error)
    with pytest.raises(CatalogUnavailable):
        await cached.look_up("api", ALICE.user_id)
    remote.answer = lambda _: ALICE

    assert await cached.look_up("api", ALICE.user_id) == ALICE


@pytest.mark.parametrize("answer", [BOB, replace(ALICE, zone="web"), "ALICE", True, MISS])
async def test_an_answer_to_another_question_is_none(cached, remote, answer):
    """A record of another user or zone, or no record at all, lets nobody in."""
    remote.answer = lambda _: answer

    with pytest.raises(CatalogUnavailable, match="gave an answer to another question"):
        await cached.look_up("api", ALICE.user_id)

    assert cached.peek("api", ALICE.user_id) is MISS


async def test_a_record_for_the_very_zone_is_an_answer(cached, remote):
    """A row that names the zone that asks."""
    row = replace(ALICE, zone="api")
    remote.answer = lambda _: row

    assert await cached.look_up("api", ALICE.user_id) == row


async def test_a_crowd_is_told_at_once(bounded, remote):
    """As many as may wait do; the next one does not, and the others get their answers."""
    catalog = bounded(waiting=4, deadline=timedelta(seconds=5))
    remote.gate.clear()
    remote.answer = lambda _: None
    waiting = [asyncio.ensure_future(catalog.look_up("api", user(number))) for number in range(4)]
    await turn()

    with pytest.raises(CatalogUnavailable, match="4 requests are waiting for it already"):
        await catalog.look_up("api", user(4))

    remote.gate.set()
    assert await asyncio.gather(*waiting) == [None] * 4
    assert await catalog.look_up("api", user(4)) is None


async def test_one_user_is_asked_for_once(cached, remote):
    """Requests that come together share the question and its answer."""
    remote.gate.clear()
    waiting = [asyncio.ensure_future(cached.look_up("api", ALICE.user_id)) for _ in range(8)]
    await turn()
    remote.gate.set()

    assert await asyncio.gather(*waiting) == [ALICE] * 8
    assert len(remote.questions) == 1


async def test_a_shared_failure_is_everybodys(cached, remote):
    """A catalog that is down is not asked again by everyone who waited."""
    remote.gate.clear()
    remote.answer = fail(OSError("refused"))
    waiting = [asyncio.ensure_future(cached.look_up("api", ALICE.user_id)) for _ in range(8)]
    await turn()
    remote.gate.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [CatalogUnavailable] * 8
    assert len(remote.questions) == 1


@pytest.mark.parametrize("leaver", [0, 1], ids=["who asked first", "who came later"])
async def test_who_goes_away_harms_nobody(cached, remote, leaver):
    """A client that hangs up takes neither the question nor the answer of the others with it."""
    remote.gate.clear()
    waiting = [asyncio.ensure_future(cached.look_up("api", ALICE.user_id)) for _ in range(3)]
    await turn()

    waiting.pop(leaver).cancel()
    await turn()
    remote.gate.set()

    assert await asyncio.gather(*waiting) == [ALICE] * 2
    assert len(remote.questions) == (2 if leaver == 0 else 1)


async def test_who_goes_away_makes_room(bounded, remote):
    """A place in the queue is given back however the wait ends."""
    catalog = bounded(waiting=1, deadline=SOON)
    remote.gate.clear()
    for _ in range(3):
        with pytest.raises(CatalogUnavailable, match="in time"):
            await catalog.look_up("api", ALICE.user_id)
    remote.gate.set()

    assert await catalog.look_up("api", ALICE.user_id) == ALICE


async def test_made_up_users_do_not_push_out_real_ones(bounded):
    """Absences have a space of their own, and it is bounded."""
    catalog = bounded(size=3)
    await catalog.look_up("api", ALICE.user_id)

    for number in range(100):
        await catalog.look_up("api", user(number))

    assert catalog.peek("api", ALICE.user_id) == ALICE
    known = [number for number in range(100) if catalog.peek("api", user(number)) is None]
    assert known == [97, 98, 99]


async def test_the_oldest_record_goes_first(bounded, remote):
    """When there are more records than there is room for."""
    remote.answer = lambda user_id: replace(ALICE, user_id=user_id)
    catalog = bounded(size=2)

    for number in range(3):
        await catalog.look_up("api", user(number))

    assert [catalog.peek("api", user(number)) is MISS for number in range(3)] == [True, False, False]


async def test_what_the_catalog_knows_itself_is_not_kept(clock):
    """A catalog with rows of its own at hand is always believed first."""

    class Own(Remote):
        @override
        def peek(self, zone: str, user_id: UserId) -> TokenRecord | None:  # type: ignore[override]
            return ALICE if user_id == ALICE.user_id else None

    own = Own()
    catalog = CachedCatalog(own, name="near", clock=clock)

    assert catalog.peek("api", ALICE.user_id) == ALICE
    assert await catalog.look_up("api", NOBODY) is None
    assert own.questions == []


async def test_closing_closes_what_is_inside(cached, remote):
    """Whoever holds the bounded catalog holds it all."""
    await cached.aclose()

    assert remote.closed


def test_bounds_are_those_promised():
    """A quarter of a second, 64 in waiting, five seconds and one."""
    assert Bounds() == Bounds(
        deadline=timedelta(milliseconds=250), waiting=64, keep=timedelta(seconds=5),
        keep_absent=timedelta(seconds=1), size=10_000,
    )  # fmt: skip
