"""The floor: `tunnel.py FOLDER PORT UPSTREAM_PORT` ends TLS and passes bytes on over verified TLS, whatever they say.

What it takes, the loop, OpenSSL and the kernel take; a proxy on the same loop cannot be cheaper.
"""

import asyncio
import ssl
import sys
from pathlib import Path
from typing import Final, cast

import uvloop
from typing_extensions import override

UPSTREAM_NAME: Final = "upstream.test"


class End(asyncio.Protocol):
    """One of the two ends; what it receives is written to the other."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: End | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's TLS transport is no subclass of asyncio.Transport, yet has all of its methods.
        self.transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    @override
    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    @override
    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        other, self.other, self.transport = self.other, None, None
        if other is not None and other.transport is not None:
            other.transport.close()


class Front(End):
    """The client's end; it reads only when there is somewhere to write to."""

    def __init__(self, upstream: int, context: ssl.SSLContext) -> None:
        super().__init__()
        self._upstream = upstream
        self._context = context
        self._dialling: asyncio.Task[None] | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.transport is not None:
            self.transport.pause_reading()
        self._dialling = asyncio.get_running_loop().create_task(self._dial())

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        behind = End()
        behind.other = self
        try:
            await loop.create_connection(
                lambda: behind, "127.0.0.1", self._upstream, ssl=self._context, server_hostname=UPSTREAM_NAME
            )
        except OSError:
            behind.other = None
            if self.transport is not None:
                self.transport.abort()
            return
        if self.transport is None:
            if behind.transport is not None:
                behind.transport.abort()
            return
        self.other = behind
        self.transport.resume_reading()


async def main(folder: Path, port: int, upstream: int) -> None:
    inside = ssl.create_default_context(cafile=folder / "ca.pem")
    outside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    outside.load_cert_chain(folder / "server.pem")
    for context in (inside, outside):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Front(upstream, inside), "127.0.0.1", port, ssl=outside, backlog=4096
    )  # fmt: skip
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
