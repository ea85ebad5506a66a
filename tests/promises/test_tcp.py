"""Listeners of mode tcp, in the real process: every byte arrives, and every end arrives as what it is."""

import contextlib
import hashlib
import select
import socket
import struct
import subprocess
import threading
import time

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.keystore import generate as keys
from tests.patience import PATIENCE, SOON
from tests.promises.lane import Lane, Target, read, rest
from tests.tls_end import reset

pytestmark = [pytest.mark.promise, pytest.mark.timeout(120)]

MEBI = 1 << 20
# Generous: buffers of four sockets' kernels and of the proxy between a sender and somebody who reads nothing.
MOST_ON_ITS_WAY = 24 * MEBI


@pytest.fixture
def target():
    made = Target()
    yield made
    made.listening.close()


@pytest.fixture
def lane(house, target):
    return Lane(house, target)


# ---------------------------------------------------------------- bytes and their line


def test_bytes_pass_both_ways_and_the_line_tells_of_them(lane, until):
    """Who came, by certificate; where to; how much; how it ended."""
    lane.start()
    client, service = lane.pair()
    with client, service:
        client.send(b"question")
        assert read(service, 8) == b"question"
        service.sendall(b"answer")
        assert client.read(6) == b"answer"
        assert lane.running.metric('authproxy_tcp_connections{listener="repl"}') == 1
        client.end()
        assert rest(service) == (b"", "fin")
        service.close()
        assert client.rest() == (0, "notify")
    line = lane.line(until)
    der = lane.client.certificate.public_bytes(Encoding.DER)

    assert line | {"time": 0, "duration_ms": 0, "connect_ms": 0} == {
        "time": 0, "event": "tcp.closed", "listener": "repl", "generation": 1, "client": "127.0.0.1",
        "target": f"127.0.0.1:{lane.target.port}", "certificate": hashlib.sha256(der).hexdigest(),
        "subject": "CN=somebody", "received": 8, "sent": 6, "duration_ms": 0, "connect_ms": 0,
    }  # fmt: skip
    assert line["duration_ms"] >= line["connect_ms"] > 0
    assert lane.running.metric('authproxy_tcp_connections{listener="repl"}') == 0
    assert lane.running.metric('authproxy_tcp_received_bytes_total{listener="repl"}') == 8
    assert lane.running.metric('authproxy_tcp_sent_bytes_total{listener="repl"}') == 6
    assert lane.counted("whole") == 1


def test_a_unix_socket_can_be_the_target(lane, tmp_path, until):
    """The path is named in the line."""
    service = Target(tmp_path / "repl.sock")
    lane.listener["target"] = f"unix:{tmp_path}/repl.sock"
    lane.target = service
    lane.start()
    client, wire = lane.pair()
    with client, wire, service.listening:
        client.send(b"x")
        assert read(wire, 1) == b"x"
        wire.close()
        assert client.rest() == (0, "notify")
        client.end()

    assert lane.line(until)["target"] == f"unix:{tmp_path}/repl.sock"


# ---------------------------------------------------------------- ends


def test_an_answer_of_10_mb_comes_after_the_client_has_ended_its_side(lane):
    """close_notify becomes FIN, and the answer is not lost."""
    lane.start()
    client, service = lane.pair()
    with client, service:
        client.send(b"all of it, please")
        client.end()
        assert rest(service) == (b"all of it, please", "fin")
        sender = threading.Thread(target=lambda: (service.sendall(b"0123456789" * 1_000_000), service.close()))
        sender.start()
        assert client.rest() == (10_000_000, "notify")
        sender.join(PATIENCE)


def test_the_target_may_end_first_and_go_on_reading(lane, until):
    """FIN becomes close_notify, and the client's bytes still arrive."""
    lane.start()
    client, service = lane.pair()
    with client, service:
        service.sendall(b"goodbye")
        service.shutdown(socket.SHUT_WR)
        assert client.rest() == (7, "notify")
        client.send(b"one more thing")
        client.end()
        assert rest(service) == (b"one more thing", "fin")

    assert "reason" not in lane.line(until)


