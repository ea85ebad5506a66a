"""What a Redis adds: other processes, rights, keys that go by themselves, and everything that a server can do wrong."""

import asyncio
import itertools
import signal
import socket
import statistics
import time

import pytest

from authproxy.errors import SessionStoreUnavailable
from authproxy.sessions.contract import ALICE, BOB, HOUR, NOW, session
from authproxy.sessions.redis import kind
from authproxy.sessions.redis_options import RedisOptions
from tests.patience import PATIENCE, SOON
from tests.ports import free_port
from tests.redis_server import RedisServer
from tests.sessions.supplies import Given

ONE = session(1)
RIGHTS = [
    "+eval",
    "+evalsha",
    "+hset",
    "+hmget",
    "+del",
    "+exists",
    "+pexpire",
    "+pttl",
    "+zadd",
    "+zrem",
    "+zrange",
    "+zrangebyscore",
    "+zscore",
    "+zcount",
    "+zscan",
]


@pytest.fixture
async def opened(redis_server):
    """`opened()` is one more process's view of the Redis."""
    stores = []

    async def open_one(url="", password=None, **more):
        # As long as can be: how soon is asked where it is named.
        settings = {"kind": "redis", "url": url or redis_server.url, "timeout": "2s", **more}
        if password is not None:
            settings["password"] = {"env": "PASSWORD"}
        options = RedisOptions.model_validate(settings)
        stores.append(await asyncio.to_thread(kind.open, options, Given(password)))
        return stores[-1]

    yield open_one
    for store in stores:
        await store.aclose()


@pytest.fixture
def own_redis(tool, tmp_path):
    """A server that may be hurt."""
    with RedisServer(tool("redis-server"), tmp_path) as server:
        yield server


async def test_two_processes_share_a_redis(opened):
    """What one ends has ended for the other, and is not brought back by a refresh there."""
    here, there = await opened(), await opened()
    await here.put(ONE, 10)
    assert await there.get(ONE.key) == ONE

    await here.delete_user("web", ALICE)

    assert await there.get(ONE.key) is None
    assert await there.touch(ONE.key, NOW + HOUR) is None
    assert await here.get(ONE.key) is None


async def test_a_refresh_and_a_revocation_at_two_proxies_end_signed_out(opened):
    """In whichever order Redis takes them."""
    here, there = await opened(), await opened()
    for number in range(30):
        made = session(number)
        await here.put(made, 100)
        await there.get(made.key)
        end = here.delete(made.key) if number % 2 else here.delete_user("web", ALICE)
        await asyncio.gather(*(there.touch(made.key, NOW + HOUR) for _ in range(3)), end)

        assert await there.get(made.key) is None
        assert await there.sessions_of("web", ALICE) == ()


async def test_the_cap_holds_at_many_proxies(opened):
    """Who signs in everywhere at once has as many sessions as allowed."""
    stores = [await opened() for _ in range(4)]

    await asyncio.gather(*(store.put(session(number), 3) for number, store in enumerate(stores * 5)))

    assert len(await stores[0].sessions_of("web", ALICE)) == 3


@pytest.mark.parametrize("more", [{}, {"prefix": "{other}:x/"}])
async def test_every_key_has_the_prefix_and_an_end(opened, redis_server, more):
    """Redis drops them by itself: no sooner than a session ends, and a minute later."""
    store = await opened(**more)
    await store.put(ONE, 10)
    begin = f"{more.get('prefix', 'authproxy:')}1:"
    lasts = ONE.idle_ends - ONE.created + 60_000
    found = redis_server.names()

    assert sorted(found) == sorted([f"{begin}e", f"{begin}s:{ONE.key.hex()}", f"{begin}u:web:{ALICE.hex()}"])
    assert all(lasts - 5000 < redis_server.number("PTTL", name) <= lasts for name in found)

    await store.touch(ONE.key, ONE.ends + HOUR)
    lasts = ONE.ends - ONE.created + 60_000
    assert all(lasts - 5000 < redis_server.number("PTTL", name) <= lasts for name in found)

    await store.touch(ONE.key, ONE.created + HOUR)
    shorter = HOUR + 60_000
    assert shorter - 5000 < redis_server.number("PTTL", f"{begin}s:{ONE.key.hex()}") <= shorter


