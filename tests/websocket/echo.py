"""The echo server of the WebSocket suite, a process of its own: `echo.py PORT CERTIFICATE`; any path, messages of any size."""

import ssl
import sys
from typing import Final

import uvloop
from aiohttp import WSMsgType, web

_LARGEST: Final = 64 << 20


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Send every message back; aiohttp answers pings and keeps the rules."""
    answer = web.WebSocketResponse(max_msg_size=_LARGEST)
    await answer.prepare(request)
    async for message in answer:
        if message.type is WSMsgType.TEXT:
            await answer.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await answer.send_bytes(message.data)
    return answer


def main(port: str, certificate: str) -> None:
    application = web.Application()
    application.router.add_get("/{path:.*}", echo)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    uvloop.install()
    web.run_app(application, host="127.0.0.1", port=int(port), ssl_context=context, print=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
