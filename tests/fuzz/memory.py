"""The real connections with transports in memory: thousands of inputs a second, and time that passes when told to."""

import asyncio
import contextlib
import json
import os
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final
from unittest import mock

from authproxy.catalogs.interface import MISS, Catalog, Miss
from authproxy.cli.common import load_settings
from authproxy.core.record import TokenRecord, UserId
from authproxy.core.stats import Stats
from authproxy.daemon.prepare import Workshop, prepare, read_inputs
from authproxy.daemon.tasks import Tasks
from authproxy.edge.access_log import AccessLog
from authproxy.edge.connection import ClientConnection
from authproxy.edge.server import EdgeServer, health_page
from authproxy.edge.services import Services
from authproxy.errors import CatalogUnavailable
from authproxy.http1 import usual
from authproxy.runtime import Current
from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.side import Side
from tests.conformance.proxy import ALICE, BOB, Material
from tests.conformance.upstream import TRUSTED
from tests.fuzz.grammar import CREDENTIALS, Case, Script
from tests.fuzz.oracles import check, same_whatever_the_pieces
from tests.fuzz.outcome import Carried, Outcome
from tests.fuzz.pipes import Behind, Pipe

_TURNS: Final = 2000
_LATER: Final = 1000.0
_A_WHILE: Final = 1.5


def configuration(port: int, bind: str) -> dict[str, object]:
    """A route for every rule that a request can meet."""
    good = {"urls": [f"https://127.0.0.1:{port}"], "trust": "ca", "server_name": "upstream.test"}
    api = {"zone": "api", "upstream": "up"}
    return {
        "version": 1,
        "keystores": {"main": {"file": "server.pem"}},
        "truststores": {"ca": {"file": "ca.pem"}},
        "listeners": {"public": {"bind": bind, "health": "/healthz"}},
        "catalogs": {"users": {"kind": "file", "file": "tokens.yaml"}},
        "zones": {
            "api": {"prefix": "svc", "peppers": [{"file": "api.pepper"}], "catalog": "users"},
            "web": {"prefix": "web", "peppers": [{"file": "web.pepper"}], "catalog": "users"},
        },
        "upstreams": {"up": good, "once": {**good, "reuse_after_body": False}, "unusual": good},
        "routes": [
            {**api, "path": "/"},
            {"path": "/public/", "public": True, "upstream": "up"},
            {**api, "path": "/web/", "zone": "web"},
            {**api, "path": "/admin/", "allow": {"groups": ["admins"]}},
            {**api, "path": "/once/", "upstream": "once"},
            {**api, "path": "/small/", "max_body": 1024},
            {**api, "path": "/keep/", "unsafe_forward_credentials": True},
            {**api, "path": "/unusual/", "upstream": "unusual",
             "unusual_path": ["semicolon", "double_slash", "encoded_slash"]},
        ],
        "identity": {"headers": {"X-User-Id": "id", "Remote-User": "name", "X-Authproxy-Groups": "groups"}},
        "trusted_proxies": [f"{TRUSTED}/32"],
        # All inputs come from one address, and most of them are bad.
        "limits": {"failures_per_minute": "off", "websockets_per_user": "off", "requests_per_connection": "off"},
    }  # fmt: skip


class _Catalog:
    """A catalog that knows at once, or must be waited for, or cannot be reached."""

    def __init__(self, real: Catalog, mood: Callable[[], str]) -> None:
        self._real = real
        self._mood = mood

    def peek(self, zone: str, user_id: UserId) -> TokenRecord | Miss | None:
        """Return what is known without waiting."""
        return MISS if self._mood() else self._real.peek(zone, user_id)

    async def look_up(self, zone: str, user_id: UserId) -> TokenRecord | None:
        """Wait for the record."""
        for _ in range(3):
            await asyncio.sleep(0)
        if self._mood() == "down":
            raise CatalogUnavailable("down")
        return await self._real.look_up(zone, user_id)

    async def aclose(self) -> None:
        """Give back what is held open."""
        await self._real.aclose()


