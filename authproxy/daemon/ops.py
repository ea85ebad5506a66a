"""Where operators and monitoring ask: `/livez`, `/readyz`, `/metrics`, `/status`. An aiohttp application of its own."""

import asyncio
import json
import secrets
import socket
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest

from authproxy import events
from authproxy.daemon import log
from authproxy.daemon.doors import bind_of
from authproxy.daemon.endpoints import describe_endpoints, readiness_lines
from authproxy.daemon.expiry import Kind, first_ends
from authproxy.daemon.exposition import CONTENT_TYPE, exposition
from authproxy.daemon.material import demand_of
from authproxy.daemon.metrics import ProxyCollector
from authproxy.daemon.outcome import Outcome, Result
from authproxy.door.gate import judge_peer
from authproxy.door.local import identity, remove_unix
from authproxy.door.sockets import listen
from authproxy.edge.refusal import AnswerClass, class_of
from authproxy.errors import ConfigError, MaterialError
from authproxy.settings.service import Ops as OpsSettings

if TYPE_CHECKING:
    from authproxy.daemon.proxy import Proxy

_LOG: Final = log.get("authproxy.ops")
_NO_STORE: Final = {"Cache-Control": "no-store", "Server": "authproxy"}
_UNAVAILABLE: Final = 503
# Seconds for those who have connected, perhaps without having asked yet, when the way of listening changes.
_PARTING: Final = 2.0


