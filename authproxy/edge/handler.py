"""aiohttp's half of a connection, which answers the proxy's own pages; made when the first of them is asked for."""

import asyncio
from typing import Final

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.web_protocol import RequestHandler
from typing_extensions import override

# aiohttp's own keep-alive timer is not ours to wait for.
_FOREVER: Final = 10.0**9


class LateHandler(RequestHandler):
    """A `RequestHandler` that is one only from `begin_handler` on.

    Why: its parser and its thirty attributes take a tenth of a new connection's time, most of which end without an own page.
    """

    __slots__ = ("_server",)

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        # The least that makes it a protocol; `transport` is None until it is a handler.
        BaseProtocol.__init__(self, loop)
        self._server = server

    def begin_handler(self, transport: asyncio.Transport, *, is_paused: bool) -> None:
        """Begin with its parser, a task and a timer. `is_paused`: the client does not take bytes just now."""
        # No access log is how aiohttp itself spells it; its annotation does not.
        super().__init__(
            self._server,
            loop=self._loop,
            keepalive_timeout=_FOREVER,
            access_log=None,  # type: ignore[arg-type]
            auto_decompress=False,
            lingering_time=0,
        )
        super().connection_made(transport)
        if is_paused:
            super().pause_writing()

    @override
    async def start(self) -> None:
        """Wait for requests of own pages, unless the client had gone before this began."""
        if self.transport is not None:
            await super().start()
