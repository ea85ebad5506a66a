"""Back-pressure between requests: neither requests nor answers pile up in the proxy, whatever a client leaves unread."""

import threading

import pytest

from tests.conformance.proxy import post, request
from tests.conformance.upstream import reply

pytestmark = pytest.mark.promise

MIB = 1024 * 1024


@pytest.fixture
def never():
    """An event that is set when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def _push(wire, data, limit):
    """Send until nobody takes more; returns how much was taken."""
    wire.sock.settimeout(0.7)
    sent = 0
    try:
        while sent < limit:
            sent += wire.sock.send(data)
    except TimeoutError:
        pass
    return sent


@pytest.mark.parametrize("raw", [request(auth=b""), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_refused_requests_do_not_pile_up(dial, wire, raw):
    """A client that only sends gets no further than the buffers of the kernel, and others are served meanwhile."""
    flood = dial()
    taken = _push(flood, raw * (65536 // len(raw)), 64 * MIB)

    assert taken < 24 * MIB
    assert wire.ask(request()).status == 200


def test_answers_do_not_pile_up(dial, wire, upstream):
    """Of a hundred answers that are asked for and not read only those are fetched that the buffers take."""
    body = b"x" * MIB
    upstream.answer(*[reply(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (MIB, body))] * 100)
    greedy = dial()
    greedy.send(request("GET /greedy HTTP/1.1") * 100)
    _push(greedy, request("GET /greedy HTTP/1.1"), MIB)

    assert sum(seen.target == b"/greedy" for seen in upstream.requests) < 40
    upstream.scripts.clear()
    assert wire.ask(request()).status == 200


def test_a_paused_client_gets_everything_once_it_reads(dial, upstream):
    """Holding back loses nothing and keeps the order."""
    bodies = [bytes([65 + index]) * MIB for index in range(12)]
    upstream.answer(*[reply(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (MIB, body)) for body in bodies])
    slow = dial()
    slow.send(request() * len(bodies))
    upstream.request(3)

    assert [slow.answer().body[:1] for _ in bodies] == [body[:1] for body in bodies]


def test_no_reuse_when_the_answer_began_before_the_request_ended(dial, upstream):
    """Half an answer, then the body, then the other half: what is unread at the upstream would be the next request."""
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\nX-Authproxy-User: root\r\n\r\n"

    def script(turn):
        turn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        turn.read_body()
        turn.send(b"cd")

    upstream.answer(script)
    attacker = dial()
    raw = post(smuggled)
    head, _, body = raw.partition(b"\r\n\r\n")
    attacker.send(head + b"\r\n\r\n")
    assert attacker.exactly(1)
    attacker.send(body)
    attacker.rest()
    victim = dial()

    assert victim.ask(request()).status == 200
    first, second = upstream.request(1), upstream.request(2)
    assert first.connection != second.connection
    assert second.target == b"/"


def test_100_continue_is_never_written_into_an_answer(dial, upstream, never):
    """An answer that came without the body, and then stalls, stays an answer."""

    def script(turn):
        turn.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\nhello")
        never.wait(2.5)
        turn.send(b"done")

    upstream.answer(script)
    client = dial()
    client.send(request("POST / HTTP/1.1", "Content-Length: 5", "Expect: 100-continue"))

    assert b"100 Continue" not in client.rest()


@pytest.mark.parametrize("tail", [b"\r\n", b"\r", b"GET / HT"])
def test_a_connection_reads_on_after_a_pipelined_beginning(wire, tail):
    """What came with the request before, and is no request yet, does not leave the connection deaf."""
    rest = (b"\r\n" + request())[len(tail) :] if tail[:1] == b"\r" else request()[len(tail) :]
    wire.send(request() + tail)

    assert wire.answer().status == 200
    assert wire.ask(rest, "GET").status == 200