async def test_nothing_is_left_of_who_has_gone(opened, redis_server):
    """Neither after signing out, nor after a revocation, nor after pruning."""
    store = await opened()
    for end in (lambda: store.delete(ONE.key), lambda: store.delete_user("web", ALICE), lambda: store.prune(ONE.ends)):
        await store.put(ONE, 10)
        await end()

        assert redis_server.names() == []


async def test_what_redis_evicts_is_signed_out_and_never_comes_back(opened, redis_server):
    """A session counts while its user's set names it; whichever key goes first."""
    store = await opened()
    await store.put(ONE, 10)
    redis_server.ask("DEL", f"authproxy:1:u:web:{ALICE.hex()}")
    assert await store.get(ONE.key) is None
    assert await store.touch(ONE.key, NOW + HOUR) is None
    await store.put(session(2), 10)
    await store.put(session(3), 10)
    redis_server.ask("DEL", f"authproxy:1:s:{session(2).key.hex()}")

    assert await store.get(ONE.key) is None
    assert await store.sessions_of("web", ALICE) == (session(3),)
    assert await store.sessions_of("web", None) == (session(3),)
    assert await store.put(session(4), 2) == 0
    assert await store.delete_user("web", ALICE) == 2


@pytest.mark.parametrize(
    "fields",
    [["mac", "00"], ["user", "zz"], ["version", "x"], ["version", "99999999"], ["zone", "\u00e9"], ["ends", "-1"]],
)
async def test_what_somebody_else_wrote_is_no_session(opened, redis_server, fields):
    """And harms no other."""
    store = await opened()
    await store.put(ONE, 10)
    await store.put(session(2, BOB), 10)
    redis_server.ask("HSET", f"authproxy:1:s:{ONE.key.hex()}", *fields)

    assert await store.get(ONE.key) is None
    assert await store.sessions_of("web", None) == (session(2, BOB),)


async def test_a_zone_with_many_sessions_is_listed_whole(opened):
    """In pages, none left out and none twice; and pruned in pieces."""
    store = await opened()
    made = [session(0, created=NOW + number)._replace(key=number.to_bytes(32, "big")) for number in range(1000)]
    await asyncio.gather(*(store.put(one, 2000) for one in made[:10]))
    for one in made[10:]:
        await store.put(one, 2000)

    assert await store.sessions_of("web", None) == tuple(made)
    assert await store.prune(made[-1].ends) == len(made)
    assert await store.sessions_of("web", None) == ()


async def test_a_user_with_these_rights_and_no_others_is_enough(opened, redis_server, tmp_path):
    """They are the ones that docs/sessions.md names; keys of others are out of reach."""
    redis_server.ask("ACL", "SETUSER", "few", "reset", "on", ">hunter2", "~authproxy:*", "-@all", *RIGHTS)
    store = await opened(username="few", password=b"hunter2")
    await store.put(ONE, 10)
    await store.put(session(2), 1)
    assert await store.touch(session(2).key, NOW + HOUR) is not None
    assert await store.sessions_of("web", None) == await store.sessions_of("web", ALICE) != ()
    assert await store.prune(NOW) == 0
    assert await store.delete(session(2).key)
    assert await store.delete_user("web", ALICE) == 0

    other = await opened(username="few", password=b"hunter2", prefix="other:")
    with pytest.raises(SessionStoreUnavailable, match=r"(?i)no permission"):
        await other.get(ONE.key)


def test_the_documents_name_these_rights():
    """As an operator copies them."""
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs" / "sessions.md").read_text()

    assert f"-@all ~authproxy:* {' '.join(RIGHTS)}\n" in text