def test_a_cut_client_is_a_reset_for_the_target(lane, until):
    """FIN without close_notify: something may be missing, and the target can see that."""
    lane.start()
    client, service = lane.pair()
    with client, service:
        client.send(b"half a mess")
        assert read(service, 11) == b"half a mess"
        client.cut()
        assert rest(service) == (b"", "reset")

    assert lane.line(until)["reason"] == "client-truncated"
    assert lane.counted("client-truncated") == 1


def test_a_client_s_reset_is_a_reset_for_the_target(lane, until):
    lane.start()
    client, service = lane.pair()
    with service:
        client.send(b"x")
        assert read(service, 1) == b"x"
        client.reset()
        assert rest(service) == (b"", "reset")

    assert lane.line(until)["reason"] == "client-reset"


def test_the_target_s_reset_is_a_reset_for_the_client(lane, until):
    """No close_notify: what the client got must not look whole."""
    lane.start()
    client, service = lane.pair()
    with client:
        service.sendall(b"x")
        assert client.read(1) == b"x"
        reset(service)
        assert client.rest() == (0, "reset")

    assert lane.line(until)["reason"] == "target-reset"


def test_records_that_were_changed_are_a_reset_for_the_target(lane, until):
    """The client hears an alert; the target gets nothing of it."""
    lane.start()
    client, service = lane.pair()
    with client, service:
        client.wire.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        assert rest(service) == (b"", "reset")
        assert client.rest()[1] in {"SSLV3_ALERT_BAD_RECORD_MAC", "reset"}

    assert lane.line(until)["reason"] == "client-tls-error"


def test_a_target_that_is_down_is_told_at_once(lane, until):
    """close_notify, quickly, and the reason in the line; once it is up, it is used."""
    lane.target.listening.close()
    lane.start()
    began = time.monotonic()
    with lane.connect() as client:
        assert client.rest() == (0, "notify")
    assert time.monotonic() - began < SOON
    line = lane.line(until)

    assert line["reason"] == "target-unreachable"
    assert line["error"] == f"127.0.0.1:{lane.target.port}: connection refused"
    assert line["connect_ms"] == 0


# ---------------------------------------------------------------- pressure and others


def test_a_target_that_reads_nothing_holds_the_client(lane):
    """The proxy's memory stays what it is; everything arrives in the end."""
    lane.start()
    client, service = lane.pair()
    with client, service:
        before = lane.running.rss()
        client.wire.settimeout(1)
        size = 0
        with contextlib.suppress(TimeoutError):
            while size < 4 * MOST_ON_ITS_WAY:
                client.tls.write(bytes(16384))
                size += 16384
                client._flush()

        assert size < MOST_ON_ITS_WAY
        assert lane.running.rss() - before < 8 * MEBI


def test_a_client_that_reads_nothing_holds_the_target(lane):
    """The other way round; 64 MiB are more than fit in between."""
    lane.start()
    client, service = lane.pair()
    with client, service:
        before = lane.running.rss()
        service.settimeout(1)
        size = 0
        with contextlib.suppress(TimeoutError):
            while size < 4 * MOST_ON_ITS_WAY:
                size += service.send(bytes(65536))
        assert size < MOST_ON_ITS_WAY
        assert lane.running.rss() - before < 8 * MEBI
        reader = size
        service.settimeout(PATIENCE)
        service.shutdown(socket.SHUT_WR)

        assert client.rest() == (reader, "notify")


def test_the_silent_delay_nobody(lane):
    """Neither those who never say a word nor those who shake hands and then are silent."""
    lane.start()
    mute = [socket.create_connection(("127.0.0.1", lane.port)) for _ in range(30)]
    shaken = [lane.pair() for _ in range(10)]
    began = time.monotonic()
    client, service = lane.pair()
    client.send(b"x")
    assert read(service, 1) == b"x"
    assert time.monotonic() - began < SOON
    for one in (*mute, client, service, *(end for pair in shaken for end in pair)):
        one.close()


