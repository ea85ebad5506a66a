"""The health page: answered here, without credentials, beside everything else on a connection."""

import pytest

from tests.conformance.proxy import post, request
from tests.conformance.upstream import TRUSTED

pytestmark = pytest.mark.promise

ASK = b"GET /healthz HTTP/1.1\r\nHost: anything\r\n\r\n"


def test_health_is_answered_here(wire, fence):
    """200, no details, no credential, never cached."""
    answer = wire.ask(ASK)

    assert (answer.status, answer.body) == (200, b"ok\n")
    assert answer.kind == "own-page"
    assert answer.one("Cache-Control") == b"no-store"
    assert b"ython" not in (answer.one("Server") or b"")
    fence()


def test_health_is_logged_under_the_id_that_it_says(proxy, wire, dial):
    """As every answer of the proxy's own is: one line; a trusted peer may choose the id, and nobody else."""
    answers = [wire.ask(ASK), wire.ask(ASK.replace(b"GET", b"HEAD"))]
    answers.append(
        wire.ask(ASK.replace(b"\r\n\r\n", b"\r\nX-Request-Id: from-afar\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"))
    )
    answers.append(dial(source=TRUSTED).ask(ASK.replace(b"\r\n\r\n", b"\r\nX-Request-Id: from-afar\r\n\r\n")))
    for answer in answers:
        own = answer.one("X-Request-Id")
        assert answer.one("X-Authproxy-Response") == b"own-page; id=" + (own or b"-")
        told = proxy.wait_access(own)
        assert (told["event"], told["status"], told["path"]) == ("request.answered", 200, "/healthz")
        assert [line["request_id"] for line in proxy.access].count(told["request_id"]) == 1

    assert [answer.one("X-Request-Id") == b"from-afar" for answer in answers] == [False, False, False, True]
    assert proxy.wait_access(answers[2].one("X-Request-Id"))["client"] == proxy.upstream.source
    assert len({answer.one("X-Request-Id") for answer in answers}) == 4


def test_health_and_proxied_requests_alternate(wire, upstream):
    """One connection carries both, in order, pipelined or not."""
    for raw in (ASK, request(), ASK, ASK, request(auth=b""), ASK, post(b"hello"), ASK):
        assert wire.ask(raw).status in {200, 401}
    wire.send(ASK + request("GET /1 HTTP/1.1") + ASK + ASK + request("GET /2 HTTP/1.1"))

    assert [wire.answer().body for _ in range(5)] == [b"ok\n", b"ok", b"ok\n", b"ok\n", b"ok"]


def test_health_of_head_and_http_10(wire):
    """A balancer's ways to ask."""
    assert wire.ask(b"HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
    answer = wire.ask(b"GET /healthz HTTP/1.0\r\nHost: a\r\n\r\n")

    assert answer.status == 200
    assert answer.one("Connection") == b"close"
    assert wire.rest() == b""


def test_health_says_when_it_closes(wire):
    """`Connection: close` is honoured."""
    answer = wire.ask(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert answer.status == 200
    assert answer.one("Connection") == b"close"
    assert wire.rest() == b""


def test_health_takes_a_query(wire):
    """`/healthz?x` is the same page."""
    assert wire.ask(b"GET /healthz?x=1 HTTP/1.1\r\nHost: a\r\n\r\n").body == b"ok\n"


@pytest.mark.parametrize(
    "lines",
    [b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"Expect: 100-continue\r\n", b"Content-Length: 0\r\n", b"TE: trailers\r\n",
     b"X-Authproxy-User: root\r\n", b"Sec-WebSocket-Key1: x\r\n"],
)  # fmt: skip
def test_odd_health_requests_leave_the_connection_in_order(wire, upstream, lines):
    """Whatever a client adds, the next request is read."""
    wire.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n")
    first = wire._head()
    if first.status == 100:
        first = wire._head()
    assert wire._with_body(first, "GET").status in {200, 400, 417}
    assert first.kind in {"own-page", "bad-request"}
    if first.one("Connection") == b"close":
        return

    assert wire.ask(ASK).status == 200
    assert wire.ask(request()).status == 200


@pytest.mark.parametrize(
    "raw",
    [
        post(b"hello", target="/healthz"),
        request("POST /healthz HTTP/1.1", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    ],
)
def test_a_body_to_health_is_not_read_as_the_next_request(wire, raw):
    """It goes to the routes, or is refused; the connection stays in order or ends."""
    answer = wire.ask(raw)

    assert answer.status in {200, 400, 401, 405}
    if answer.one("Connection") is None:
        assert wire.ask(ASK).status == 200


@pytest.mark.parametrize("target", ["/healthz/", "/healthz/x", "/%68ealthz", "/HEALTHZ", "/healthzz", "/x/healthz"])
def test_only_the_path_itself_is_open(wire, fence, target):
    """Everything else needs a credential."""
    assert wire.ask(request(f"GET {target} HTTP/1.1", auth=b"")).status == 401
    fence()


@pytest.mark.parametrize("method", ["DELETE", "POST", "FOO", "options"])
def test_any_method_gets_an_own_answer(wire, fence, method):
    """What aiohttp does not know must not fall into a hole."""
    answer = wire.ask(f"{method} /healthz HTTP/1.1\r\nHost: a\r\n\r\n".encode())

    assert answer.status in {200, 400, 401, 405}
    assert answer.kind
    fence()


def test_a_listener_without_health_has_none(dial):
    """Off by default."""
    raw = b"GET /healthz HTTP/1.1\r\nHost: app.example.org\r\n\r\n"

    assert dial("hosts").ask(raw).status == 401
