"""Upgrades: a tunnel only after the upstream's 101, and only where it was asked for (RFC 9110, 7.8; RFC 6455)."""

import pytest

from tests.conformance.conftest import _base
from tests.conformance.proxy import ALICE, BOB, GOOD, post, request, start, token
from tests.conformance.upstream import early, reply

pytestmark = pytest.mark.promise

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
ASK = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", KEY]
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n"
)


def echo(*, first: bytes = b"", count: int = 5, then: str = "close"):
    """Switch, send some bytes at once, echo some, end."""

    def script(turn):
        turn.send(SWITCH + first)
        turn.send(turn.read(count))
        getattr(turn, then)()

    return script


@pytest.mark.parametrize(
    "lines",
    [ASK, ["connection: upgrade", "UPGRADE: WebSocket", *ASK[2:]], ["Connection: keep-alive, Upgrade", *ASK[1:]],
     ["Connection: keep-alive", *ASK]],
)  # fmt: skip
def test_a_websocket_passes(wire, upstream, lines):
    """Asked for, granted; then bytes both ways until either side ends."""
    upstream.answer(echo())
    wire.send(request("GET /ws HTTP/1.1", *lines))
    answer = wire.interim()
    wire.send(b"hello")

    assert answer.status == 101
    assert (answer.one("Connection") or b"").lower() == b"upgrade"
    assert (answer.one("Upgrade") or b"").lower() == b"websocket"
    assert answer.one("Sec-WebSocket-Accept") == b"x"
    assert answer.one("X-Request-Id")
    assert wire.rest() == b"hello"
    seen = upstream.request(whole=False)
    assert (seen.one("Connection") or b"").lower() == b"upgrade"
    assert (seen.one("Upgrade") or b"").lower() == b"websocket"
    assert seen.one("Sec-WebSocket-Key") == KEY.partition(": ")[2].encode()
    assert seen.all("Authorization") == []


def test_early_bytes_of_both_sides_arrive(wire, upstream):
    """What the client sent with its request, and the upstream with its 101."""
    upstream.answer(echo(first=b"first"))
    wire.send(request("GET /ws HTTP/1.1", *ASK) + b"hello")

    assert wire.interim().status == 101
    assert wire.rest() == b"firsthello"


def test_a_tunnel_carries_any_bytes(wire, upstream):
    """A megabyte of them, each way."""
    blob = bytes(range(256)) * 4096
    upstream.answer(echo(count=len(blob)))
    wire.send(request("GET /ws HTTP/1.1", *ASK))
    assert wire.interim().status == 101
    wire.send(blob)

    assert wire.rest() == blob


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_client_that_goes_away_ends_the_tunnel(wire, upstream, end):
    """The upstream is not left waiting, and its connection is not used again."""
    upstream.answer(lambda turn: (turn.send(SWITCH), turn.read(1000)))
    wire.send(request("GET /ws HTTP/1.1", *ASK))
    assert wire.interim().status == 101
    getattr(wire, end)()

    assert upstream.end_of(upstream.requests[0]) in {"clean", "cut"}


@pytest.mark.parametrize("then", ["close", "cut", "reset"])
def test_an_upstream_that_goes_away_ends_the_tunnel(wire, upstream, then):
    """All that it sent before arrives."""
    upstream.answer(echo(first=b"x" * 100_000, count=0, then=then))
    wire.send(request("GET /ws HTTP/1.1", *ASK))
    assert wire.interim().status == 101
    got = wire.rest()

    assert got == b"x" * 100_000 or then == "reset"
    assert wire.end


@pytest.mark.parametrize("status", [200, 400, 403, 426, 503])
def test_any_other_answer_is_an_ordinary_one(wire, upstream, status):
    """Never a tunnel: what follows is the next request, and is read as one."""
    upstream.answer(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\nUpgrade: websocket\r\n\r\nno" % status)
    wire.send(request("GET /ws HTTP/1.1", *ASK) + request("GET /next HTTP/1.1", auth=b""))
    answer = wire.answer()

    assert (answer.status, answer.body) == (status, b"no")
    assert wire.answer().status == 401
    assert [seen.target for seen in upstream.requests] == [b"/ws"]


def test_a_request_behind_a_refused_upgrade_is_the_next_one(wire, upstream):
    """It came before anybody knew; its own credential counts, and its own claims do not."""
    bob = f"Authorization: Bearer {token('api', BOB)}\r\n".encode()
    upstream.answer(b"HTTP/1.1 400 X\r\nContent-Length: 0\r\n\r\n")
    wire.send(request("GET /ws HTTP/1.1", *ASK) + request("GET /next HTTP/1.1", f"X-Authproxy-User: {ALICE}", auth=bob))

    assert [wire.answer().status, wire.answer().status] == [400, 200]
    first, second = upstream.requests
    assert first.one("X-Authproxy-User") == ALICE.encode()
    assert second.target == b"/next"
    assert second.like("X-Authproxy-User") == [(b"X-Authproxy-User", BOB.encode())]
    assert second.all("Upgrade") == []


def test_a_request_behind_a_granted_upgrade_belongs_to_the_tunnel(proxy, wire, upstream):
    """Byte for byte: it is read by nobody here, so it gets no identity, and no line in the log."""
    behind = request("GET /next HTTP/1.1", "X-Authproxy-User: forged")
    upstream.answer(echo(count=len(behind)))
    wire.send(request("GET /ws HTTP/1.1", *ASK) + behind)
    answer = wire.interim()

    assert answer.status == 101
    assert wire.rest() == behind
    wire.close()
    assert [seen.target for seen in upstream.requests] == [b"/ws"]
    assert proxy.wait_access(answer.one("X-Request-Id"))["received"] == len(behind)


@pytest.mark.parametrize(
    ("lines", "target"),
    [
        (["Upgrade: websocket"], "/"), (["Connection: Upgrade"], "/"), (["Connection: Upgrade", "Upgrade: h2c"], "/"),
        (["Connection: Upgrade", "Upgrade: websocket, h2c"], "/"), (["Connection: Upgrade", "Upgrade: TLS/1.0"], "/"),
        (["Connection: Upgrade", "Upgrade: "], "/"), (["Connection: Upgrade", "Upgrade: websocket/13"], "/"), (ASK, "/plain/"),
    ],
)  # fmt: skip
def test_an_upgrade_that_is_none_is_not_forwarded(wire, upstream, lines, target):
    """Half-asked, another protocol, or a route without: an ordinary request; and no 101 is believed."""
    assert wire.ask(request(f"GET {target} HTTP/1.1", *lines)).status == 200
    upstream.answer(SWITCH)
    answer = wire.ask(request(f"GET {target} HTTP/1.1", *lines))

    for seen in upstream.requests:
        assert seen.all("Upgrade") == seen.all("Connection") == []
    assert answer.status == 502


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n", b"HTTP/1.1 101 X\r\n\r\n",
        b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
    ],
)  # fmt: skip
def test_a_101_to_another_protocol_is_502(wire, upstream, raw):
    """Only to the one that was asked for."""
    upstream.answer(raw)

    assert wire.ask(request("GET /ws HTTP/1.1", *ASK)).status == 502
    assert upstream.end_of(upstream.requests[0]) == "cut"


