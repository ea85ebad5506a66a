"""Heads of answers: the same strict grammar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.http1 import usual
from authproxy.http1.answer import _KNOWN_LINES, _MAX_KNOWN_LINES, AnswerHead, AnswerReader, BadAnswer

READER = AnswerReader()


def read(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> AnswerHead | BadAnswer:
    return READER.read(b"\r\n".join([start, *lines]))


def good(*lines: bytes, **more: bytes) -> AnswerHead:
    head = read(*lines, **more)
    assert isinstance(head, AnswerHead), head
    return head


def test_a_plain_answer_is_read():
    """Status and the lines that pass."""
    head = good(b"Server: x", b"Content-Length: 5", b"Set-Cookie: a=b", b"set-cookie: c=d")

    assert (head.status, head.content_length, head.chunked, head.close) == (200, 5, False, False)
    assert b"Server: x" in head.lines
    assert not [line for line in head.lines if line.lower().startswith(b"set-cookie")]
    assert head.cookies == [b"Set-Cookie: a=b", b"set-cookie: c=d"]


@pytest.mark.parametrize(
    ("start", "status", "close"),
    [
        (b"HTTP/1.1 200 OK", 200, False),
        (b"HTTP/1.1 200 ", 200, False),
        (b"HTTP/1.0 404 x y", 404, True),
        (b"HTTP/1.1 599 \xe9", 599, False),
    ],
)
def test_status_lines(start, status, close):
    """HTTP/1.0 closes."""
    for _ in range(2):
        head = good(start=start)
        assert (head.status, head.close) == (status, close)


@pytest.mark.parametrize(
    "start",
    [b"", b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1 20 x", b"HTTP/1.1 2000 x", b"HTTP/1.1 000 x", b"HTTP/1.1 099 x", b"HTTP/1.2 200 x",
     b"HTTP/2 200", b"http/1.1 200 x", b"HTTP/1.1  200 x", b"HTTP/1.1 200\tx", b"HTTP/1.1 200x", b" HTTP/1.1 200 x", b"HTTP/1.1 2 0 x",
     b"HTTP/1.1 -20 x", b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 x"],
)  # fmt: skip
def test_status_lines_that_are_none(start):
    """502, the first time and the second."""
    assert isinstance(read(start=start), BadAnswer)
    assert isinstance(read(start=start), BadAnswer)


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 5", b"Content-Length: 5"], [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"transfer-encoding: chunked"], [b"Transfer-Encoding: gzip"], [b"Content-Length: 5,5"],
        [b"Content-Length:"], [b"Content-Length: 1" + b"0" * 18], [b"X"], [b": x"], [b"X : x"], [b" X: x"], [b"X: \x00"], [b"X: a\rb"],
        [b"X: a\nb"], [b"X: a", b" folded"], [b"X: \x7f"], [b"X(Y: a"],
    ],
)  # fmt: skip
def test_answers_that_are_not_passed_on(lines):
    """Two framings, bad lengths, bad fields."""
    assert isinstance(read(*lines), BadAnswer)


def test_chunks_in_http_10_are_refused():
    """It knows none."""
    assert isinstance(read(b"Transfer-Encoding: chunked", start=b"HTTP/1.0 200 OK"), BadAnswer)


@pytest.mark.parametrize(
    ("value", "close", "upgrade", "left"),
    [
        (b"close", True, None, [b"X-A: 1"]), (b"keep-alive", False, None, [b"X-A: 1"]), (b"Keep-Alive, X-a", False, None, []),
        (b"Upgrade", False, b"websocket", [b"X-A: 1"]), (b"upgrade, close,x-A", True, b"websocket", []),
    ],
)  # fmt: skip
def test_connection_options(value, close, upgrade, left):
    """Closing, upgrading, and the fields that end here."""
    head = good(b"Connection: " + value, b"Upgrade: websocket", b"X-A: 1")

    assert (head.close, head.upgrade, list(head.lines)) == (close, upgrade, left)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (b"HTTP/1.1 200", (200, -1, False, False)), (b"HTTP/1.0 200", (200, -1, False, True)), (b"HTTP/1.1 100 x", (100, -1, False, False)),
        (b"HTTP/1.0 101 x", (101, -1, False, True)), (b"HTTP/1.1 999 x", (999, -1, False, False)),
        (b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked", (200, -1, True, False)),
        (b"HTTP/1.1 200 x\r\ntransfer-encoding:\t CHUNKED ", (200, -1, True, False)),
        (b"HTTP/1.1 200 x\r\nContent-Length: 0", (200, 0, False, False)),
        (b"HTTP/1.1 200 x\r\ncontent-length:\t5 \t", (200, 5, False, False)),
        (b"HTTP/1.1 200 x\r\nContent-Length:007", (200, 7, False, False)),
        (b"HTTP/1.1 200 x\r\nContent-Length: 999999999999999999", (200, 10**18 - 1, False, False)),
        (b"HTTP/1.0 200 x\r\nContent-Length: 5", (200, 5, False, True)),
        (b"HTTP/1.0 200 x\r\nConnection: keep-alive\r\nContent-Length: 5", (200, 5, False, True)),
        (b"HTTP/1.1 200 x\r\nConnection: keep-alive", (200, -1, False, False)),
        (b"HTTP/1.1 200 x\r\nconnection: Close", (200, -1, False, True)),
        (b"HTTP/1.1 200 x\r\nConnection:close\r\nContent-Length: 5", (200, 5, False, True)),
        (b"HTTP/1.1 200 x\r\nConnection: keep-alive\r\nConnection: a, close", (200, -1, False, True)),
        (b"HTTP/1.1 200 x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked", (200, -1, True, False)),
    ],
)  # fmt: skip
def test_what_frames_a_body_is_read(block, expected):
    """Status, length, chunks and whether the connection ends: by a reader that has a pattern of it, and by a new one."""
    for reader in (*[READER] * (usual._OFTEN + 2), AnswerReader()):
        head = reader.read(block)
        assert isinstance(head, AnswerHead), head
        assert (head.status, head.content_length, head.chunked, head.close) == expected
        assert not [line for line in head.lines if line.lower().startswith((b"connection", b"transfer"))]


@pytest.mark.parametrize(
    "value", [bytes([byte]) for byte in range(256) if not chr(byte).isascii() or not chr(byte).isdigit()]
)
def test_a_length_is_digits_and_nothing_else(value):
    """Of all bytes; what `int` would take besides is refused, not raised."""
    assert isinstance(read(b"Content-Length: 1" + value + b"1"), BadAnswer)


@pytest.mark.parametrize(("count", "kind"), [(1099, AnswerHead), (1100, BadAnswer), (5000, BadAnswer)])
def test_fields_are_counted(count, kind):
    """More than any server sends."""
    assert isinstance(read(*[b"X: y"] * count), kind)


def test_status_lines_are_remembered_and_bounded():
    """The three hundredth status line is read as well as the first."""
    for number in range(600):
        assert good(start=b"HTTP/1.1 200 reason %d" % number).status == 200
    assert len(_KNOWN_LINES) <= _MAX_KNOWN_LINES


def test_hsts_is_noticed_and_passes():
    """So that it is not set twice."""
    head = good(b"strict-transport-security: max-age=1")

    assert head.hsts
    assert list(head.lines) == [b"strict-transport-security: max-age=1"]


@pytest.mark.parametrize("option", [b"set-cookie", b"Set-Cookie", b"strict-transport-security", b"date"])
def test_connection_takes_away_what_it_names(option):
    """What the upstream says is hop-by-hop ends here, cookies too (RFC 9110, 7.6.1)."""
    head = good(b"Connection: " + option, b"Set-Cookie: a=b", b"Strict-Transport-Security: max-age=1", b"Date: x")

    left = [*head.lines, *(head.cookies or [])]
    assert not [line for line in left if line.partition(b":")[0].lower() == option.lower()]
    assert len(left) == 2
    # Else the proxy would not say it in the upstream's place.
    assert head.hsts is (option != b"strict-transport-security")


def test_connection_takes_no_framing_away():
    """Ours towards the client is written after what the upstream's said; a field called Close is one like any."""
    head = good(b"Connection: content-length, close, keep-alive", b"Content-Length: 5", b"Close: 1", b"X-A: 1")

    assert head.content_length == 5
    assert head.lines == [b"Content-Length: 5", b"X-A: 1"]


