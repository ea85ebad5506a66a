"""What Prometheus reads of the real process: whatever happened to clients stands there, and what the process needs."""

import ssl

import pytest

from tests.promises.conftest import Client

pytestmark = [pytest.mark.promise, pytest.mark.timeout(120)]

UPGRADE = (
    "GET /ws HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2l4dGVlbiBieXRlcyEh\r\n\r\n"
)


def test_upgraded_connections_are_seen_while_they_stand(house, until):
    """Not only once they are over, as requests are."""
    running = house.start()
    sample = 'authproxy_upgraded_connections{route="all",zone="api"}'
    assert running.metric(sample) == 0
    with house.client() as client:
        client.connect()
        client.wire.sendall(UPGRADE.format(token=house.user.token).encode())
        assert b" 101 " in client.wire.recv(4096)
        assert running.metric(sample) == 1

    until(lambda: running.metric(sample) == 0, what="the end of the upgraded connection")


def test_handshakes_are_told_by_version(house):
    """Whoever wants to end TLS 1.2 sees whether somebody still needs it."""
    running = house.start()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3):
        context = house.trusting()
        context.maximum_version = version
        with Client(house.port, context) as client:
            assert client.ask("/", house.user).status == 200

    sample = 'authproxy_tls_sessions_total{{handshake="full",listener="public",version="TLSv1.{}"}}'
    assert [running.metric(sample.format(version)) for version in (2, 3)] == [1, 2]


def test_the_process_tells_what_it_needs(house):
    """Memory, processor time and descriptors, under the names that every exporter has."""
    running = house.start()

    assert running.metric("process_open_fds") > 3
    assert running.metric("process_resident_memory_bytes") == pytest.approx(running.rss(), rel=0.2)
    assert running.metric("process_cpu_seconds_total") > 0
    assert running.metric("process_max_fds") >= 256
    assert running.metric("authproxy_ready") == 1
    assert running.metric("authproxy_event_loop_lag_seconds_count") >= 1
