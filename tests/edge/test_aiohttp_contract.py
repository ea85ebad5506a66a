"""What `edge` relies on of aiohttp beyond its public promises: a new version is checked here first."""

import asyncio
import inspect

import aiohttp
import pytest
from aiohttp import http_parser, web
from aiohttp.web_protocol import RequestHandler
from typing_extensions import override

from authproxy.edge.connection import ClientConnection

OVERRIDDEN = [
    "connection_made",
    "connection_lost",
    "eof_received",
    "data_received",
    "pause_writing",
    "resume_writing",
    "finish_response",
    "start",
]


def test_the_c_parser_is_installed():
    """The Python one is where most of the smuggling was."""
    assert http_parser.HttpRequestParser is not http_parser.HttpRequestParserPy


def test_the_version_is_one_that_was_looked_at():
    """Private names may change with any minor version."""
    assert aiohttp.__version__.startswith("3.14.")


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_what_is_overridden_is_there_and_takes_the_same(name):
    """The same parameters by the same names, and a coroutine stays one."""
    theirs, ours = getattr(RequestHandler, name), getattr(ClientConnection, name)

    assert ours is not theirs
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(theirs)


def test_nothing_of_ours_shadows_anything_of_theirs():
    """Attributes and methods of the connection have names that aiohttp does not use, but for those above."""
    theirs = {name for one in RequestHandler.__mro__ for name in (*vars(one), *getattr(one, "__slots__", ()))}
    ours: set[str] = set()
    for one in ClientConnection.__mro__[: ClientConnection.__mro__.index(RequestHandler)]:
        ours |= {name for name in vars(one) if not name.startswith("__")}

    assert ours & theirs <= {*OVERRIDDEN, "_abc_impl"}


@pytest.mark.parametrize("name", ["keepalive_timeout", "access_log", "auto_decompress", "lingering_time"])
def test_the_settings_exist(name):
    """As keywords of the constructor."""
    assert name in inspect.signature(RequestHandler.__init__).parameters


async def test_finish_response_is_what_every_answer_passes():
    """Also that of a handler that raises; it returns the answer and whether the connection was reset."""
    finished: list[int] = []

    class Handler(RequestHandler):
        @override
        async def finish_response(self, request, resp, start_time):
            result = await super().finish_response(request, resp, start_time)
            assert isinstance(result, tuple)
            assert result[0] is resp
            finished.append(resp.status)
            return result

    async def page(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/bad":
            raise web.HTTPNotFound
        return web.Response(text="ok")

    loop = asyncio.get_running_loop()
    manager = web.Server(page)
    server = await loop.create_server(lambda: Handler(manager, loop=loop), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for path in ("/good", "/bad", "/good"):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()
    server.close()
    await manager.shutdown(1)

    assert finished == [200, 404, 200]


async def test_nothing_is_read_before_data_is_handed_over():
    """Aiohttp parses what `data_received` gives it and nothing else: what is kept from it, it never sees."""
    seen: list[bytes] = []

    class Handler(RequestHandler):
        @override
        def data_received(self, data: bytes) -> None:
            seen.append(data)
            if data.startswith(b"GET /own"):
                super().data_received(data)
            elif self.transport is not None:
                self.transport.write(b"raw\n")

    async def page(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="ok")

    loop = asyncio.get_running_loop()
    manager = web.Server(page)
    server = await loop.create_server(lambda: Handler(manager, loop=loop), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
    for _ in range(2):
        writer.write(b"anything at all\r\n\r\n")
        assert await reader.readline() == b"raw\n"
        writer.write(b"GET /own HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        assert await reader.readexactly(2) == b"ok"
    writer.close()
    server.close()
    await manager.shutdown(1)

    assert len(seen) == 4