def test_an_upgrade_is_not_tried_again(wire, upstream):
    """A handshake is made once."""
    upstream.answer(reply(), lambda turn: turn.close())
    assert wire.ask(request()).status == 200

    assert wire.ask(request("GET /ws HTTP/1.1", *ASK)).status == 502
    assert len(upstream.requests) == 2


def test_an_upgrade_needs_a_credential(wire, fence):
    """As every request does; the connection goes on as HTTP."""
    wire.send(request("GET /ws HTTP/1.1", *ASK, auth=b"") + request("GET /x HTTP/1.1", auth=b""))

    assert [wire.answer().status, wire.answer().status] == [401, 401]
    fence()


def test_an_http_10_upgrade_is_ignored(wire, upstream):
    """RFC 9110, 7.8."""
    assert wire.ask(request("GET / HTTP/1.0", *ASK)).status == 200
    assert upstream.request().all("Upgrade") == []


def test_a_refused_upgrade_with_a_body_leaves_the_connection_in_order(wire, upstream):
    """The body is a body, then comes the next request."""
    upstream.answer(reply(b"HTTP/1.1 400 X\r\nContent-Length: 0\r\n\r\n"))
    wire.send(post(b"GET /smuggled HTTP/1.1\r\n\r\n", *ASK) + request("GET /next HTTP/1.1", auth=GOOD))

    assert wire.answer("POST").status == 400
    assert wire.answer().status == 200
    assert [seen.target for seen in upstream.requests] == [b"/", b"/next"]
    assert upstream.requests[0].all("Upgrade") == []


def test_a_101_to_a_body_is_502(wire, upstream):
    """Nobody knows whether the body belongs to the tunnel."""
    upstream.answer(early(SWITCH, "close"))

    assert wire.ask(post(b"hello", *ASK)).status == 502


@pytest.fixture(scope="module")
def protocols(material, recorder, tmp_path_factory):
    """A proxy before a route for protocols that are no WebSocket."""
    route = {"path": "/", "zone": "api", "upstream": "up", "upgrades": ["Proto/1.0", "tcp-x"]}
    base = _base(recorder) | {"listeners": {"public": {"bind": "@public@"}}, "routes": [route]}
    running = start(tmp_path_factory.mktemp("protocols"), material, base, ["public"], recorder)
    yield running
    running.stop()


@pytest.fixture
def other(protocols, upstream):
    """A connection to it."""
    wire = protocols.connect()
    yield wire
    wire.close()


@pytest.mark.parametrize("name", ["proto/1.0", "PROTO/1.0", "tcp-x"])
def test_another_protocol_passes_where_a_route_allows_it(other, upstream, name):
    """Raw bytes both ways, before, between and after: none is taken for a frame or for HTTP."""
    blob = bytes(range(256)) * 400

    def script(turn):
        turn.send(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: %b\r\n\r\n\x88\x00" % name.lower().encode())
        turn.send(turn.read(len(blob))[::-1])
        assert turn.read(4) == b"\r\n\r\n"
        turn.send(b"HTTP/1.1 400 ")
        turn.close()

    upstream.answer(script)
    other.send(request("GET /x HTTP/1.1", "Connection: Upgrade", f"Upgrade: {name}") + blob[:1000])
    answer = other.interim()
    other.send(blob[1000:])

    assert (answer.status, answer.one("Upgrade")) == (101, name.lower().encode())
    assert other.exactly(2 + len(blob)) == b"\x88\x00" + blob[::-1]
    other.send(b"\r\n\r\n")
    assert other.rest() == b"HTTP/1.1 400 "
    assert upstream.requests[0].one("Upgrade") == name.encode()


@pytest.mark.parametrize("name", ["websocket", "proto/1.1", "proto", "tcp-x/1", "h2c", "tcp-x, proto/1.0"])
def test_a_protocol_that_a_route_does_not_name_is_not_asked_for(other, upstream, name):
    """An ordinary request then; WebSockets go too when they are not named."""
    assert other.ask(request("GET /x HTTP/1.1", "Connection: Upgrade", f"Upgrade: {name}")).status == 200
    assert upstream.requests[0].all("Upgrade") == []
