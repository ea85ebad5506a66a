"""What a client gets of a well-formed answer (RFC 9112, 4 and 6; RFC 9110, 15.2)."""

import threading

import pytest

from tests.conformance.proxy import request
from tests.conformance.upstream import pieces, reply

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


@pytest.mark.parametrize(
    "fields", [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"X-A: 1", b"Content-Length: 0"]
)
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


def test_304_keeps_the_length(wire, upstream):
    """It is that of the body which the client has already (RFC 9110, 8.6); none follows."""
    upstream.answer(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 12345\r\nETag: x\r\n\r\n")
    answer = wire.ask(request())

    assert answer.one("Content-Length") == b"12345"
    assert wire.ask(request()).body == b"ok"


def test_trailers_of_an_answer_are_dropped(wire, upstream):
    """As are chunk extensions: the framing is written anew."""
    upstream.answer(
        b"HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;ext=1\r\nhello\r\n0;last\r\nX-T: 1\r\nX-Authproxy-User: x\r\n\r\n"
    )
    wire.send(request("GET / HTTP/1.1", "Connection: close"))
    head, _, body = wire.rest().partition(b"\r\n\r\n")

    assert body == b"5\r\nhello\r\n0\r\n\r\n"
    assert b"Trailer" not in head


@pytest.mark.parametrize(
    ("head", "arrives"),
    [(b"Transfer-Encoding: chunked\r\n", "chunked"), (b"Content-Length: 36\r\n", "plain"), (b"", "chunked")],
    ids=["chunks", "length", "until-close"],
)
def test_every_event_is_out_before_the_next_one_comes(wire, upstream, head, arrives):
    """Server-sent events, in every framing: nothing is held back until there is more of it."""
    events = [b"data: 1234\n\n", b"data: 5678\n\n", b"data: 9999\n\n"]
    chunks = [b"c\r\n" + event + b"\r\n" for event in events]
    read = [threading.Event() for _ in events]

    def script(turn):
        turn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + head + b"\r\n")
        for piece, is_read in zip(chunks if b"chunked" in head else events, read, strict=True):
            turn.send(piece)
            turn.wait(is_read)
        turn.send(b"0\r\n\r\n" if b"chunked" in head else b"")
        turn.close()

    upstream.answer(script)
    wire.send(request("GET /events HTTP/1.1", "Accept: text/event-stream"))
    assert wire.interim().status == 200
    for piece, is_read in zip(chunks if arrives == "chunked" else events, read, strict=True):
        assert wire.exactly(len(piece)) == piece
        is_read.set()


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
     b"Proxy-Anything: x", b"Upgrade: h2c", b"TE: x", b"X-Authproxy-Response: own-page", b"x_authproxy_user: root", b"X.Authproxy.Foo: 1"],
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
    upstream.answer(
        b"HTTP/1.1 200 OK\r\nConnection: " + connection + b"\r\nX-Hop: 1\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n"
    )
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
        b"SET-COOKIE:   __host-AUTHPROXY-web=; Max-Age=0\r\nSet-Cookie: =__Host-authproxy-api=x; Path=/\r\n"
        b"Set-Cookie: __Host-authproxy-api; Path=/\r\nSet-Cookie: x=__Host-authproxy-api\r\nContent-Length: 0\r\n\r\n"
    )

    assert wire.ask(request()).all("Set-Cookie") == [b"a=b; Path=/", b"c=d", b"x=__Host-authproxy-api"]


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


@pytest.mark.parametrize("cut", [0, 1, 3, 4])
@pytest.mark.parametrize(("size", "status"), [(64 * 1024, 200), (64 * 1024 + 1, 502)])
def test_a_head_of_64_kib_is_the_largest(wire, upstream, size, status, cut):
    """The empty line not counted, in one piece or with its end coming later."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-A: "
    raw = head + b"a" * (size - len(head)) + b"\r\n\r\n"
    upstream.answer(pieces(raw[: len(raw) - cut], raw[len(raw) - cut :]) if cut else raw)

    assert wire.ask(request()).status == status


# ---------------------------------------------------------------------- interim answers


def test_early_hints_pass(wire, upstream):
    """103 with its fields, less those of a body that it cannot have (RFC 9110, 8.6), then the answer."""
    upstream.answer(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 5\r\n\r\n" + LENGTH)
    wire.send(request())
    interim = wire.interim()

    assert interim.status == 103
    assert interim.one("Link") == b"</a>"
    assert interim.all("Content-Length") == []
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
