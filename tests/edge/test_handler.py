"""aiohttp's half of a connection is made for own pages only, and as the connection is then."""

import asyncio

import pytest
from aiohttp import web
from typing_extensions import override

from authproxy.edge.handler import LateHandler
from tests.bench.memory import Wire
from tests.patience import PATIENCE


async def _page(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="here")


@pytest.fixture
async def late():
    loop = asyncio.get_running_loop()
    made = LateHandler(web.Server(_page), loop)
    yield made
    if made.transport is not None:
        made.connection_lost(None)


class Taking(Wire):
    """Keeps all that is written."""

    def __init__(self):
        super().__init__()
        self.all = b""

    @override
    def write(self, data):
        self.all += bytes(data)

    @override
    def close(self):
        pass


async def until(look):
    async with asyncio.timeout(PATIENCE):
        while not look():
            await asyncio.sleep(0)


async def test_until_it_begins_it_is_no_handler(late):
    assert late.transport is None
    await late.start()


async def test_it_answers_once_it_has_begun(late):
    wire = Taking()
    late.begin_handler(wire, is_paused=False)
    late.data_received(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: wire.all.endswith(b"here"))
    assert not late.writing_paused


async def test_a_client_that_took_nothing_before_takes_nothing_now(late):
    """Else its `resume_writing` would be aiohttp's first word of it."""
    late.pause_writing()
    late.begin_handler(Taking(), is_paused=True)
    assert late.writing_paused
    late.resume_writing()
    assert not late.writing_paused
