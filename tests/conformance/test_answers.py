"""What a client gets of an upstream's answer: the whole of it, or visibly not the whole (RFC 9112, 4, 6 and 8)."""

import threading

import pytest

from tests.conformance.proxy import GOOD, post, request
from tests.conformance.upstream import early, pieces, reply
from tests.conformance.wire import Truncated

pytestmark = pytest.mark.promise

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nhello"


# ---------------------------------------------------------------------- well-formed answers


@pytest.mark.parametrize(
    ("raw", "then", "framing"),
    [(LENGTH, "", "length"), (CHUNKS, "", "chunked"), (UNTIL_CLOSE, "close", "chunked"),
     (b"HTTP/1.0 200 OK\r\n\r\nhello", "close", "chunked"), (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "", "length")],
)  # fmt: skip
def test_every_framing_arrives_whole(wire, upstream, raw, then, framing):
    """A length stays one; all else comes in chunks, and the connection goes on."""
    upstream.answer(reply(raw, then))
    answer = wire.ask(request())

    assert (answer.status, answer.body, answer.framing) == (200, b"hello", framing)
    assert answer.one("Connection") is None
    assert wire.ask(request()).body == b"ok"


@pytest.mark.parametrize(("raw", "then"), [(LENGTH, ""), (CHUNKS, ""), (UNTIL_CLOSE, "close")])
def test_an_http_10_client_gets_no_chunks(wire, upstream, raw, then):
    """Its answers end with the connection."""
    upstream.answer(reply(raw, then))
    answer = wire.ask(request("GET / HTTP/1.0"))

    assert answer.body == b"hello"
    assert answer.framing == ("length" if raw is LENGTH else "close")
    assert answer.one("Connection") == b"close"
    assert wire.rest() == b""
    assert wire.end == "clean"


@pytest.mark.parametrize("cut", range(1, len(CHUNKS), 7))
def test_an_answer_may_come_in_pieces(wire, upstream, cut):
    """Where the bytes are cut makes no difference."""
    upstream.answer(pieces(CHUNKS[:cut], CHUNKS[cut:]))

    assert wire.ask(request()).body == b"hello"


@pytest.mark.parametrize("fields", [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"X-A: 1", b"Content-Length: 0"])
def test_head_has_no_body(wire, upstream, fields):
    """Whatever the fields say; and the connections go on."""
    upstream.answer(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n")
    answer = wire.ask(request("HEAD / HTTP/1.1"))

    assert answer.status == 200
    assert wire.ask(request()).body == b"ok"
    assert len({seen.connection for seen in upstream.requests}) == 1


def test_head_keeps_the_length(wire, upstream):
    """What a GET would have said."""
    upstream.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n")

    assert wire.ask(request("HEAD / HTTP/1.1")).one("Content-Length") == b"12345"


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("fields", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"ETag: x\r\n"])
def test_204_and_304_have_no_body(wire, upstream, status, fields):
    """Whatever the fields say (RFC 9110, 15.3.5 and 15.4.5)."""
    upstream.answer(b"HTTP/1.1 %d X\r\n%b\r\n" % (status, fields))
    answer = wire.ask(request())

    assert answer.status == status
    assert answer.all("Transfer-Encoding") == []
    if status == 204:
        assert answer.all("Content-Length") == []
    assert wire.ask(request()).body == b"ok"


@pytest.mark.parametrize("status", [200, 201, 206, 299, 301, 400, 401, 403, 404, 418, 429, 500, 502, 503, 599])
def test_status_and_fields_pass(wire, upstream, status):
    """An application's answer is its own, its refusals too."""
    upstream.answer(b"HTTP/1.1 %d Whatever\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 2\r\nServer: s\r\n\r\nhi" % status)
    answer = wire.ask(request())

    assert (answer.status, answer.body) == (status, b"hi")
    assert answer.all("X-A") == [b"1", b"2"]
    assert answer.one("Server") == b"s"
    assert answer.kind == ""


def test_the_upstreams_reason_phrase_is_not_passed_on(wire, upstream):
    """It means nothing and has carried attacks."""
    upstream.answer(b"HTTP/1.1 200 <script>\xff\r\nContent-Length: 0\r\n\r\n")

    assert wire.ask(request()).line == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "line",
    [b"Connection: keep-alive", b"Keep-Alive: timeout=5", b"Proxy-Connection: close", b"Proxy-Authenticate: Basic", b"Trailer: X",
     b"Upgrade: h2c", b"TE: x", b"X-Authproxy-Response: own-page", b"x_authproxy_user: root", b"X.Authproxy.Foo: 1"],
)  # fmt: skip
def test_hop_by_hop_and_reserved_fields_end_here(wire, upstream, line):
    """And what Connection names; an upstream cannot speak with the proxy's voice."""
    upstream.answer(b"HTTP/1.1 200 OK\r\n" + line + b"\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n")
    answer = wire.ask(request())

    assert answer.all(line.partition(b":")[0].decode()) == []
    assert answer.one("X-Kept") == b"1"


