"""Nothing of a request leaves towards a service that was not verified, and what goes wrong has a name."""

import contextlib
import http.client
import json
import select
import socket
import ssl
import threading
import time
from datetime import timedelta

import pytest

from authproxy.keystore import generate as keys
from tests.patience import SOON

pytestmark = [pytest.mark.promise, pytest.mark.timeout(120)]

_DAY = timedelta(days=1)
UNTRUSTED = {
    "wrong-name": lambda pki: pki.server("elsewhere.test"),
    "wrong-authority": lambda pki: pki.server(by=pki.other),
    "expired": lambda pki: pki.server(begin=-2 * _DAY, end=-_DAY),
    "not-yet-valid": lambda pki: pki.server(begin=_DAY, end=2 * _DAY),
    "self-signed": lambda pki: keys.new_authority(
        "localhost", keys.Validity.of_days(pki.now, 5), keys.Algorithm.EC_P256
    ),
    "for-clients": lambda pki: pki.client("localhost"),
}
WORDS = {
    "wrong-name": "mismatch",
    "wrong-authority": "unable to get local issuer|signature|self-signed",
    "expired": "expired",
    "not-yet-valid": "not yet valid",
    "self-signed": "self-signed|self signed",
    "for-clients": "purpose",
}


def point_at(house, url, **more):
    house.config["upstreams"]["legacy"] = {"urls": [url], "trust": "ca", **more}


def fails(house, running, status, reason, path="/secret-path"):
    """Ask; the answer says nothing of the cause, the log does."""
    answer = house.ask(path, house.user)
    line = running.access(answer)

    assert answer.status == status
    assert answer.headers["X-Authproxy-Response"].startswith("upstream;")
    assert reason not in str(answer.headers) + answer.body.decode()
    assert line["reason"] == reason
    assert line["status"] == status
    sample = f'authproxy_upstream_failures_total{{reason="{reason}",upstream="legacy"}}'
    assert running.metric(sample) == 1
    return answer, line


@pytest.mark.parametrize("case", sorted(UNTRUSTED))
def test_an_unverified_service_gets_nothing(house, serve, pki, case):
    """Whatever is wrong with its certificate: 502, the cause in the log, and not one byte of the request."""
    service = serve(UNTRUSTED[case](pki))
    point_at(house, f"https://127.0.0.1:{service.port}")
    running = house.start()
    _, line = fails(house, running, 502, "upstream-unverified")

    assert any(word in line["error"].lower() for word in WORDS[case].split("|")), line
    assert service.seen == []
    assert running.metric('authproxy_upstream_connect_failures_total{upstream="legacy"}') == 1


@contextlib.contextmanager
def listening(act):
    """A TCP server that does `act(wire)` with each connection, and remembers what it was sent."""
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run():
            with contextlib.suppress(OSError):
                while True:
                    wire, _ = server.accept()
                    with wire:
                        wire.settimeout(20)
                        act(wire, got)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield server.getsockname()[1], got
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def plain(wire, got):
    """Speaks HTTP without TLS, and first."""
    wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    with contextlib.suppress(OSError):
        while data := wire.recv(65536):
            got.append(data)


def mute(wire, got):
    """Accepts, reads, never answers."""
    with contextlib.suppress(OSError):
        while data := wire.recv(65536):
            got.append(data)


def hang_up(wire, got):
    """Accepts and closes."""


def test_plaintext_where_tls_is_expected(house):
    """An answer in the clear is no answer: 502, never its bytes, and the request stays here."""
    with listening(plain) as (port, got):
        point_at(house, f"https://127.0.0.1:{port}")
        running = house.start()
        answer, _ = fails(house, running, 502, "upstream-unverified")

    assert answer.body != b"hi"
    assert b"secret-path" not in b"".join(got)
    assert house.user.user_id.encode() not in b"".join(got)


def test_a_service_that_hangs_up_in_the_handshake(house):
    """502."""
    with listening(hang_up) as (port, _):
        point_at(house, f"https://127.0.0.1:{port}")
        fails(house, house.start(), 502, "upstream-refused")


def test_a_refused_port(house, free_port):
    """502, and the log says where nobody listens."""
    port = free_port()
    point_at(house, f"https://127.0.0.1:{port}")
    _, line = fails(house, house.start(), 502, "upstream-refused")

    assert f"127.0.0.1:{port}" in line["error"]


def test_a_name_that_does_not_resolve(house):
    """502."""
    point_at(house, "https://nowhere.invalid:443")
    fails(house, house.start(), 502, "upstream-refused")


def test_a_black_hole(house):
    """A connect that nobody answers ends after `timeouts.connect` with 504."""
    with socket.socket() as hole, contextlib.ExitStack() as fillers:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        for _ in range(4):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        point_at(house, f"https://127.0.0.1:{hole.getsockname()[1]}", timeouts={"connect": "1s"})
        running = house.start()
        began = time.monotonic()
        fails(house, running, 504, "upstream-connect-timeout")

        assert 0.9 < time.monotonic() - began < SOON


def test_a_handshake_that_nobody_answers(house):
    """It counts as part of the connect: 504."""
    with listening(mute) as (port, got):
        point_at(house, f"https://127.0.0.1:{port}", timeouts={"connect": "1s"})
        fails(house, house.start(), 504, "upstream-connect-timeout")

    assert b"secret-path" not in b"".join(got)


def test_a_slow_head(house, service):
    """An answer that does not begin within `timeouts.response_head` is 504, and its connection is not used again."""
    point_at(house, f"https://127.0.0.1:{service.port}", timeouts={"response_head": "1s"})
    running = house.start()
    began = time.monotonic()
    fails(house, running, 504, "upstream-head-timeout", "/slow/head")

    assert 0.9 < time.monotonic() - began < SOON
    assert house.ask("/", house.user).status == 200
    assert service.accepted == 2


