"""How long a connection, a body and an untaken answer may last."""

import socket
import threading
import time

import pytest

from tests.conformance.conftest import _base
from tests.conformance.proxy import post, request, start
from tests.conformance.upstream import reply
from tests.conformance.wire import Answer
from tests.patience import PATIENCE, SOON

pytestmark = pytest.mark.promise

LARGE = 30_000_000
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


def running(material, recorder, folder, limits, timeouts, *, idle="60s"):
    up = {"urls": [f"https://127.0.0.1:{recorder.port}"], "trust": "ca", "server_name": "upstream.test"}
    return start(
        folder,
        material,
        _base(recorder)
        | {
            "listeners": {"public": {"bind": "@public@", "health": "/healthz"}},
            "upstreams": {"up": {**up, "timeouts": {"idle": idle}}},
            "routes": [{"path": "/", "zone": "api", "upstream": "up"}],
            "limits": limits,
            "timeouts": timeouts,
        },
        ["public"],
        recorder,
    )


@pytest.fixture(scope="module")
def proxy(material, recorder, tmp_path_factory):
    """Five requests a connection, 2 s for a client that takes nothing, 1 s for an upstream that sends nothing."""
    limits, timeouts = {"requests_per_connection": 5}, {"client_write": "2s"}
    proxy = running(material, recorder, tmp_path_factory.mktemp("few"), limits, timeouts, idle="1s")
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def aging(material, recorder, tmp_path_factory):
    """Connections that get 1 s old, and any number of requests."""
    limits, timeouts = {"requests_per_connection": "off"}, {"connection_life": "1s"}
    proxy = running(material, recorder, tmp_path_factory.mktemp("aging"), limits, timeouts)
    yield proxy
    proxy.stop()


def closes(answer):
    return answer.one("Connection") == b"close"


def test_the_last_request_of_a_connection_is_told_so(wire, upstream):
    """Answered whole; then the connection ends cleanly, and only then."""
    answers = [wire.ask(request()) for _ in range(5)]

    assert [(answer.status, closes(answer)) for answer in answers] == [(200, False)] * 4 + [(200, True)]
    assert wire.rest() == b""
    assert wire.end == "clean"


def test_requests_of_every_sort_count(wire, upstream):
    """Own pages, refusals and bodies; the upstream's connection lives on."""
    for raw in (HEALTH, request(auth=b""), post(b"x"), request()):
        assert not closes(wire.ask(raw))

    assert closes(wire.ask(HEALTH))
    assert wire.rest() == b""


def test_pipelined_requests_behind_the_last_are_not_answered(wire, upstream):
    """A client that sent them sees which answers came, and may ask again elsewhere."""
    wire.send(request() * 8)

    assert [closes(wire.answer()) for _ in range(5)] == [False] * 4 + [True]
    assert wire.rest() == b""
    assert len(upstream.requests) == 5


def test_a_websocket_may_be_the_last_request(wire, upstream):
    """It is no answer that ends."""
    switch = b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    upstream.answer(*[reply()] * 4, lambda turn: (turn.send(switch), turn.send(turn.read(5)), turn.close()))
    for _ in range(4):
        wire.ask(request())
    wire.send(request("GET / HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket"))

    assert wire.interim().status == 101
    wire.send(b"hello")
    assert wire.rest() == b"hello"


def test_an_old_connection_ends_with_an_answer(aging, upstream):
    """Not before: closing an idle one could hit a request that is on its way. A young one goes on."""
    wire = aging.connect()
    begun = time.monotonic()
    answers: list[Answer] = []
    while time.monotonic() - begun < PATIENCE and not (answers and closes(answers[-1])):
        answers.append(wire.ask(request()))

    assert 0.9 < time.monotonic() - begun < SOON
    assert len(answers) > 1
    assert [answer.status for answer in answers] == [200] * len(answers)
    assert wire.rest() == b""
    assert wire.end == "clean"
    wire.close()


# ---------------------------------------------------------------------- the client takes nothing


def large(turn):
    turn.read_body()
    turn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
    turn.send(b"x" * LARGE)


def test_a_client_that_takes_nothing_is_cut(proxy, wire, upstream):
    """And told apart from an upstream that stops: the upstream did not."""
    wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    upstream.answer(large)
    begun = time.monotonic()
    wire.send(request("GET /stalled HTTP/1.1"))
    line = proxy.wait_access_text("/stalled")

    assert 1.9 < time.monotonic() - begun < PATIENCE
    assert (line["reason"], line["status"]) == ("client-stalled", 200)
    assert upstream.end_of(upstream.requests[0]) == "cut"
    assert len(wire.rest()) < LARGE
    assert wire.end == "cut"


def test_a_tunnel_whose_client_takes_nothing_is_cut(proxy, wire, upstream):
    """The same, long before `tunnel_idle`."""
    switch = b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    upstream.answer(lambda turn: (turn.send(switch), turn.send(b"x" * LARGE)))
    wire.send(request("GET /deaf HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket"))
    line = proxy.wait_access_text("/deaf")

    assert (line["reason"], line["status"]) == ("client-stalled", 101)