@pytest.mark.timeout(120)
def test_a_thousand_connections_stand_at_the_same_time(lane, until):
    """Each with its own bytes; all are gone afterwards."""
    lane.house.config["limits"] = {"connections": 4000, "connections_per_source": 4000, "handshakes": 1000}
    lane.start()
    pairs = [lane.pair() for _ in range(1000)]
    for number, (client, _) in enumerate(pairs):
        client.send(b"%08d" % number)
    for number, (client, service) in enumerate(pairs):
        assert read(service, 8) == b"%08d" % number
        service.sendall(b"%08d" % -number)
        assert client.read(8) == b"%08d" % -number
    assert lane.running.metric('authproxy_tcp_connections{listener="repl"}') == 1000
    for client, service in pairs:
        client.end()
        client.close()
        service.close()

    until(lambda: lane.running.metric('authproxy_tcp_connections{listener="repl"}') == 0, what="all are gone")
    assert len(lane.lines(1000, until)) == 1000


# ---------------------------------------------------------------- who may come


@pytest.mark.parametrize("first", [b"d2:op5:clone2:id1:1e", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0" * 64])
def test_what_is_no_tls_is_closed_with_a_line(lane, first):
    """Nobody answers it in HTTP, and the target hears nothing of it."""
    lane.start()
    with socket.create_connection(("127.0.0.1", lane.port)) as wire:
        wire.settimeout(PATIENCE)
        wire.sendall(first)
        said, _ = rest(wire)
    told = lane.running.told("handshake.failed", listener="repl", reason="not-tls")

    assert b"HTTP" not in said
    assert told[0]["error"].startswith("the client did not speak TLS")
    assert not select.select([lane.target.listening], [], [], 0)[0]


def test_without_a_certificate_nobody_passes(lane, tool):
    """Openssl says why; so does it for TLS 1.2."""
    lane.start()

    def said(*options):
        command = [tool("openssl"), "s_client", "-connect", f"127.0.0.1:{lane.port}", "-CAfile", "ca.pem", *options]
        done = subprocess.run(
            command, cwd=lane.house.directory, input=b"", capture_output=True, timeout=20, check=False
        )
        return (done.stdout + done.stderr).decode()

    assert "alert certificate required" in said("-ign_eof")
    assert "alert protocol version" in said("-tls1_2")
    assert not select.select([lane.target.listening], [], [], 0)[0]
    lane.running.told("handshake.failed", listener="repl", reason="no-certificate")


def test_the_root_of_the_keys_file_is_believed_and_nobody_else(lane):
    """No truststore is named, and the system's is never used."""
    lane.start()
    lane.context = lane.house.trusting(lane.house.pki.client("stranger", lane.house.pki.other))
    with lane.connect() as client:
        assert client.rest() == (0, "TLSV1_ALERT_UNKNOWN_CA")


def test_a_keystore_without_a_root_needs_a_truststore(lane):
    """It is told at the start, with the place."""
    lane.house.put("combined.pem", keys.combined_file(lane.house.pki.server()))
    lane.house.config["keystores"]["nrepl"] = {"file": "combined.pem"}
    running = lane.house.spawn()

    assert running.wait() == 78
    assert "listeners.repl: " in running.stderr()
    assert "holds no root certificate to trust clients by (name a truststore, or use a keys file)" in running.stderr()


@pytest.mark.parametrize("why", ["allow", "deny"])
def test_who_is_refused_at_the_gate_reaches_nobody(lane, why):
    """A clean end after the handshake, a line with the reason, and not even a connection for the target."""
    house = lane.house
    if why == "allow":
        lane.listener["client_certificates"]["allow"] = [{"cn": "somebody else"}]
    else:
        der = lane.client.certificate.public_bytes(Encoding.DER)
        house.put("denied.txt", hashlib.sha256(der).hexdigest() + "\n")
        house.config["truststores"]["clients"] = {"file": "ca.pem", "deny": "denied.txt"}
        lane.listener["client_certificates"]["trust"] = "clients"
    running = lane.start()
    with lane.connect() as client:
        assert client.rest() == (0, "notify")
    reason = {"allow": "certificate-not-allowed", "deny": "certificate-denied"}[why]

    assert running.told("handshake.refused", listener="repl", reason=reason)
    assert not select.select([lane.target.listening], [], [], 0)[0]


def test_who_is_allowed_passes_until_a_reload_says_otherwise(lane, until):
    """`allow` is looked at again, for those who are in too."""
    rules = lane.listener["client_certificates"]
    rules["allow"] = [{"cn": "somebody"}]
    running = lane.start()
    client, service = lane.pair()
    with client, service:
        client.send(b"x")
        assert read(service, 1) == b"x"
        rules["allow"] = [{"cn": "another"}]
        lane.house.save()
        running.reload()
        assert rest(service) == (b"", "reset")

    assert lane.line(until)["reason"] == "revoked"
    assert running.told("connection.revoked", listener="repl", reason="certificate-not-allowed")


def test_a_listener_that_asks_for_no_certificate_is_noted(lane):
    """It is let through, and every start says so."""
    lane.listener["client_certificates"] = {"mode": "none"}
    running = lane.start()
    (noted,) = [line for line in running.events("config.noted") if "listeners.repl" in line["note"]]
    lane.context = lane.house.trusting()
    client, service = lane.pair()
    with client, service:
        service.sendall(b"greeting")
        assert client.read(8) == b"greeting"

    assert "asks for no client certificate: whoever reaches it reaches its target" in noted["note"]


def test_one_too_many_is_told_by_a_clean_end(lane, until):
    """And the target hears nothing of it."""
    lane.house.config["limits"] = {"connections": 8, "connections_per_source": 100}
    lane.start()
    pairs = [lane.pair() for _ in range(8)]
    with lane.connect() as late:
        assert late.rest() == (0, "notify")
    assert lane.line(until)["reason"] == "too-many-connections"
    for end in (end for pair in pairs for end in pair):
        end.close()

    assert not select.select([lane.target.listening], [], [], 0)[0]


# ---------------------------------------------------------------- the PROXY protocol


def proxy_header(wire):
    """Return the family, both addresses and ports, and the fields of the header that comes first."""
    fixed = read(wire, 16)
    assert fixed[:12] == b"\r\n\r\n\0\r\nQUIT\n"
    assert fixed[12] == 0x21
    family, size = struct.unpack("!BH", fixed[13:])
    block = read(wire, size)
    assert family == 0x11
    source, local = socket.inet_ntoa(block[:4]), socket.inet_ntoa(block[4:8])
    return (source, local, *struct.unpack("!HH", block[8:12])), block[12:]


@pytest.mark.parametrize("what", ["address", "tls", "certificate"])
def test_the_target_is_told_first_who_comes(lane, what):
    """Before any byte of the client's."""
    lane.listener["send_proxy"] = what
    lane.start()
    client, service = lane.pair()
    with client, service:
        client.send(b"hello")
        addresses, session = proxy_header(service)
        assert read(service, 5) == b"hello"
        assert addresses == ("127.0.0.1", "127.0.0.1", client.wire.getsockname()[1], lane.port)

    der = lane.client.certificate.public_bytes(Encoding.DER)
    assert (b"TLSv1.3" in session) is (what != "address")
    assert (b"\x22\x00\x08somebody" in session) is (what != "address")
    assert (der in session) is (what == "certificate")


def test_the_address_that_a_balancer_tells_is_passed_on(lane, until):
    """To the target, and into the line."""
    lane.listener |= {"send_proxy": "address", "proxy_protocol": {"from": ["127.0.0.1/32"]}}
    lane.start()
    first = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"
    client = lane.connect(first=first)
    with client, lane.target.accept() as service:
        assert proxy_header(service)[0] == ("192.0.2.7", "127.0.0.1", 4711, lane.port)
        client.end()
        service.close()
        assert client.rest() == (0, "notify")

    assert lane.line(until)["client"] == "192.0.2.7"


# ---------------------------------------------------------------- time


@pytest.mark.parametrize(
    ("times", "reason"),
    [({"idle": "1s"}, "tunnel-idle"), ({"half_close": "1s"}, "half-close-idle"), ({"life": "1s"}, "connection-life")],
)
def test_limits_end_a_connection_on_both_sides(lane, until, times, reason):
    """As a cut, for nobody has said that he is through."""
    lane.listener["timeouts"] = times
    lane.start()
    client, service = lane.pair()
    with client, service:
        if reason == "half-close-idle":
            service.shutdown(socket.SHUT_WR)
        service_end = rest(service)[1]
        client_end = client.rest()[1]
    line = lane.line(until)

    assert line["reason"] == reason
    assert line["duration_ms"] >= 1000
    assert service_end == "reset"
    assert client_end == ("notify" if reason == "half-close-idle" else "reset")


def test_a_word_now_and_then_keeps_it_open(lane, until):
    """The idle limit is about silence, not about age."""
    lane.listener["timeouts"] = {"idle": "3s"}
    lane.start()
    client, service = lane.pair()
    began = time.monotonic()
    with client, service:
        while time.monotonic() - began < 5:
            client.send(b"x")
            assert read(service, 1) == b"x"
            select.select([], [], [], 0.5)
        assert until(lambda: lane.running.metric('authproxy_tcp_connections{listener="repl"}')) == 1


def test_the_global_idle_limit_counts_where_the_listener_has_none(lane, until):
    lane.house.config["timeouts"]["tunnel_idle"] = "1s"
    lane.start()
    client, service = lane.pair()
    with client, service:
        assert rest(service)[1] == "reset"

    assert lane.line(until)["reason"] == "tunnel-idle"


# ---------------------------------------------------------------- drain and reload


def test_at_the_end_open_connections_may_finish(lane, until):
    """Nobody new comes in; who is through in time ends whole."""
    running = lane.start()
    client, service = lane.pair()
    with client, service:
        client.send(b"x")
        assert read(service, 1) == b"x"
        running.term()
        running.told("proxy.draining")
        until(lambda: lane.house.refuses(lane.port), what="no more is accepted")
        service.sendall(b"the rest")
        assert client.read(8) == b"the rest"
        client.end()
        service.close()
        assert client.rest() == (0, "notify")
        assert running.wait() == 0

    assert "reason" not in lane.line(until)
    assert running.events("proxy.stopped")[0]["cut"] == 0


def test_what_is_not_through_in_time_is_cut(lane, until):
    """After `timeouts.drain`, as a cut."""
    lane.house.config["timeouts"]["drain"] = "1s"
    running = lane.start()
    client, service = lane.pair()
    with client, service:
        running.term()
        assert rest(service) == (b"", "reset")
        assert client.rest() == (0, "reset")
        assert running.wait() == 0

    assert lane.line(until)["reason"] == "drained"
    assert running.events("proxy.stopped")[0]["cut"] == 1


def test_a_changed_target_counts_for_the_next_connection(lane):
    """Those that stand go on where they are."""
    running = lane.start()
    client, service = lane.pair()
    other = Target()
    lane.listener["target"] = f"127.0.0.1:{other.port}"
    lane.house.save()
    running.reload()
    with client, service, other.listening:
        with lane.connect() as later, other.accept() as elsewhere:
            later.send(b"new")
            assert read(elsewhere, 3) == b"new"
        client.send(b"old")
        assert read(service, 3) == b"old"


def test_a_removed_listener_takes_its_connections_with_it(lane, until):
    """Nobody new, and nobody who came by it."""
    running = lane.start()
    client, service = lane.pair()
    del lane.house.config["listeners"]["repl"]
    lane.house.save()
    running.reload()
    with client, service:
        assert rest(service) == (b"", "reset")
        assert client.rest() == (0, "reset")

    assert lane.house.refuses(lane.port)
    assert lane.line(until)["reason"] == "listener-removed"


def test_a_removed_authority_takes_its_connections_with_it(lane, until):
    """Within a second of the reload; another authority's go on."""
    pki = lane.house.pki
    lane.house.put("clients.pem", pki.root.certificate_pem() + pki.other.certificate_pem())
    lane.house.config["truststores"]["clients"] = {"file": "clients.pem"}
    lane.listener["client_certificates"]["trust"] = "clients"
    running = lane.start()
    lane.context = lane.house.trusting(pki.client("removed", pki.other))
    client, service = lane.pair()
    with client, service:
        client.send(b"x")
        assert read(service, 1) == b"x"
        lane.house.put("clients.pem", pki.root.certificate_pem())
        running.reload()
        began = time.monotonic()
        assert rest(service) == (b"", "reset")
        assert time.monotonic() - began < SOON

    assert lane.line(until)["reason"] == "revoked"


def test_a_denied_certificate_is_out(lane, until):
    """Its connections within a second, and it gets no new one: the target hears nothing of it."""
    lane.house.put("denied.txt", "")
    lane.house.config["truststores"]["clients"] = {"file": "ca.pem", "deny": "denied.txt"}
    lane.listener["client_certificates"]["trust"] = "clients"
    running = lane.start()
    client, service = lane.pair()
    with client, service:
        der = lane.client.certificate.public_bytes(Encoding.DER)
        lane.house.put("denied.txt", hashlib.sha256(der).hexdigest())
        mark = running.reload()
        began = time.monotonic()
        assert rest(service) == (b"", "reset")
        assert time.monotonic() - began < SOON
        with lane.connect() as again:
            assert again.rest() == (0, "notify")

    assert lane.line(until)["reason"] == "revoked"
    (told,) = running.told("handshake.refused", mark, listener="repl")
    assert told["reason"] == "certificate-denied"
    assert running.told("connection.revoked", mark, listener="repl", reason="certificate-denied")
    lane.target.listening.settimeout(0.0)
    with pytest.raises(BlockingIOError):
        lane.target.accept()


def test_a_listener_may_change_its_mode(lane):
    """From tcp to http on the same address, and back."""
    running = lane.start()
    tcp = dict(lane.listener)
    lane.house.config["listeners"]["repl"] = {"bind": tcp["bind"], "keystore": "main"}
    lane.house.save()
    running.reload()
    with lane.house.client(port=lane.port) as client:
        assert client.ask("/", lane.house.user).status == 200
    lane.house.config["listeners"]["repl"] = tcp
    lane.house.save()
    running.reload()
    client, service = lane.pair()
    with client, service:
        client.send(b"x")
        assert read(service, 1) == b"x"


def test_a_target_elsewhere_is_told_at_the_start_and_counted(lane):
    """An unsafe wish never goes unnoticed."""
    lane.listener |= {"target": "elsewhere.invalid:5432", "unsafe_remote_plaintext": True}
    running = lane.start()
    (told,) = running.told("unsafe.enabled")

    assert told["note"].endswith("listeners.repl.unsafe_remote_plaintext: in use")
    assert running.metric("authproxy_unsafe_settings") == 1


def test_a_configuration_of_tcp_alone_needs_nothing_else(lane):
    """No catalogs, zones, upstreams or routes."""
    config = lane.house.config
    for section in ("catalogs", "zones", "upstreams", "routes"):
        del config[section]
    del config["listeners"]["public"]
    lane.start()
    client, service = lane.pair()
    with client, service:
        client.send(b"x")
        assert read(service, 1) == b"x"
