"""`authproxy connect` at work: listens, says so, and carries until it is told to end."""

import asyncio
import json
import signal
import socket
from collections.abc import Coroutine
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import click
import uvloop

from authproxy.cli.connect_wishes import Wishes
from authproxy.cli.port_file import PortFile
from authproxy.core.place import Place
from authproxy.daemon.process import harden, raise_descriptor_limit
from authproxy.daemon.tasks import Tasks
from authproxy.door.local import identity, remove_unix
from authproxy.door.sockets import listen
from authproxy.errors import AuthproxyError, DependencyError
from authproxy.settings.addresses import Tcp
from authproxy.tunnel.errand import Desk, Forwarder
from authproxy.tunnel.remote import NoRemote, Remote, probe

# So many descriptors are left for everything else; each connection needs two.
_SPARE: Final = 64
# The wall clock enters here.
_utc_now = partial(datetime.now, UTC)  # noqa: TID251


def run(remote: Remote, bind: Place, place: PortFile | None, wishes: Wishes) -> None:
    """Carry connections to the remote until Ctrl-C or SIGTERM.

    Raises:
        AuthproxyError: the remote does not let us in, or the address cannot be had; DependencyError when it cannot be reached.
    """
    harden()
    most = max(1, (raise_descriptor_limit() - _SPARE) // 2)
    listening = listen(bind)
    known = identity(Path(bind.unix)) if bind.unix else None
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(remote, listening, place, most, wishes))
    finally:
        if bind.unix:
            remove_unix(Path(bind.unix), known)


async def _serve(remote: Remote, listening: socket.socket, place: PortFile | None, most: int, wishes: Wishes) -> None:
    loop, ending = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    tasks = Tasks(lambda error: _complain(f"a fault of this program: {type(error).__name__}: {error}"))
    forwarder = Forwarder(Desk(remote=remote, spawn=tasks.spawn, now=_utc_now, complain=_complain), listening, most)
    try:
        if wishes["probe"]:
            await _unless(ending, _probe(remote))
        if not ending.is_set():
            forwarder.start()
            _announce(listening.getsockname(), remote, place, wishes)
            await ending.wait()
    finally:
        forwarder.close()
        await tasks.aclose()
        listening.close()


async def _unless(ending: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Wait for `work`, or for the end."""
    loop = asyncio.get_running_loop()
    asked, ended = loop.create_task(work), loop.create_task(ending.wait())
    try:
        await asyncio.wait((asked, ended), return_when=asyncio.FIRST_COMPLETED)
        if asked.done():
            asked.result()
    finally:
        asked.cancel()
        ended.cancel()


async def _probe(remote: Remote) -> None:
    """Connect once.

    Raises:
        DependencyError: it cannot be reached; AuthproxyError when one of the two does not want the other.
    """
    try:
        await probe(remote)
    except NoRemote as error:
        if error.refused:
            raise AuthproxyError(str(error)) from error
        raise DependencyError(str(error)) from error


def _announce(at: tuple[str, int] | str, remote: Remote, place: PortFile | None, wishes: Wishes) -> None:
    port = 0 if isinstance(at, str) else at[1]
    bound = f"unix:{at}" if isinstance(at, str) else str(Tcp(at[0], port))
    if place is not None:
        place.write(port)
    if wishes["as_json"]:
        facts = {"listen": bound, "port": port, "remote": str(remote.way), "connected": wishes["probe"]}
        click.echo(json.dumps(facts))
        return
    click.echo(f"listening on {bound} for {remote.way}" + (", which lets us in" if wishes["probe"] else ""))


def _complain(line: str) -> None:
    click.echo(f"authproxy: {line}", err=True)
