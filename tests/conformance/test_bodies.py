"""Bodies arrive whole or not at all, and only where they belong; Expect (RFC 9110, 10.1.1)."""

import pytest

from tests.conformance.proxy import chunked, post, request
from tests.conformance.upstream import early, reply

pytestmark = pytest.mark.promise

CHUNKED = "Transfer-Encoding: chunked"


# ---------------------------------------------------------------------- bodies


@pytest.mark.parametrize("size", [0, 1, 1000, 65_536, 3_000_000])
def test_a_body_arrives_whole(wire, upstream, size):
    """Both framings, any size."""
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]

    assert wire.ask(post(body)).status == 200
    assert wire.ask(chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (size, body) if size else b"0\r\n\r\n")).status == 200
    assert upstream.request(1).body == body
    assert upstream.request(2).body == body


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "PROPFIND", "post"])
@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_a_body_where_none_belongs_is_refused(wire, fence, method, framing):
    """Some servers would read it as the next request: 400 and close."""
    answer = wire.ask(request(f"{method} / HTTP/1.1", framing, body=b"hello"))

    assert answer.status == 400
    assert wire.rest() == b""
    fence()


@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_a_body_where_none_belongs_is_refused_on_public_routes_too(wire, fence, framing):
    """Nobody is asked there, and the rule is the same."""
    answer = wire.ask(request("GET /public/ HTTP/1.1", framing, auth=b"", body=b"hello"))

    assert answer.status == 400
    assert wire.rest() == b""
    fence()


def test_a_length_of_nothing_is_no_body(wire, upstream):
    """`Content-Length: 0` may stand anywhere."""
    assert wire.ask(request("GET / HTTP/1.1", "Content-Length: 0")).status == 200
    assert wire.ask(request("GET / HTTP/1.1", "Content-Length: 000")).status == 200


@pytest.mark.parametrize(
    ("method", "status"), [("POST", 200), ("DELETE", 200), ("PUT", 400), ("PATCH", 400), ("GET", 400)]
)
def test_a_route_says_which_methods_have_bodies(wire, upstream, method, status):
    """`body_methods`."""
    assert wire.ask(request(f"{method} /bodies/ HTTP/1.1", "Content-Length: 2", body=b"hi")).status == status


@pytest.mark.parametrize(
    "raw",
    [
        post(b"x" * 1025, target="/small/"),
        chunked(b"401\r\n" + b"x" * 1025 + b"\r\n0\r\n\r\n", target="/small/"),
        chunked(b"400\r\n" + b"x" * 1024 + b"\r\n1\r\nx\r\n0\r\n\r\n", target="/small/"),
    ],
)
def test_a_body_above_the_limit_is_413(wire, upstream, raw):
    """1025 bytes where 1024 are allowed, announced or not; the upstream never takes it for whole."""
    answer = wire.ask(raw)

    assert answer.status == 413
    assert answer.kind == "limit"
    assert wire.rest() == b""
    assert all(not seen.whole for seen in upstream.requests)


def test_a_body_at_the_limit_passes(wire, upstream):
    """1024 bytes."""
    assert wire.ask(post(b"x" * 1024, target="/small/")).status == 200
    assert wire.ask(chunked(b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n", target="/small/")).status == 200


@pytest.mark.parametrize("raw", [post(b"0123456789")[:-4], chunked(b"a\r\n012345"), chunked(b"5\r\nhello\r\n")])
@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_client_that_goes_away_leaves_nothing_whole(wire, upstream, raw, end):
    """The upstream's connection is cut within the body."""
    wire.send(raw)
    seen = upstream.request(whole=False)
    getattr(wire, end)()

    assert upstream.end_of(seen) == "cut"
    assert not seen.whole


# ---------------------------------------------------------------------- Expect


def test_a_refusal_does_not_ask_for_the_body(wire, fence):
    """401 at once, and the connection closes: whether the body comes is the client's affair."""
    answer = wire.ask(request("POST / HTTP/1.1", "Content-Length: 5", "Expect: 100-continue", auth=b""))

    assert answer.status == 401
    assert answer.one("Connection") == b"close"
    fence()


@pytest.mark.parametrize("expect", ["100-continue", "100-Continue"])
def test_the_upstreams_100_is_passed_on_once(wire, upstream, expect):
    """The head goes up with the Expect; the body after the 100."""

    def twice(turn):
        assert not turn.buffer
        turn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        reply()(turn)

    upstream.answer(twice)
    wire.send(request("POST / HTTP/1.1", "Content-Length: 5", f"Expect: {expect}"))
    interim = wire.interim()
    answer = wire.ask(b"hello", "POST")

    assert interim.status == 100
    assert answer.status == 200
    assert upstream.request().one("Expect") == b"100-continue"
    assert upstream.request().body == b"hello"


def test_after_a_second_the_proxy_asks_itself(wire, upstream):
    """An upstream that knows no 100 still gets the body."""
    wire.send(request("POST / HTTP/1.1", "Content-Length: 5", "Expect: 100-continue"))
    interim = wire.interim()
    answer = wire.ask(b"hello", "POST")

    assert interim.status == 100
    assert interim.fields == []
    assert answer.status == 200
    assert upstream.request().body == b"hello"


def test_an_upstream_may_refuse_without_the_body(wire, upstream):
    """Its answer comes at once, without a 100, and neither connection is used again."""
    upstream.answer(early(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"))
    answer = wire.ask(request("POST / HTTP/1.1", "Content-Length: 5", "Expect: 100-continue"))

    assert (answer.status, answer.body) == (403, b"no")
    assert answer.one("Connection") == b"close"
    assert wire.rest() == b""
    assert upstream.end_of(upstream.request(whole=False)) in {"clean", "cut"}


@pytest.mark.parametrize("value", ["200-ok", "100-continue, x", "", "x=y", "100-continue;q"])
def test_other_expectations_are_417(wire, fence, value):
    """Nobody knows what else a server could be expected to do."""
    answer = wire.ask(request("POST / HTTP/1.1", "Content-Length: 0", f"Expect: {value}"))

    assert answer.status == 417
    fence()


def test_a_client_that_does_not_wait_is_served(wire, upstream):
    """RFC 9110, 10.1.1: the body may come with the head."""
    answer = wire.ask(request("POST / HTTP/1.1", "Content-Length: 5", "Expect: 100-continue", body=b"hello"))

    assert answer.status == 200
    assert upstream.request().body == b"hello"


def test_without_a_body_there_is_nothing_to_ask_for(wire, upstream):
    """The expectation of a GET is met by doing nothing."""
    assert wire.ask(request("GET / HTTP/1.1", "Expect: 100-continue")).status == 200


def test_an_http_10_expectation_is_ignored(wire, upstream):
    """RFC 9110, 10.1.1: no 100 for HTTP/1.0."""
    raw = request("POST / HTTP/1.0", "Content-Length: 5", "Expect: 100-continue", body=b"hello")

    assert wire.ask(raw).status == 200
    assert upstream.request().one("Expect") is None
