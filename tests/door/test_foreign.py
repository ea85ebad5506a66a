"""Whoever speaks no TLS is told so in the language that it speaks, if that is HTTP; on both loops."""

import re

import pytest

from tests.door.test_acceptor import House, contexts_of
from tests.wire.ends import PlainPeer

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "QUERY"]
ADVICE = b"This port speaks TLS: ask for https://, please\n"


@pytest.fixture(params=[(), ("other.test",)], ids=["no names", "names"])
def contexts(request, material):
    """Without and with a look at the hello before the handshake."""
    return contexts_of(material, names=request.param)


async def said_to(house, begins):
    """Everything that is said to whoever begins so."""
    peer = PlainPeer(await house.call())
    await peer.send(begins)
    said = await peer.rest()
    peer.close()
    await house.until(lambda: house.reports)
    return said


@pytest.mark.parametrize("method", METHODS)
def test_plain_http_is_answered_400(method, run, contexts):
    """Whatever the method."""

    async def scene():
        house = House(contexts)
        said = await said_to(house, f"{method} /path HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await house.empty()

        head, _, body = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert body == ADVICE
        assert house.reasons == ["not-tls"]
        told = re.search(rb"\r\nX-Authproxy-Response: bad-request; id=([0-9a-f]{32})\r\nX-Request-Id: (.*)", head)
        assert told is not None
        assert told[1] == told[2]
        assert house.reports[0][2].endswith(f"; answered as {told[1].decode()}")

    run(scene())


def test_http2_is_answered_in_frames(run, contexts):
    """SETTINGS, then GOAWAY that says what is missing."""

    async def scene():
        house = House(contexts)
        said = await said_to(house, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        await house.empty()

        assert said[:9] == b"\0\0\0\4\0\0\0\0\0"
        length, frame = int.from_bytes(said[9:12], "big"), said[12:]
        assert frame[:6] == b"\7\0\0\0\0\0"
        assert len(frame) == 6 + length
        assert frame[6:] == b"\0\0\0\0" + (12).to_bytes(4, "big") + ADVICE

    run(scene())


@pytest.mark.parametrize("begins", [b"\0" * 64, b"d2:op5:clonee-----", b"SSH-2.0-x\r\n", b"get / HTTP/1.1\r\n\r\n"])
def test_others_are_told_nothing(begins, run, contexts):
    """What is no HTTP would not understand."""

    async def scene():
        house = House(contexts)
        said = await said_to(house, begins)
        await house.empty()

        assert b"HTTP" not in said
        assert house.reasons == ["not-tls"]
        assert "answered" not in house.reports[0][2]

    run(scene())


def test_where_no_http_is_spoken_nobody_is_told(run, contexts):
    """On a listener of mode tcp."""

    async def scene():
        house = House(contexts)
        house.acceptor.answers_http = False
        assert b"HTTP" not in await said_to(house, b"GET / HTTP/1.1\r\n\r\n")
        await house.empty()

    run(scene())


def test_a_method_in_pieces_is_waited_for(run, material):
    """Where the hello is looked at first; whether it is HTTP the fifth byte tells."""

    async def scene():
        house = House(contexts_of(material, names=("other.test",)))
        peer = PlainPeer(await house.call())
        for byte in b"DELE":
            await peer.send(bytes((byte,)))
        await house.until(lambda: house.acceptor._caps._unfinished)
        assert house.reports == []
        await peer.send(b"TE / HTTP/1.1\r\n\r\n")
        assert (await peer.rest()).startswith(b"HTTP/1.1 400")
        peer.close()
        await house.empty()

    run(scene())
