"""Several ways tried side by side: the first to arrive wins, and nothing is left behind."""

import asyncio

import pytest

from authproxy.upstream.interface import Failure, NoConnection
from authproxy.upstream.race import race
from tests.patience import PATIENCE

LONG = 60.0


class Track:
    """Runners that arrive when they are told to, or fail."""

    def __init__(self, **runners):
        self.runners = runners
        self.started, self.cancelled, self.dropped = [], [], []

    async def run(self, name):
        self.started.append(name)
        outcome = self.runners[name]
        try:
            if isinstance(outcome, asyncio.Event):
                await outcome.wait()
        except asyncio.CancelledError:
            self.cancelled.append(name)
            if name.startswith("late"):
                return name
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return name

    async def race(self, stagger=LONG):
        try:
            return await race(list(self.runners), self.run, stagger, self.dropped.append)
        finally:
            # Those who lose end in turns of their own.
            for _ in range(3):
                await asyncio.sleep(0)


def refused(name="x", failure=Failure.REFUSED):
    return NoConnection(failure, f"{name}: no")


async def test_one_way_is_simply_taken():
    """Or fails as it fails."""
    assert await Track(a=None).race() == "a"
    with pytest.raises(NoConnection, match="x: no"):
        await Track(a=refused()).race()


async def test_a_way_that_fails_is_not_waited_for():
    """The next begins at once, whatever the stagger."""
    track = Track(a=refused(), b=refused(), c=None)

    assert await asyncio.wait_for(track.race(), PATIENCE) == "c"


async def test_a_way_that_hangs_costs_the_stagger_and_goes_on_meanwhile():
    """It may still win."""
    track = Track(a=asyncio.Event(), b=None)
    assert await track.race(stagger=0.001) == "b"
    assert track.cancelled == ["a"]

    gate = asyncio.Event()
    track = Track(a=gate, b=asyncio.Event())
    running = asyncio.ensure_future(track.race(stagger=0.001))
    while track.started != ["a", "b"]:
        await asyncio.sleep(0)
    gate.set()
    assert await running == "a"
    assert track.cancelled == ["b"]


async def test_a_way_that_answers_in_time_is_the_only_one_begun():
    """The others are never bothered."""
    track = Track(a=None, b=None)

    assert await track.race() == "a"
    assert track.started == ["a"]


async def test_what_a_loser_has_made_all_the_same_is_dropped():
    """Nothing leaks."""
    track = Track(late=asyncio.Event(), b=None)

    assert await track.race(stagger=0.001) == "b"
    assert track.dropped == ["late"]


async def test_two_that_arrive_together_are_one_winner_and_one_dropped():
    """In the same turn of the loop."""
    gate = asyncio.Event()
    track = Track(a=gate, b=gate)
    running = asyncio.ensure_future(track.race(stagger=0.001))
    while track.started != ["a", "b"]:
        await asyncio.sleep(0)
    gate.set()

    assert sorted([await running, *track.dropped]) == ["a", "b"]


async def test_when_all_fail_all_are_told_of_and_the_most_telling_first():
    """An unverified certificate is what an operator must hear of."""
    ways = {
        "a": refused("a", Failure.CONNECT_TIMEOUT), "b": refused("b", Failure.UNVERIFIED), "c": refused("c")
    }  # fmt: skip
    with pytest.raises(NoConnection) as caught:
        await Track(**ways).race()

    assert caught.value.failure is Failure.UNVERIFIED
    assert caught.value.detail == "b: no; c: no; a: no"


async def test_who_gives_up_leaves_nobody_running():
    """A deadline from outside ends every attempt."""
    track = Track(a=asyncio.Event(), late=asyncio.Event())
    running = asyncio.ensure_future(track.race(stagger=0.001))
    while len(track.started) < 2:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert sorted(track.cancelled) == ["a", "late"]
    assert track.dropped == ["late"]


async def test_a_deadline_that_strikes_at_the_finish_does_not_lose_the_winner():
    """Losers that are slow to end are not waited for."""
    slow = asyncio.Event()

    async def run(name):
        if name == "winner":
            return name
        try:
            await asyncio.Event().wait()
        finally:
            await slow.wait()

    dropped: list[str] = []
    async with asyncio.timeout(PATIENCE):
        assert await race(["loser", "winner"], run, 0.001, dropped.append) == "winner"
    slow.set()
    assert dropped == []


async def test_a_loser_that_crashes_is_heard_of():
    """By the loop's handler, since nobody waits for it."""
    said = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["exception"]))

    async def run(name):
        if name == "b":
            return name
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    assert await race(["a", "b"], run, 0.001, print) == "b"
    for _ in range(3):
        await asyncio.sleep(0)
    assert [type(error) for error in said] == [ZeroDivisionError]


async def test_a_fault_of_this_program_is_not_taken_for_a_failed_way():
    """It is heard of."""
    with pytest.raises(ZeroDivisionError):
        await Track(a=ZeroDivisionError(), b=None).race()