@pytest.mark.parametrize(("username", "password"), [("few", b"wrong"), ("nobody", b"hunter2"), (None, b"hunter2")])
async def test_a_wrong_password_is_told_without_it(opened, redis_server, username, password):
    """As unavailable, which it is; and not with what was tried."""
    redis_server.ask("ACL", "SETUSER", "few", "reset", "on", ">right", "~*", "+@all")
    more = {} if username is None else {"username": username}
    store = await opened(password=password, **more)

    with pytest.raises(SessionStoreUnavailable) as refusal:
        await store.get(ONE.key)

    assert f"redis 127.0.0.1:{redis_server.port}: " in str(refusal.value)
    assert password.decode() not in str(refusal.value) + repr(store) + repr(vars(store._client))


async def test_a_database_of_its_own(opened, redis_server):
    """Sessions of one are none of the other."""
    here, there = await opened(), await opened(url=f"{redis_server.url}/1")
    await here.put(ONE, 10)

    assert await there.get(ONE.key) is None


async def test_a_database_that_is_not_there_is_told(opened, redis_server):
    """As unavailable."""
    store = await opened(database=999)

    with pytest.raises(SessionStoreUnavailable, match="out of range"):
        await store.get(ONE.key)


async def test_a_node_of_a_cluster(opened, tool, tmp_path):
    """With a prefix in braces, which puts all keys into one slot."""
    more = ("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf")
    with RedisServer(tool("redis-server"), tmp_path, *more) as node:
        node.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        ends = time.monotonic() + PATIENCE
        while b"cluster_state:ok" not in node.ask("CLUSTER", "INFO"):
            assert time.monotonic() < ends
            await asyncio.sleep(0.05)
        store = await opened(node.url, prefix="{authproxy}:")
        await store.put(ONE, 10)
        await store.put(session(2), 1)
        assert await store.get(ONE.key) is None
        assert await store.touch(session(2).key, NOW + HOUR) is not None
        assert len(await store.sessions_of("web", None)) == 1
        assert await store.prune(NOW + HOUR) == 1


async def test_a_unix_socket(opened, redis_server):
    """Of the same Redis."""
    here, there = await opened(), await opened(url=f"unix:{redis_server.socket}")
    await here.put(ONE, 10)

    assert await there.get(ONE.key) == ONE


async def test_a_script_that_redis_forgot_is_sent_again(opened, redis_server):
    """After `SCRIPT FLUSH`, a restart, or a failover."""
    store = await opened()
    await store.put(ONE, 10)
    redis_server.ask("SCRIPT", "FLUSH")

    assert await store.get(ONE.key) == ONE


async def timed(question) -> float:
    """Return after how many seconds it failed."""
    begun = time.monotonic()
    with pytest.raises(SessionStoreUnavailable):
        await question
    return time.monotonic() - begun


async def test_a_redis_that_hangs_or_dies_is_unavailable_and_is_back_by_itself(opened, own_redis):
    """F09, small: soon, then at once; nothing is tried twice; and the first question after it is back is answered."""
    store = await opened(own_redis.url, timeout="1s")
    await store.put(ONE, 10)
    own_redis.signal(signal.SIGSTOP)
    assert 0.9 < await timed(store.get(ONE.key)) < 1 + SOON
    own_redis.signal(signal.SIGCONT)
    assert await store.get(ONE.key) == ONE

    own_redis.signal(signal.SIGKILL)
    took = [await timed(store.get(ONE.key)) for _ in range(50)]
    # None waits for an answer that nobody can give; the machine may be busy with others, and not each time.
    assert statistics.median(took) < 0.5
    own_redis.start()
    ends = time.monotonic() + PATIENCE
    while True:
        try:
            assert await store.get(ONE.key) is None
            break
        except SessionStoreUnavailable:
            assert time.monotonic() < ends
            await asyncio.sleep(0.02)
    assert await store.put(ONE, 10) == 0


