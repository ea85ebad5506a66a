"""The client's side of a TLS handshake, awaited."""

import asyncio
import socket
import ssl

from authproxy.wire.tls import TlsTransport


async def shake_hands(
    loop: asyncio.AbstractEventLoop, wire: socket.socket, context: ssl.SSLContext, server_name: str
) -> TlsTransport:
    """Return a transport to a server whose chain and name were verified; then call `begin`.

    Raises:
        ssl.SSLError: the handshake failed; OSError when the connection ended.
    """
    done: asyncio.Future[None] = loop.create_future()

    def shaken(_: TlsTransport, error: Exception | None) -> None:
        """Tell whoever waits."""
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    transport = TlsTransport(loop, wire, context, shaken, server_name=server_name)
    transport.shake()
    try:
        await done
    except BaseException:
        transport.abort()
        raise
    return transport
