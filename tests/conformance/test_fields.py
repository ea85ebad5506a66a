"""Field lines, limits, Host and repeated fields (RFC 9112, 2.2, 3.2 and 5; RFC 9110, 5.5)."""

import pytest

from tests.conformance.proxy import GOOD, request

pytestmark = pytest.mark.promise


@pytest.mark.parametrize(
    "line",
    [
        b"X-A: 1", b"X-A:1", b"X-A:\t1\t", b"X-A:    1   ", b"x-a: 1", b"X-A:", b"X-A: ", b"X-A: a\tb", b"X-A: a: b:c",
        b"X-A: \xe9\xff\x80", b"!#$%&'*+-.^_`|~9Az: 1", b'X-A: "a,b"; c', b"X-A: a  b", b"1: 2",
    ],
)  # fmt: skip
def test_well_formed_fields_pass(wire, upstream, line):
    """Name and value arrive as they were; the blanks around the value do not matter."""
    name, _, value = line.partition(b":")

    assert wire.ask(request("GET / HTTP/1.1", line)).status == 200
    assert (name, value.strip(b" \t")) in upstream.request().fields


@pytest.mark.parametrize(
    "line",
    [
        b"X-A : 1", b"X-A\t: 1", b" X-A: 1", b"\tX-A: 1", b"X A: 1", b": 1", b":", b"X-A", b"X-A\x00: 1", b"X(A: 1",
        b"X\xe9: 1", b"X@A: 1", b"X[A]: 1", b'"X-A": 1', b"X/A: 1", b"X{A: 1", b"X;A: 1", b"X=A: 1", b"X?A: 1", b"X,A: 1",
        b"X\x7fA: 1", b"X-A: a\x00b", b"X-A: a\x0bb", b"X-A: a\x0cb", b"X-A: a\x08b", b"X-A: a\x1bb", b"X-A: a\x7fb",
        b"X-A: a\rb", b"X-A: a\nb", b"X-A: a\n b", b"X-A: a\r\n b", b"X-A: a\r\n\tb", b"X-A: a\r\n b: c", b"X-A: a\r\r\nX-B: b",
        b"X-A: 1\rX-B: 2", b"X-A: 1\nX-B: 2", b" folded-first: 1", b"X-A: \x00",
    ],
)  # fmt: skip
def test_malformed_fields_are_refused(wire, fence, line):
    """400 and close, wherever the line stands."""
    answer = wire.ask(request("GET / HTTP/1.1", "X-Before: 1", line, "X-After: 1"))

    assert answer.status == 400
    assert answer.one("Connection") == b"close"
    assert wire.rest() == b""
    fence()


@pytest.mark.parametrize("line", [b" X-A: 1", b"\tX-A: 1", b" "])
def test_a_blank_before_the_first_field_is_refused(wire, fence, line):
    """RFC 9112, 2.2: some servers would skip such a line, others fold it into the request line."""
    answer = wire.ask(b"GET / HTTP/1.1\r\n" + line + b"\r\nHost: proxy.test\r\n" + GOOD + b"\r\n")

    assert answer.status == 400
    fence()


# ---------------------------------------------------------------------- limits


def _of_length(size: int) -> bytes:
    """A GET whose target has this many bytes."""
    return b"GET /" + b"a" * (size - 1) + b" HTTP/1.1"


def test_a_target_of_8190_bytes_passes(wire, upstream):
    """The longest target."""
    line = _of_length(8190)

    assert wire.ask(request(line)).status == 200
    assert upstream.request().line == line


@pytest.mark.parametrize("size", [8191, 12000, 20000, 33000, 70000])
def test_a_longer_target_is_414(wire, fence, size):
    """Whether it comes whole or not."""
    answer = wire.ask(request(_of_length(size)), "GET")

    assert answer.status == 414
    assert answer.kind == "limit"
    assert wire.rest() == b""
    fence()


def test_a_request_line_without_end_is_414(wire, fence):
    """Nobody waits for the end of it."""
    wire.send(b"GET /" + b"a" * 8300)

    assert wire.answer().status == 414
    fence()


def test_a_field_line_of_8190_bytes_passes(wire, upstream):
    """The longest line."""
    line = b"X-A: " + b"a" * (8190 - 5)

    assert wire.ask(request("GET / HTTP/1.1", line)).status == 200
    assert upstream.request().one("X-A") == line[5:]


