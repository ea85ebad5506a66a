"""A connection beyond the limit hears so, on a real socket, and nothing of it reaches anybody."""

import asyncio
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import pytest

from authproxy.cli.common import load_settings
from authproxy.core.stats import Stats
from authproxy.daemon.prepare import Workshop, prepare, read_inputs
from authproxy.daemon.tasks import Tasks
from authproxy.edge.access_log import AccessLog
from authproxy.edge.server import EdgeServer, health_page
from authproxy.edge.services import Services
from authproxy.runtime import Current
from authproxy.wire.plain import SocketTransport
from tests.bench.material import make, request
from tests.bench.targets import product_config
from tests.wire.ends import PlainPeer, connected


@dataclass
class House:
    """What a connection needs."""

    services: Services
    stats: Stats
    request: bytes
    failures: list[BaseException]


@pytest.fixture
def house(tmp_path):
    """A real configuration, read while no loop runs."""
    material = make(tmp_path)
    failures: list[BaseException] = []
    tasks = Tasks(failures.append)
    path = tmp_path / "authproxy.yaml"
    path.write_text(product_config(port=8443, ops_port=9901, upstream_port=9443))
    workshop = Workshop(environ=os.environ, stats=Stats(), spawn=tasks.spawn)
    now = partial(datetime.now, UTC)
    prepared = prepare(workshop, read_inputs(workshop, load_settings(path), now(), None), 1, None)
    services = Services(
        current=Current(prepared.built.runtime), journal=AccessLog(None), spawn=tasks.spawn, monotonic=time.monotonic,
        now=now, on_crash=lambda _, error: failures.append(error), on_revoked=print, stats=workshop.stats,
    )  # fmt: skip
    return House(services, workshop.stats, request(0, material.users), failures)


async def test_whoever_asks_is_told_when_to_come_again(house):
    """503 with Retry-After, then a clean end; counted by its reason, and the upstream is not asked."""
    loop = asyncio.get_running_loop()
    front = EdgeServer(house.services, "public", health_page(house.services), loop).connection(overloaded=True)
    ours, theirs = connected()
    transport, peer = SocketTransport(loop, ours, lingering=True), PlainPeer(theirs)
    gone = loop.create_future()
    transport.on_gone = lambda: gone.set_result(None)
    transport.begin(front)
    await peer.send(house.request)
    answer = await peer.rest()
    peer.close()
    await gone

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: " in head
    assert b"\r\nConnection: close" in head
    assert b"\r\nX-Authproxy-Response: " in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert dict(house.stats.unrouted.reasons) == {"too-many-connections": 1}
    assert sum(one.connects for one in house.stats.upstreams.values()) == 0
    assert not house.failures
