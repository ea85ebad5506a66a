"""One request after the other, on both sides: order, what is left over, reuse (RFC 9112, 9)."""

import pytest

from tests.conformance.proxy import GOOD, chunked, post, request
from tests.conformance.upstream import early, reply
from tests.conformance.wire import Truncated
from tests.patience import PATIENCE

pytestmark = pytest.mark.promise

CHUNKED = "Transfer-Encoding: chunked"


# ---------------------------------------------------------------------- one after the other


def test_pipelined_requests_are_answered_in_order(wire, upstream):
    """All at once from the client, one at a time at the upstream."""
    upstream.answer(*[b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % n for n in range(5)])
    wire.send(b"".join(request(f"GET /{n} HTTP/1.1") for n in range(5)))

    assert [wire.answer().body for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
    assert [seen.target for seen in upstream.requests] == [b"/0", b"/1", b"/2", b"/3", b"/4"]


def test_a_pipelined_request_behind_a_body(wire, upstream):
    """What is behind the body is the next request, for both framings and for refused ones."""
    raws = [
        post(b"hello"),
        chunked(b"5\r\nhello\r\n0\r\n\r\n"),
        post(b"hello", target="/web/"),
        request("GET /last HTTP/1.1"),
    ]
    wire.send(b"".join(raws))

    assert [wire.answer().status for _ in raws] == [200, 200, 401, 200]
    assert [seen.target for seen in upstream.requests] == [b"/", b"/", b"/last"]


def test_a_refused_body_is_never_the_next_request(wire, fence):
    """A small one is read away, whatever it looks like; a chunked or large one ends the connection."""
    inner = request("GET /public/smuggled HTTP/1.1")
    assert wire.ask(post(inner, target="/web/")).status == 401
    assert wire.ask(request("GET /web/ HTTP/1.1")).status == 401
    answer = wire.ask(chunked(inner, target="/web/"))

    assert answer.status == 401
    assert answer.one("Connection") == b"close"
    assert wire.rest() == b""
    fence()


def test_a_large_refused_body_ends_the_connection(wire, fence):
    """More than is worth reading; the answer is not lost in a reset."""
    answer = wire.ask(post(b"x" * 2_000_000, target="/web/"))

    assert answer.status == 401
    assert answer.one("Connection") == b"close"
    assert wire.rest() == b""
    fence()


def test_nothing_is_read_behind_connection_close(wire, upstream):
    """What follows a request that asked to close is forgotten."""
    wire.send(request("GET /1 HTTP/1.1", "Connection: close") + request("GET /2 HTTP/1.1"))

    assert wire.answer().one("Connection") == b"close"
    assert wire.rest() == b""
    assert [seen.target for seen in upstream.requests] == [b"/1"]


def test_requests_wait_while_one_is_in_progress(wire, upstream):
    """The upstream gets the second once the first is answered."""
    import threading

    go = threading.Event()

    def slow(turn):
        turn.wait(go)
        reply()(turn)

    upstream.answer(slow)
    wire.send(request("GET /1 HTTP/1.1"))
    upstream.request(1, whole=False)
    wire.send(request("GET /2 HTTP/1.1") * 50)
    assert len(upstream.requests) == 1
    go.set()

    assert [wire.answer().status for _ in range(51)] == [200] * 51


def test_a_cut_within_a_head_is_no_request(dial, fence):
    """Half a head and the end of the connection: nobody hears of it."""
    for cut in (1, 20, 60):
        wire = dial()
        wire.send(request("GET /half HTTP/1.1")[:cut])
        wire.close()
    wire = dial()
    wire.send(b"GET /half HTTP/1.1\r\nHost: proxy.test\r\n" + GOOD)
    wire.reset()
    fence()


# ---------------------------------------------------------------------- reuse of the upstream's connection


def _connections(upstream, *numbers: int) -> list[int]:
    return [upstream.request(number, whole=False).connection for number in numbers]


def test_connections_are_reused(wire, upstream):
    """One after the other on the same, bodies or not."""
    for raw in (request(), post(b"hello"), chunked(b"5\r\nhello\r\n0\r\n\r\n"), request("HEAD / HTTP/1.1"), request()):
        assert wire.ask(raw).status == 200

    assert len(set(_connections(upstream, 1, 2, 3, 4, 5))) == 1


def test_no_reuse_after_an_early_answer(wire, dial, upstream):
    """The upstream may read the rest of the body, or not: nobody knows."""
    upstream.answer(early())
    wire.send(post(b"0123456789")[:-5])
    answer = wire.answer("POST")
    assert answer.status == 200
    assert answer.one("Connection") == b"close"
    assert wire.rest() == b""
    assert dial().ask(request()).status == 200

    first, second = _connections(upstream, 1, 2)
    assert first != second
    assert not upstream.requests[0].whole


def test_no_reuse_when_bytes_are_left_over(wire, dial, upstream):
    """An answer and a half: the half is never the answer to somebody else."""
    ghost = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nghost"
    upstream.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + ghost)
    try:
        first = wire.ask(request())
    except Truncated:
        first = None
    second = dial().ask(request())

    assert first is None or first.status == 502
    assert second.body == b"ok"
    assert len(set(_connections(upstream, 1, 2))) == 2


def test_no_reuse_when_bytes_come_late(wire, dial, upstream):
    """Bytes on an idle connection end it."""

    def late(turn):
        reply()(turn)
        assert go.wait(PATIENCE)
        turn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nghost")

    import threading

    go = threading.Event()
    upstream.answer(late)
    assert wire.ask(request()).body == b"ok"
    go.set()
    upstream.end_of(upstream.request())

    assert wire.ask(request()).body == b"ok"
    assert len(set(_connections(upstream, 1, 2))) == 2


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_no_reuse_where_the_upstream_says_so(wire, upstream, raw):
    """`Connection: close`, and HTTP/1.0."""
    upstream.answer(raw)
    assert wire.ask(request()).body == b"ok"
    assert wire.ask(request()).body == b"ok"

    assert len(set(_connections(upstream, 1, 2))) == 2


def test_no_reuse_after_a_body_where_the_upstream_leaves_bodies_unread(wire, upstream):
    """`reuse_after_body: false`; without a body there is nothing to leave."""
    for raw in (request("GET /once/ HTTP/1.1"), post(b"hello", target="/once/"), request("GET /once/ HTTP/1.1"),
                post(b"", target="/once/"), request("GET /once/ HTTP/1.1")):  # fmt: skip
        assert wire.ask(raw).status == 200

    one, two, three, four, five = _connections(upstream, 1, 2, 3, 4, 5)
    assert one == two != three == four == five
