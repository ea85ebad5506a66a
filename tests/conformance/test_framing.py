"""Where a request ends (RFC 9112, 6 and 7)."""

import pytest

from tests.conformance.proxy import GOOD, post, request
from tests.conformance.upstream import early, reply
from tests.conformance.wire import Truncated

pytestmark = pytest.mark.promise

CHUNKED = "Transfer-Encoding: chunked"


def chunked(body: bytes, *lines: str, target: str = "/") -> bytes:
    """A POST with these bytes behind its head."""
    return request(f"POST {target} HTTP/1.1", CHUNKED, *lines, body=body)


# ---------------------------------------------------------------------- Content-Length


@pytest.mark.parametrize("value", ["5", "05", "000000000000000005", "  5", "5  ", "\t5"])
def test_a_length_of_1_to_18_digits_counts(wire, upstream, value):
    """And is written anew."""
    answer = wire.ask(request("POST / HTTP/1.1", f"Content-Length:{value}", body=b"hello"))

    assert answer.status == 200
    assert upstream.request().body == b"hello"
    assert upstream.request().one("Content-Length") == b"5"


@pytest.mark.parametrize(
    "value",
    ["", " ", "+5", "-5", "-0", "5 5", "5,5", "5, 5", "5;", "1_0", "0x5", "5.0", "5e0", "five", "\u00b2", "0000000000000000005",
     "1" * 19, "9" * 30, "5\x0b", "'5'", "5\t5", "NaN", "\xd9\xa5"],
)  # fmt: skip
def test_any_other_length_is_refused(wire, fence, value):
    """Signs, lists, blanks, underscores, other digits, 19 digits: 400 and close."""
    answer = wire.ask(request("POST / HTTP/1.1", f"Content-Length: {value}", body=b"hello"), "POST")

    assert answer.status == 400
    assert answer.one("Connection") == b"close"
    assert wire.rest() == b""
    fence()


def test_a_length_of_18_digits_is_no_reason_to_refuse(wire, upstream):
    """The upstream hears of it at once; the client then goes away."""
    wire.send(request("POST / HTTP/1.1", f"Content-Length: {'9' * 18}", body=b"hello"))
    seen = upstream.request(whole=False)
    wire.close()

    assert upstream.end_of(seen) == "cut"
    assert seen.framed == b"hello"
    assert not seen.whole


# ---------------------------------------------------------------------- Transfer-Encoding


@pytest.mark.parametrize(
    ("value", "statuses"),
    [
        ("gzip", {501}), ("identity", {501}), ("gzip, chunked", {501}), ("chunked, gzip", {501}), ("chunked, chunked", {501}),
        ("chunked;q=1", {501}), ("", {501}), ("x", {501}), ('"chunked"', {501}), ("chunked,", {501}), (",chunked", {501}),
        ("chunke", {501}), ("chunkedd", {501}), ("xchunked", {501}), ("chunked chunked", {501}), ("\x0bchunked", {400}),
        ("chunked\x00", {400}), ("\u00a0chunked", {501}),
    ],
)  # fmt: skip
def test_only_chunked_is_a_coding(wire, fence, value, statuses):
    """Any other coding is 501, and the connection closes."""
    answer = wire.ask(request("POST / HTTP/1.1", f"Transfer-Encoding: {value}", body=b"0\r\n\r\n"), "POST")

    assert answer.status in statuses
    assert answer.one("Connection") == b"close"
    assert wire.rest() == b""
    fence()


@pytest.mark.parametrize(
    "raw",
    [
        request("POST / HTTP/1.1", CHUNKED, "Content-Length: 5", body=b"0\r\n\r\n"),
        request("POST / HTTP/1.1", "Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"),
        request("POST / HTTP/1.1", "Content-Length: 0", "transfer-encoding: chunked", body=b"0\r\n\r\n"),
        request("POST / HTTP/1.0", CHUNKED, body=b"0\r\n\r\n"),
        request("POST / HTTP/1.1", CHUNKED, CHUNKED, body=b"0\r\n\r\n"),
    ],
)
def test_two_framings_are_refused(wire, fence, raw):
    """Both lengths, chunks in HTTP/1.0, or the coding twice: 400 and close; nothing behind is read."""
    answer = wire.ask(raw + request("GET /smuggled HTTP/1.1"), "POST")

    assert answer.status == 400
    assert wire.rest() == b""
    fence()


# ---------------------------------------------------------------------- chunks


