"""Request line, methods and targets (RFC 9112, 3)."""

import pytest

from tests.conformance.proxy import GOOD, request

pytestmark = pytest.mark.promise


@pytest.mark.parametrize(
    "line",
    [
        "GET / HTTP/1.1",
        "HEAD / HTTP/1.1",
        "OPTIONS /x HTTP/1.1",
        "DELETE /x HTTP/1.1",
        "PROPFIND /dav HTTP/1.1",
        "get / HTTP/1.1",
        "a!#$%&'*+-.^_`|~9 / HTTP/1.1",
        "GET /?a=%zz&b=../..//;%2f\\\"<>{}|^`' HTTP/1.1",
        "GET /%61?x HTTP/1.1",
        "GET /?? HTTP/1.1",
        "GET /b%C3%A9 HTTP/1.1",
        "GET /a:b@c,d=e+f!$&'()*~_.- HTTP/1.1",
    ],
)
def test_well_formed_lines_pass_unchanged(wire, upstream, line):
    """Method, target and version arrive byte for byte."""
    answer = wire.ask(request(line))

    assert answer.status == 200
    assert upstream.request().line == line.encode()


def test_the_hundredth_request_of_a_shape_passes_like_the_first(wire, upstream):
    """Heads of a shape that keeps coming are read and written in a quicker way, with the same outcome."""
    for number in range(100):
        assert wire.ask(request(f"GET /a/{number}?q=/{number} HTTP/1.1", f"X-A: {number}")).status == 200

    assert [seen.line for seen in upstream.requests] == [b"GET /a/%d?q=/%d HTTP/1.1" % (n, n) for n in range(100)]
    for number, seen in enumerate(upstream.requests):
        assert seen.one("X-A") == b"%d" % number
        assert [name for name, _ in seen.fields] == [name for name, _ in upstream.requests[0].fields]
        assert [(name, value) for name, value in seen.fields if name not in {b"X-A", b"X-Request-Id"}] == [
            (name, value) for name, value in upstream.requests[0].fields if name not in {b"X-A", b"X-Request-Id"}
        ]
    assert len({seen.one("X-Request-Id") for seen in upstream.requests}) == 100


def test_http_10_is_forwarded_as_11_and_closed(wire, upstream):
    """An HTTP/1.0 client is served once and told so."""
    answer = wire.ask(request("GET / HTTP/1.0", "Connection: keep-alive"))

    assert answer.status == 200
    assert answer.one("Connection") == b"close"
    assert upstream.request().line == b"GET / HTTP/1.1"
    assert wire.rest() == b""
    assert wire.end == "clean"


@pytest.mark.parametrize(
    "line",
    [
        "GET / HTTP/1.2",
        "GET / HTTP/2.0",
        "GET / HTTP/0.9",
        "GET / HTTP/1.1 ",
        "GET / HTTP/11",
        "GET / HTTP/1.10",
        "GET / HTTP/1.",
        "GET / http/1.1",
        "GET / HTTP",
        "GET / XHTTP/1.1",
        "GET /",
        "GET",
        "",
        " GET / HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET / x HTTP/1.1",
        "GET / HTTP/1.1 x",
        "G\u00e9T / HTTP/1.1",
        "G(T / HTTP/1.1",
        "G:T / HTTP/1.1",
        '"GET" / HTTP/1.1',
        "GET /\u00e9 HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "GET /a\x00b HTTP/1.1",
        "GET /a\x0bb HTTP/1.1",
        "GET /a#b HTTP/1.1",
        "GET /?a#b HTTP/1.1",
        "GET # HTTP/1.1",
        "GET http://proxy.test/ HTTP/1.1",
        "GET https://proxy.test/ HTTP/1.1",
        "GET proxy.test:443 HTTP/1.1",
        "GET ?x HTTP/1.1",
        "GET x HTTP/1.1",
        "GET * HTTP/1.1",
        "OPTIONS *x HTTP/1.1",
        "OPTIONS *?x HTTP/1.1",
        "OPTIONS http://proxy.test/ HTTP/1.1",
        "GET \\ HTTP/1.1",
        "PRI * HTTP/2.0",
    ],
)
def test_other_lines_are_refused_and_the_connection_closes(wire, fence, line):
    """Whatever another server might read in its own way is a 400, and nothing behind it is read."""
    answer = wire.ask(request(line) + request("GET /smuggled HTTP/1.1"), "GET")

    assert answer.status == 400
    assert answer.kind == "bad-request"
    assert answer.one("Connection") == b"close"
    assert wire.rest() == b""
    assert wire.end == "clean"
    fence()


