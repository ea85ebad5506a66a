"""Heads of answers: the same strict grammar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.http1 import usual
from authproxy.http1.answer import (
    _KNOWN_LINES,
    _MAX_KNOWN_LINES,
    BODILESS,
    SWITCHING,
    AnswerHead,
    AnswerReader,
    BadAnswer,
)

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
        head = READER.read_carefully(b"HTTP/1.1 200 reason %d" % number)
        assert isinstance(head, AnswerHead)
        assert head.status == 200
    assert len(_KNOWN_LINES) == _MAX_KNOWN_LINES == 256


def test_hsts_is_noticed_and_passes():
    """So that it is not set twice."""
    assert not good(b"Server: x").hsts
    assert not AnswerReader().read_carefully(b"HTTP/1.1 200 OK").hsts  # type: ignore[union-attr]
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


# ---------------------------------------------------------------------- by pattern


def trained(*blocks: bytes) -> AnswerReader:
    """A reader that has a pattern for each of these heads."""
    reader = AnswerReader()
    for block in blocks:
        for _ in range(usual._OFTEN):
            reader.read(block)
        assert reader.take(block + b"\r\n\r\n") is not None
    return reader


@pytest.mark.parametrize("status", [100, 101, 103, 199, 200, 201, 203, 204, 205, 303, 304, 305, 404, 599, 999])
def test_usual_answers_have_a_length_and_may_have_a_body(status):
    """RFC 9112, 6.3: neither 1xx, 204 nor 304; nothing else needs a look at their status again."""
    reader = trained(b"HTTP/1.1 200 OK\r\nContent-Length: 5", b"HTTP/1.1 200 OK\r\nServer: x")
    measured = reader.take(b"HTTP/1.1 %d x\r\nContent-Length: 7\r\n\r\nbehind" % status)
    assert measured is not None
    assert (measured.status, measured.content_length, measured.close) == (status, 7, False)
    assert measured.is_usual is (status >= 200 and status not in {204, 304})
    assert measured.passed == b"\r\nContent-Length: 7"
    assert reader.end == len(b"HTTP/1.1 %d x\r\nContent-Length: 7\r\n\r\n" % status)

    plain = reader.take(b"HTTP/1.1 %d x\r\nServer: y\r\n\r\n" % status)
    assert plain is not None
    assert (plain.status, plain.content_length, plain.is_usual, plain.lines) == (status, -1, False, [b"Server: y"])


def test_what_is_read_carefully_is_treated_carefully():
    """The same head is usual once there is a pattern for it."""
    block = b"HTTP/1.1 200 OK\r\nContent-Length: 5"
    careful = AnswerReader().read_carefully(block)
    taken = trained(block).take(block + b"\r\n\r\n")

    assert isinstance(careful, AnswerHead)
    assert taken is not None
    assert (careful.content_length, careful.is_usual) == (5, False)
    assert (taken.content_length, taken.is_usual) == (5, True)


def test_statuses_without_a_body():
    """And the one that ends HTTP."""
    assert frozenset({204, 304}) == BODILESS
    assert SWITCHING == 101


@pytest.mark.parametrize(("size", "is_taken"), [(65_535, True), (65_536, True), (65_537, False)])
def test_a_head_of_64_kib_is_the_largest_that_a_pattern_takes(size, is_taken):
    """Without its empty line."""
    reader = trained(b"HTTP/1.1 200 OK\r\nX: a")
    block = b"HTTP/1.1 200 OK\r\nX: ".ljust(size, b"a")

    assert (reader.take(block + b"\r\n\r\n") is not None) is is_taken


def test_a_block_is_one_head():
    """An empty line within it makes it none, whatever a pattern takes of it."""
    block = b"HTTP/1.1 200 OK\r\nServer: x"
    reader = trained(block)

    assert isinstance(reader.read(block + b"\r\n\r\nX: 1"), BadAnswer)
    assert isinstance(reader.read(block), AnswerHead)
    assert AnswerReader().end == 0


def test_a_pattern_puts_the_lines_that_pass_together():
    """Whether or not others stand between them, and where there are none."""
    for block, lines in (
        (b"Server: x\r\nKeep-Alive: 5\r\nVary: a\r\nX-Request-Id: 1\r\nAge: 2", [b"Server: x", b"Vary: a", b"Age: 2"]),
        (b"Keep-Alive: 5\r\nServer: x\r\nVary: a", [b"Server: x", b"Vary: a"]),
        (b"Keep-Alive: 5", []),
    ):
        head = trained(b"HTTP/1.1 200 OK\r\n" + block).take(b"HTTP/1.1 200 OK\r\n" + block + b"\r\n\r\n")
        assert head is not None
        assert head.lines == lines


def test_the_pattern_that_matches_moves_forward():
    """All of them are tried, and none is lost."""
    blocks = [b"HTTP/1.1 200 OK\r\n%b: 1" % name for name in (b"A", b"B", b"C")]
    reader = trained(*blocks)
    first = reader._usual[0]
    for _ in range(3):
        for block in blocks:
            head = reader.take(block + b"\r\n\r\n")
            assert head is not None
            assert head.lines == [block[17:]]
    for _ in range(3):
        assert reader.take(blocks[2] + b"\r\n\r\n") is not None

    assert reader._usual[0] is not first
    assert reader._usual[0].match(blocks[2] + b"\r\n\r\n")
    assert len({id(one) for one in reader._usual}) == 3
    assert reader.take(b"HTTP/1.1 200 OK\r\nD: 1\r\n\r\n") is None


@pytest.mark.parametrize("value", [b"5", b" 5", b"\t5\t", b" \t 5"])
def test_a_length_may_have_blanks_around_it(value):
    """Read with care, since no pattern is there yet."""
    head = AnswerReader().read(b"HTTP/1.1 200 OK\r\nContent-Length:" + value)

    assert isinstance(head, AnswerHead)
    assert head.content_length == 5
    assert isinstance(AnswerReader().read(b"HTTP/1.1 200 OK\r\nContent-Length:x" + value), BadAnswer)


@pytest.mark.parametrize("options", [b"x-a\t,close", b"close\t, x-a", b"\tx-a,\tclose", b" x-a , close "])
def test_options_of_an_answer_may_have_blanks_around_them(options):
    """Blank and tab; several Connection fields are one list."""
    head = good(b"Connection: " + options, b"X-A: 1", b"X-B: 2")
    assert (head.close, head.lines) == (True, [b"X-B: 2"])

    apart = good(b"Connection: x-a", b"X-A: 1", b"Connection: close", b"X-B: 2")
    assert (apart.close, apart.lines) == (True, [b"X-B: 2"])


def test_an_answer_without_cookies_or_connection_has_none():
    """And no HSTS, no upgrade, no chunks, though something else in it needs a second look."""
    for start in (b"HTTP/1.0 200 OK", b"HTTP/1.1 200 OK"):
        head = good(
            b"Keep-Alive: 1", b"Transfer-Encoding: chunked" if start[7:8] == b"1" else b"Server: x", start=start
        )
        assert (head.cookies, head.hsts, head.upgrade) == (None, False, None)
        assert head.close is (start[7:8] == b"0")


def test_an_upgrade_of_an_answer_has_its_field():
    """What the status line says is no protocol; nor is a protocol asked for without Connection."""
    assert good(b"Connection: upgrade", start=b"HTTP/1.1 101 to: websocket").upgrade is None
    assert good(b"Upgrade: websocket").upgrade is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [(b"X", "field line is not name, colon, value"), (b"Bad Name: 1", "field name is empty or not a token")],
)
def test_what_is_wrong_with_a_field_is_said(line, problem):
    """For the log."""
    assert read(line) == BadAnswer(problem)
