"""Where a request ends: lengths, codings and chunks (RFC 9112, 6 and 7)."""

import pytest

from tests.conformance.proxy import chunked, request
from tests.conformance.upstream import reply

pytestmark = pytest.mark.promise

CHUNKED = "Transfer-Encoding: chunked"


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
        ("chunked\x00", {400}), ("\u00a0chunked", {501}), ("chunked\t", {501}), ("\tchunked", {501}), ("chunked \t ", {501}),
    ],
)  # fmt: skip
def test_only_chunked_is_a_coding(proxy, wire, fence, value, statuses):
    """Any other coding is 501, and the connection closes; it is the client's doing, not a failure here."""
    answer = wire.ask(request("POST / HTTP/1.1", f"Transfer-Encoding: {value}", body=b"0\r\n\r\n"), "POST")

    assert answer.status in statuses
    assert answer.kind == "bad-request"
    assert answer.one("Connection") == b"close"
    assert wire.rest() == b""
    assert proxy.wait_access(answer.one("X-Request-Id"))["event"] == "request.refused"
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
    b"5 ;x\r\nhello\r\n", b"5; x\r\nhello\r\n", b'5;x="y z"\r\nhello\r\n', b"5;x\ty\r\nhello\r\n", b"5;a\nb\r\nhello\r\n", b"5;a\rb\r\nhello\r\n", b"5;\x00\r\nhello\r\n", b"5;\x7f\r\nhello\r\n", b"5;\xe9\r\nhello\r\n",
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
    framed = (
        b"5\r\nhello\r\n0\r\nX-Authproxy-User: root\r\nAuthorization: x\r\nHost: evil.test\r\nContent-Length: 3\r\n\r\n"
    )

    assert wire.ask(chunked(framed)).status == 200
    assert upstream.request().framed == b"5\r\nhello\r\n0\r\n\r\n"


def test_many_small_chunks(wire, upstream):
    """Ten thousand chunks of one byte are one payload."""
    assert wire.ask(chunked(b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n")).status == 200
    assert upstream.request().body == b"x" * 10_000