@given(st.binary(max_size=200))
def test_no_bytes_raise(block):
    """Any bytes are a head or a refusal."""
    assert isinstance(READER.read(block), AnswerHead | BadAnswer)


@given(st.binary(max_size=60))
def test_no_tail_raises(tail):
    """Behind a good beginning too."""
    assert isinstance(READER.read(b"HTTP/1.1 200 OK\r\nX: 1\r\n" + tail), AnswerHead | BadAnswer)


NAMES = st.sampled_from(
    [b"Server", b"server", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Set-Cookie", b"X-A", b"Bad Name"]
)
VALUES = st.sampled_from([b"", b"5", b"x", b"chunked", b"close", b"x-a", b"keep-alive", b"a: b", b"content-length"])
HEADS = st.builds(
    lambda start, pairs: b"\r\n".join([start, *[name + b":" + value for name, value in pairs]]),
    st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 404 x", b"HTTP/1.1 x"]),
    st.lists(st.tuples(NAMES, VALUES), max_size=4),
)


def facts(head: AnswerHead | BadAnswer) -> object:
    """What a head says, comparable."""
    if isinstance(head, BadAnswer):
        return BadAnswer
    return (
        head.status, head.content_length, head.chunked, head.close, head.upgrade, head.cookies, head.hsts, tuple(head.lines)
    )  # fmt: skip


@given(st.lists(HEADS, max_size=8))
def test_a_reader_forgets_what_heads_said(heads):
    """A head means the same whichever heads were read before it."""
    used = AnswerReader()

    for block in heads:
        assert facts(used.read(block)) == facts(AnswerReader().read(block))


def test_every_read_is_a_head_of_its_own():
    """Changing one changes no other."""
    first = good(b"Server: x")
    first.close = True

    assert not good(b"Server: x").close
