"""Whoever waits for a handshake hears at once that it will never be done, whichever way the peer went."""

import asyncio
import socket
import ssl

import pytest

from authproxy.wire.shake import shake_hands
from authproxy.wire.tls import TlsTransport

PATIENCE = 20.0


def reset(wire):
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wire.close()


def pair():
    """Two ends of a TCP connection; the first does not block."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    near.setblocking(False)
    far.settimeout(PATIENCE)
    return near, far


@pytest.mark.parametrize("leave", [reset, socket.socket.close], ids=["reset", "closed"])
@pytest.mark.parametrize("when", ["before the hello", "after the hello"])
async def test_a_server_that_leaves_in_the_handshake_is_noticed_at_once(leave, when):
    """As an OSError, not as a deadline that passes."""
    near, far = pair()
    if when == "before the hello":
        leave(far)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        shaking = loop.create_task(shake_hands(loop, near, ssl.create_default_context(), "upstream.test"))
        if when == "after the hello":
            await loop.run_in_executor(None, far.recv, 65536)
            leave(far)
        with pytest.raises(OSError, match=r"reset|closed|pipe|cut"):
            await shaking


@pytest.mark.parametrize("leave", [reset, socket.socket.close], ids=["reset", "closed"])
async def test_a_client_that_leaves_in_the_handshake_is_noticed_at_once(leave):
    """Once: its place is free for somebody else."""
    near, far = pair()
    loop = asyncio.get_running_loop()
    heard = []
    told = asyncio.Event()

    def shaken(_, error):
        heard.append(error)
        told.set()

    TlsTransport(loop, near, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), shaken).shake()
    leave(far)
    async with asyncio.timeout(PATIENCE):
        await told.wait()
    await asyncio.sleep(0)

    (error,) = heard
    assert isinstance(error, OSError)


async def test_giving_up_is_told_once():
    """The one who gives up hears it too, and nobody twice."""
    near, far = pair()
    heard = []
    transport = TlsTransport(
        asyncio.get_running_loop(), near, ssl.create_default_context(), lambda _, error: heard.append(error),
        server_name="upstream.test",
    )  # fmt: skip
    transport.shake()
    transport.abort()
    transport.abort()
    await asyncio.sleep(0)
    far.close()

    (error,) = heard
    assert isinstance(error, ConnectionAbortedError)
