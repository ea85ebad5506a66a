"""The real connections with transports in memory: thousands of inputs a second, and time that passes when told to."""

import asyncio
import json
import traceback
import os
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from typing_extensions import override

from authproxy.cli.common import load_settings
from authproxy.core.stats import Stats
from authproxy.daemon.prepare import Workshop, prepare, read_inputs
from authproxy.daemon.tasks import Tasks
from authproxy.edge.access_log import AccessLog
from authproxy.edge.server import EdgeServer, health_page
from authproxy.edge.services import Services
from authproxy.runtime import Current
from tests.conformance.proxy import Material
from tests.conformance.upstream import TRUSTED
from tests.fuzz.grammar import CREDENTIALS, OK, Case, Script, Step
from tests.fuzz.outcome import Carried, Outcome
from tests.fuzz.reader import Bad, Message, More, _read_body, _read_request

_TURNS: Final = 2000
_LATER: Final = 1000.0
HEADS: Final = b"\r\n\r\n"


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
    }  # fmt: skip


class Pipe(asyncio.Transport):
    """A transport whose other end is this program."""

    def __init__(self, loop: asyncio.AbstractEventLoop, peer: str) -> None:
        super().__init__({"peername": (peer, 50000), "sockname": ("127.0.0.1", 8443)})
        self._loop = loop
        self.protocol: asyncio.Protocol | None = None
        self.written = bytearray()
        self.end = ""
        """How this side ended it."""
        self.paused = False
        self.waiting: deque[bytes] = deque()
        """What came while reading was paused."""
        self.unsent = 0
        self.lost = False
        self._ending = ""

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.end and not self.lost:
            self.written += data

    @override
    def is_closing(self) -> bool:
        return bool(self.end) or self.lost

    @override
    def close(self) -> None:
        self._stop("clean")

    @override
    def abort(self) -> None:
        self._stop("cut")

    @override
    def pause_reading(self) -> None:
        self.paused = True

    @override
    def resume_reading(self) -> None:
        self.paused = False
        self._loop.call_soon(self._drain)

    @override
    def get_write_buffer_size(self) -> int:
        return self.unsent

    def _stop(self, how: str) -> None:
        if not self.end and not self.lost:
            self.end = how
            self._loop.call_soon(self.lose, None)

    def feed(self, data: bytes) -> None:
        """Let bytes arrive."""
        self.waiting.append(data)
        self._drain()

    def _drain(self) -> None:
        while self.waiting and not self.paused and not self.is_closing() and self.protocol is not None:
            self.protocol.data_received(self.waiting.popleft())
        if self._ending and not self.waiting:
            self.end_from_outside(self._ending)

    def lose(self, error: Exception | None) -> None:
        """End it, as the loop tells a protocol."""
        if not self.lost and self.protocol is not None:
            self.lost = True
            self.protocol.connection_lost(error)

    def end_from_outside(self, how: str) -> None:
        """The other side ends it, once what it sent before has arrived."""
        if self.is_closing() or self.protocol is None:
            return
        if self.waiting:
            self._ending = how
            return
        if how == "clean":
            self.protocol.eof_received()
        self.lose(None if how == "clean" else ConnectionResetError("cut"))