def test_a_slow_service_harms_no_other(house, service, serve, pki):
    """Requests for another upstream pass while one hangs."""
    other = serve(pki.server())
    house.config["upstreams"]["other"] = {"urls": [f"https://127.0.0.1:{other.port}"], "trust": "ca"}
    house.config["routes"].append({"name": "other", "path": "/other", "zone": "api", "upstream": "other"})
    house.start()
    with house.client() as stuck:
        stuck.request("GET", "/slow/never", headers={"Authorization": f"Bearer {house.user.token}"})

        assert house.ask("/other", house.user).status == 200


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_an_answer_that_breaks_off_is_seen_to(house, service, how):
    """The client gets a truncated answer, never a clean end, and the connection is not used again."""
    running = house.start()
    with house.client() as client:
        client.request("GET", f"/short/{how}", headers={"Authorization": f"Bearer {house.user.token}"})
        with pytest.raises((http.client.IncompleteRead, OSError)), client.getresponse() as response:
            response.read()
    assert house.ask("/", house.user).status == 200
    assert service.accepted == 2
    assert running.metric('authproxy_upstream_failures_total{reason="upstream-truncated",upstream="legacy"}') == 1


def push(wire, body):
    """Send until something comes back, as far as it is taken; by one thread, since a TLS socket takes no two."""
    wire.setblocking(False)
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        with contextlib.suppress(ssl.SSLWantReadError):
            return wire.recv(65536)
        with contextlib.suppress(ssl.SSLWantWriteError):
            body = body[wire.send(body[:65536]) :]
            continue
        select.select([wire], [wire], [], 1)
    return b""


def test_an_upload_that_the_service_does_not_take_is_no_fault_of_the_client(house, service):
    """When the service stops reading, the client is told 504, not that it was too slow itself."""
    point_at(house, f"https://127.0.0.1:{service.port}", timeouts={"idle": "1s", "response_head": "1s"})
    house.config["timeouts"] = {"body_idle": "2s"}
    running = house.start()
    size = 64 << 20
    with house.client() as client:
        client.connect()
        wire = client.wire
        wire.sendall(
            b"POST /deaf/ear HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n"
            % (house.user.token.encode(), size)
        )
        head = push(wire, memoryview(bytes(size)))
    service.gate("ear").set()

    assert head.startswith(b"HTTP/1.1 504 ")
    assert running.metric('authproxy_refusals_total{reason="body-timeout",route="all",zone="api"}') is None


def test_a_client_certificate_is_presented(house, serve, pki):
    """A service that demands one sees the keystore of its upstream."""
    service = serve(pki.server(), demand=pki.root)
    house.put("caller.pem", keys.combined_file(pki.client("the proxy")))
    house.config["keystores"]["caller"] = {"file": "caller.pem"}
    point_at(house, f"https://127.0.0.1:{service.port}", keystore="caller")
    house.start()

    assert house.ask("/", house.user).status == 200
    assert service.seen[0].certificate["subject"] == ((("commonName", "the proxy"),),)


def test_a_service_that_demands_a_certificate_in_vain(house, serve, pki):
    """Without a keystore it is 502; the service gets no request."""
    service = serve(pki.server(), demand=pki.root)
    point_at(house, f"https://127.0.0.1:{service.port}")
    running = house.start()
    answer = house.ask("/secret-path", house.user)
    line = running.access(answer)

    assert answer.status == 502
    assert service.seen == []
    assert "certificate" in json.dumps(line).lower()


def test_a_renewed_client_certificate_is_presented_after_a_reload(house, serve, pki):
    """Old connections are not used again, the next request shows the new one."""
    service = serve(pki.server(), demand=pki.root)
    house.put("caller.pem", keys.combined_file(pki.client("first")))
    house.config["keystores"]["caller"] = {"file": "caller.pem"}
    point_at(house, f"https://127.0.0.1:{service.port}", keystore="caller")
    running = house.start()
    house.ask("/", house.user)
    house.put("caller.pem", keys.combined_file(pki.client("second")))
    running.reload()
    house.ask("/", house.user)

    assert [dict(name[0] for name in seen.certificate["subject"])["commonName"] for seen in service.seen] == [
        "first",
        "second",
    ]


def test_a_service_may_be_verified_under_another_name(house, serve, pki):
    """`server_name` is what the certificate must hold, instead of the URL's host."""
    service = serve(pki.server("legacy.internal"))
    point_at(house, f"https://127.0.0.1:{service.port}", server_name="legacy.internal")
    house.start()

    assert house.ask("/", house.user).status == 200


def test_the_other_name_is_really_demanded(house, serve, pki):
    """The URL's host no longer counts: a certificate for it alone is refused."""
    service = serve(pki.server("127.0.0.1"))
    point_at(house, f"https://127.0.0.1:{service.port}", server_name="legacy.internal")
    fails(house, house.start(), 502, "upstream-unverified")

    assert service.seen == []


def test_connections_are_not_shared_between_names(house, serve, pki):
    """Two upstreams at one address with different names: the second never uses the first's connection."""
    service = serve(pki.server("one.internal"))
    url = f"https://127.0.0.1:{service.port}"
    point_at(house, url, server_name="one.internal")
    house.config["upstreams"]["two"] = {"urls": [url], "trust": "ca", "server_name": "two.internal"}
    house.config["routes"].append({"name": "two", "path": "/two", "zone": "api", "upstream": "two"})
    house.start()

    assert house.ask("/", house.user).status == 200
    assert house.ask("/two", house.user).status == 502
    assert [seen.path for seen in service.seen] == ["/"]
