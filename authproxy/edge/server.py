"""aiohttp's server, handing out our connections; it answers the proxy's own pages."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web

from authproxy.edge.connection import ClientConnection
from authproxy.edge.overloaded import OverloadedConnection
from authproxy.edge.redirect import RedirectConnection
from authproxy.edge.services import Services

OwnPage: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class EdgeServer(web.Server):
    """Makes the connections of one listener."""

    def __init__(self, services: Services, listener: str, page: OwnPage, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(self._answer, loop=loop)
        self._page = page
        self._services = services
        self._listener = listener

    def connection(self, overloaded: bool = False) -> ClientConnection:  # a factory's one argument
        """Return the protocol for a connection that was just accepted."""
        made = OverloadedConnection if overloaded else ClientConnection
        return made(self, self._services, self._listener, self._loop)

    def redirect_connection(self, overloaded: bool = False) -> RedirectConnection:
        """Return the protocol for a connection without TLS, which nothing is forwarded on."""
        made = RedirectConnection(self, self._services, self._listener, self._loop)
        made.is_short = overloaded
        return made

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer an own page, as every answer of a listener that browsers shall come back to over TLS."""
        response = await self._page(request)
        listener = self._services.current.runtime.listeners.get(self._listener)
        if listener is not None and listener.hsts is not None and listener.redirect is None:
            name, _, value = listener.hsts.decode().strip().partition(": ")
            response.headers[name] = value
        return response


def health_page(services: Services) -> OwnPage:
    """Return the handler of a listener's `health` path: 200 or 503, and no details."""

    async def health(request: web.BaseRequest) -> web.StreamResponse:
        """Answer; the connection has said under which id."""
        request_id = request.headers["X-Request-Id"]
        # From the signal on, while connections are still accepted: balancers go elsewhere in `timeouts.pre_stop`.
        ready = not services.current.ending
        return web.Response(
            status=200 if ready else 503,
            text="ok\n" if ready else "draining\n",
            headers={
                "Cache-Control": "no-store",
                "Server": "authproxy",
                "X-Authproxy-Response": f"own-page; id={request_id}",
                "X-Request-Id": request_id,
            },
        )

    return health