@pytest.mark.parametrize("line", [b"X-A: " + b"a" * (8191 - 5), b"X" * 8190 + b":", b"X-A:" + b" " * 8187])
def test_a_longer_field_line_is_431(wire, fence, line):
    """One byte too much, in name, value or blanks."""
    answer = wire.ask(request("GET / HTTP/1.1", line))

    assert answer.status == 431
    assert answer.kind == "limit"
    assert wire.rest() == b""
    fence()


def test_a_hundred_fields_pass(wire, upstream):
    """Host and Authorization among them."""
    lines = [f"X-{number}: {number}" for number in range(98)]

    assert wire.ask(request("GET / HTTP/1.1", *lines)).status == 200
    assert upstream.request().one("X-97") == b"97"


@pytest.mark.parametrize("count", [99, 500, 1200])
def test_more_than_a_hundred_fields_are_431(wire, fence, count):
    """101 of them; and a field that would be dropped counts too."""
    answer = wire.ask(request("GET / HTTP/1.1", *[f"X-{number}: " for number in range(count)]))

    assert answer.status == 431
    assert wire.rest() == b""
    fence()


def _of_size(size: int) -> bytes:
    """A request whose head has this many bytes, all CRLFs included."""
    lines = [f"X-{number}: {'a' * 8000}" for number in range(4)]
    missing = size - len(request("GET / HTTP/1.1", *lines, "X-Last: "))
    return request("GET / HTTP/1.1", *lines, "X-Last: " + "a" * missing)


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4])
def test_a_head_of_32_kib_passes(wire, upstream, cut):
    """The largest head, in one piece or with its end coming later."""
    raw = _of_size(32 * 1024 + 4)
    assert len(raw) == 32 * 1024 + 4

    wire.send(raw[: len(raw) - cut])
    wire.send(raw[len(raw) - cut :])
    assert wire.answer().status == 200
    assert upstream.request().one("X-3") == b"a" * 8000


@pytest.mark.parametrize("size", [32 * 1024 + 5, 33 * 1024])
def test_a_larger_head_is_431(wire, fence, size):
    """Complete or not: the few bytes of the empty line do not count."""
    answer = wire.ask(_of_size(size))

    assert answer.status == 431
    assert answer.kind == "limit"
    assert wire.rest() == b""
    fence()


def test_a_head_without_end_is_431(wire, fence):
    """Nobody collects more than the limit."""
    wire.send(b"GET / HTTP/1.1\r\n" + b"X-A: 1\r\n" * 5000)

    assert wire.answer().status == 431
    fence()


# ---------------------------------------------------------------------- Host


@pytest.mark.parametrize(
    "host",
    ["proxy.test", "PROXY.test", "proxy.test:8443", "proxy.test:0", "127.0.0.1", "127.0.0.1:8443", "[::1]", "[::1]:8443", "a",
     "a-b.c_d", "proxy.test."],
)  # fmt: skip
def test_a_well_formed_host_passes_as_it_is(wire, upstream, host):
    """uri-host with an optional port."""
    answer = wire.ask(f"GET / HTTP/1.1\r\nHost: {host}\r\n".encode() + GOOD + b"\r\n")

    assert answer.status == 200
    assert upstream.request().one("Host") == host.encode()


