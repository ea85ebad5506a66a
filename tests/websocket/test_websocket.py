"""WebSockets behind the proxy are what they are without it."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.websocket.run import GROUPS
from tests.websocket.suite import SHORT, Outcome, Range, differences, outcomes

OUTCOME = Outcome(behavior="OK", close="OK", code=1000, clean=True, frames=(("1", 1), ("8", 1)))


@pytest.fixture(scope="module")
def place() -> Iterator[Range]:
    """Echo server and proxy."""
    with Range() as made:
        yield made


@pytest.mark.promise
@pytest.mark.timeout(120)
# The cases leave files of theirs open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_proxy_changes_no_websocket(place):
    """Some Autobahn cases of every group end alike with and without the proxy; `make websocket` runs all."""
    straight = asyncio.run(outcomes(place.straight, SHORT, 8))
    through = asyncio.run(outcomes(place.through, SHORT, 8))

    assert set(straight) == set(SHORT)
    assert sum(one.behavior == "OK" for one in straight.values()) > len(SHORT) * 0.8
    assert differences(straight, through) == []


def test_all_groups_are_those_of_the_short_run():
    """A group that there is not would end `make websocket` in its midst."""
    assert {f"{case.partition('.')[0]}.*" for case in SHORT} == set(GROUPS)


@pytest.mark.parametrize(
    "other",
    [
        {}, {"1.1.1": replace(OUTCOME, behavior="FAILED")}, {"1.1.1": replace(OUTCOME, close="UNCLEAN")},
        {"1.1.1": replace(OUTCOME, code=1002)}, {"1.1.1": replace(OUTCOME, clean=False)},
        {"1.1.1": replace(OUTCOME, frames=())}, {"1.1.1": OUTCOME, "1.1.2": OUTCOME},
    ],
)  # fmt: skip
def test_a_difference_is_told(other):
    """Another outcome, none, or one more: each is told with its case."""
    (line,) = differences({"1.1.1": OUTCOME}, other)

    assert line.startswith("1.1.")
    assert differences(other, other) == []
