"""Tasks have an owner: who tells of their crashes and takes them with him at the end."""

import asyncio

import pytest

from authproxy.daemon.tasks import Tasks
from tests.patience import PATIENCE


@pytest.fixture
def crashes():
    return []


@pytest.fixture
def tasks(crashes):
    return Tasks(crashes.append)


async def forever():
    await asyncio.Event().wait()


async def test_a_crash_is_told_and_takes_nobody_with_it(tasks, crashes):
    """Unlike in a TaskGroup."""
    done = asyncio.Event()

    async def crash():
        raise RuntimeError("gone wrong")

    async def go_on():
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        done.set()

    tasks.spawn(crash())
    tasks.spawn(go_on())
    await asyncio.wait_for(done.wait(), PATIENCE)

    assert [str(error) for error in crashes] == ["gone wrong"]


async def test_the_end_cancels_what_still_runs_and_waits_for_its_clean_up(tasks, crashes):
    """Nothing is told of it: it was not a crash."""
    cleaned = []

    async def work():
        try:
            await forever()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    tasks.spawn(work())
    await asyncio.sleep(0)
    await tasks.aclose()

    assert cleaned == [True]
    assert crashes == []


async def test_the_end_outlives_a_task_that_crashes_at_it(tasks, crashes):
    """It is told, and the others are waited for."""

    async def stubborn():
        try:
            await forever()
        finally:
            raise RuntimeError("at the end")

    tasks.spawn(stubborn())
    tasks.spawn(forever())
    await asyncio.sleep(0)
    await tasks.aclose()
    await asyncio.sleep(0)

    assert [str(error) for error in crashes] == ["at the end"]


async def test_without_tasks_the_end_is_at_once(tasks):
    """And may come twice."""
    await tasks.aclose()
    await tasks.aclose()