@pytest.mark.parametrize(
    ("framed", "payload"),
    [
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"00000000000000a\r\n0123456789\r\n000\r\n\r\n", b"0123456789"),
        (b"A\r\n0123456789\r\n1\r\n!\r\n0\r\n\r\n", b"0123456789!"),
        (b"5;x\r\nhello\r\n0;y=z\r\n\r\n", b"hello"),
        (b'5;a="b;c"\r\nhello\r\n0\r\n\r\n', b"hello"),
        (b"5;" + b"x" * 255 + b"\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n", b"hello"),
        (b"5\r\nhello\r\n0\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(16)) + b"\r\n", b"hello"),
        (b"5\r\nhello\r\n0\r\nX: " + b"a" * 4000 + b"\r\n\r\n", b"hello"),
        (b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", b"\r\n0\r\n\r\n"),
    ],
)
def test_chunks_are_framed_anew(wire, upstream, framed, payload):
    """The payload passes; extensions and trailers do not."""
    assert wire.ask(chunked(framed)).status == 200
    seen = upstream.request()
    assert seen.body == payload
    assert b";" not in seen.framed
    assert b"X" not in seen.framed
    assert seen.one("Transfer-Encoding") == b"chunked"
    assert seen.one("Content-Length") is None
    assert wire.ask(request("GET /next HTTP/1.1")).status == 200


BAD_CHUNKS = [
    b"\r\n", b"x\r\n", b"5 \r\nhello\r\n", b" 5\r\nhello\r\n", b"+5\r\nhello\r\n", b"-5\r\nhello\r\n", b"0x5\r\nhello\r\n",
    b"5_0\r\n", b"5h\r\nhello\r\n", b"5\nhello\r\n", b"5\rhello\r\n", b"5\r\nhello\n", b"5\r\nhello0\r\n\r\n",
    b"5\r\nhelloo\r\n0\r\n\r\n", b"4\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r0\r\n\r\n", b"1000000000000000\r\n", b"0" * 16 + b"\r\n",
    b"5;a\nb\r\nhello\r\n", b"5;a\rb\r\nhello\r\n", b"5;\x00\r\nhello\r\n", b"5;\x7f\r\nhello\r\n", b"5;\xe9\r\nhello\r\n",
    b"5;" + b"x" * 257 + b"\r\nhello\r\n", b"5;\n\r\nhello\r\n", b";x\r\n", b"\xd9\xa5\r\nhello\r\n",
    b"0\r\nX : 1\r\n\r\n", b"0\r\nX\r\n\r\n", b"0\r\n: 1\r\n\r\n", b"0\r\nX: a\nb\r\n\r\n", b"0\r\nX: \x00\r\n\r\n",
    b"0\r\n folded: 1\r\n\r\n", b"0\r\nX: 1\r\n y\r\n\r\n", b"0\r\nX(: 1\r\n\r\n", b"0\n\r\n", b"0\r\n\n", b"0\r\r\n\r\n",
    b"0\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(17)) + b"\r\n",
    b"0\r\n" + b"X: " + b"a" * 4096 + b"\r\n\r\n",
    b"0\r\n" + (b"X: " + b"a" * 1000 + b"\r\n") * 5 + b"\r\n",
    b"1" * 300,
]  # fmt: skip


@pytest.mark.parametrize("framed", BAD_CHUNKS)
def test_broken_chunks_are_refused(wire, upstream, framed):
    """400 and close, with the upstream's connection cut: what it got never looks whole."""
    upstream.answer(reply())
    wire.send(chunked(b"3\r\nabc\r\n"))
    seen = upstream.request(whole=False)

    answer = wire.ask(framed + request("GET /smuggled HTTP/1.1"), "POST")

    assert answer.status == 400
    assert answer.one("Connection") == b"close"
    assert wire.rest() == b""
    assert upstream.end_of(seen) == "cut"
    assert not seen.whole
    assert not seen.framed.endswith(b"0\r\n\r\n")
    assert [one.target for one in upstream.requests] == [b"/"]


@pytest.mark.parametrize("framed", [b"x\r\n", b"5\r\nhelloo\r\n0\r\n\r\n", b"0\r\nX : 1\r\n\r\n"])
def test_chunks_broken_from_the_start_are_refused_too(wire, upstream, framed):
    """In the same bytes as the head: no upstream sees an end of it."""
    answer = wire.ask(chunked(framed) + request("GET /smuggled HTTP/1.1"), "POST")

    assert answer.status == 400
    assert wire.rest() == b""
    assert all(not seen.whole for seen in upstream.requests)


def test_identity_in_trailers_goes_nowhere(wire, upstream):
    """What a trailer says of the caller is dropped with all trailers."""
    framed = b"5\r\nhello\r\n0\r\nX-Authproxy-User: root\r\nAuthorization: x\r\n\r\n"

    assert wire.ask(chunked(framed)).status == 200
    assert upstream.request().framed == b"5\r\nhello\r\n0\r\n\r\n"


def test_many_small_chunks(wire, upstream):
    """Ten thousand chunks of one byte are one payload."""
    assert wire.ask(chunked(b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n")).status == 200
    assert upstream.request().body == b"x" * 10_000


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


# ---------------------------------------------------------------------- one after the other


def test_pipelined_requests_are_answered_in_order(wire, upstream):
    """All at once from the client, one at a time at the upstream."""
    upstream.answer(*[b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % n for n in range(5)])
    wire.send(b"".join(request(f"GET /{n} HTTP/1.1") for n in range(5)))

    assert [wire.answer().body for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
    assert [seen.target for seen in upstream.requests] == [b"/0", b"/1", b"/2", b"/3", b"/4"]


def test_a_pipelined_request_behind_a_body(wire, upstream):
    """What is behind the body is the next request, for both framings and for refused ones."""
    raws = [post(b"hello"), chunked(b"5\r\nhello\r\n0\r\n\r\n"), post(b"hello", target="/web/"), request("GET /last HTTP/1.1")]
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
        assert go.wait(10)
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