class World:
    """The proxy's connections of one process, an upstream, and a clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop, folder: Path) -> None:
        self.loop = loop
        self._patches = contextlib.ExitStack()
        self._patches.enter_context(mock.patch("authproxy.upstream.reach.dial", self._dial))
        # Patterns are made of shapes that come often; here nearly everything comes once.
        self._patches.enter_context(mock.patch.object(usual, "_OFTEN", 2))
        self.clock = 1000.0
        self.carried: list[Carried] = []
        self.crashes: list[str] = []
        self.lines: list[bytes] = []
        self._scripts: deque[Script] = deque()
        self._chosen: dict[int, Script] = {}
        self._behind: list[Behind] = []
        self._count = 0
        Material.make().write(folder)
        path = folder / "authproxy.yaml"
        path.write_text(json.dumps(configuration(9443, "127.0.0.1:8443")))
        self.tasks = Tasks(self._crashed)
        workshop = Workshop(environ=os.environ, stats=Stats(), spawn=self.tasks.spawn)
        now = partial(datetime.now, UTC)
        prepared = prepare(workshop, read_inputs(workshop, load_settings(path), now(), None), 1, None)
        self.journal = AccessLog(self.lines.append)
        self.services = Services(
            current=Current(prepared.built.runtime),
            journal=self.journal,
            spawn=self.tasks.spawn,
            monotonic=lambda: self.clock,
            now=now,
            on_crash=lambda _, error: self._crashed(error),
            on_revoked=print,
            stats=workshop.stats,
        )
        self._catalog = ""
        self._dials = True
        for zone in prepared.built.runtime.zones.values():
            object.__setattr__(zone, "catalog", _Catalog(zone.catalog, lambda: self._catalog))
        self.upstreams = [upstream for _, upstream in prepared.built.upstreams.values()]
        self.server = EdgeServer(self.services, "public", health_page(self.services), loop)
        loop.set_exception_handler(self._loop_failed)

    def _loop_failed(self, _: object, context: dict[str, object]) -> None:
        error = context.get("exception")
        trace = traceback.format_exception(error) if isinstance(error, BaseException) else []
        self.crashes.append(f"loop: {context!r} {''.join(trace)[-2000:]}")

    def _crashed(self, error: BaseException) -> None:
        frames = []
        trace = error.__traceback__
        while trace is not None:
            frames.append(f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}")
            trace = trace.tb_next
        self.crashes.append(f"crash: {error!r} at {' '.join(frames)}")

    async def _dial(self, side: Side[UpstreamConnection], *_: object) -> UpstreamConnection:
        """Stand in for `upstream.dial.dial`."""
        if not self._dials:
            raise ConnectionRefusedError(111, "refused")
        self._count += 1
        wire = Behind(self, self._count)
        connection = UpstreamConnection(side)
        wire.protocol = connection
        connection.connection_made(wire)
        self._behind.append(wire)
        return connection

    def script_of(self, carried: Carried) -> Script:
        """What is done with a request: always the same for one."""
        if id(carried) not in self._chosen:
            self._chosen[id(carried)] = self._scripts.popleft() if self._scripts else Script()
        return self._chosen[id(carried)]

    async def idle(self) -> None:
        """Let everything happen that can without further bytes or time."""
        ready = self.loop._ready  # type: ignore[attr-defined]
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if not ready:
                return
        self.crashes.append("the loop is never idle")

    async def run(self, case: Case) -> Outcome:
        """Carry one input and let its connection end."""
        self.carried, self.crashes, self._chosen = [], [], {}
        self.lines.clear()
        self._scripts = deque(case.scripts)
        self._catalog, self._dials = case.catalog, case.dial != "refused"
        peer = TRUSTED if case.trusted else "127.0.0.1"
        wire = Pipe(self.loop, peer)
        client = self.server.connection(overloaded=False)
        wire.protocol = client
        client.connection_made(wire)
        # No loop tells the end of a connection in the turn in which it tells its beginning.
        await self.idle()
        for step in case.client:
            if isinstance(step, bytes):
                wire.feed(step)
            elif not wire.lost:
                self._do(step, client)
            await self.idle()
        in_order = not wire.waiting
        if case.ending == "wait":
            for _ in range(8):
                if wire.is_closing():
                    break
                self.clock += _LATER
                client.on_deadline()
                await self.idle()
            else:
                self.crashes.append("time does not end the connection")
        elif case.ending == "eof" and not wire.is_closing():
            client.eof_received()
        if not wire.lost:
            wire.lose(None if case.ending == "eof" else ConnectionResetError("gone"))
        await self.idle()
        self.services.current.draining = False
        self._look_for_leaks()
        self.journal.flush()
        self._behind = [one for one in self._behind if not one.lost]
        lines = b"".join(self.lines).splitlines()
        return Outcome(
            received=bytes(wire.written), end=wire.end, carried=self.carried, lines=lines, crashes=self.crashes,
            peer=peer, in_order=in_order,
        )  # fmt: skip

    def _do(self, step: str, client: ClientConnection) -> None:
        if step == "pause":
            client.pause_writing()
        elif step == "resume":
            client.resume_writing()
        elif step == "later":
            self.clock += _A_WHILE
            if client.line.deadline <= self.clock:
                client.on_deadline()
        else:
            self.services.current.draining = True
            client.drain()

    def _look_for_leaks(self) -> None:
        if self.services.connections:
            self.crashes.append(f"{len(self.services.connections)} client connections left")
            self.services.connections.clear()
        if self.tasks._tasks:
            self.crashes.append(f"{len(self.tasks._tasks)} tasks left")
        sides = [side for upstream in self.upstreams for side in upstream.sides]
        if any(side.busy for side in sides):
            self.crashes.append(f"upstream connections counted as busy: {[side.busy for side in sides]}")
            for side in sides:
                side.busy = 0
        idle = {id(connection) for side in sides for connection in side.idle}
        for one in self._behind:
            if not one.lost and id(one.protocol) not in idle:
                self.crashes.append(f"upstream connection {one.number} is open and in nobody's hands")
                one.lose(None)
            elif not one.lost and one.is_busy:
                self.crashes.append(f"upstream connection {one.number} is idle within a request")
                one.lose(None)

    async def problems_of(self, case: Case) -> list[str]:
        """Carry one input, then a good request; return what is wrong with either."""
        outcome = await self.run(case)
        problems = check(case, outcome)
        plain = not case.scripts and not case.dial and all(isinstance(step, bytes) for step in case.client)
        if len(case.client) > 1 and plain:
            whole = replace(case, client=(case.sent,))
            problems += same_whatever_the_pieces(case, outcome, await self.run(whole))
        after = Case(client=(good_request(ALICE, 1), good_request(BOB, 2)), expect=(200, 200))
        return problems + [f"afterwards: {problem}" for problem in check(after, await self.run(after))]

    async def close(self) -> None:
        """End what still runs."""
        for one in self._behind:
            one.lose(None)
        await self.tasks.aclose()
        await self.server.shutdown(0)
        await self.idle()
        self._patches.close()


def good_request(user: str, number: int) -> bytes:
    """A request that must pass, for the look afterwards."""
    return (
        b"GET /afterwards?n=%d HTTP/1.1\r\nHost: proxy.test\r\nAuthorization: Bearer %b\r\n\r\n"
        % (number, CREDENTIALS["api", user])
    )  # fmt: skip
