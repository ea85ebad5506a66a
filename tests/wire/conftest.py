"""Every test of the wire runs on both loops."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop

from tests.wire.ends import Material, make_material

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """The certificates."""
    return make_material(tmp_path_factory.mktemp("wire"))


@pytest.fixture
def complaints() -> list[Any]:
    """What the loop had to complain of; a test that expects some takes them out."""
    return []


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest, complaints: list[Any]) -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """`run(coroutine)` on a loop of its own; a complaint of the loop's fails the test."""
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: complaints.append(context))
        yield runner.run
    assert not complaints
