"""One connection to an upstream: answers of every framing, however they are cut, and what may follow."""

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from authproxy.http1.answer import AnswerHead
from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.interface import Failure


class Wire(asyncio.Transport):
    """A transport in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.reading = True
        self.ended = ""

    @override
    def write(self, data: Any) -> None:
        self.sent += data

    @override
    def pause_reading(self) -> None:
        self.reading = False

    @override
    def resume_reading(self) -> None:
        self.reading = True

    @override
    def is_closing(self) -> bool:
        return bool(self.ended)

    @override
    def close(self) -> None:
        self.ended = self.ended or "closed"

    @override
    def abort(self) -> None:
        self.ended = "aborted"


class Home:
    """Where the connection belongs."""

    def __init__(self) -> None:
        self.busy = 1
        self.lost = 0

    def forget(self, _: object) -> None:
        self.lost += 1


@dataclass
class Taker:
    """Takes an answer; ends the exchange as soon as it is whole, as `Exchange` does."""

    connection: UpstreamConnection
    interims: list[int] = field(default_factory=list)
    heads: list[AnswerHead] = field(default_factory=list)
    body: bytes = b""
    whole: bool = False
    failure: Failure | None = None
    reusable: bool | None = None
    slow: bool = False
    """Its client takes nothing: it pauses the connection with every piece."""

    def on_interim(self, head: AnswerHead) -> None:
        self.interims.append(head.status)

    def on_end(self) -> bool:
        return False

    def on_answer(self, head: AnswerHead, body: bytes, *, complete: bool) -> None:
        self.heads.append(head)
        self.on_body(body, complete=complete)

    def on_body(self, data: bytes, *, complete: bool) -> None:
        self.body += data
        if self.slow:
            self.connection.pause()
        if complete:
            self.whole = True
            self.reusable = self.connection.finish()

    def on_failure(self, failure: Failure, detail: str) -> None:
        assert detail
        self.failure = failure

    def on_eof(self) -> None:
        """Nothing."""

    def pause_request(self) -> None:
        """Nothing."""

    def resume_request(self) -> None:
        """Nothing."""


def connect(**more: Any) -> tuple[UpstreamConnection, Wire, Taker]:
    """A connection with a request under way."""
    connection = UpstreamConnection(Home())  # type: ignore[arg-type]
    wire = Wire()
    connection.connection_made(wire)
    return connection, wire, ask(connection, **more)


def ask(
    connection: UpstreamConnection, *, bodiless: bool = False, upgrade: bytes | None = None, slow: bool = False
) -> Taker:
    """Send a request."""
    taker = Taker(connection, slow=slow)
    if bodiless or upgrade is not None:
        connection.expect(bodiless=bodiless, upgrade=upgrade)
    connection.begin(taker, b"GET / HTTP/1.1\r\n\r\n")
    return taker


ANSWERS = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    "nothing": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    "chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\nX: 1\r\n\r\n",
        b"hello",
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "interim": (
        b"HTTP/1.1 103 X\r\n\r\nHTTP/1.1 100 X\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"hello",
    ),
}


@given(st.sampled_from(sorted(ANSWERS)), st.lists(st.integers(0, 200), max_size=6))
def test_any_split_of_an_answer_means_the_same(kind, cuts):
    """One head, the payload, the end; then the connection may be used again."""
    raw, body = ANSWERS[kind]
    connection, wire, taker = connect()
    places = sorted({cut % (len(raw) + 1) for cut in cuts} | {0, len(raw)})
    for begin, end in pairwise(places):
        connection.data_received(raw[begin:end])

    assert taker.failure is None
    assert len(taker.heads) == 1
    assert (taker.body, taker.whole, taker.reusable) == (body, True, True)
    assert not wire.ended


@given(st.sampled_from(sorted(ANSWERS)), st.integers(0, 200))
def test_an_answer_cut_short_is_a_failure(kind, cut):
    """Never whole, wherever it was cut."""
    raw, _ = ANSWERS[kind]
    connection, _, taker = connect()
    part = raw[: cut % len(raw)]
    if part:
        connection.data_received(part)
    connection.connection_lost(None)

    assert not taker.whole
    assert taker.failure is (Failure.TRUNCATED if part else Failure.CLOSED)


@given(st.sampled_from(sorted(ANSWERS)), st.binary(min_size=1, max_size=20))
def test_bytes_behind_an_answer_are_nobodys(kind, ghost):
    """In the same piece they spoil it; later they end the connection."""
    raw, _ = ANSWERS[kind]
    connection, wire, taker = connect()
    connection.data_received(raw + ghost)
    assert taker.failure is Failure.MALFORMED
    assert wire.ended == "aborted"

    connection, wire, taker = connect()
    connection.data_received(raw)
    connection.data_received(ghost)
    assert taker.whole
    assert wire.ended == "aborted"
    assert not connection.is_idle


@given(
    st.lists(
        st.sampled_from(
            [b"HTTP/1.1 ", b"200 OK", b"\r\n", b"\n", b"X: 1", b"Content-Length: 5", b"\x00", b"hello", b"\r\n\r\n"]
        ),
        max_size=8,
    )
)
def test_no_bytes_raise(parts):
    """An answer, a failure, or not enough yet."""
    connection, wire, taker = connect()
    connection.data_received(b"".join(parts) or b"x")

    assert not (taker.failure and not wire.ended)


@pytest.mark.parametrize("clean", [True, False])
def test_an_answer_until_close_is_whole_only_after_a_clean_end(clean):
    """The end of the stream, told by its peer."""
    connection, _, taker = connect()
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nhello")
    if clean:
        connection.eof_received()
    connection.connection_lost(None)

    assert taker.body == b"hello"
    assert taker.whole is clean
    assert taker.failure is (None if clean else Failure.TRUNCATED)


@pytest.mark.parametrize("kind", sorted(ANSWERS))
def test_a_connection_that_was_paused_reads_its_next_answer(kind):
    """A client that was slow to the end of its answer must not leave the connection deaf for the next one."""
    connection, wire, _ = connect(slow=True)
    connection.data_received(ANSWERS[kind][0])
    assert connection.is_idle

    ask(connection)
    assert wire.reading


def test_a_connection_that_its_peer_closes_is_not_idle():
    """From the moment that the end is seen, and not only when the transport is gone."""
    connection, _, taker = connect()
    connection.data_received(ANSWERS["length"][0])
    assert taker.reusable
    connection.eof_received()

    assert not connection.is_idle


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_who_says_close_is_not_used_again(raw):
    """HTTP/1.0 says so too."""
    connection, _, taker = connect()
    connection.data_received(raw)

    assert taker.whole
    assert taker.reusable is False


def test_a_keep_of_an_earlier_answer_is_not_forgotten():
    """A connection that was to close stays so."""
    connection, _, taker = connect()
    connection.data_received(b"HTTP/1.1 103 X\r\nConnection: close\r\n\r\n" + ANSWERS["length"][0])

    assert taker.whole
    assert taker.reusable is False


def test_nothing_is_said_twice():
    """After a failure the loss of the connection is no news."""
    connection, _, taker = connect()
    connection.data_received(b"nonsense\r\n\r\n")
    taker.failure = None
    connection.connection_lost(None)

    assert taker.failure is None


@pytest.mark.parametrize(
    ("asked", "granted", "tunnel"),
    [(b"websocket", b"WebSocket", True), (b"websocket", b"h2c", False), (None, b"websocket", False)],
)
def test_a_tunnel_is_what_was_asked_for(asked, granted, tunnel):
    """A 101 to anything else is malformed."""
    connection, _, taker = connect(upgrade=asked)
    connection.data_received(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: " + granted + b"\r\n\r\nfirst")

    assert (taker.failure is None) is tunnel
    assert taker.body == (b"first" if tunnel else b"")
