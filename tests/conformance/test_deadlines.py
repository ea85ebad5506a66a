"""Slow peers cost nothing but themselves; small limits count where they are set."""

import contextlib
import threading
import time

import pytest

from tests.conformance.proxy import GOOD, post, request
from tests.conformance.upstream import reply
from tests.patience import PATIENCE

pytestmark = pytest.mark.promise

ASK = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13"]
SWITCH = b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest.fixture
def slow(hasty, upstream):
    """A connection to the proxy with short times."""
    wire = hasty.connect()
    yield wire
    wire.close()


@pytest.fixture
def never():
    """An event that nobody sets until the test is over."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("part", [b"G", b"GET / HTTP/1.1\r\n", request()[:-2], b"\r\nGET"])
def test_a_head_that_does_not_end_is_408(slow, part):
    """From its first byte on."""
    slow.send(part)
    answer = slow.answer()

    assert answer.status == 408
    assert answer.kind == "limit"
    assert answer.one("Connection") == b"close"
    assert slow.rest() == b""


def test_a_head_that_dribbles_is_408_too(slow):
    """A byte now and then buys no time."""
    begin = time.monotonic()
    slow.sock.settimeout(0.1)
    for byte in request()[:60]:
        slow.send(bytes([byte]))
        try:
            if not slow._more():
                break
        except TimeoutError:
            continue
        break

    assert time.monotonic() - begin < 5
    assert bytes(slow.buffer).startswith(b"HTTP/1.1 408 ")


def test_a_silent_connection_is_closed(slow):
    """Before the first request and between two, without a word."""
    assert slow.rest() == b""
    assert slow.end == "clean"


def test_an_idle_connection_is_closed(slow, upstream):
    """After an answer."""
    assert slow.ask(request()).status == 200
    assert slow.rest() == b""
    assert slow.end == "clean"


@pytest.mark.parametrize(
    "raw", [post(b"0123456789")[:-5], request("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=b"5\r\nhel")]
)
def test_a_body_that_does_not_come_is_408(slow, upstream, raw):
    """And the upstream never takes it for whole."""
    slow.send(raw)
    answer = slow.answer("POST")

    assert answer.status == 408
    assert slow.rest() == b""
    assert upstream.end_of(upstream.requests[0]) == "cut"
    assert not upstream.requests[0].whole


def test_a_refused_body_that_does_not_come_ends_the_connection(slow, upstream):
    """Nobody waits for what is thrown away."""
    slow.send(request("POST / HTTP/1.1", "Content-Length: 10", auth=b"", body=b"hello"))

    assert slow.answer("POST").status == 401
    assert slow.rest() == b""


def test_an_upstream_that_does_not_answer_is_504(slow, upstream, never):
    """Its connection is cut; the client's goes on."""
    upstream.answer(lambda turn: turn.read(1))
    answer = slow.ask(request())

    assert answer.status == 504
    assert answer.kind == "upstream"
    assert upstream.end_of(upstream.requests[0]) == "cut"
    assert slow.ask(request()).status == 200


@pytest.mark.parametrize("part", [b"H", b"HTTP/1.1 200 OK\r\nX-A: 1\r\n", b"HTTP/1.1 102 X\r\n\r\n"])
def test_an_answers_head_that_does_not_end_is_504(slow, upstream, part):
    """Too."""
    upstream.answer(lambda turn: (turn.send(part), turn.read(1)))

    assert slow.ask(request()).status == 504


def test_an_upstream_that_never_shakes_hands_is_504(slow, upstream):
    """`timeouts.connect` covers the handshake."""
    answer = slow.ask(request("GET /silent/ HTTP/1.1"))

    assert answer.status == 504
    assert slow.ask(request()).status == 200


def test_an_answer_that_stops_is_cut(slow, upstream):
    """No byte for too long: the client sees that it is not whole."""
    upstream.answer(
        lambda turn: (turn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), turn.read(1))
    )
    slow.send(request())
    got = slow.rest()

    assert slow.end == "cut"
    assert got.endswith(b"hello\r\n")


def test_an_upstream_that_does_not_take_the_body_is_504(slow, upstream, never):
    """The client did all it could: it is not told that it was slow."""
    upstream.answer(lambda turn: never.wait(10))
    slow.send(request("POST / HTTP/1.1", "Content-Length: 50000000", body=b""))
    slow.sock.settimeout(0.05)
    ends = time.monotonic() + PATIENCE
    # Until there is an answer: that nobody takes more for a moment may be the machine's doing.
    while not slow.buffer and not slow.end and time.monotonic() < ends:
        try:
            slow.sock.send(b"x" * 16_384)
        except TimeoutError:
            with contextlib.suppress(TimeoutError):
                slow._more()
        except OSError:
            break
    slow.sock.settimeout(PATIENCE)
    got = slow.rest()

    assert got.startswith(b"HTTP/1.1 504 ")