@pytest.mark.parametrize(
    "raw",
    [
        b"HEAD / HTTP/1.2\r\nHost: proxy.test\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: proxy.test\r\nX: a\rb\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: proxy.test\r\nConnection: transfer-encoding\r\n\r\n",
        b"\r\nHEAD /#\n",
    ],
)
def test_a_malformed_head_gets_no_body_either(wire, fence, raw):
    """Whatever else is wrong with it, who asked HEAD reads an answer to HEAD (RFC 9112, 6.3)."""
    answer = wire.ask(raw, "HEAD")

    assert answer.status == 400
    assert wire.rest() == b""
    fence()


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
@pytest.mark.parametrize(
    "target", ["/", "proxy.test:443", "*", "http://proxy.test/", "/public/x", "/methods/x", "/healthz"]
)
def test_connect_and_trace_are_405_whatever_the_target(wire, fence, method, target):
    """Neither tunnels nor echoes."""
    answer = wire.ask(request(f"{method} {target} HTTP/1.1"), "GET")

    assert answer.status == 405
    assert answer.kind == "bad-request"
    fence()


def test_options_star_is_answered_here(wire, fence):
    """`OPTIONS *` asks about the proxy itself: 204, and it says so."""
    answer = wire.ask(request("OPTIONS * HTTP/1.1"))

    assert answer.status == 204
    assert answer.kind == "own-page"
    assert answer.one("Cache-Control") == b"no-store"
    assert answer.one("Content-Length") is None
    assert wire.ask(request("OPTIONS * HTTP/1.1")).status == 204
    fence()


@pytest.mark.parametrize(
    "request_", [request("OPTIONS * HTTP/1.0"), request("OPTIONS * HTTP/1.1", "Connection: close")]
)
def test_options_star_says_when_the_connection_ends(wire, request_):
    """What closes says that it closes (RFC 9112, 9.6)."""
    answer = wire.ask(request_)

    assert answer.status == 204
    assert answer.one("Connection") == b"close"
    assert wire.rest() == b""


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PURGE"])
def test_methods_that_the_route_lists_pass(wire, upstream, method):
    """The route's own list, unusual methods included."""
    assert wire.ask(request(f"{method} /methods/x HTTP/1.1")).status == 200
    assert upstream.request().method == method.encode()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "get", "PURGED", "FOO"])
def test_methods_that_the_route_does_not_list_are_405(wire, fence, method):
    """With the list in Allow (RFC 9110, 10.2.1); the connection goes on."""
    answer = wire.ask(request(f"{method} /methods/x HTTP/1.1"), "GET")

    assert answer.status == 405
    assert answer.one("Allow") == b"GET, HEAD, POST, PURGE"
    assert answer.one("Connection") is None
    assert wire.ask(request("PUT /methods/x HTTP/1.1")).status == 405
    fence()


def test_one_empty_line_before_a_request_is_ignored(wire, upstream):
    """RFC 9112, 2.2; before each request anew."""
    assert wire.ask(b"\r\n" + request("GET /1 HTTP/1.1")).status == 200
    assert wire.ask(b"\r\n" + request("GET /2 HTTP/1.1")).status == 200
    assert [seen.target for seen in upstream.requests] == [b"/1", b"/2"]


@pytest.mark.parametrize("lead", [b"\r\n\r\n", b"\n", b"\r", b"\r\n\n", b"\r\r\n", b" \r\n"])
def test_more_than_one_empty_line_is_refused(wire, fence, lead):
    """400 and close."""
    answer = wire.ask(lead + request(), "GET")

    assert answer.status == 400
    assert wire.rest() == b""
    fence()


@pytest.mark.parametrize("cut", [1, 3, 5, 15, 16, 17, 18, 60])
def test_a_head_may_come_in_pieces(wire, upstream, cut):
    """Where the bytes are cut makes no difference, not even within a CRLF."""
    whole = b"\r\n" + request("GET /p HTTP/1.1", "X-A: 1")
    for piece in (whole[:cut], whole[cut:-1], whole[-1:]):
        wire.send(piece)

    assert wire.answer().status == 200
    assert upstream.request().one("X-A") == b"1"


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\nHost: proxy.test\n" + GOOD[:-2] + b"\n\n",
        b"GET / HTTP/1.1\nHost: proxy.test\r\n" + GOOD + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: proxy.test\n" + GOOD + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: proxy.test\r" + GOOD + b"\r\n",
        b"GET / HTTP/1.1\rHost: proxy.test\r\n" + GOOD + b"\r\n",
        b"GET / HTTP/1.1\r\r\nHost: proxy.test\r\n" + GOOD + b"\r\n",
    ],
)
def test_lines_end_with_crlf_and_nothing_else(wire, fence, raw):
    """A bare CR or LF ends nothing, and is refused at once."""
    answer = wire.ask(raw)

    assert answer.status == 400
    assert wire.rest() == b""
    fence()
