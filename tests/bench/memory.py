"""The real connections, client's and upstream's, joined by transports in memory: no socket, no TLS, no other process."""

import asyncio
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final, NoReturn
from unittest.mock import patch
from uuid import UUID

from typing_extensions import override

from authproxy.cli.common import load_settings
from authproxy.core.record import UserId
from authproxy.core.session import begin
from authproxy.core.stats import Stats
from authproxy.daemon.prepare import Workshop, prepare, read_inputs
from authproxy.daemon.tasks import Tasks
from authproxy.edge.access_log import AccessLog
from authproxy.edge.server import EdgeServer, health_page
from authproxy.edge.services import Services
from authproxy.runtime import Current, Zone
from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.side import Side
from tests.bench.material import FORGED, REQUESTS, Material, request
from tests.bench.targets import product_config
from tests.bench.upstream import BODY

_ANSWER: Final = (
    "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(BODY)}\r\nConnection: keep-alive\r\n\r\n{BODY}"
).encode()
_TURNS: Final = 100


class Wire(asyncio.Transport):
    """Keeps what was written last, and counts."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 8443)})
        self.last = b""
        self.writes = 0

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.last = bytes(data)
        self.writes += 1

    @override
    def is_closing(self) -> bool:
        return False

    @override
    def close(self) -> None:
        raise AssertionError("the connection was closed")

    @override
    def abort(self) -> None:
        raise AssertionError("the connection was cut")

    @override
    def pause_reading(self) -> None:
        """There is nothing to pause."""

    @override
    def resume_reading(self) -> None:
        """There is nothing to resume."""


@dataclass(slots=True)
class Exchange:
    """Connects in memory whoever wants a connection."""

    dialled: list[tuple[UpstreamConnection, Wire]] = field(default_factory=list)

    async def dial(self, side: Side[UpstreamConnection], *_: object) -> UpstreamConnection:
        """Stand in for `upstream.dial.dial`."""
        connection, wire = UpstreamConnection(side), Wire()
        connection.connection_made(wire)
        self.dialled.append((connection, wire))
        return connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A client's connection and the upstream's that carries its requests."""

    material: Material
    requests: list[bytes]
    receive: Callable[[bytes], None]
    """Feeds the client's connection."""
    receive_answer: Callable[[bytes], None]
    """Feeds the upstream's."""
    client: Wire
    upstream: Wire

    def ask(self, number: int) -> None:
        """Let a request come in; it is on its way to the upstream at once."""
        self.receive(self.requests[number % REQUESTS])

    def answer(self) -> None:
        """Let the answer to it come back."""
        self.receive_answer(_ANSWER)

    def check(self) -> None:
        """Make sure that what is measured is what is meant.

        Raises:
            AssertionError: the upstream hears of another user, or the client has no good answer.
        """
        number, before = 7, self.upstream.writes + self.client.writes
        self.ask(number)
        self.answer()
        user = self.material.users[number % len(self.material.users)]
        if self.upstream.last.count(b"X-User-Id: " + user.id.encode()) != 1 or FORGED.encode() in self.upstream.last:
            raise AssertionError(f"the upstream was told of another user: {self.upstream.last!r}")
        if not self.client.last.startswith(b"HTTP/1.1 200 ") or not self.client.last.endswith(BODY.encode()):
            raise AssertionError(f"the client got another answer: {self.client.last!r}")
        if self.upstream.writes + self.client.writes != before + 2:
            raise AssertionError("a request or an answer takes more than one write")


async def lay(material: Material, *, log: bool, session: bool = False) -> Way:
    """Return a way that has carried its first request; with `log`, the access log is written, to nowhere.

    `session`: users have signed in, and show their cookies instead of their tokens.
    """
    tasks = Tasks(_give_up)
    path = material.folder / "authproxy.yaml"
    accepts = "token, session" if session else "token"
    path.write_text(product_config(port=8443, ops_port=9901, upstream_port=9443, accepts=accepts))
    workshop = Workshop(environ=os.environ, stats=Stats(), spawn=tasks.spawn)
    now = partial(datetime.now, UTC)
    prepared = prepare(workshop, read_inputs(workshop, load_settings(path), now(), None), 1, None)
    services = Services(
        current=Current(prepared.built.runtime),
        journal=AccessLog(_forget if log else None),
        spawn=tasks.spawn,
        monotonic=time.monotonic,
        now=now,
        on_crash=lambda _, error: _give_up(error),
        on_revoked=print,
        stats=workshop.stats,
    )
    loop = asyncio.get_running_loop()
    front = EdgeServer(services, "public", health_page(services), loop).connection(overloaded=False)
    client = Wire()
    front.connection_made(client)
    cookies = await _sign_in(prepared.built.runtime.zones["api"], material, now()) if session else ()
    requests = [request(number, material.users, cookies) for number in range(REQUESTS)]
    exchange = Exchange()
    with patch("authproxy.upstream.reach.dial", exchange.dial):
        front.data_received(requests[0])
        for _ in range(_TURNS):
            # The connection to the upstream is opened in a task.
            await asyncio.sleep(0)
    ((behind, upstream),) = exchange.dialled
    way = Way(
        material=material,
        requests=requests,
        receive=front.data_received,
        receive_answer=behind.data_received,
        client=client,
        upstream=upstream,
    )
    way.answer()
    way.check()
    return way


async def _sign_in(zone: Zone, material: Material, now: datetime) -> tuple[str, ...]:
    """Begin a session for every user, as the login does; return their cookies."""
    means = zone.sessions
    if means is None:
        raise AssertionError("nobody can sign in")
    cookies = []
    for user in material.users:
        user_id, session_id = UserId(UUID(user.id).bytes), secrets.token_urlsafe(32).encode()
        record = await zone.catalog.look_up(zone.name, user_id)
        if record is None:
            raise AssertionError("nobody knows the users")
        session = begin(means.rules, session_id, record, record.rotation_version, now)
        await means.store.put(session, means.rules.per_user)
        cookies.append(f"{means.cookie.name.decode()}={session_id.decode()}")
    return tuple(cookies)


def _give_up(error: BaseException) -> NoReturn:
    raise error


def _forget(_: bytes) -> None:
    """Nobody reads it."""