@pytest.mark.parametrize("connection", [b"X-Hop", b"close, x-hop", b"keep-alive,X-HOP"])
def test_fields_that_the_upstreams_connection_names_end_here(wire, upstream, connection):
    """In any letter case."""
    upstream.answer(b"HTTP/1.1 200 OK\r\nConnection: " + connection + b"\r\nX-Hop: 1\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n")
    answer = wire.ask(request())

    assert answer.all("X-Hop") == answer.all("Connection") == []
    assert answer.one("X-Kept") == b"1"


@pytest.mark.parametrize("raw", [LENGTH, CHUNKS])
@pytest.mark.parametrize("option", [b"content-length", b"Transfer-Encoding", b"close, Content-Length", b"x-request-id"])
def test_the_upstreams_connection_cannot_take_the_framing_away(wire, upstream, raw, option):
    """The answer ends where it ends, or is refused; the next one is another."""
    upstream.answer(raw.replace(b"\r\n", b"\r\nConnection: " + option + b"\r\n", 1))
    answer = wire.ask(request())

    assert (answer.status, answer.body) == (200, b"hello") or answer.status == 502
    assert answer.one("X-Request-Id")
    assert wire.ask(request()).body == b"ok"


def test_set_cookie_passes_but_for_our_own(wire, upstream):
    """No upstream sets or clears a session of this proxy; its own cookies pass each on a line."""
    upstream.answer(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nSet-Cookie: __Host-authproxy-api=x\r\nset-cookie: c=d\r\n"
        b"SET-COOKIE:   __host-AUTHPROXY-web=; Max-Age=0\r\nContent-Length: 0\r\n\r\n"
    )

    assert wire.ask(request()).all("Set-Cookie") == [b"a=b; Path=/", b"c=d"]


def test_a_long_answer_arrives_whole(wire, upstream):
    """Megabytes, in both framings, to a client that reads late."""
    body = bytes(range(256)) * 16_384
    upstream.answer(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
    )

    assert wire.ask(request()).body == body
    assert wire.ask(request()).body == body