def test_a_slow_client_gets_all(wire, upstream):
    """Some bytes now and then are enough, longer than any limit lasts; and the upstream is not blamed for the pauses."""
    wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    upstream.answer(large)
    wire.send(request())
    assert wire.interim().status == 200
    for _ in range(8):
        threading.Event().wait(0.6)
        wire.exactly(200_000)

    assert wire.exactly(LARGE - 8 * 200_000).endswith(b"x" * 1000)
    assert wire.ask(request()).status == 200


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_client_that_pauses_gets_the_end_of_its_last_answer(aging, upstream):
    """A connection that is to be closed waits for it, too: of so many sizes some leave a rest that the kernel did not take."""
    sizes = range(200_000, 4_200_000, 50_000)
    wires = []

    def script(turn):
        turn.read_body()
        size = int(turn.seen.target[1:])
        turn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)

    upstream.answer(*[script] * len(sizes))
    for size in sizes:
        wires.append(aging.connect())
        wires[-1].sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        wires[-1].send(request(f"GET /{size} HTTP/1.1", "Connection: close"))
    threading.Event().wait(8)

    for size, wire in zip(sizes, wires, strict=True):
        assert wire.interim().status == 200
        assert len(wire.exactly(size)) == size
        assert wire.rest() == b""
        assert wire.end == "clean"
        wire.close()


def test_a_silent_websocket_is_no_stalled_client(wire, upstream):
    """There is nothing for it to take."""
    switch = b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    upstream.answer(lambda turn: (turn.send(switch + b"first"), turn.send(turn.read(5)), turn.close()))
    wire.send(request("GET / HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket"))
    assert wire.interim().status == 101
    threading.Event().wait(4)
    wire.send(b"hello")

    assert wire.rest() == b"firsthello"


# ---------------------------------------------------------------------- the body dribbles


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_body_that_dribbles_is_408_after_its_free_time(proxy, dial, upstream):
    """A byte now and then buys no time, 500 a second do; what the upstream does not take is not the client's fault."""
    ended = threading.Event()
    upstream.answer(lambda turn: turn.read_body(), lambda turn: turn.read_body(), lambda turn: ended.wait(40))
    slow, steady, held = dial(), dial(), dial()
    head = request("POST /x HTTP/1.1", "Content-Length: 50000000")
    begun = time.monotonic()
    for number, wire in enumerate((slow, steady, held), 1):
        wire.send(head)
        upstream.request(number, whole=False)
        wire.sock.settimeout(0.01)
    fill(held)
    while not arrived(slow) and time.monotonic() - begun < 40:
        slow.send(b"x")
        # Twice as fast as it must be: the pauses here are longer than they should be, on a busy machine.
        steady.send(b"x" * 500)
        threading.Event().wait(0.5)
    took = time.monotonic() - begun
    ended.set()

    assert 20 <= took < 20 + SOON
    assert bytes(slow.buffer).startswith(b"HTTP/1.1 408 ")
    assert proxy.wait_access_text("body-too-slow")["status"] == 408
    assert upstream.end_of(upstream.requests[0]) == "cut"
    assert not arrived(steady)
    assert b"408" not in bytes(held.buffer)


def arrived(wire):
    """Whether anything has come, without waiting for it."""
    try:
        return wire._more() or bool(wire.end)
    except TimeoutError:
        return bool(wire.buffer)


def fill(wire):
    """Send until nobody takes more."""
    try:
        while True:
            wire.sock.send(b"x" * 16_384)
    except TimeoutError:
        return


@pytest.fixture(scope="module")
def full(material, recorder, tmp_path_factory):
    """Two connections at a time, both from one source; and long lines."""
    limits = {"connections": 2, "connections_per_source": 100, "line": 30_000}
    proxy = running(material, recorder, tmp_path_factory.mktemp("full"), limits, {})
    yield proxy
    proxy.stop()


@pytest.mark.parametrize("raw", [request(), request(auth=b""), HEALTH, post(b"x")])
def test_whoever_is_too_many_is_told_503_and_when_to_come_again(full, upstream, raw):
    """However few there may be, and several times over; those who came first are served."""
    inside = [full.connect("public") for _ in range(2)]
    assert [wire.ask(request()).status for wire in inside] == [200, 200]
    outside = [full.connect("public") for _ in range(4)]
    for wire in outside:
        answer = wire.ask(raw)
        assert (answer.status, answer.kind, closes(answer)) == (503, "unavailable", True)
        assert answer.one("Retry-After") == b"1"
        assert full.wait_access(answer.one("X-Request-Id"))["reason"] == "too-many-connections"
        assert wire.rest() == b""
        assert wire.end == "clean"

    assert [wire.ask(request()).status for wire in inside] == [200, 200]
    assert len(upstream.requests) == 4
    for wire in inside + outside:
        wire.close()
    entered(full).close()


def test_health_takes_a_query_as_long_as_a_line_may_be(full):
    """The page reads none of it, and nor does what makes the page."""
    wire = entered(full)
    for size in (8_200, 29_000):
        answer = wire.ask(HEALTH.replace(b"/healthz", b"/healthz?" + b"x" * size))
        assert (answer.status, answer.kind, answer.body) == (200, "own-page", b"ok\n")
    wire.close()


def entered(full):
    """A connection that has room."""
    while True:
        wire = full.connect("public")
        if wire.ask(request()).status == 200:
            return wire
        wire.close()
