"""The control socket: what operators may ask the process to do. HTTP over a Unix socket, for this machine only.

Who may: the user that the process runs as, root, and the group of the socket. The kernel asks the socket's mode (0660)
and its directory; the process asks the kernel who is calling, so a mode that somebody has loosened opens nothing.
"""

import socket
import struct
from collections.abc import Awaitable, Callable
from os import geteuid
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

from authproxy import events
from authproxy.core.place import Place
from authproxy.daemon import log
from authproxy.daemon.ops import describe
from authproxy.daemon.outcome import Outcome, Result
from authproxy.daemon.reloader import Reloader
from authproxy.daemon.state import make_state
from authproxy.daemon.status import Stage
from authproxy.door.local import identity, remove_unix
from authproxy.door.sockets import listen
from authproxy.errors import ConfigError, MaterialError

if TYPE_CHECKING:
    from authproxy.daemon.proxy import Proxy

_LOG: Final = log.get("authproxy.control")
_HEADERS: Final = {"Cache-Control": "no-store", "Server": "authproxy"}
_CREDENTIALS: Final = struct.Struct("=iII")
# <asm-generic/socket.h>; Python has no name for it.
_SO_PEERGROUPS: Final = 59
# The most that Python reads of a socket option: 256 groups.
_GROUPS_BYTES: Final = 1024
_ROOT: Final = 0

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """Listens where the configuration says; follows it across reloads."""

    def __init__(self, proxy: "Proxy", reloader: Reloader) -> None:
        self._proxy = proxy
        self._reloader = reloader
        self._runner: web.AppRunner | None = None
        self._path: Path | None = None
        self._identity: tuple[int, int] | None = None

    async def start(self) -> None:
        """Make the state directory and listen, where the configuration wants either.

        Raises:
            ConfigError: one of them cannot be had.
        """
        loaded = self._proxy.prepared.loaded
        make_state(loaded)
        wanted = self._wanted()
        if wanted is not None:
            try:
                await self._open(wanted)
            except MaterialError as error:
                key = "state" if loaded.settings.control is None else "control"
                raise ConfigError(f"{loaded.where(key)}: {error}") from error

    async def follow(self) -> tuple[Outcome, ...]:
        """Listen where the configuration says now; what cannot be had is told, and the old socket stays."""
        wanted = self._wanted()
        if wanted == self._path and (wanted is None or identity(wanted) == self._identity):
            return ()
        before = self._runner, self._path, self._identity
        try:
            await self.start()
        except ConfigError as error:
            told = "; ".join(error.problems)
            _LOG.error(events.RELOAD_REJECTED, part="control", error=told)
            return (Outcome(part="control", result=Result.REJECTED, error=told),)
        if wanted is None:
            self._runner = self._path = self._identity = None
        # Not awaited: whoever asked for this reload on the old socket is still to be told how it ended.
        self._proxy.tasks.spawn(_close(*before))
        return ()

    async def aclose(self) -> None:
        """Stop listening, and remove the socket."""
        before = self._runner, self._path, self._identity
        self._runner = self._path = self._identity = None
        await _close(*before)

    def _wanted(self) -> Path | None:
        address = self._proxy.prepared.loaded.settings.control_at
        return None if address is None else Path(address.path)

    async def _open(self, path: Path) -> None:
        listening = listen(Place(unix=str(path)))
        application = web.Application(middlewares=[self._let_in])
        application.add_routes([web.post("/reload", self._reload), web.get("/status", self._status)])
        runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        self._runner, self._path, self._identity = runner, path, identity(path)

    @web.middleware
    async def _let_in(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        caller = None if request.transport is None else request.transport.get_extra_info("socket")
        if caller is None or not _may_ask(caller, self._group()):
            _LOG.warning(events.CONTROL_REFUSED, path=request.path)
            return web.json_response(
                {"error": "only the proxy's user, root and the group of the socket may ask"}, status=403
            )  # fmt: skip
        response = await handler(request)
        response.headers.update(_HEADERS)
        return response

    def _group(self) -> int | None:
        # Asked anew, since an operator may have given the socket to another group.
        try:
            return None if self._path is None else self._path.lstat().st_gid
        except OSError:
            return None

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response(describe(self._proxy))

    async def _reload(self, request: web.Request) -> web.Response:
        """Accept a reload; with `?wait` tell how it ended."""
        stage = self._proxy.status.stage
        if stage is not Stage.SERVING:
            return _not_now(stage)
        outcome = self._reloader.ask()
        if "wait" not in request.query:
            return web.json_response({"accepted": True}, status=202)
        parts = await outcome
        if not parts:
            return _not_now(Stage.STOPPING)
        return web.json_response({"generation": self._proxy.status.generation, "parts": list(map(_described, parts))})


def _not_now(stage: Stage) -> web.Response:
    return web.json_response({"error": f"the proxy is {stage.value}: nothing is reloaded"}, status=503)


def _described(outcome: Outcome) -> dict[str, str]:
    return {"part": outcome.part, "result": outcome.result.value, "error": outcome.error}


def _may_ask(caller: socket.socket, group: int | None) -> bool:
    """Say whether who is at the other end of this Unix socket is the proxy's user, root, or of this group."""
    raw = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, own_group = _CREDENTIALS.unpack(raw)
    return user in {_ROOT, geteuid()} or group in {own_group, *_groups(caller)}


def _groups(caller: socket.socket) -> tuple[int, ...]:
    try:
        raw = caller.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_BYTES)
    except OSError:
        # An older kernel, or more groups than fit: the own group counts alone.
        return ()
    return struct.unpack(f"={len(raw) // 4}I", raw)


async def _close(runner: web.AppRunner | None, path: Path | None, known: tuple[int, int] | None) -> None:
    if path is not None:
        remove_unix(path, known)
    if runner is not None:
        await runner.cleanup()
