"""When more come than may: the first are served, some are told so, the rest find the door closed."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime

import pytest

from authproxy.core.stats import ListenerStats
from authproxy.door.acceptor import Acceptor
from authproxy.door.caps import TOO_MANY, Caps
from authproxy.door.contexts import Contexts
from authproxy.keystore import generate as keys
from tests.patience import PATIENCE

MOST = 16
SPARE = 8


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    """The server's, and the client's."""
    validity = keys.Validity.of_days(datetime.now(UTC), 1)
    authority = keys.new_authority("door", validity, keys.Algorithm.EC_P256)
    issued = keys.new_server(authority, [keys.alternative_name("proxy.test")], validity, keys.Algorithm.EC_P256)
    path = tmp_path_factory.mktemp("door") / "server.pem"
    path.write_bytes(keys.combined_file(issued))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return Contexts(default=server), ssl.create_default_context(cadata=authority.certificate_pem().decode())


async def test_a_crowd_that_comes_at_once_is_served_as_far_as_there_is_room(contexts):
    """Who came within the limit is served, however many have entered before its handshake was done."""
    server, client = contexts
    told, refused = [], []
    caps, stats = Caps(), ListenerStats()
    caps.connections = MOST

    def protocol(is_spare):
        told.append(is_spare)
        return asyncio.Protocol()

    acceptor = Acceptor(
        protocol,
        server,
        caps=caps,
        stats=stats,
        report=lambda *facts: refused.append(facts[1]),
        now=lambda: datetime.now(UTC),
    )
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    listening.setblocking(False)
    wires = [socket.create_connection(listening.getsockname()) for _ in range(MOST + SPARE + 3)]
    for wire in wires:
        wire.setblocking(False)
    acceptor.add(listening)
    async with asyncio.timeout(PATIENCE):
        while stats.accepted < len(wires):
            await asyncio.sleep(0)
        connections = await asyncio.gather(
            *(asyncio.open_connection(sock=wire, ssl=client, server_hostname="proxy.test") for wire in wires),
            return_exceptions=True,
        )
        while len(told) < MOST + SPARE:
            await asyncio.sleep(0)
    acceptor.close()
    for wire, connection in zip(wires, connections, strict=True):
        if isinstance(connection, BaseException):
            wire.close()
        else:
            connection[1].transport.abort()
    while caps.open:
        await asyncio.sleep(0)

    assert sorted(told) == [False] * MOST + [True] * SPARE
    assert refused == [TOO_MANY] * 3
    assert stats.refused == {TOO_MANY: 3}