async def test_who_is_away_is_tried_once_a_second(opened):
    """However many ask: whoever listens there hears of three, and then of one a second."""
    port, heard = free_port(), []

    async def hang_up(_, writer):
        heard.append(time.monotonic())
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", port):
        store = await opened(f"redis://127.0.0.1:{port}")
        begun = time.monotonic()
        while len(heard) < 5:
            assert time.monotonic() < begun + PATIENCE
            await timed(store.get(ONE.key))
            await asyncio.sleep(0.005)

    assert all(after - before > 0.9 for before, after in itertools.pairwise(heard[2:]))


async def test_as_many_connections_as_allowed(opened, redis_server):
    """However many ask at once; they are used again."""
    store = await opened(connections=2, timeout="2s")
    await asyncio.gather(*(store.get(session(number).key) for number in range(100)))

    clients = redis_server.ask("CLIENT", "LIST").count(b" cmd=evalsha ")
    assert clients == 2


async def test_who_gives_up_takes_no_connection_away(opened, redis_server):
    """Nor leaves one behind on which another's answer is under way."""
    store = await opened(connections=2, timeout="2s")
    await store.put(ONE, 10)
    for number in range(100):
        waiting = [asyncio.ensure_future(store.get(ONE.key)) for _ in range(4)]
        for _ in range(number % 7):
            await asyncio.sleep(0)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    assert await asyncio.gather(*(store.get(ONE.key) for _ in range(10))) == [ONE] * 10


async def test_an_answer_that_is_none_is_unavailable(opened):
    """Whatever listens there is no Redis."""
    port = free_port()

    async def babble(reader, writer):
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", port):
        store = await opened(f"redis://127.0.0.1:{port}")
        await timed(store.get(ONE.key))
        await timed(store.delete_user("web", ALICE))


async def test_nobody_listens(opened):
    """Said with the place."""
    port = free_port()
    store = await opened(f"redis://127.0.0.1:{port}")

    with pytest.raises(SessionStoreUnavailable, match=rf"redis 127\.0\.0\.1:{port}: "):
        await store.get(ONE.key)


async def test_a_full_redis_keeps_those_in_who_are(opened, own_redis):
    """Signing in is unavailable; nobody else is turned away because of that."""
    store = await opened(own_redis.url)
    await store.put(ONE, 10)
    own_redis.ask("CONFIG", "SET", "maxmemory", "1")
    for _ in range(5):
        with pytest.raises(SessionStoreUnavailable, match="memory"):
            await store.put(session(2), 10)
        assert await store.get(ONE.key) == ONE
    assert await store.sessions_of("web", None) == (ONE,)
    assert await store.touch(ONE.key, NOW + HOUR) is not None
    assert await store.delete(ONE.key)


async def test_a_redis_that_may_not_write_keeps_those_in_who_are(opened, own_redis):
    """As a replica whose primary is away; every change is unavailable, and no look-up because of that."""
    store = await opened(own_redis.url)
    await store.put(ONE, 10)
    own_redis.ask("REPLICAOF", "127.0.0.1", str(free_port()))
    for _ in range(5):
        for change in (store.put(session(2), 10), store.touch(ONE.key, NOW + HOUR), store.delete(ONE.key)):
            with pytest.raises(SessionStoreUnavailable, match="read only"):
                await change
        assert await store.get(ONE.key) == ONE


async def test_a_closed_store_says_so(opened):
    """And opens no connection again."""
    store = await opened()
    await store.get(ONE.key)
    await store.aclose()

    with pytest.raises(SessionStoreUnavailable, match="is closed"):
        await store.get(ONE.key)


async def test_opening_asks_nobody(opened):
    """`authproxy check` opens stores and throws them away."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        await opened(f"redis://127.0.0.1:{listening.getsockname()[1]}")
        with pytest.raises(BlockingIOError):
            listening.accept()
