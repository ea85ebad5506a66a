"""Names become addresses again and again, without a wait that is not worth it."""

import asyncio
import socket

import pytest

from authproxy.upstream.interface import Failure, NoConnection
from authproxy.upstream.names import Name
from tests.patience import PATIENCE

LOST = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
UNKNOWN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.fixture
def gone():
    """What was told of addresses that are known no more."""
    return []


@pytest.fixture
def name(world, gone):
    return Name("legacy.test", world.means, gone.append)


async def ask(world, name, *found):
    """Let the resolver answer so from now on, and ask when the answer before is old."""
    world.resolver.found = found
    world.clock.now += 10.0
    return await name.addresses()


async def test_an_address_is_not_asked_for(world):
    """Of either family."""
    assert await Name("127.0.0.1", world.means, print).addresses() == ("127.0.0.1",)
    assert await Name("::1", world.means, print).addresses() == ("::1",)
    assert world.resolver.asked == []


async def test_an_answer_serves_for_ten_seconds(world, name):
    """Not the resolver but a change is what may wait: at most 10 s for a new connection."""
    assert await name.addresses() == ("127.0.0.1",)
    world.resolver.found = ("127.0.0.2",)
    world.clock.now += 9.999
    assert await name.addresses() == ("127.0.0.1",)
    world.clock.now += 0.001

    assert await name.addresses() == ("127.0.0.2",)
    assert len(world.resolver.asked) == 2


async def test_whoever_waits_the_resolver_is_asked_once(world, name):
    """A burst of connections is one look-up."""
    world.resolver.gate.clear()
    waiting = [asyncio.ensure_future(name.addresses()) for _ in range(50)]
    await asyncio.sleep(0)
    world.resolver.gate.set()

    assert set(await asyncio.gather(*waiting)) == {("127.0.0.1",)}
    assert len(world.resolver.asked) == 1


async def test_one_who_gives_up_does_not_end_the_look_up_of_others(world, name):
    """His deadline is his own."""
    world.resolver.gate.clear()
    first, second = asyncio.ensure_future(name.addresses()), asyncio.ensure_future(name.addresses())
    await asyncio.sleep(0)
    first.cancel()
    world.resolver.gate.set()

    assert await second == ("127.0.0.1",)


async def test_a_resolver_that_fails_leaves_the_last_answer_at_work_for_an_hour(world, name):
    """It is said once, when it begins; and after the hour it is believed no more."""
    await name.addresses()
    world.resolver.error = LOST
    for _ in range(3):
        assert await ask(world, name) == ("127.0.0.1",)
    assert world.events() == ["upstream.name_unresolved"]
    world.clock.now = 1000.0 + 3600.0
    assert await name.addresses() == ("127.0.0.1",)
    world.clock.now += 0.001

    with pytest.raises(NoConnection, match=r"legacy\.test cannot be resolved: Temporary failure") as caught:
        await name.addresses()
    assert caught.value.failure is Failure.REFUSED


async def test_a_resolver_that_hangs_is_waited_for_only_without_an_answer(world, name):
    """With one, a connection goes on with it after a second."""
    await name.addresses()
    world.resolver.gate.clear()

    assert await asyncio.wait_for(ask(world, name, "127.0.0.2"), PATIENCE) == ("127.0.0.1",)
    world.resolver.gate.set()
    await world.settle()
    assert await name.addresses() == ("127.0.0.2",)


async def test_a_failure_is_remembered_for_a_second(world, name):
    """Not for every connection is the resolver asked, and not for long is a cure unseen."""
    world.resolver.error = UNKNOWN
    for _ in range(2):
        with pytest.raises(NoConnection, match="Name or service not known"):
            await name.addresses()
    assert len(world.resolver.asked) == 1
    world.resolver.error = None
    world.clock.now += 1.0

    assert await name.addresses() == ("127.0.0.1",)


async def test_a_name_that_is_no_more_is_not_served_from_memory(world, name, gone):
    """The resolver said so; yet connections that work go on."""
    await name.addresses()
    world.resolver.error = UNKNOWN
    with pytest.raises(NoConnection):
        await ask(world, name)

    assert gone == []


@pytest.mark.parametrize("error", [UnicodeError("label too long"), RuntimeError("can't start new thread")])
async def test_whatever_keeps_the_resolver_from_answering_is_a_failure_and_no_crash(world, name, error):
    """A name that the codec refuses; a machine that has no thread left."""
    world.resolver.error = error
    with pytest.raises(NoConnection, match=str(error)):
        await name.addresses()


async def test_an_address_is_gone_when_it_was_missing_twice(world, name, gone):
    """Servers that know many addresses answer with some of them."""
    await ask(world, name, "127.0.0.1", "127.0.0.2")
    await ask(world, name, "127.0.0.2")
    assert gone == []
    await ask(world, name, "127.0.0.2")

    assert gone == [frozenset({"127.0.0.2"})]


async def test_the_address_that_worked_last_is_tried_first(world, name):
    """For as long as it is in the answer."""
    await ask(world, name, "127.0.0.1", "127.0.0.2")
    name.preferred = "127.0.0.2"
    assert await name.addresses() == ("127.0.0.2", "127.0.0.1")

    assert await ask(world, name, "127.0.0.3", "127.0.0.1") == ("127.0.0.3", "127.0.0.1")


async def test_families_take_turns(world, name):
    """So that one that leads nowhere costs one attempt (RFC 8305, 4)."""
    found = await ask(world, name, "::1", "::2", "::3", "127.0.0.1", "127.0.0.2")

    assert found == ("::1", "127.0.0.1", "::2", "127.0.0.2", "::3")