class Ops:
    """The endpoints, on the address that the configuration says; follows it across reloads."""

    def __init__(self, proxy: "Proxy") -> None:
        self._proxy = proxy
        self._runner: web.AppRunner | None = None
        self._at: object = None
        self._bind: object = None
        self._listening: socket.socket | None = None
        self._file: tuple[Path, tuple[int, int] | None] | None = None
        """The Unix socket on which it listens, and what tells it from one that comes in its place."""
        self._collector = ProxyCollector(proxy)
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)

    async def start(self) -> None:
        """Listen where the configuration says.

        Raises:
            ConfigError: the address cannot be had.
        """
        settings = self._proxy.prepared.loaded.settings.ops
        if settings is not None:
            try:
                await self._open(settings)
            except MaterialError as error:
                raise ConfigError(f"{self._proxy.prepared.loaded.where('ops', 'bind')}: {error}") from error
        self._at = self._wanted()

    async def follow(self) -> tuple[Outcome, ...]:
        """Listen where the configuration says now; an address that cannot be had is told, and the old one stays."""
        wanted = self._wanted()
        if wanted == self._at and not self._is_lost():
            return ()
        settings = self._proxy.prepared.loaded.settings.ops
        old, file = self._runner, self._file
        if settings is None:
            self._runner = self._listening = self._file = None
        else:
            try:
                await self._open(settings)
            except MaterialError as error:
                told = f"{self._proxy.prepared.loaded.where('ops', 'bind')}: {error}"
                _LOG.error(events.RELOAD_REJECTED, part="ops", error=told)
                return (Outcome(part="ops", result=Result.REJECTED, error=told),)
        if old is not None:
            # Accepts no more, but whoever came in before that is still answered.
            for site in list(old.sites):
                await site.stop()
            self._proxy.tasks.spawn(_end_later(old))
        if file is not None and file != self._file:
            remove_unix(*file)
        self._at = wanted
        return ()

    def _is_lost(self) -> bool:
        """Return whether the path of the Unix socket leads to it no longer."""
        return self._file is not None and identity(self._file[0]) != self._file[1]

    def _wanted(self) -> object:
        """Return everything on which the way of listening depends, for comparison."""
        settings = self._proxy.prepared.loaded.settings.ops
        material = self._proxy.prepared.material
        if settings is None or settings.keystore is None:
            return settings
        trust = settings.client_certificates.trust
        believed = None if trust is None else material.truststores[trust].fingerprint
        return settings, material.keystores[settings.keystore].fingerprint, believed

    async def aclose(self) -> None:
        """Stop answering."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = self._listening = None
        if self._file is not None:
            remove_unix(*self._file)

    async def _open(self, settings: OpsSettings) -> None:
        if self._listening is not None and settings.bind == self._bind and not self._is_lost():
            # The very address cannot be had twice, and nobody who asks meanwhile is to be refused.
            listening = self._listening.dup()
        else:
            bind = bind_of(settings.bind)
            listening = listen(bind)
            self._file = (Path(bind.unix), identity(Path(bind.unix))) if bind.unix else None
        application = web.Application(middlewares=[_own, self._gate])
        application.add_routes([
            web.get("/livez", self._livez), web.get("/readyz", self._readyz),
            web.get("/metrics", self._metrics), web.get("/status", self._status),
        ])  # fmt: skip
        runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1)
        await runner.setup()
        await web.SockSite(runner, listening, ssl_context=self._proxy.prepared.ops).start()
        self._runner, self._listening, self._bind = runner, listening, settings.bind

    @web.middleware
    async def _gate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let only those in who meet what is demanded of certificates at this moment."""
        prepared = self._proxy.prepared
        settings = prepared.loaded.settings.ops
        if settings is not None and settings.keystore is not None:
            demand = demand_of(settings.client_certificates, prepared.material, (settings.keystore,))
            session = None if request.transport is None else request.transport.get_extra_info("ssl_object")
            refused = None if demand is None else judge_peer(session, demand, self._proxy.now())
            if refused is not None:
                _LOG.info(
                    events.HANDSHAKE_REFUSED,
                    listener="ops",
                    client=request.remote,
                    reason=refused.fault.value,
                    error=refused.detail,
                )
                raise web.HTTPForbidden(text="forbidden\n", headers={"Connection": "close"})
        return await handler(request)

    async def _livez(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        status = self._proxy.status
        ready = status.is_ready
        text = "ok\n" if ready else f"{status.word}\n"
        if "verbose" in request.query:
            lines = [
                f"[{'+' if part.success else '-'}] {name} {part.error}".rstrip() for name, part in status.parts.items()
            ]
            lines += [f"[-] sessions:{name} {error}" for name, error in status.away.items()]
            lines += readiness_lines(self._proxy.services.current.runtime)
            text = "".join(f"{line}\n" for line in (f"[{'+' if ready else '-'}] {status.word}", *lines)) + text
        return web.Response(text=text, status=200 if ready else _UNAVAILABLE)

    async def _metrics(self, _: web.Request) -> web.Response:
        # It counts the open descriptors one by one, which is no work for the loop.
        process = await asyncio.to_thread(generate_latest, self._process)
        body = await exposition(self._collector.collect())
        return web.Response(body=body + process, headers={"Content-Type": CONTENT_TYPE})

    async def _status(self, _: web.Request) -> web.Response:
        return web.Response(
            text=json.dumps(describe(self._proxy), indent=2) + "\n", content_type="application/json", headers=_NO_STORE
        )


@web.middleware
async def _own(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say on every answer that it is this proxy's own, as on every listener; on those of aiohttp's too (404, 405)."""
    try:
        response, kind = await handler(request), AnswerClass.OWN_PAGE
    except web.HTTPException as refused:
        kept = {name: value for name, value in refused.headers.items() if name in {"Allow", "Connection"}}
        response = web.Response(status=refused.status, text=f"{refused.reason.lower()}\n", headers=kept)
        kind = class_of(refused.status)
    response.headers.update({**_NO_STORE, "X-Authproxy-Response": f"{kind.value}; id={secrets.token_hex(16)}"})
    return response


def describe(proxy: "Proxy") -> dict[str, object]:
    """Return what `/status` tells; no secret, no user."""
    status = proxy.status
    settings = proxy.prepared.loaded.settings
    now = proxy.now()
    return {
        "stage": status.stage.value,
        "started": status.started.isoformat(),
        "generation": status.generation,
        "config": [str(file) for file in proxy.prepared.loaded.files],
        "connections": len(proxy.services.connections),
        "listeners": {name: [str(bind) for bind in listener.bind] for name, listener in settings.listeners.items()},
        "routes": sorted({name for name, _ in proxy.stats.routes}),
        "upstreams": describe_endpoints(proxy.services.current.runtime),
        "certificates": {name: _text(end) for name, end in first_ends(status.endings, Kind.KEYSTORE, now).items()},
        "trust": {name: _text(end) for name, end in first_ends(status.endings, Kind.TRUSTSTORE, now).items()},
        "crls": {name: _text(end) for name, end in first_ends(status.endings, Kind.CRL, now).items()},
        "catalogs": {
            name: {"records": count, "rejected": status.rejected.get(name, 0)} for name, count in status.records.items()
        },
        "sessions_away": dict(status.away),
        "reloads": {
            name: {"success": part.success, "at": _text(part.at), "error": part.error}
            for name, part in status.parts.items()
        },
        "unsafe": list(status.unsafe),
    }


def _text(moment: datetime) -> str:
    return moment.isoformat()


async def _end_later(runner: web.AppRunner) -> None:
    try:
        await asyncio.sleep(_PARTING)
    finally:
        await runner.cleanup()
