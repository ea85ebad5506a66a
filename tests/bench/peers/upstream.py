"""A service for measurements: `upstream.py BODY PLAIN_PORT [TLS_PORT CERTIFICATE]`.

Every path is answered with BODY, `/echo` with the head as it came, and `/count` with the number of answers so far,
this one included, in the words of nginx's stub_status. `/bulk/N` is answered with N MiB.
"""

import asyncio
import re
import ssl
import sys
from typing import Final, cast

import uvloop
from typing_extensions import override

_END: Final = b"\r\n\r\n"
_BULK: Final = re.compile(rb"GET /bulk/(\d+) ")
_MEBIBYTE: Final = bytes(range(256)) * 4096


class Service(asyncio.Protocol):
    """Answers requests without a body, also several at once."""

    answered = 0

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._mebibytes = 0
        self._is_paused = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's TLS transport is no subclass of asyncio.Transport, yet has all of its methods.
        self._transport = cast("asyncio.Transport", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    @override
    def pause_writing(self) -> None:
        self._is_paused = True

    @override
    def resume_writing(self) -> None:
        self._is_paused = False
        self._write_bulk()

    def _write_bulk(self) -> None:
        while self._mebibytes and not self._is_paused and self._transport is not None:
            self._mebibytes -= 1
            self._transport.write(_MEBIBYTE)

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        *heads, self._buffer = self._buffer.split(_END)
        if heads and self._transport is not None:
            self._transport.write(b"".join(map(self._answer_to, heads)))
            self._write_bulk()

    def _answer_to(self, head: bytes) -> bytes:
        Service.answered += 1
        if head.startswith(b"GET /echo"):
            return whole(head, b"text/plain")
        if head.startswith(b"GET /count "):
            line = f"server accepts handled requests\n 0 0 {Service.answered} \n"
            return whole(line.encode(), b"text/plain")
        if bulk := _BULK.match(head):
            self._mebibytes = int(bulk[1])
            return head_of(len(_MEBIBYTE) * self._mebibytes, b"application/octet-stream")
        return self._answer


def whole(body: bytes, kind: bytes) -> bytes:
    """Return an answer with its head."""
    return head_of(len(body), kind) + body


def head_of(length: int, kind: bytes) -> bytes:
    """Return the head of an answer."""
    return b"HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (kind, length)


async def main(body: str, plain_port: str, tls_port: str = "", certificate: str = "") -> None:
    answer = whole(body.encode(), b"application/json")
    loop = asyncio.get_running_loop()
    if tls_port:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(certificate)
        await loop.create_server(lambda: Service(answer), "127.0.0.1", int(tls_port), ssl=context, backlog=4096)
    server = await loop.create_server(lambda: Service(answer), "127.0.0.1", int(plain_port))
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(*sys.argv[1:]))
