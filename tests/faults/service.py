"""The service behind, a process of its own: `service.py JSON` with `binds`, `certificate` and `name`.

By path: `/check/...` answers with the target and the user, `/who` with the service's name, `/down/SIZE` streams, `/up`
tells size and hash of the body, `/ws` switches protocols and sends back what it gets. It never holds what it streams.
"""

import asyncio
import hashlib
import json
import ssl
import sys
from typing import Any, Final

import uvloop

BLOCK: Final = bytes(range(256)) * 256
_LIMIT: Final = 1 << 18


async def _chunks(reader: asyncio.StreamReader) -> Any:
    while size := int((await reader.readline()).split(b";")[0], 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    while (await reader.readline()) not in {b"\r\n", b""}:
        pass


async def _length(reader: asyncio.StreamReader, size: int) -> Any:
    while size:
        data = await reader.read(min(size, _LIMIT))
        if not data:
            raise ConnectionError("cut short")
        size -= len(data)
        yield data


class Service:
    """Answers one connection after the other's example."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the connection ends."""
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line, *rest = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (one.partition(b":") for one in rest)}
        target = line.split(b" ")[1]
        _, kind, *more = target.split(b"/")
        if kind == b"ws":
            await self._switch(reader, writer)
            return False
        told = await self._take(reader, fields)
        if kind == b"down":
            await self._down(writer, int(more[0]))
        elif kind == b"up":
            self._answer(writer, told)
        elif kind == b"who":
            self._answer(writer, self._name.encode())
        else:
            self._answer(writer, target + b" " + fields.get(b"x-user-id", b"nobody") + b"\n")
        await writer.drain()
        return True

    async def _take(self, reader: asyncio.StreamReader, fields: dict[bytes, bytes]) -> bytes:
        digest, size = hashlib.sha256(), 0
        body: Any = None
        if b"transfer-encoding" in fields:
            body = _chunks(reader)
        elif b"content-length" in fields:
            body = _length(reader, int(fields[b"content-length"]))
        if body is not None:
            async for data in body:
                digest.update(data)
                size += len(data)
        return json.dumps({"size": size, "sha256": digest.hexdigest()}).encode()

    def _answer(self, writer: asyncio.StreamWriter, body: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async def _down(self, writer: asyncio.StreamWriter, size: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while size:
            piece = BLOCK[:size]
            writer.write(piece)
            size -= len(piece)
            await writer.drain()

    async def _switch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        while data := await reader.read(_LIMIT):
            writer.write(data)
            await writer.drain()


async def main(text: str) -> None:
    options = json.loads(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options["certificate"])
    service = Service(options["name"])
    async with asyncio.TaskGroup() as group:
        for host, port in options["binds"]:
            server = await asyncio.start_server(service.serve, host, port, ssl=context, backlog=4096, limit=_LIMIT)
            group.create_task(server.serve_forever())
        print("ready", flush=True)  # noqa: T201  # whoever started it waits for this


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1]))