class Behind(Pipe):
    """A connection at the upstream's end: reads strictly, and does what the scripts say."""

    def __init__(self, world: "World", number: int) -> None:
        super().__init__(world.loop, "127.0.0.9")
        self.number = number
        self._world = world
        self._now: Carried | None = None
        self._message: Message | None = None
        self._answered = False
        self._is_tunnel = False
        self._is_scheduled = False

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        super().write(data)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._serve)

    @property
    def is_busy(self) -> bool:
        return self._now is not None or bool(self.written)

    def _serve(self) -> None:
        self._is_scheduled = False
        while self.written and not self.lost:
            if self._is_tunnel and self._now is not None:
                self._now.tunnelled += bytes(self.written)
                self.written.clear()
                return
            if not self._step():
                return

    def _step(self) -> bool:
        """Read on; return whether there may be more."""
        data = bytes(self.written)
        if self._now is None:
            if HEADS not in data:
                return False
            self._now = Carried(connection=self.number, asked=data, whole=False)
            self._answered = False
            self._world.carried.append(self._now)
        self._now.asked = data
        try:
            message = _read_request(data, 0)
        except (Bad, More) as bad:
            self._world.crashes.append(f"the upstream cannot read what the proxy writes: {bad!r} in {data[:3000]!r}")
            self.written.clear()
            return False
        script = self._world.script_of(self._now)
        if script.when == "head" and not self._answered:
            self._do(script, message)
        try:
            _read_body(data, message)
        except More:
            return False
        except Bad as bad:
            self._world.crashes.append(f"the upstream cannot read the proxy's body: {bad!r} in {data[:3000]!r}")
            self.written.clear()
            return False
        now = self._now
        now.asked, now.whole = data[: message.end], True
        del self.written[: message.end]
        if not self._answered:
            self._do(script, message)
        if not self._is_tunnel:
            self._now = None
        return True

    def _do(self, script: Script, message: Message) -> None:
        self._answered = True
        now = self._now
        if now is None or self.lost:
            return
        pieces: tuple[Step, ...] = script.pieces
        if script.when == "never":
            pieces = ()
        elif not pieces:
            pieces = (OK[:-2] if message.method == b"HEAD" else OK,)
        for piece in pieces:
            if isinstance(piece, bytes):
                now.sent += piece
                self._loop.call_soon(self.feed, piece)
            elif self.protocol is not None:
                call = self.protocol.pause_writing if piece == "pause" else self.protocol.resume_writing
                self.unsent = 1 if piece == "pause" else 0
                self._loop.call_soon(call)
        if now.sent.startswith(b"HTTP/1.1 101") and message.all(b"upgrade"):
            self._is_tunnel = True
        if script.then != "keep":
            now.end = "clean" if script.then == "close" else "cut"
            self._loop.call_soon(self.end_from_outside, now.end)


class MemoryLoop(asyncio.SelectorEventLoop):
    """Connects in memory whoever wants a connection."""

    dial: Callable[[asyncio.Protocol], asyncio.Transport]

    @override
    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.Protocol], *_: object, **__: object
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        protocol = protocol_factory()
        return self.dial(protocol), protocol


class World:
    """The proxy's connections of one process, an upstream, and a clock."""

    def __init__(self, loop: MemoryLoop, folder: Path) -> None:
        self.loop = loop
        loop.dial = self._dial
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
            stats=workshop.stats,
        )
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

    def _dial(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        self._count += 1
        wire = Behind(self, self._count)
        wire.protocol = protocol
        protocol.connection_made(wire)
        self._behind.append(wire)
        return wire

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
        peer = TRUSTED if case.trusted else "127.0.0.1"
        wire = Pipe(self.loop, peer)
        client = self.server.connection()
        wire.protocol = client
        client.connection_made(wire)
        # No loop tells the end of a connection in the turn in which it tells its beginning.
        await self.idle()
        for step in case.client:
            if isinstance(step, bytes):
                wire.feed(step)
            elif not wire.lost:
                if step == "pause":
                    client.pause_writing()
                else:
                    client.resume_writing()
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
        self._look_for_leaks()
        self.journal.flush()
        self._behind = [one for one in self._behind if not one.lost]
        lines = b"".join(self.lines).splitlines()
        return Outcome(
            received=bytes(wire.written), end=wire.end, carried=self.carried, lines=lines, crashes=self.crashes,
            peer=peer, in_order=in_order,
        )  # fmt: skip

    def _look_for_leaks(self) -> None:
        if self.services.connections:
            self.crashes.append(f"{len(self.services.connections)} client connections left")
            self.services.connections.clear()
        if self.tasks._tasks:
            self.crashes.append(f"{len(self.tasks._tasks)} tasks left")
        sides = [side for upstream in self.upstreams for side in upstream._sides]
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

    async def close(self) -> None:
        """End what still runs."""
        for one in self._behind:
            one.lose(None)
        await self.tasks.aclose()
        await self.server.shutdown(0)
        await self.idle()


def good_request(user: str, number: int) -> bytes:
    """A request that must pass, for the look afterwards."""
    return (
        b"GET /afterwards?n=%d HTTP/1.1\r\nHost: proxy.test\r\nAuthorization: Bearer %b\r\n\r\n"
        % (number, CREDENTIALS["api", user])
    )  # fmt: skip
