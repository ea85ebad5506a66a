"""From a head to a route: every step that may refuse, on both sides."""

import pytest

from authproxy.core.path import DOUBLE_SLASH, ENCODED_SLASH, SEMICOLON
from authproxy.core.route import Pattern
from authproxy.edge import gate
from authproxy.edge.gate import accepted_id, check_body, find_route, fold_host, is_repeatable
from authproxy.edge.refusal import Refusal
from authproxy.runtime import Preflight
from tests.edge.made import head, listener, route

ANY = Pattern(None, "/")


def found(request, *routes):
    """The name of the route, or status and reason of the refusal."""
    outcome = find_route(listener(*routes), request)
    return (outcome.status, outcome.reason) if isinstance(outcome, Refusal) else outcome.name


# ---------------------------------------------------------------------- hosts and ids


@pytest.mark.parametrize(
    ("host", "folded"),
    [
        (b"a.test", "a.test"), (b"A.Test", "a.test"), (b"a.test:8443", "a.test"), (b"a.test.", "a.test"),
        (b"a.test.:1", "a.test"), (b"a.test..", "a.test."), (b"[::1]", "[::1]"), (b"[::1]:8443", "[::1]"), (b"[2001:DB8::1]", "[2001:db8::1]"),
        (b"127.0.0.1:1", "127.0.0.1"),
    ],
)  # fmt: skip
def test_hosts_are_folded(host, folded):
    """Letter case, port and the root's dot mean nothing; twice, since they are remembered."""
    assert fold_host(host) == folded
    assert fold_host(host) == folded


def test_hosts_are_remembered_up_to_1024(monkeypatch):
    """As they are written; beyond that they are folded each time."""
    remembered: dict[bytes, str] = {}
    monkeypatch.setattr(gate, "_HOSTS", remembered)
    for number in range(1100):
        assert fold_host(b"H%d:1" % number) == f"h{number}"

    assert len(remembered) == 1024
    assert remembered[b"H1023:1"] == "h1023"


@pytest.mark.parametrize("value", [b"a", b"A-z.0_9", b"x" * 64])
def test_a_trusted_peers_id_is_taken(value):
    """1 to 64 harmless characters."""
    assert accepted_id(value) == value


@pytest.mark.parametrize("value", [None, b"", b"x" * 65, b"a b", b'a"', b"a\xff", b"a\n", b"a,b", b"{"])
def test_any_other_id_is_not(value):
    """Not one character more, and none that means something to a log."""
    assert accepted_id(value) is None


# ---------------------------------------------------------------------- routes


@pytest.mark.parametrize("method", [b"CONNECT", b"TRACE"])
def test_some_methods_are_refused_whatever_a_route_says(method):
    """405, whether or not the route lists them or there is one."""
    request = head(start=method + b" / HTTP/1.1") if method == b"TRACE" else head()
    request.method, request.is_usual = method, False
    open_route = route(methods=frozenset({method}))

    assert found(request, (ANY, open_route)) == (405, "method-never-allowed")
    assert found(request) == (405, "method-never-allowed")


@pytest.mark.parametrize("path", [b"/a/../b", b"/%2e%2e/", b"/a%5cb", b"/%", b"/%252f", b"/..;/"])
def test_two_readings_are_refused(path):
    """400 before any route is looked for."""
    assert found(head(start=b"GET %b HTTP/1.1" % path), (ANY, route())) == (400, "ambiguous-path")
    assert found(head(start=b"GET %b HTTP/1.1" % path)) == (400, "ambiguous-path")


@pytest.mark.parametrize(
    ("path", "needed"), [(b"/a;b", SEMICOLON), (b"/a//b", DOUBLE_SLASH), (b"/a%2fb", ENCODED_SLASH)]
)
def test_unusual_paths_pass_where_the_route_asks_for_them(path, needed):
    """For that form and no other."""
    request = head(start=b"GET %b HTTP/1.1" % path)
    others = frozenset({SEMICOLON, DOUBLE_SLASH, ENCODED_SLASH}) - {needed}

    assert found(request, (ANY, route(unusual=frozenset({needed})))) == "/"
    assert found(request, (ANY, route(unusual=others | {needed}))) == "/"
    assert found(request, (ANY, route(unusual=others))) == (400, "unusual-path")
    assert found(request, (ANY, route())) == (400, "unusual-path")


def test_routes_match_the_decoded_path():
    """And what needs no decoding as it is."""
    routes = ((Pattern(None, "/admin"), route(name="admin")), (Pattern(None, "/a b"), route(name="blank")))

    assert found(head(start=b"GET /%61dmin/x HTTP/1.1"), *routes) == "admin"
    assert found(head(start=b"GET /admin/x?/%2e%2e HTTP/1.1"), *routes) == "admin"
    assert found(head(start=b"GET /a%20b HTTP/1.1"), *routes) == "blank"
    assert found(head(start=b"GET /Admin HTTP/1.1"), *routes) == (404, "no-route")


