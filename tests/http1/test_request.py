"""Heads of requests: one reading or a refusal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.names import RequestNames
from authproxy.http1.request import _GOOD_HOSTS, HeadLimits, Malformed, RequestHead, RequestReader
from authproxy.http1.usual import _OFTEN


def learnt(block: bytes, limits: HeadLimits) -> RequestReader:
    """A reader that has a pattern for this head."""
    reader = RequestReader(RequestNames(["X-Authproxy-User"]), limits)
    for _ in range(_OFTEN):
        reader.read(block)
    assert reader.take(block + b"\r\n\r\n") is not None
    return reader


READER = RequestReader(RequestNames(["X-Authproxy-User"]), HeadLimits())
LEARNT = learnt(b"GET / HTTP/1.1\r\nHost: a", HeadLimits())


def read(*lines: bytes, start: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: a") -> RequestHead | Malformed:
    return READER.read(b"\r\n".join([start, host, *lines]))


def good(*lines: bytes, **more: bytes) -> RequestHead:
    head = read(*lines, **more)
    assert isinstance(head, RequestHead), head
    return head


def refused(*lines: bytes, **more: bytes) -> int:
    head = read(*lines, **more)
    assert isinstance(head, Malformed), vars(head)
    return head.status


def test_a_plain_head_is_read():
    """Method, target, path, Host with its port, and the lines that pass."""
    head = good(b"Accept: a", b"X-A:b", start=b"GET /a/b?c=/d HTTP/1.1", host=b"Host:\ta:80 ")

    assert (head.method, head.target, head.path, head.host) == (b"GET", b"/a/b?c=/d", b"/a/b", b"a:80")
    assert list(head.lines) == [b"Accept: a", b"X-A:b"]
    assert not any((head.close, head.has_body, head.chunked, head.http10, head.upgrade, head.expect_continue))
    assert head.content_length == -1


def test_credentials_are_no_lines_that_pass():
    """Authorization and Cookie have attributes of their own."""
    head = good(b"Authorization:  Bearer x ", b"cookie: a=b; c")

    assert head.authorization == b"Bearer x"
    assert head.cookies == b"a=b; c"
    assert list(head.lines) == []


def test_no_credentials_are_none():
    """An empty value is a value."""
    assert good().authorization is None
    assert good().cookies is None
    assert good(b"Content-Length: 0").cookies is None
    assert good(b"Authorization:").authorization == b""


@pytest.mark.parametrize(
    ("lines", "length", "chunked", "has_body"),
    [
        ([], -1, False, False), ([b"Content-Length: 0"], 0, False, False), ([b"Content-Length: 7"], 7, False, True),
        ([b"content-length:\t007"], 7, False, True), ([b"Transfer-Encoding: chunked"], -1, True, True),
        ([b"Content-Length: 999999999999999999"], 10**18 - 1, False, True),
    ],
)  # fmt: skip
def test_framing(lines, length, chunked, has_body):
    """Where the body ends, and whether there is one."""
    head = good(*lines, start=b"POST / HTTP/1.1")

    assert (head.content_length, head.chunked, head.has_body) == (length, chunked, has_body)


@pytest.mark.parametrize(
    "value", [b"", b"+1", b"-1", b"1 2", b"1,1", b"1" * 19, b"0x1", b"1_0", b"\xd9\xa1", b"1.0", b"\xb2"]
)
def test_lengths_that_are_none(value):
    """400."""
    assert refused(b"Content-Length: " + value) == 400


def test_the_same_names_with_other_values_are_read_anew():
    """What is kept for a sequence of names is where the fields stand, never what they say."""
    assert good(b"Content-Length: 5", b"Cookie: a").content_length == 5
    assert refused(b"Content-Length: x", b"Cookie: a") == 400
    assert good(b"Content-Length: 6", b"Cookie: b").cookies == b"b"
    assert good(b"Connection: x-a", b"X-A: 1").lines == []
    assert list(good(b"Connection: x-b", b"X-A: 1").lines) == [b"X-A: 1"]


@pytest.mark.parametrize(
    ("options", "close", "upgrade", "left"),
    [
        (b"close", True, None, [b"X-A: 1"]), (b"Close", True, None, [b"X-A: 1"]), (b"keep-alive", False, None, [b"X-A: 1"]),
        (b"x-a", False, None, []), (b"X-A , close", True, None, []), (b"upgrade", False, b"websocket", [b"X-A: 1"]),
        (b"keep-alive, Upgrade", False, b"websocket", [b"X-A: 1"]), (b"", False, None, [b"X-A: 1"]), (b",,", False, None, [b"X-A: 1"]),
        (b"TE", False, None, [b"X-A: 1"]), (b"closed", False, None, [b"X-A: 1"]),
    ],
)  # fmt: skip
def test_connection_options(options, close, upgrade, left):
    """Closing, upgrading, and the fields that end here."""
    head = good(b"Connection: " + options, b"Upgrade: websocket", b"X-A: 1")

    assert (head.close, head.upgrade, list(head.lines)) == (close, upgrade, left)


def test_several_connection_fields_are_one_list():
    """Where they stand among the others means nothing."""
    head = good(b"Connection: x-a", b"X-A: 1", b"Connection: close", b"X-B: 2", b"Connection: upgrade", b"Upgrade: a")

    assert (head.close, head.upgrade, head.lines) == (True, b"a", [b"X-B: 2"])


@pytest.mark.parametrize(("count", "status"), [(20, None), (21, 400)])
def test_connection_options_are_counted(count, status):
    """At most 20."""
    line = b"Connection: " + b",".join(b"x-%d" % number for number in range(count))

    assert (refused(line) if status else good(line).close) == (status or False)


def test_http_10_closes_and_neither_upgrades_nor_expects():
    """Whatever it asks for."""
    head = good(
        b"Connection: keep-alive, upgrade", b"Upgrade: websocket", b"Expect: 100-continue", start=b"POST / HTTP/1.0"
    )

    assert head.http10
    assert head.close
    assert head.upgrade is None
    assert not head.expect_continue


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"GET / HTTP/1.1", None), (b"OPTIONS * HTTP/1.1", None), (b"GET * HTTP/1.1", 400), (b"CONNECT a:1 HTTP/1.1", 405),
        (b"TRACE * HTTP/1.1", 405), (b"GET a HTTP/1.1", 400), (b"GET http://a/ HTTP/1.1", 400), (b"GET /\x80 HTTP/1.1", 400),
        (b"GET /# HTTP/1.1", 400), (b"GET /\x7f HTTP/1.1", 400), (b"GET / HTTP/1.2", 400), (b" / HTTP/1.1", 400),
        (b"GET  HTTP/1.1", 400), (b"G@T / HTTP/1.1", 400), (b"", 400), (b"OPTIONS a HTTP/1.1", 400), (b"OPTIONS ** HTTP/1.1", 400),
        (b"PROPFIND / HTTP/1.1", None), (b"PROPFIND /a?b HTTP/1.1", None), (b"PROPFIND a HTTP/1.1", 400), (b"PROPFIND /# HTTP/1.1", 400),
        (b"PROPFIND * HTTP/1.1", 400), (b"get / HTTP/1.1", None), (b"GET / HTTP/1.1 ", 400), (b" GET / HTTP/1.1", 400),
        (b"GET\t/ HTTP/1.1", 400), (b"GET / http/1.1", 400),
    ],
)  # fmt: skip
def test_request_lines(start, status):
    """Origin form, and `OPTIONS *`."""
    head = read(start=start)

    assert isinstance(head, RequestHead) is (status is None)
    assert getattr(head, "status", None) == status


@pytest.mark.parametrize("byte", range(256))
def test_every_byte_of_a_target(byte):
    """21 to 7E without `#`; read with care or by a pattern."""
    head = b"GET /a" + bytes([byte]) + b"b HTTP/1.1\r\nHost: a"

    for found in (READER.read_carefully(head), LEARNT.read(head)):
        assert isinstance(found, RequestHead) is (0x21 <= byte <= 0x7E and byte != ord("#"))


@pytest.mark.parametrize("byte", range(256))
def test_every_byte_of_a_name_and_of_a_value(byte):
    """Names are tokens; values have no control byte but TAB."""
    token = chr(byte) in "!#$%&'*+-.^_`|~" or (byte < 128 and chr(byte).isalnum())

    name = read(b"X" + bytes([byte]) + b"Y: 1")
    value = read(b"X: a" + bytes([byte]) + b"b")

    assert isinstance(name, RequestHead) is (token or byte == ord(":"))
    assert isinstance(value, RequestHead) is ((byte >= 0x20 and byte != 0x7F) or byte == 9)


@pytest.mark.parametrize("byte", range(256))
def test_every_byte_of_a_host(byte):
    """Letters, digits, `-`, `.`, `_`, `~`; a colon only before a port."""
    host = b"a" + bytes([byte]) + b"b"

    allowed = byte < 128 and (chr(byte).isalnum() or chr(byte) in "-._~")
    assert isinstance(read(host=b"Host: " + host), RequestHead) is allowed


@pytest.mark.parametrize(("size", "status"), [(8190, None), (8191, 414)])
def test_the_longest_target(size, status):
    """Both sides."""
    head = read(start=b"GET /" + b"a" * (size - 1) + b" HTTP/1.1")

    assert (head.status if isinstance(head, Malformed) else None) == status


@pytest.mark.parametrize(("size", "status"), [(8190, None), (8191, 414)])
def test_the_longest_method(size, status):
    """It is a word of the request line like the target."""
    head = read(start=b"A" * size + b" / HTTP/1.1")

    assert (head.status if isinstance(head, Malformed) else None) == status


@pytest.mark.parametrize(("size", "status"), [(8190, None), (8191, 431)])
def test_the_longest_field_line(size, status):
    """Both sides."""
    head = read(b"X: " + b"a" * (size - 3))

    assert (head.status if isinstance(head, Malformed) else None) == status


@pytest.mark.parametrize(("size", "status"), [(8190, None), (8191, 431)])
def test_the_longest_first_field_line(size, status):
    """It is a field's line like any other's, though the request line before it may be longer."""
    for start in (b"GET / HTTP/1.1", b"GET /" + b"a" * 8189 + b" HTTP/1.1"):
        head = READER.read(b"\r\n".join([start, b"X: " + b"a" * (size - 3), b"Host: a"]))

        assert (head.status if isinstance(head, Malformed) else None) == status
    assert refused(host=b"Host: ".ljust(size, b"a")) == (status or 400)


def test_a_long_request_line_without_fields_lacks_its_host():
    """It is not too large: its target is not."""
    head = READER.read(b"GET /" + b"a" * 8189 + b" HTTP/1.1")

    assert isinstance(head, Malformed)
    assert head.status == 400
    assert "Host" in head.problem


@pytest.mark.parametrize(("count", "status"), [(99, None), (100, 431), (2000, 431)])
def test_the_most_fields(count, status):
    """Host is one of the hundred."""
    for line in (b"X: 1", b"X: " + b"a" * 200):
        head = read(*[line] * count)

        assert (head.status if isinstance(head, Malformed) else None) == status


@pytest.mark.parametrize(
    ("host", "is_host"),
    [
        (b"a", True), (b"a" * 255, True), (b"a" * 256, False), (b"", False), (b"a:1", True), (b"a:65535", True), (b"a:123456", False),
        (b"a:65536", False), (b"a:65540", False), (b"a:65600", False), (b"a:66000", False), (b"a:70000", False), (b"a:99999", False),
        (b"a:59999", True), (b"a:60000", True), (b"a:64999", True), (b"a:65499", True), (b"a:65529", True), (b"a:00080", True),
        (b"a:000080", False), (b"a:0", True),
        (b"a:", False), (b":1", False), (b"a:b", False), (b"a:1:1", False), (b"[::]", True), (b"[:]", False), (b"[]", False),
        (b"[" + b"1111:" * 6 + b"255.255.255.255]", True), (b"[" + b"1:" * 22 + b"1]", False), (b"[::1]:65535", True),
        (b"[::1]:65536", False), (b"[::::]", False), (b"[1::2::3]", False), (b"[1.2.3.4]", False), (b"[12345::]", False),
        (b"[1:2:3:4:5:6:7:8]", True), (b"[1:2:3:4:5:6:7]", False), (b"[::1.2.3.256]", False), (b"[::1]:123456", False),
        (b"[::1]:", False), (b"[::1", False), (b"::1]", False), (b"::1", False), (b"u@a", False), (b"a,b", False), (b"a b", False),
    ],
)  # fmt: skip
def test_hosts_on_both_sides_of_their_bounds(host, is_host):
    """A name of 255 bytes, an IPv6 address in brackets, a port up to 65535; read with care or by a pattern."""
    for reader in (READER, LEARNT):
        for _ in range(2):
            head = reader.read(b"GET / HTTP/1.1\r\nHost: " + host)
            assert (head.status if isinstance(head, Malformed) else head.host) == (host if is_host else 400)


def test_hosts_that_passed_are_remembered_and_bounded():
    """The two thousandth host is read as well as the first."""
    for number in range(2000):
        head = READER.read_carefully(b"GET / HTTP/1.1\r\nHost: h%d" % number)
        assert isinstance(head, RequestHead)
        assert head.host == b"h%d" % number
    assert len(_GOOD_HOSTS) == 1024


@pytest.mark.parametrize("limits", [HeadLimits(line=100), HeadLimits(head=100), HeadLimits(line=100, head=100)])
def test_a_pattern_takes_heads_up_to_the_smaller_of_the_limits(limits):
    """What is longer may be too long; bytes behind the head do not count, and are not taken."""
    reader = learnt(b"GET / HTTP/1.1\r\nHost: a\r\nX: y", limits)
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX: ".ljust(100, b"y")

    assert reader.take(head + b"\r\n\r\n" + b"behind" * 100) is not None
    assert reader.end == 104
    assert reader.take(head + b"y\r\n\r\n") is None
    assert RequestReader(RequestNames(), limits).end == 0


def test_a_block_is_one_head():
    """An empty line within it makes it none, whatever a pattern takes of it."""
    block = b"GET / HTTP/1.1\r\nHost: a"

    assert isinstance(LEARNT.read(block + b"\r\n\r\nX: 1"), Malformed)
    assert isinstance(LEARNT.read(block), RequestHead)
    # As long as the one before, and none that a pattern takes.
    assert isinstance(LEARNT.read(block.replace(b"1.1", b"1.0")), RequestHead)
    assert isinstance(LEARNT.read(block.replace(b"1.1", b"1.2")), Malformed)


def test_a_field_more_or_less_is_another_shape():
    """What comes behind fields that were there before is read, too."""
    for _ in range(2):
        assert good(b"X-A: 1").lines == [b"X-A: 1"]
        assert good(b"X-A: 1", b"Cookie: a").cookies == b"a"
        assert refused(b"X-A: 1", b"Cookie: a", b"Bad Name: 1") == 400
        assert good(b"X-A: 1", b"Cookie: a", b"Connection: close").close


@pytest.mark.parametrize("line", [b"Content-Length: x", b"Expect: x", b"Transfer-Encoding: x"])
def test_connection_excuses_no_framing(line):
    """What is refused without it is refused with it."""
    assert refused(line) == refused(line, b"Connection: close") == refused(b"Connection: close", line) > 399


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([b"X"], "field line is not name, colon, value"), ([b"Bad Name: 1"], "field name is empty or not a token"),
        ([b"Cookie: a", b"cookie: b"], "repeated Cookie"), ([b"Host: a"], "repeated Host"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_field_is_said(lines, problem):
    """For the log."""
    assert read(*lines) == Malformed(400, problem)


def test_a_refused_head_teaches_nothing():
    """Whoever sends broken ones has no patterns made."""
    reader = RequestReader(RequestNames(), HeadLimits())
    for _ in range(2000):
        assert isinstance(reader.read(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x"), Malformed)

    assert reader.take(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n") is None


def test_an_upgrade_without_connection_or_without_its_field_is_none():
    """Both must be there; what the request line says is no protocol."""
    assert good(b"Upgrade: websocket").upgrade is None
    assert good(b"Connection: upgrade", start=b"GET /a:websocket HTTP/1.1").upgrade is None
    assert good(b"Connection: x", b"Upgrade: websocket").upgrade is None


@pytest.mark.parametrize("value", [b"trailers", b"Trailers", b"\ttrailers "])
def test_te_says_trailers_or_nothing(value):
    """In any letter case, in any of several fields; coding names are not passed on."""
    assert good(b"TE: " + value).trailers
    assert good(b"TE: gzip", b"TE: " + value).trailers
    assert not good(b"TE: gzip").trailers
    assert not good(b"Connection: te").trailers


@given(st.binary(max_size=200))
def test_no_bytes_raise(block):
    """Any bytes are a head or a refusal."""
    assert isinstance(READER.read(block), RequestHead | Malformed)


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"X: 1", b"Host: a", b" ", b":", b"a"]), max_size=10).map(b"".join)
)
def test_only_crlf_ends_a_line(tail):
    """A head with a CR or LF alone is never accepted, wherever it stands."""
    head = READER.read(b"GET / HTTP/1.1\r\nHost: a\r\n" + tail)

    bare = tail.replace(b"\r\n", b"")
    if b"\r" in bare or b"\n" in bare:
        assert isinstance(head, Malformed)


HEADS = st.builds(
    lambda start, host, pairs: b"\r\n".join([start, *host, *[name + b":" + value for name, value in pairs]]),
    st.sampled_from([b"GET / HTTP/1.1", b"POST /a HTTP/1.1", b"GET / HTTP/1.0", b"CONNECT a:1 HTTP/1.1", b"GET x HTTP/1.1"]),
    st.sampled_from([[b"Host: a"], [b"host: b"], [], [b"Host: a", b"Host: a"], [b"Host: @"]]),
    st.lists(
        st.tuples(
            st.sampled_from(
                [b"X-A", b"x-a", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Upgrade", b"Cookie", b"Authorization",
                 b"Expect", b"TE", b"X-Request-Id", b"X-Forwarded-For", b"X-Authproxy-User", b"Bad Name", b"X-A:"]
            ),
            st.sampled_from([b"", b"5", b"x", b"chunked", b"close", b"x-a", b"upgrade", b"100-continue", b"trailers", b"a: b"]),
        ),
        max_size=4,
    ),
)  # fmt: skip


def facts(head: RequestHead | Malformed) -> object:
    """What a head says, comparable."""
    if isinstance(head, Malformed):
        return head.status
    return (
        head.method, head.target, head.host, head.authorization, head.cookies, head.content_length, head.chunked, head.close,
        head.expect_continue, head.upgrade, head.request_id, head.forwarded or [], head.trailers, head.has_body, head.http10,
        tuple(head.lines),
    )  # fmt: skip


@given(st.lists(HEADS, max_size=8))
def test_a_reader_forgets_what_heads_said(heads):
    """A head means the same whichever heads were read before it."""
    table = RequestNames(["X-Authproxy-User"])
    used = RequestReader(table, HeadLimits())

    for block in heads:
        assert facts(used.read(block)) == facts(RequestReader(table, HeadLimits()).read(block))
