"""From an endpoint to a connection: its name becomes addresses, and the first that answers is taken."""

import ssl
from datetime import timedelta
from typing import Final

from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.dial import dial
from authproxy.upstream.interface import Failure, NoConnection
from authproxy.upstream.race import race
from authproxy.upstream.side import Side
from authproxy.upstream.words import explain

# The "connection attempt delay" that RFC 8305, 8 recommends: what a dead address costs.
_STAGGER: Final = 0.25


async def reach(side: Side[UpstreamConnection], limit: float) -> UpstreamConnection:
    """Return a verified connection to the endpoint, made within `limit` seconds once its name is resolved.

    Raises:
        NoConnection: there is none to be had.
    """
    endpoint = side.endpoint
    if endpoint.unix:
        return await _dial(side, endpoint.unix, limit)
    try:
        addresses = await side.name.addresses()
    except NoConnection as error:
        raise NoConnection(error.failure, f"{side.label}: {error.detail}") from error
    connection = await race(
        addresses, lambda address: _dial(side, address, limit), _STAGGER, UpstreamConnection.close
    )  # fmt: skip
    side.name.preferred = connection.address
    return connection


async def _dial(side: Side[UpstreamConnection], address: str, limit: float) -> UpstreamConnection:
    try:
        connection = await dial(side, address, timedelta(seconds=limit))
    except ssl.SSLError as error:
        failure, detail = Failure.UNVERIFIED, explain(error, side.endpoint.believed)
    except TimeoutError:
        failure, detail = Failure.CONNECT_TIMEOUT, f"no connection within {limit:g}s"
    except OSError as error:
        failure, detail = Failure.REFUSED, error.strerror or str(error)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is no connection
        failure, detail = Failure.REFUSED, f"{type(error).__name__}: {error}"
    else:
        connection.address = address
        return connection
    named = address in {side.endpoint.host, side.endpoint.unix}
    raise NoConnection(failure, f"{side.label}: {detail}" if named else f"{side.label} ({address}): {detail}")