def test_encoded_bodies_are_not_touched(wire, upstream):
    """What says gzip is not looked into."""
    upstream.answer(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n\x1f\x8b\x00bad"[:-1])
    answer = wire.ask(request())

    assert answer.one("Content-Encoding") == b"gzip"
    assert len(answer.body) == 5


@pytest.mark.parametrize("size", [60_000, 65_000])
def test_a_head_within_64_kib_passes(wire, upstream, size):
    """Many fields or long ones."""
    upstream.answer(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * size + b"\r\nContent-Length: 0\r\n\r\n")

    assert wire.ask(request()).one("X-A") == b"a" * size


# ---------------------------------------------------------------------- interim answers


def test_early_hints_pass(wire, upstream):
    """103 with its fields, then the answer."""
    upstream.answer(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + LENGTH)
    wire.send(request())
    interim = wire.interim()

    assert interim.status == 103
    assert interim.one("Link") == b"</a>"
    assert wire.answer().body == b"hello"


def test_a_100_that_nobody_asked_for_passes(wire, upstream):
    """RFC 9110, 15.2: a proxy forwards what it did not ask for itself."""
    upstream.answer(b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH)
    wire.send(request())

    assert wire.interim().status == 100
    assert wire.answer().body == b"hello"


@pytest.mark.parametrize("status", [102, 104, 110, 199])
def test_other_interim_answers_are_dropped(wire, upstream, status):
    """The final one comes all the same."""
    upstream.answer(b"HTTP/1.1 %d X\r\nX-A: 1\r\n\r\n" % status + LENGTH)

    assert wire.ask(request()).body == b"hello"


def test_interim_answers_are_not_for_http_10(wire, upstream):
    """It knows none."""
    upstream.answer(b"HTTP/1.1 103 Early Hints\r\n\r\n" + LENGTH)

    assert wire.ask(request("GET / HTTP/1.0")).body == b"hello"


@pytest.mark.parametrize(("count", "status"), [(8, 200), (9, 502), (100, 502)])
def test_at_most_eight_interim_answers(wire, upstream, count, status):
    """Then it is no answer any more."""
    upstream.answer(b"HTTP/1.1 102 X\r\n\r\n" * count + LENGTH)

    assert wire.ask(request()).status == status


# ---------------------------------------------------------------------- malformed answers

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


# ---------------------------------------------------------------------- connections that die


def _once(script):
    """Answer one request, so that its connection is pooled and the next one goes there."""
    return [reply(), script]


def _die(then: str):
    def script(turn):
        getattr(turn, then)()

    return script


@pytest.mark.parametrize("then", ["close", "cut", "reset"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_a_stale_connection_is_tried_again(wire, upstream, method, then):
    """Idempotent and without a body: once, on a fresh connection; the client notices nothing."""
    upstream.answer(reply(), _die(then))
    assert wire.ask(request()).status == 200
    answer = wire.ask(request(f"{method} /again HTTP/1.1"))

    assert answer.status == 200
    assert [seen.target for seen in upstream.requests] == [b"/", b"/again", b"/again"]
    assert len({seen.connection for seen in upstream.requests}) == 2


def test_it_is_tried_again_once_only(wire, upstream):
    """Two dead connections are a 502."""
    upstream.answer(_die("close"), _die("close"))
    answer = wire.ask(request())

    assert answer.status == 502
    assert len(upstream.requests) == 2
    assert wire.ask(request()).status == 200


@pytest.mark.parametrize("raw", [post(b"hello"), post(b""), request("PURGE / HTTP/1.1"), request("PUT / HTTP/1.1", "Content-Length: 2", body=b"hi")])
def test_what_may_count_twice_is_not_tried_again(wire, upstream, raw):
    """A body, or a method that is not idempotent: 502, and the upstream saw it once."""
    upstream.answer(reply(), _die("close"))
    assert wire.ask(request()).status == 200
    answer = wire.ask(raw)

    assert answer.status == 502
    assert len(upstream.requests) == 2


def test_nothing_is_tried_again_after_the_first_byte(wire, upstream):
    """An answer had begun."""
    upstream.answer(reply(), reply(b"HTTP/1.1 200 OK\r\nContent-", "close"))
    assert wire.ask(request()).status == 200
    answer = wire.ask(request())

    assert answer.status == 502
    assert len(upstream.requests) == 2


def test_nothing_is_tried_again_after_an_interim_answer(wire, upstream):
    """The upstream has taken the request."""
    upstream.answer(reply(b"HTTP/1.1 102 X\r\n\r\n", "close"))

    assert wire.ask(request()).status == 502
    assert len(upstream.requests) == 1


def test_an_idle_connection_that_the_upstream_closed_costs_nothing(wire, upstream):
    """It is noticed before the next request, which may then be anything."""
    upstream.answer(reply(then="close"))
    assert wire.ask(request()).status == 200
    upstream.end_of(upstream.request())
    # The proxy has seen the close once a round trip through it is over.
    assert wire.ask(request(auth=b"")).status == 401

    assert wire.ask(post(b"hello")).status == 200


# ---------------------------------------------------------------------- upstreams that cannot be had


@pytest.mark.parametrize("path", ["refused", "misnamed", "stranger"])
def test_an_upstream_that_is_not_there_or_not_itself_is_502(wire, proxy, fence, path):
    """Refused, or its name or certificate not verified; the reason stands in the log only."""
    answer = wire.ask(request(f"GET /{path}/ HTTP/1.1"))

    assert answer.status == 502
    assert answer.kind == "upstream"
    reason = proxy.wait_access(answer.one("X-Request-Id"))["reason"]
    assert reason == ("upstream-refused" if path == "refused" else "upstream-unverified")
    assert b"certificate" not in answer.body
    assert b"upstream-" not in answer.body
    fence()


def test_an_upstream_that_is_not_there_gets_no_body(wire, fence):
    """502 without waiting for all of it; the connection ends unless the body is in."""
    answer = wire.ask(post(b"x" * 100, target="/refused/"))
    assert answer.status == 502

    wire2_answer = wire.ask(request(f"POST /refused/ HTTP/1.1", "Content-Length: 1000000", body=b"x"))
    assert wire2_answer.status == 502
    assert wire2_answer.one("Connection") == b"close"
    fence()


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", b"application/json"), ("*/*", b"application/json"), ("", b"application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", b"text/html"), ("text/html", b"text/html"),
    ],
)  # fmt: skip
def test_programs_get_json_and_people_a_page(wire, accept, kind):
    """By what the client says that it reads."""
    answer = wire.ask(request("GET /refused/ HTTP/1.1", f"Accept: {accept}"))

    assert answer.status == 502
    assert (answer.one("Content-Type") or b"").partition(b";")[0] == kind


def test_a_credential_is_asked_for_before_the_upstream(wire, fence):
    """A stranger learns nothing about what is behind."""
    assert wire.ask(request("GET /refused/ HTTP/1.1", auth=b"")).status == 401
    assert wire.ask(request("GET /refused/ HTTP/1.1", auth=GOOD)).status == 502
    fence()


def test_an_early_answer_reaches_a_client_that_is_still_sending(wire, upstream):
    """413 from an application in the middle of an upload is not lost in a reset, and the end is clean."""
    answered = threading.Event()

    def script(turn):
        turn.send(b"HTTP/1.1 413 X\r\nContent-Length: 3\r\n\r\nbig")
        turn.wait(answered)
        turn.read_body()

    upstream.answer(script)
    raw = post(b"x" * 4_000_000)
    wire.send(raw[:100_000])
    answer = wire.answer("POST")
    answered.set()

    assert (answer.status, answer.body) == (413, b"big")
    assert answer.one("Connection") == b"close"
    wire.send(raw[100_000:200_000])
    assert wire.rest() == b""
    assert wire.end == "clean"
    assert not upstream.requests[0].whole
