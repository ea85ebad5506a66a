"""Reloads take turns, serve all who asked meanwhile, and are tried twice."""

import asyncio
import contextlib

import pytest

from authproxy.daemon.outcome import Outcome, Result, Try
from authproxy.daemon.reloader import Reloader

FIRST, AGAIN = Try(), Try(again=True)
GOOD = (Outcome(part="config", result=Result.APPLIED),)
BAD = (Outcome(part="config", result=Result.REJECTED, error="x"),)


class Road:
    """A reload that ends as it is told, each when its gate is open."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.taken = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, how):
        self.taken.append(how)
        await self.gate.wait()
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@contextlib.asynccontextmanager
async def running(road, pause=0.01, crashes=None):
    """`ask`s are served."""
    reloader = Reloader(road, (crashes if crashes is not None else []).append, pause)
    task = asyncio.get_running_loop().create_task(reloader.run())
    yield reloader
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_whoever_asks_is_told():
    """Once it is done."""
    road = Road(GOOD)
    async with running(road) as reloader:
        assert await reloader.ask() == GOOD
    assert road.taken == [FIRST]


async def test_all_who_ask_during_a_reload_are_served_by_one_more():
    """Not by the one that has begun: it may have read the files already."""
    road = Road(GOOD, BAD[:0], GOOD)
    road.gate.clear()
    async with running(road) as reloader:
        first = reloader.ask()
        while not road.taken:
            await asyncio.sleep(0)
        later = [reloader.ask() for _ in range(10)]
        road.gate.set()

        assert await first == GOOD
        assert await asyncio.gather(*later) == [()] * 10
    assert road.taken == [FIRST, FIRST]


async def test_a_rejection_is_tried_once_more():
    """And whoever waits is told how that ended."""
    road = Road(BAD, GOOD)
    async with running(road) as reloader:
        assert await reloader.ask() == GOOD
    assert road.taken == [FIRST, AGAIN]


async def test_a_rejection_is_not_tried_a_third_time():
    """Nobody half-way through anything needs longer."""
    road = Road(BAD, BAD)
    async with running(road) as reloader:
        assert await reloader.ask() == BAD
    assert road.taken == [FIRST, AGAIN]


async def test_trust_that_was_rejected_is_tried_once_more():
    """A bundle can be half-written too."""
    bad = (Outcome(part="trust", result=Result.REJECTED, error="x"),)
    road = Road(bad, (Outcome(part="trust", result=Result.APPLIED),))
    async with running(road) as reloader:
        [ended] = await reloader.ask()
    assert ended.result is Result.APPLIED


async def test_a_rejected_catalog_alone_is_not_tried_once_more():
    """It is polled."""
    bad = (Outcome(part="catalog:a", result=Result.REJECTED, error="x"),)
    road = Road(bad)
    async with running(road) as reloader:
        assert await reloader.ask() == bad
    assert road.taken == [FIRST]


async def test_a_new_wish_is_the_second_try():
    """It does not wait for the pause to end, and its outcome is its own."""
    road = Road(BAD, GOOD)
    async with running(road, pause=3600) as reloader:
        first = reloader.ask()
        while not road.taken:
            await asyncio.sleep(0)
        second = reloader.ask()

        assert await first == BAD
        assert await second == GOOD
    assert road.taken == [FIRST, FIRST]


@pytest.mark.parametrize(("wishes", "only"), [([True, True], True), ([True, False], False), ([False, True], False)])
async def test_material_alone_is_reloaded_only_if_nobody_wants_more(wishes, only):
    """A watch that sees a change beside a signal does not narrow what the signal wants."""
    road = Road(GOOD)
    reloader = Reloader(road, lambda _: None, 0.01)
    asked = [reloader.ask(material_only=wish) for wish in wishes]
    task = asyncio.get_running_loop().create_task(reloader.run())
    await asyncio.gather(*asked)
    task.cancel()

    assert road.taken == [Try(material_only=only)]


async def test_a_crash_is_a_rejection_and_not_the_end_of_reloads():
    """Told as one; the next works."""
    crashes: list[BaseException] = []
    road = Road(RuntimeError("oops"), GOOD)
    async with running(road, crashes=crashes) as reloader:
        [ended] = await reloader.ask()

        assert ended.result is Result.REJECTED
        assert "RuntimeError: oops" in ended.error
        assert await reloader.ask() == GOOD
    assert [str(crash) for crash in crashes] == ["oops"]


async def test_the_end_of_the_process_leaves_nobody_waiting():
    """Neither who asked before nor who asks afterwards."""
    road = Road()
    road.gate.clear()
    async with running(road) as reloader:
        first = reloader.ask()
        while not road.taken:
            await asyncio.sleep(0)
        second = reloader.ask()
    for asked in (first, second, reloader.ask()):
        assert await asked == ()


async def test_whoever_has_gone_is_not_told():
    """The others are."""
    road = Road(GOOD)
    road.gate.clear()
    async with running(road) as reloader:
        gone, there = reloader.ask(), reloader.ask()
        gone.cancel()
        road.gate.set()

        assert await there == GOOD


@pytest.mark.parametrize("outcome", [GOOD, RuntimeError("oops")], ids=["good", "crash"])
async def test_the_audience_hears_of_both_tries_as_one_reload(outcome):
    """Before whoever asked is told: `systemctl reload` ends when its command does."""
    heard = []

    class Audience:
        def reloading(self):
            heard.append("begins")

        def reloaded(self, outcomes):
            heard.append(outcomes[0].result)

    road = Road(BAD, outcome)
    async with running(road, crashes=[]) as reloader:
        reloader.audience.append(Audience())
        ended = reloader.ask()
        ended.add_done_callback(lambda _: heard.append("told"))
        await ended

    result = Result.APPLIED if outcome is GOOD else Result.REJECTED
    assert heard == ["begins", result, "told"]