@pytest.mark.parametrize(
    "lines",
    [
        b"", b"Host:\r\n", b"Host: \r\n", b"Host: a\r\nHost: a\r\n", b"Host: a\r\nhost: b\r\n", b"Host: a b\r\n",
        b"Host: a,b\r\n", b"Host: user@a\r\n", b"Host: user:pw@a\r\n", b"Host: a/b\r\n", b"Host: http://a\r\n",
        b"Host: a:b\r\n", b"Host: a:-1\r\n", b"Host: a:123456\r\n", b"Host: a:80:80\r\n", b"Host: :80\r\n", b"Host: a?b\r\n",
        b"Host: a#b\r\n", b"Host: [::1\r\n", b"Host: ::1\r\n", b"Host: [::1]x\r\n", b"Host: [::g]\r\n", b"Host: [::::]\r\n",
        b"Host: [1.2.3.4]\r\n", b"Host: proxy.test:65536\r\n", b"Host: proxy.test:99999\r\n", b"Host: \xe9\r\n",
        b'Host: "a"\r\n', b"Host: a\\b\r\n", b"Host: a\t\r\nHost: b\r\n", b"Host: <a>\r\n", b"Host: a;b\r\n",
        b"Host: %61\r\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_any_other_host_is_refused(wire, fence, lines, version):
    """Missing, repeated, empty or malformed: 400 and close."""
    answer = wire.ask(b"GET / HTTP/" + version + b"\r\n" + lines + GOOD + b"\r\n")

    assert answer.status == 400
    assert wire.rest() == b""
    fence()


@pytest.mark.parametrize(
    "host",
    ["app.example.org", "APP.Example.ORG", "app.example.org:8443", "app.example.org.", "a.wild.example.org",
     "a.b.wild.example.org", "A.WILD.example.org:1"],
)  # fmt: skip
def test_hosts_are_compared_folded(dial, upstream, host):
    """Letter case, the port and the root's dot mean nothing."""
    answer = dial("hosts").ask(f"GET / HTTP/1.1\r\nHost: {host}\r\n".encode() + GOOD + b"\r\n")

    assert answer.status == 200
    assert upstream.request().one("Host") == host.encode()


@pytest.mark.parametrize(
    "host",
    ["proxy.test", "example.org", "xapp.example.org", "app.example.org.evil.test", "wild.example.org", "xwild.example.org",
     "app.example.orgx", "127.0.0.1"],
)  # fmt: skip
def test_a_host_without_a_route_is_421(dial, fence, host):
    """The credential is not even looked at."""
    answer = dial("hosts").ask(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())

    assert answer.status == 421
    assert answer.kind == "bad-request"
    fence()


# ---------------------------------------------------------------------- repeated and unusual fields


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", GOOD.partition(b": ")[2].strip().decode()), ("Cookie", "a=b"), ("Content-Length", "0"),
        ("Content-Type", "text/plain"), ("Expect", "100-continue"), ("Upgrade", "websocket"),
        ("Transfer-Encoding", "chunked"), ("Host", "proxy.test"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("change", [str, str.lower, str.upper])
def test_fields_that_stand_once(wire, fence, name, value, change):
    """Two of them are two readings, even when both say the same."""
    lines = [f"{name}: {value}", "X-Between: 1", f"{change(name)}: {value}"]
    auth = b"" if name == "Authorization" else GOOD

    answer = wire.ask(request("POST / HTTP/1.1", *lines, auth=auth), "POST")

    assert answer.status == 400
    assert wire.rest() == b""
    fence()


def test_other_fields_may_be_repeated(wire, upstream):
    """In their order."""
    assert wire.ask(request("GET / HTTP/1.1", "Accept: a", "X-A: 1", "accept: b", "X-A: 2")).status == 200
    assert upstream.request().all("Accept") == [b"a", b"b"]
    assert upstream.request().all("X-A") == [b"1", b"2"]


@pytest.mark.parametrize("name", ["X_Anything", "X.Anything", "my_field", "a.b"])
def test_unusual_names_outside_the_families_pass(wire, upstream, name):
    """Unless the listener drops them all."""
    assert wire.ask(request("GET / HTTP/1.1", f"{name}: 1")).status == 200
    assert upstream.request().one(name) == b"1"


@pytest.mark.parametrize("name", ["X_Anything", "X.Anything", "my_field", "a.b", "_", "."])
def test_a_listener_may_drop_all_unusual_names(dial, upstream, name):
    """`drop_unusual_names`; usual ones stay."""
    raw = request("GET / HTTP/1.1", f"{name}: 1", "X-Usual: 1").replace(b"proxy.test", b"app.example.org")

    assert dial("hosts").ask(raw).status == 200
    assert upstream.request().all(name) == []
    assert upstream.request().one("X-Usual") == b"1"


@pytest.mark.parametrize(
    "line",
    ["Content_Length: 5", "Content.Length: 5", "Transfer_Encoding: chunked", "Ho_st: x", "Connection_: x", "Author_ization: x",
     "Proxy_Connection: x", "X_Request_Id: x", "Content_Type: x", "Transfer.Encoding: chunked", "Ex_pect: 1"],
)  # fmt: skip
def test_imitations_of_framing_fields_are_no_framing(wire, upstream, line):
    """A folding reader would take `Content_Length` for the length: either it is dropped, or it folds to something else."""
    name = line.partition(":")[0]
    reserved = {"CONTENT_LENGTH", "TRANSFER_ENCODING", "PROXY_CONNECTION", "X_REQUEST_ID", "CONTENT_TYPE"}

    assert wire.ask(request("GET / HTTP/1.1", line)).status == 200
    assert wire.ask(request("GET / HTTP/1.1")).status == 200
    gone = name.upper().replace(".", "_") in reserved
    assert (upstream.request().all(name) == []) is gone