TABLES = {
    "by host": ((Pattern("a.test", "/"), route(name="a")), (Pattern("*.b.test", "/x"), route(name="b"))),
    "by path": ((Pattern(None, "/x"), route(name="x")), (Pattern(None, "/x/y"), route(name="y"))),
    "by method": (
        (Pattern(None, "/"), route(name="get", methods=frozenset({b"GET"}))),
        (Pattern(None, "/x"), route(name="put", methods=frozenset({b"PUT"}))),
    ),
    "all": ((ANY, route(name="all")),),
    "none": (),
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("host", [b"a.test", b"q.b.test", b"c.test"])
@pytest.mark.parametrize("path", [b"/", b"/x", b"/x/y", b"/xy"])
def test_a_usual_head_finds_what_any_head_finds(table, host, path):
    """The quick way is for some tables only, and leads to the same route or refusal."""
    request = head(start=b"GET %b HTTP/1.1" % path, host=host)
    slow = found(request, *TABLES[table])
    request.is_usual = True

    assert found(request, *TABLES[table]) == slow


def test_hosts_choose_routes():
    """As folded; no route for the host is 421, none for the path 404."""
    routes = ((Pattern("a.test", "/x"), route(name="a")), (Pattern("b.test", "/"), route(name="b")))

    for _ in range(2):
        assert found(head(start=b"GET /x HTTP/1.1", host=b"A.TEST:1"), *routes) == "a"
        assert found(head(start=b"GET /y HTTP/1.1", host=b"a.test"), *routes) == (404, "no-route")
        assert found(head(host=b"b.test."), *routes) == "b"
        assert found(head(host=b"c.test"), *routes) == (421, "unknown-host")
    assert found(head()) == (421, "unknown-host")


def test_the_only_route_takes_every_host_and_path():
    """But not what has two readings, nor unusual forms, nor methods that it does not list."""
    only = (ANY, route(methods=frozenset({b"GET"})))

    assert found(head(start=b"GET /x/y HTTP/1.1", host=b"[::1]"), only) == "/"
    assert found(head(start=b"GET /x/../y HTTP/1.1"), only) == (400, "ambiguous-path")
    assert found(head(start=b"GET /x;y HTTP/1.1"), only) == (400, "unusual-path")
    assert found(head(start=b"PUT /x HTTP/1.1"), only) == (405, "method-not-allowed")


def test_methods_that_a_route_does_not_list_are_405_with_those_that_it_does():
    """RFC 9110, 15.5.6; letter case counts, and no list is every method."""
    listed = (ANY, route(methods=frozenset({b"POST", b"GET", b"PURGE"})))

    for method in (b"GET", b"POST", b"PURGE"):
        assert found(head(start=method + b" / HTTP/1.1"), listed) == "/"
        assert found(head(start=method + b" / HTTP/1.1"), (ANY, route())) == "/"
    for method in (b"get", b"HEAD", b"PROPFIND"):
        refusal = find_route(listener(listed), head(start=method + b" / HTTP/1.1"))
        assert isinstance(refusal, Refusal)
        assert (refusal.status, refusal.reason, refusal.lines) == (
            405,
            "method-not-allowed",
            b"Allow: GET, POST, PURGE\r\n",
        )
        assert not refusal.close
        assert found(head(start=method + b" / HTTP/1.1"), (ANY, route())) == "/"


def test_a_preflight_may_be_asked_of_a_route_that_does_not_list_options():
    """Any other OPTIONS may not, nor where the route answers no preflights."""
    rules = Preflight(origins=frozenset({b"https://a.test"}), lines=b"")
    asks = (b"Origin: https://a.test", b"Access-Control-Request-Method: GET")
    listed = frozenset({b"GET"})

    answering, other = (ANY, route(methods=listed, preflight=rules)), (ANY, route(methods=listed))
    assert found(head(*asks, start=b"OPTIONS / HTTP/1.1"), answering) == "/"
    assert found(head(start=b"OPTIONS / HTTP/1.1"), answering) == (405, "method-not-allowed")
    assert found(head(*asks, start=b"OPTIONS / HTTP/1.1"), other) == (405, "method-not-allowed")


# ---------------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    ("method", "allowed"), [(b"POST", True), (b"PUT", True), (b"PATCH", True), (b"GET", False), (b"DELETE", False)]
)
def test_a_body_comes_where_the_route_says(method, allowed):
    """Else 400, and the connection closes: what follows would be read as the next request."""
    request = head(b"Content-Length: 5", start=method + b" / HTTP/1.1")
    refusal = check_body(route(), request)

    assert refusal == (None if allowed else Refusal(status=400, reason="body-not-allowed", close=True))
    assert check_body(route(body_methods=frozenset({method})), request) is None


@pytest.mark.parametrize(("limit", "allowed"), [(None, True), (6, True), (5, True), (4, False), (0, False)])
def test_an_announced_body_is_measured(limit, allowed):
    """At the limit it passes; one that is not announced is measured as it comes."""
    refusal = check_body(route(max_body=limit), head(b"Content-Length: 5", start=b"POST / HTTP/1.1"))

    assert refusal == (None if allowed else Refusal(status=413, reason="body-too-large", close=True))
    assert check_body(route(max_body=limit), head(b"Transfer-Encoding: chunked", start=b"POST / HTTP/1.1")) is None


@pytest.mark.parametrize(
    ("start", "lines", "repeatable"),
    [
        (b"GET", (), True), (b"HEAD", (), True), (b"OPTIONS", (), True), (b"PUT", (), True), (b"DELETE", (), True),
        (b"POST", (), False), (b"PATCH", (), False), (b"PURGE", (), False), (b"get", (), False),
        (b"PUT", (b"Content-Length: 1",), False), (b"PUT", (b"Content-Length: 0",), True),
        (b"PUT", (b"Transfer-Encoding: chunked",), False),
        (b"GET", (b"Connection: upgrade", b"Upgrade: websocket"), False),
    ],
)  # fmt: skip
def test_what_may_be_sent_twice(start, lines, repeatable):
    """Idempotent, without a body, and no upgrade (RFC 9110, 9.2.2)."""
    assert is_repeatable(head(*lines, start=start + b" / HTTP/1.1")) is repeatable
