"""Upstreams that die or cannot be had: once more where that is safe, else 502."""

import threading

import pytest

from tests.conformance.proxy import GOOD, post, request
from tests.conformance.upstream import reply

pytestmark = pytest.mark.promise

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nhello"


# ---------------------------------------------------------------------- connections that die


def _once(script):
    """Answer one request, so that its connection is pooled and the next one goes there."""
    return [reply(), script]


def _die(then: str):
    def script(turn):
        getattr(turn, then)()

    return script


@pytest.mark.parametrize("then", ["close", "cut", "reset"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_a_stale_connection_is_tried_again(wire, upstream, method, then):
    """Idempotent and without a body: once, on a fresh connection; the client notices nothing."""
    upstream.answer(reply(), _die(then))
    assert wire.ask(request()).status == 200
    answer = wire.ask(request(f"{method} /again HTTP/1.1"))

    assert answer.status == 200
    assert [seen.target for seen in upstream.requests] == [b"/", b"/again", b"/again"]
    assert len({seen.connection for seen in upstream.requests}) == 2


def test_it_is_tried_again_once_only(wire, upstream):
    """Two dead connections are a 502."""
    upstream.answer(_die("close"), _die("close"))
    answer = wire.ask(request())

    assert answer.status == 502
    assert len(upstream.requests) == 2
    assert wire.ask(request()).status == 200


@pytest.mark.parametrize(
    "raw",
    [
        post(b"hello"),
        post(b""),
        request("PURGE / HTTP/1.1"),
        request("PUT / HTTP/1.1", "Content-Length: 2", body=b"hi"),
    ],
)
def test_what_may_count_twice_is_not_tried_again(wire, upstream, raw):
    """A body, or a method that is not idempotent: 502, and the upstream saw it once."""
    upstream.answer(reply(), _die("close"))
    assert wire.ask(request()).status == 200
    answer = wire.ask(raw)

    assert answer.status == 502
    assert len(upstream.requests) == 2


def test_nothing_is_tried_again_after_the_first_byte(wire, upstream):
    """An answer had begun."""
    upstream.answer(reply(), reply(b"HTTP/1.1 200 OK\r\nContent-", "close"))
    assert wire.ask(request()).status == 200
    answer = wire.ask(request())

    assert answer.status == 502
    assert len(upstream.requests) == 2


def test_nothing_is_tried_again_after_an_interim_answer(wire, upstream):
    """The upstream has taken the request."""
    upstream.answer(reply(b"HTTP/1.1 102 X\r\n\r\n", "close"))

    assert wire.ask(request()).status == 502
    assert len(upstream.requests) == 1


def test_an_idle_connection_that_the_upstream_closed_costs_nothing(wire, upstream):
    """It is noticed before the next request, which may then be anything."""
    upstream.answer(reply(then="close"))
    assert wire.ask(request()).status == 200
    upstream.end_of(upstream.request())
    # The proxy has seen the close once a round trip through it is over.
    assert wire.ask(request(auth=b"")).status == 401

    assert wire.ask(post(b"hello")).status == 200


# ---------------------------------------------------------------------- upstreams that cannot be had


@pytest.mark.parametrize("path", ["refused", "misnamed", "stranger"])
def test_an_upstream_that_is_not_there_or_not_itself_is_502(wire, proxy, fence, path):
    """Refused, or its name or certificate not verified; the reason stands in the log only."""
    answer = wire.ask(request(f"GET /{path}/ HTTP/1.1"))

    assert answer.status == 502
    assert answer.kind == "upstream"
    reason = proxy.wait_access(answer.one("X-Request-Id"))["reason"]
    assert reason == ("upstream-refused" if path == "refused" else "upstream-unverified")
    assert b"certificate" not in answer.body
    assert b"upstream-" not in answer.body
    fence()


def test_an_upstream_that_is_not_there_gets_no_body(wire, fence):
    """502 without waiting for all of it; the connection ends unless the body is in."""
    answer = wire.ask(post(b"x" * 100, target="/refused/"))
    assert answer.status == 502

    wire2_answer = wire.ask(request("POST /refused/ HTTP/1.1", "Content-Length: 1000000", body=b"x"))
    assert wire2_answer.status == 502
    assert wire2_answer.one("Connection") == b"close"
    fence()


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", b"application/json"), ("*/*", b"application/json"), ("", b"application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", b"text/html"), ("text/html", b"text/html"),
    ],
)  # fmt: skip
def test_programs_get_json_and_people_a_page(wire, accept, kind):
    """By what the client says that it reads."""
    answer = wire.ask(request("GET /refused/ HTTP/1.1", f"Accept: {accept}"))

    assert answer.status == 502
    assert (answer.one("Content-Type") or b"").partition(b";")[0] == kind


def test_a_credential_is_asked_for_before_the_upstream(wire, fence):
    """A stranger learns nothing about what is behind."""
    assert wire.ask(request("GET /refused/ HTTP/1.1", auth=b"")).status == 401
    assert wire.ask(request("GET /refused/ HTTP/1.1", auth=GOOD)).status == 502
    fence()


def test_an_early_answer_reaches_a_client_that_is_still_sending(wire, upstream):
    """413 from an application in the middle of an upload is not lost in a reset, and the end is clean."""
    answered = threading.Event()

    def script(turn):
        turn.send(b"HTTP/1.1 413 X\r\nContent-Length: 3\r\n\r\nbig")
        turn.wait(answered)
        turn.read_body()

    upstream.answer(script)
    raw = post(b"x" * 4_000_000)
    wire.send(raw[:100_000])
    answer = wire.answer("POST")
    answered.set()

    assert (answer.status, answer.body) == (413, b"big")
    assert answer.one("Connection") == b"close"
    wire.send(raw[100_000:200_000])
    assert wire.rest() == b""
    assert wire.end == "clean"
    assert not upstream.requests[0].whole