def test_a_silent_tunnel_ends(slow, upstream):
    """`timeouts.tunnel_idle`."""
    upstream.answer(lambda turn: (turn.send(SWITCH), turn.read(1)))
    slow.send(request("GET / HTTP/1.1", *ASK))

    assert slow.interim().status == 101
    assert slow.rest() == b""
    assert upstream.end_of(upstream.requests[0])


def test_a_client_that_is_served_waits_as_long_as_it_takes(slow, upstream):
    """Limits count between bytes, not in all."""

    def drip(turn):
        turn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        for _ in range(6):
            threading.Event().wait(0.3)
            turn.send(b"x")

    upstream.answer(drip)

    assert slow.ask(request()).body == b"xxxxxx"


@pytest.mark.parametrize(
    "frame", [{"Content-Length": "6"}, {"Transfer-Encoding": "chunked"}], ids=lambda frame: next(iter(frame))
)
def test_an_upload_goes_on_for_as_long_as_its_bytes_come_after_an_early_answer(slow, upstream, frame):
    """The answer's head came first, and its body only after the last byte of the request: nobody was idle."""

    def script(turn):
        turn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        turn.read_body()
        turn.send(b"done")

    upstream.answer(script)
    ((name, value),) = frame.items()
    piece, last = (b"x", b"") if name == "Content-Length" else (b"1\r\nx\r\n", b"0\r\n\r\n")
    slow.send(request("POST / HTTP/1.1", f"{name}: {value}"))
    for _ in range(6):
        threading.Event().wait(0.3)
        slow.send(piece)
    slow.send(last)

    assert slow.answer("POST").body == b"done"
    assert upstream.requests[0].body == b"xxxxxx"


def test_an_upload_that_stops_after_an_early_answer_is_the_clients_fault(hasty, slow, upstream):
    """After `timeouts.body_idle`: both ends are cut, and the log does not blame the upstream."""
    upstream.answer(lambda turn: (turn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"), turn.read_body()))
    slow.send(post(b"0123456789", "X-Mark: stops")[:-5])
    answer = slow.interim()
    assert slow.rest() == b""

    assert slow.end == "cut"
    assert upstream.end_of(upstream.requests[0]) == "cut"
    told = hasty.wait_access(answer.one("X-Request-Id"))
    assert (told["status"], told["reason"]) == (200, "body-timeout")


# ---------------------------------------------------------------------- small limits


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (request("GET /" + "a" * 255 + " HTTP/1.1"), 200), (request("GET /" + "a" * 256 + " HTTP/1.1"), 414),
        (request("GET / HTTP/1.1", "X-A: " + "a" * 251), 200), (request("GET / HTTP/1.1", "X-A: " + "a" * 252), 431),
        (request("GET / HTTP/1.1", *[f"X-{n}: 1" for n in range(6)]), 200),
        (request("GET / HTTP/1.1", *[f"X-{n}: 1" for n in range(7)]), 431),
        (request("GET / HTTP/1.1", *["X-A: " + "a" * 200] * 4), 200),
        (request("GET / HTTP/1.1", *["X-A: " + "a" * 250] * 4), 431),
    ],
)  # fmt: skip
def test_limits_are_configurable(slow, upstream, raw, status):
    """256 bytes a line, 8 fields, 1 KiB in all: both sides of each."""
    assert slow.ask(raw).status == status


def test_one_slow_client_does_not_hold_up_another(hasty, upstream):
    """Twenty half heads wait; a whole one is answered."""
    waiting = [hasty.connect() for _ in range(20)]
    for one in waiting:
        one.send(b"GET / HTTP/1.1\r\nHost: ")

    # Only now: an idle connection has its end, too.
    quick = hasty.connect()
    assert quick.ask(request()).status == 200
    for one in (*waiting, quick):
        one.close()


def test_a_client_without_a_handshake_is_let_go(hasty, upstream):
    """`timeouts.handshake`; who speaks plain HTTP is told so, and nothing else."""
    import socket

    with socket.create_connection(("127.0.0.1", hasty.ports["public"]), PATIENCE) as raw:
        assert raw.recv(1) == b""
    with socket.create_connection(("127.0.0.1", hasty.ports["public"]), PATIENCE) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: proxy.test\r\n" + GOOD + b"\r\n")
        try:
            got = raw.recv(1000)
        except ConnectionError:
            got = b""
    assert got.startswith(b"HTTP/1.1 400 ")
    head, _, text = got.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(text) in head
    assert b"\r\nX-Authproxy-Response: bad-request; id=" in head
    assert b"\r\nCache-Control: no-store\r\n" in head
    assert text == b"This port speaks TLS: ask for https://, please\n"
    assert upstream.requests == []


def test_answers_of_the_upstream_are_not_lost_to_its_close(slow, upstream):
    """Answer and close in one breath."""
    upstream.answer(*[reply(then="close")] * 5)

    assert [slow.ask(request()).status for _ in range(5)] == [200] * 5
