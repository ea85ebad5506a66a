"""One connection to one address, verified."""

import asyncio
import socket
import ssl
from datetime import timedelta

from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.side import Endpoint, Side
from authproxy.wire.plain import SocketTransport
from authproxy.wire.poller import poller_of
from authproxy.wire.shake import shake_hands
from authproxy.wire.tls import TlsTransport


async def dial(side: Side[UpstreamConnection], address: str, limit: timedelta) -> UpstreamConnection:
    """Return a connection over TLS whose chain and hostname were verified by the context (or a plain one).

    `address` is an IP address, or the path of a Unix socket for an endpoint that is one: no name is resolved here.

    Raises:
        ssl.SSLError: the handshake failed or the endpoint judged so, see `words.explain`; TimeoutError after `limit`, else OSError.
    """
    endpoint = side.endpoint
    loop = asyncio.get_running_loop()
    family = socket.AF_UNIX if endpoint.unix else socket.AF_INET6 if ":" in address else socket.AF_INET
    wire = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        async with asyncio.timeout(limit.total_seconds()):
            await poller_of(loop).connect(wire, address if endpoint.unix else (address, endpoint.port))
            transport: SocketTransport
            if endpoint.context is None:
                transport = SocketTransport(loop, wire, lingering=False)
            else:
                transport = await shake_hands(loop, wire, endpoint.context, endpoint.server_name)
                _judge(endpoint, transport)
    except BaseException:
        wire.close()
        raise
    connection = UpstreamConnection(side)
    transport.begin(connection)
    return connection


def _judge(endpoint: Endpoint, transport: TlsTransport) -> None:
    """Return when the endpoint has nothing against the server that was verified; else close, raise ssl.SSLError."""
    fault = "" if endpoint.judge is None else endpoint.judge(transport.get_extra_info("ssl_object"))
    if fault:
        transport.abort()
        raise ssl.SSLError(ssl.SSLErrorNumber.SSL_ERROR_SSL, fault)
