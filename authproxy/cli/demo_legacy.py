"""The legacy service of the demo: believes every header, and answers with what it saw.

A process of its own, as in real life: `python -m authproxy.cli.demo_legacy DESCRIPTOR KEYS` serves HTTPS on an inherited
listening socket until its standard input ends. So it cannot outlive the demo, however that dies: the kernel
closes the other end of the pipe.
"""

import asyncio
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from aiohttp import web

from authproxy.cli.demo_admin import Admin
from authproxy.errors import DependencyError

READY: Final = b"ready\n"
_PATIENCE: Final = 3.0


@contextmanager
def legacy_service(listening: socket.socket, keys: Path, complaints: TextIO) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the service on `listening`, which is closed here; it has ended when the block ends."""
    # -P: what lies in the working directory is not imported.
    command = [sys.executable, "-P", "-m", __name__, str(listening.fileno()), str(keys)]
    with listening:
        child = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            pass_fds=[listening.fileno()],
            # Ctrl-C is for the proxy, which may still need the service for requests in progress.
            start_new_session=True,
        )
    try:
        yield child
    finally:
        _end(child)


def wait_for(child: "subprocess.Popen[bytes]") -> None:
    """Return when the service answers. Blocks.

    Raises:
        DependencyError: it ended instead.
    """
    if child.stdout is None or child.stdout.readline() != READY:
        raise DependencyError("the legacy service of the demo did not start (events.log tells why, with --keep)")


def _end(child: "subprocess.Popen[bytes]") -> None:
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
    try:
        child.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


# ---------------------------------------------------------------- in the process of its own
async def tell(request: web.Request) -> web.Response:
    """Answer with what arrived; a field that came twice shows both values."""
    names = dict.fromkeys(request.headers)
    seen = {
        "hello": request.headers.get("Remote-User", "stranger"),
        "request": f"{request.method} {request.path_qs}",
        "headers": {name: ", ".join(request.headers.getall(name)) for name in names},
    }
    return web.json_response(text=json.dumps(seen, indent=2) + "\n", headers={"Server": "legacy"})


async def serve(listening: socket.socket, keys: Path) -> None:
    """Answer on `listening` until standard input ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys)
    application = web.Application()
    Admin().add_to(application.router)
    application.router.add_route("*", "/{path:.*}", tell)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.SockSite(runner, listening, ssl_context=context).start()
    alone = asyncio.Event()
    # Nobody writes there: that it can be read means that it has ended.
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), alone.set)
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    await alone.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2])))
