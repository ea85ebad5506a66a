"""Answers that are none: 502, or visibly not the whole; never a clean end (RFC 9112, 8)."""

import threading

import pytest

from tests.conformance.proxy import request
from tests.conformance.upstream import reply
from tests.conformance.wire import Truncated

pytestmark = pytest.mark.promise

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nhello"


MALFORMED = [
    b"\r\n" + LENGTH, b"HTTP/2.0 200 OK\r\n\r\n", b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", b"http/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTTP/1.1 099 OK\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1 +20 OK\r\n\r\n", b"ICY 200 OK\r\n\r\n", b"hello\r\n\r\n",
    b"HTTP/1.1 200OK\r\n\r\n", b"HTTP/1.1\t200 OK\r\n\r\n", b"\x15\x03\x01\x00\x02\r\n\r\n", b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK\r\n\r\n",
    b"HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 O\x00K\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", b"HTTP/1.1 200 OK\r\nX-A: 1\nX-B: 2\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-A : 1\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n: 1\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-A: 1\r\n folded\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n X-A: 1\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-A: a\rb\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\nX(A: 1\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\nhello", b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: " + b"1" * 19 + b"\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \r\n\r\n0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" + b"behind", LENGTH + LENGTH, CHUNKS + b"behind",
    b"HTTP/1.1 204 No Content\r\n\r\nbody", b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 66_000 + b"\r\n\r\n", b"a" * 70_000,
    b"HTTP/1.1 103 X\r\nX : 1\r\n\r\n" + LENGTH,
]  # fmt: skip


@pytest.mark.parametrize("raw", MALFORMED)
def test_a_malformed_answer_is_502(wire, upstream, raw):
    """Nothing of it reaches the client, its connection is cut and the client's goes on."""
    upstream.answer(raw)
    answer = wire.ask(request())

    assert answer.status == 502
    assert answer.kind == "upstream"
    assert upstream.end_of(upstream.request()) == "cut"
    assert wire.ask(request()).body == b"ok"
    assert len(upstream.requests) == 2


def test_a_body_behind_head_is_nobodys_answer(wire, upstream):
    """An upstream that answers HEAD with a body: the body is never the next answer."""
    upstream.answer(LENGTH)
    try:
        assert wire.ask(request("HEAD / HTTP/1.1")).status in {200, 502}
        second = wire.ask(request())
    except Truncated:
        return

    assert second.body == b"ok"


BROKEN_OFF = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", ""),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", ""),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello", ""),
]


@pytest.mark.parametrize(("raw", "_"), BROKEN_OFF)
@pytest.mark.parametrize("then", ["close", "cut", "reset"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_answer_that_breaks_off_never_ends_cleanly(wire, upstream, raw, _, then, version):
    """The client sees that something is missing, however the upstream went."""
    upstream.answer(reply(raw, then))
    wire.send(request(f"GET / HTTP/{version}"))
    got = wire.rest()

    assert not got.endswith(b"0\r\n\r\n")
    # With HTTP/1.0 and no length a clean end would mean that all is there.
    assert wire.end == "cut" or b"Content-Length: 10" in got or got.startswith(b"HTTP/1.1 502")


@pytest.mark.parametrize("then", ["cut", "reset"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_answer_until_close_needs_a_clean_close(wire, upstream, then, version):
    """RFC 9112, 9.8: without close_notify anybody on the way may have cut it short."""
    upstream.answer(reply(UNTIL_CLOSE, then))
    wire.send(request(f"GET / HTTP/{version}", "Connection: close"))
    got = wire.rest()

    assert not got.endswith(b"0\r\n\r\n")
    assert wire.end == "cut" or got.startswith(b"HTTP/1.1 502")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"x\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"5\r\nhelloo\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"0\r\n\r\nbehind"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", b"world and more"),
    ],
)
def test_what_breaks_late_cuts_the_client(wire, upstream, first, second):
    """Something was sent already: the connection is cut, no end is made up."""
    go = threading.Event()

    def script(turn):
        turn.send(first)
        turn.wait(go)
        turn.send(second)
        turn.read(1)

    upstream.answer(script)
    wire.send(request())
    got = b""
    while b"hello" not in got:
        got += wire.exactly(1)
    go.set()
    got += wire.rest()

    assert wire.end == "cut"
    assert not got.endswith(b"0\r\n\r\n")
    assert b"world" not in got
    assert upstream.end_of(upstream.requests[0]) == "cut"


def test_a_client_that_goes_away_ends_the_upstreams_answer(wire, upstream):
    """Nobody reads on for nobody."""
    upstream.answer(lambda turn: (turn.send(UNTIL_CLOSE), turn.read(1)))
    wire.send(request())
    wire.exactly(1)
    wire.close()

    assert upstream.end_of(upstream.requests[0]) == "cut"


def test_the_next_answer_is_never_the_last_ones_rest(wire, dial, upstream):
    """A client goes away within an answer; the next one gets its own."""
    upstream.answer(lambda turn: (turn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nghost"), turn.read(1)))
    wire.send(request())
    wire.exactly(1)
    wire.close()
    assert upstream.end_of(upstream.requests[0]) == "cut"

    assert dial().ask(request()).body == b"ok"
