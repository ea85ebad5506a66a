"""From a host and a port, or the path of a Unix socket, to a connected socket."""

import asyncio
import socket
from ipaddress import ip_address
from typing import Final

from authproxy.core.place import Place
from authproxy.upstream.interface import Failure, NoConnection
from authproxy.upstream.race import race
from authproxy.upstream.resolver import resolve
from authproxy.wire.poller import poller_of

# The "connection attempt delay" that RFC 8305, 8 recommends.
_STAGGER: Final = 0.25


class NoWay(Exception):  # named after what it reports
    """No connection could be made."""

    def __init__(self, detail: str, *, late: bool = False) -> None:
        super().__init__(detail)
        self.late = late
        """It took too long."""


async def dial(way: Place, limit: float) -> socket.socket:
    """Return a socket that is connected there and does not block, within `limit` seconds, its name resolved in them too.

    Raises:
        NoWay: there is none to be had.
    """
    try:
        async with asyncio.timeout(limit):
            if way.unix:
                return await _connect(way.unix, socket.AF_UNIX)
            addresses = await _addresses(way.host)
            return await race(addresses, lambda one: _reach(one, way.port), _STAGGER, socket.socket.close)
    except TimeoutError:
        raise NoWay(f"{way}: no connection within {limit:g}s", late=True) from None
    except NoConnection as error:
        raise NoWay(f"{way}: {error.detail}") from error


async def _addresses(host: str) -> tuple[str, ...]:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        pass
    else:
        return (host,)
    try:
        return await resolve(host)
    except (OSError, UnicodeError) as error:
        detail = error.strerror if isinstance(error, OSError) else None
        raise NoConnection(Failure.REFUSED, f"the name cannot be resolved: {detail or error}") from error


async def _reach(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return await _connect((address, port), family)


async def _connect(address: str | tuple[str, int], family: int) -> socket.socket:
    wire = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        await poller_of(asyncio.get_running_loop()).connect(wire, address)
    except OSError as error:
        wire.close()
        raise NoConnection(Failure.REFUSED, (error.strerror or str(error)).lower()) from error
    except BaseException:
        wire.close()
        raise
    return wire
