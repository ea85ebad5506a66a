"""How a tunnel ends: each side hears of the other's end as it was, and may go on speaking after it (http.md, 4)."""

import contextlib

import pytest

from tests.conformance.conftest import _base
from tests.conformance.proxy import request, start
from tests.conformance.upstream import Gone, shut
from tests.patience import PATIENCE

pytestmark = pytest.mark.promise

NAMES = ["websocket", "tcp-x"]


@pytest.fixture(scope="module")
def proxy(material, recorder, tmp_path_factory):
    """A proxy before a route for WebSockets and for another protocol."""
    route = {"path": "/", "zone": "api", "upstream": "up", "upgrades": NAMES}
    base = _base(recorder) | {"listeners": {"public": {"bind": "@public@"}}, "routes": [route]}
    running = start(tmp_path_factory.mktemp("ends"), material, base, ["public"], recorder)
    yield running
    running.stop()


def asked(name: str) -> bytes:
    return request("GET /x HTTP/1.1", "Connection: Upgrade", f"Upgrade: {name}")


def granted(name: str) -> bytes:
    return b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n" % name.encode()


@pytest.mark.parametrize("name", NAMES)
def test_a_client_that_has_said_its_last_still_hears(wire, upstream, name):
    """The upstream hears of the end, and answers after it."""

    def script(turn):
        turn.send(granted(name))
        with contextlib.suppress(Gone):
            turn.read(1000)
        turn.send(b"\x82\x04done")
        turn.close()

    upstream.answer(script)
    wire.send(asked(name))
    assert wire.interim().status == 101
    wire.send(b"\x82\x84\0\0\0\0last")
    shut(wire.sock)
    wire.sock.settimeout(PATIENCE)

    assert wire.rest() == b"\x82\x04done"
    assert upstream.requests[0].framed == b"\x82\x84\0\0\0\0last"


@pytest.mark.parametrize("name", NAMES)
def test_an_upstream_that_has_said_its_last_still_hears(wire, upstream, name):
    """The client hears of the end, and goes on after it."""

    def script(turn):
        turn.send(granted(name) + b"\x82\x04last")
        shut(turn.sock)
        turn.sock.settimeout(PATIENCE)
        turn.seen.body = turn.read(10)

    upstream.answer(script)
    wire.send(asked(name))
    assert wire.interim().status == 101
    assert wire.rest() == b"\x82\x04last"
    assert wire.end == "clean"
    wire.send(b"\x82\x84\0\0\0\0done")

    upstream.wait(lambda: upstream.requests[0].body == b"\x82\x84\0\0\0\0done", "the upstream did not hear it")


@pytest.mark.parametrize(("then", "end"), [("close", "clean"), ("cut", "cut"), ("reset", "cut")])
def test_another_protocol_ends_for_the_client_as_it_ended_upstream(wire, upstream, then, end):
    """It may have no other way to tell what is whole; a WebSocket has its frames."""
    upstream.answer(lambda turn: (turn.send(granted("tcp-x")), turn.read(2), getattr(turn, then)()))
    wire.send(asked("tcp-x"))
    assert wire.interim().status == 101
    wire.send(b"go")
    wire.rest()

    assert wire.end == end


@pytest.mark.parametrize(("leave", "end"), [("shut", "clean"), ("close", "cut"), ("reset", "cut")])
def test_another_protocol_ends_for_the_upstream_as_the_client_ended_it(wire, upstream, leave, end):
    """Only close_notify is an end."""
    upstream.answer(lambda turn: (turn.send(granted("tcp-x")), turn.read(1000)))
    wire.send(asked("tcp-x"))
    assert wire.interim().status == 101
    wire.send(b"half")
    if leave == "shut":
        shut(wire.sock)
    else:
        getattr(wire, leave)()

    assert upstream.end_of(upstream.requests[0]) == end
