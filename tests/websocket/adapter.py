"""TLS for a suite that speaks none, a process of its own: `adapter.py JSON`.

Whoever connects to `port` in clear is connected to `target` over TLS; one field line goes into the head of the request,
every other byte passes as it is, and the end of either side is the end of the other.
"""

import asyncio
import contextlib
import json
import ssl
import sys
from typing import Any, Final

import uvloop

_PIECE: Final = 1 << 16
_END: Final = b"\r\n\r\n"


class Adapter:
    """Connects pairs."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._target: int = options["target"]
        self._name: str = options["name"]
        self._line: bytes = options["line"].encode()
        self._context = ssl.create_default_context(cafile=options["authority"])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        try:
            behind = await asyncio.open_connection(
                "127.0.0.1", self._target, ssl=self._context, server_hostname=self._name
            )
        except OSError:
            writer.transport.abort()
            return
        there = asyncio.ensure_future(self._carry(reader, behind[1], self._line))
        back = asyncio.ensure_future(self._carry(behind[0], writer, b""))
        await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
        for one in (writer, behind[1]):
            # Closed, not aborted: what was written last still arrives.
            one.close()
        for task in (there, back):
            task.cancel()
        for one in (writer, behind[1]):
            with contextlib.suppress(OSError):
                await one.wait_closed()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: bytes) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if line:
                head = await reader.readuntil(_END)
                writer.write(head[:-2] + line + b"\r\n\r\n")
            while data := await reader.read(_PIECE):
                writer.write(data)
                await writer.drain()


async def main(text: str) -> None:
    options = json.loads(text)
    server = await asyncio.start_server(Adapter(options).serve, "127.0.0.1", options["port"], backlog=128)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1]))
