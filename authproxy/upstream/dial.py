"""One connection to one address, verified."""

import asyncio
import ssl
from datetime import timedelta
from typing import Final

from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.side import Endpoint, Side


async def dial(side: Side[UpstreamConnection], address: str, limit: timedelta) -> UpstreamConnection:
    """Return a connection over TLS whose chain and hostname were verified by the context (or a plain one).

    `address` is an IP address, or the path of a Unix socket for an endpoint that is one: no name is resolved here.

    Raises:
        ssl.SSLError: the handshake failed, see `explain`; TimeoutError after `limit`, else OSError.
    """
    endpoint = side.endpoint
    loop = asyncio.get_running_loop()
    if endpoint.context is not None and not endpoint.server_name:
        # An empty server_hostname would silently switch hostname checking off.
        raise ssl.SSLError("no server name to verify")
    name = endpoint.server_name if endpoint.context is not None else None
    async with asyncio.timeout(limit.total_seconds()):
        if endpoint.unix:
            _, connection = await loop.create_unix_connection(
                lambda: UpstreamConnection(side), address, ssl=endpoint.context, server_hostname=name
            )
        else:
            _, connection = await loop.create_connection(
                lambda: UpstreamConnection(side), address, endpoint.port, ssl=endpoint.context, server_hostname=name
            )
    return connection


# What OpenSSL says of the usual mistakes, in an operator's words.
_WORDS: Final = {
    "WRONG_VERSION_NUMBER": "does not speak TLS",
    "HTTP_REQUEST": "does not speak TLS",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "wants a client certificate: set the upstream's keystore",
    "TLSV1_ALERT_UNKNOWN_CA": "does not believe our client certificate",
}


def explain(endpoint: Endpoint, error: ssl.SSLError) -> str:
    """Return what a failed handshake means, in an operator's words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.verify_message} (asked: {endpoint.believed})"
    reason: str | None = getattr(error, "reason", None)
    words = _WORDS.get(reason or "")
    return f"{words} ({reason})" if words else reason or str(error)
