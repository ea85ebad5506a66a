"""Who may shake hands, and which certificate is shown to whom."""

import contextlib
import http.client
import socket
import ssl
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.keystore import generate as keys
from tests.keystore.conftest import CLIENT_AUTH, SIGNS, issue
from tests.patience import PATIENCE
from tests.promises.conftest import Client

pytestmark = [pytest.mark.promise, pytest.mark.timeout(120)]
__all__ = ["issue"]


@pytest.fixture
def demanding(house):
    """The listener demands client certificates of the root."""
    house.config["listeners"]["public"]["client_certificates"] = {"mode": "required", "trust": "ca"}
    return house


@pytest.fixture
def s_client(house, tool):
    """`s_client(shows, *options)` asks with `openssl s_client`; returns what it printed, and its exit code."""

    def run(shows, *options):
        command = [tool("openssl"), "s_client", "-connect", f"127.0.0.1:{house.port}", "-CAfile", "ca.pem"]
        command += ["-servername", "localhost", "-ign_eof", "-verify_return_error", *options]
        if shows is not None:
            house.put("shows.pem", keys.combined_file(shows))
            command += ["-cert", "shows.pem", "-key", "shows.pem"]
        request = f"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {house.user.token}\r\nConnection: close\r\n\r\n"
        done = subprocess.run(
            command, cwd=house.directory, input=request, capture_output=True, text=True, timeout=20, check=False
        )
        return done.stdout + done.stderr, done.returncode

    return run


def test_openssl_with_the_right_certificate_passes(demanding, pki, s_client):
    """A certificate of the trusted authority, and a token: 200."""
    demanding.start()
    said, code = s_client(pki.client("somebody"))

    assert "HTTP/1.1 200" in said
    assert "Verify return code: 0 (ok)" in said
    assert code == 0


def test_openssl_without_a_certificate_is_told_why(demanding, s_client):
    """The alert says `certificate required`; no request passes."""
    running = demanding.start()
    said, _ = s_client(None)

    assert "alert certificate required" in said
    assert "HTTP/1.1" not in said
    assert running.metric('authproxy_handshakes_total{listener="public",result="no-certificate"}') == 1


def test_openssl_with_a_stranger_s_certificate_is_told_why(demanding, pki, s_client):
    """The alert says `unknown ca`."""
    running = demanding.start()
    said, _ = s_client(pki.client("stranger", pki.other))

    assert "alert unknown ca" in said
    assert "HTTP/1.1" not in said
    assert running.metric('authproxy_handshakes_total{listener="public",result="certificate-refused"}') == 1
    assert running.told("handshake.failed")


def test_a_server_s_certificate_is_no_client_s(demanding, pki, s_client):
    """A key that was made for a server does not open the door."""
    demanding.start()
    said, _ = s_client(pki.server("localhost"))

    assert "alert" in said
    assert "HTTP/1.1" not in said


def test_the_oldest_version_is_1_3_where_certificates_are_demanded(demanding, pki, s_client):
    """TLS 1.2 is refused by default, because its sessions could be resumed without the certificate."""
    demanding.start()
    said, _ = s_client(pki.client("somebody"), "-tls1_2")

    assert "alert protocol version" in said


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_removed_authority_s_session_is_not_resumed(demanding, pki, s_client, version):
    """Whoever kept a session from before a reload that removed its authority does not get in with it."""
    demanding.put("clients.pem", pki.root.certificate_pem() + pki.other.certificate_pem(), 0o644)
    demanding.config["truststores"]["clients"] = {"file": "clients.pem"}
    demanding.config["listeners"]["public"] |= {
        "tls": {"minimum": "1.2"},
        "client_certificates": {"mode": "required", "trust": "clients"},
    }
    running = demanding.start()
    removed = pki.client("removed", pki.other)
    session = demanding.directory / "session.pem"
    first, _ = s_client(removed, version, "-sess_out", str(session))
    assert "HTTP/1.1 200" in first
    demanding.put("clients.pem", pki.root.certificate_pem(), 0o644)
    running.reload()
    said, _ = s_client(removed, version, *(("-sess_in", str(session)) if session.exists() else ()))

    assert "HTTP/1.1 200" not in said


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_an_expired_certificate_s_session_is_not_resumed(demanding, pki, s_client, until, version):
    """A session outlives no certificate: once that has expired, resuming is refused like a fresh handshake."""
    demanding.config["listeners"]["public"]["tls"] = {"minimum": "1.2"}
    running = demanding.start()
    now = datetime.now(UTC)
    validity = keys.Validity(begin=now - timedelta(hours=1), end=now + timedelta(seconds=6))
    short = keys.new_client(pki.root, "short-lived", validity, keys.Algorithm.EC_P256)
    session = demanding.directory / "session.pem"
    first, _ = s_client(short, version, "-sess_out", str(session))
    assert "HTTP/1.1 200" in first
    until(lambda: datetime.now(UTC) > now + timedelta(seconds=7), what="the certificate has expired")
    said, _ = s_client(short, version, *(("-sess_in", str(session)) if session.exists() else ()))

    assert "HTTP/1.1 200" not in said
    assert running.process.poll() is None


def test_a_certificate_does_not_stand_in_for_a_token(demanding, pki):
    """The right certificate without a token is 401, with a token 200."""
    demanding.start()
    with demanding.client(shows=pki.client("somebody")) as client:
        assert client.ask("/").status == 401
        assert client.ask("/", demanding.user).status == 200


@pytest.mark.parametrize("minimum", ["1.2", "1.3"])
def test_a_chain_is_no_longer_than_the_listener_allows(house, issue, minimum, until):
    """One intermediate by default; a longer one is refused and told, and is let in where `intermediates` says so."""
    root = issue("client root", None, SIGNS)
    first = issue("first", root, SIGNS)
    second = issue("second", first, SIGNS)
    house.put("clients.pem", root.cert_pem.encode())
    house.config["truststores"]["clients"] = {"file": "clients.pem"}
    rules: dict[str, object] = {"mode": "required", "trust": "clients"}
    house.config["listeners"]["public"] |= {"tls": {"minimum": minimum}, "client_certificates": rules}
    running = house.start()
    chains = {1: (issue("short", first, CLIENT_AUTH), first), 2: (issue("long", second, CLIENT_AUTH), second, first)}

    def status(length):
        own, *authorities = chains[length]
        pem = "".join([own.key_pem(), own.cert_pem, *(one.cert_pem for one in authorities)])
        context = house.trusting()
        context.load_cert_chain(house.put("chain.pem", pem.encode()))
        if minimum == "1.2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        try:
            with Client(house.port, context) as client:
                return client.ask("/", house.user).status
        except (OSError, http.client.HTTPException):
            return None

    assert (status(1), status(2)) == (200, None)
    told = until(lambda: running.told("handshake.refused"))
    assert [line["reason"] for line in told] == ["certificate-chain-too-long"]
    assert "subject CN=long" in told[0]["error"]

    rules["intermediates"] = 2
    house.save()
    running.reload()

    assert (status(1), status(2)) == (200, 200)


def refused(house, shows):
    """The alert with which a client is refused (TLS 1.3: at its first read)."""
    with pytest.raises(ssl.SSLError) as error, house.client(shows=shows) as client:
        client.ask("/", house.user)
    return error.value.reason


def test_python_clients_see_the_alerts(demanding, pki):
    """Each cause has its own: none, a stranger's."""
    demanding.start()

    assert refused(demanding, None) == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    assert refused(demanding, pki.client("stranger", pki.other)) == "TLSV1_ALERT_UNKNOWN_CA"


def test_an_optional_certificate_may_be_missing_but_not_wrong(house, pki):
    """None passes, the right one passes, a stranger's does not."""
    house.config["listeners"]["public"]["client_certificates"] = {"mode": "optional", "trust": "ca"}
    house.start()

    for shows in (None, pki.client("somebody")):
        with house.client(shows=shows) as client:
            assert client.ask("/", house.user).status == 200
            assert client.ask("/").status == 401
    assert refused(house, pki.client("stranger", pki.other)) == "TLSV1_ALERT_UNKNOWN_CA"


@pytest.mark.parametrize("change", ["other authority", "required"])
def test_a_kept_connection_ends_with_the_trust_it_was_made_by(house, pki, change):
    """Whoever could not connect now is served no longer; whoever could goes on undisturbed."""
    own, stranger = pki.other, pki.root
    rules: dict[str, object] = {"mode": "required", "trust": "clients"}
    shows = pki.client("somebody", own)
    if change == "required":
        rules["mode"], shows = "optional", None
    house.put("clients.pem", own.certificate_pem())
    house.config["truststores"]["clients"] = {"file": "clients.pem"}
    house.config["listeners"]["public"]["client_certificates"] = rules
    running = house.start()
    with house.client(shows=shows) as kept, house.client(shows=shows) as idle:
        assert kept.ask("/", house.user).status == idle.ask("/", house.user).status == 200
        house.put("clients.pem", own.certificate_pem() + stranger.certificate_pem())
        running.reload()
        assert kept.ask("/", house.user).status == 200
        if change == "required":
            rules["mode"] = "required"
            house.save()
        else:
            house.put("clients.pem", stranger.certificate_pem())
        running.reload()
        assert idle.wire.recv(1) == b""
        kept.auto_open = 0
        with pytest.raises((OSError, http.client.HTTPException)):
            kept.ask("/", house.user)


def test_each_listener_has_its_own_demands(house, pki, free_port):
    """A listener that demands certificates does not lend its strictness to another, nor the other its laxness."""
    second = free_port()
    house.config["listeners"]["strict"] = {
        "bind": f"127.0.0.1:{second}",
        "keystore": "main",
        "client_certificates": {"mode": "required", "trust": "ca"},
    }
    house.start()

    assert house.ask("/", house.user).status == 200
    with pytest.raises(ssl.SSLError), house.client(port=second) as client:
        client.ask("/", house.user)
    with house.client(port=second, shows=pki.client("somebody")) as client:
        assert client.ask("/", house.user).status == 200


def test_a_keys_file_brings_its_own_trust(house, pki):
    """An nREPL keys file with `trust` of its own root: its other leaf may come in."""
    house.put("server.keys", keys.keys_file(pki.root, pki.server()))
    house.config["keystores"]["main"] = {"file": "server.keys"}
    house.config["listeners"]["public"]["client_certificates"] = {"mode": "required", "trust": "ca"}
    house.start()

    with house.client(shows=pki.client("somebody")) as client:
        assert client.ask("/", house.user).status == 200


@pytest.fixture
def named(house, pki):
    """Three keystores: for one name, for all names of a domain, and for the rest."""
    shown = {"main": house.leaf, "exact": pki.server("exact.test"), "wild": pki.server("*.wild.test")}
    for name in ("exact", "wild"):
        house.put_pair(name, shown[name])
        house.config["keystores"][name] = {"certificate": f"{name}.pem", "key": f"{name}.key"}
    house.config["listeners"]["public"]["sni"] = {"exact.test": "exact", "*.wild.test": "wild"}
    house.start()
    return house, {name: issued.certificate.public_bytes(Encoding.DER) for name, issued in shown.items()}


def shown_for(house, name, context=None):
    """The certificate shown to a client that asks for `name`, whatever it says."""
    if context is None:
        context = house.trusting()
        context.check_hostname = False
    with (
        socket.create_connection(("127.0.0.1", house.port)) as wire,
        context.wrap_socket(wire, server_hostname=name) as tls,
    ):
        return tls.getpeercert(binary_form=True)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("exact.test", "exact"),
        ("EXACT.Test", "exact"),
        ("a.wild.test", "wild"),
        ("wild.test", "main"),
        ("a.b.wild.test", "main"),
        ("other.exact.test", "main"),
        ("localhost", "main"),
        (None, "main"),
    ],
)
def test_the_name_picks_the_keystore(named, asked, expected):
    """An exact name, one label under a wildcard; everything else, and no name at all, gets the default."""
    house, ders = named

    assert shown_for(house, asked) == ders[expected]


def test_a_hello_in_pieces_is_understood(named):
    """A ClientHello that arrives byte by byte picks the same keystore."""
    house, ders = named
    context = house.trusting()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="exact.test")
    with socket.create_connection(("127.0.0.1", house.port)) as wire:
        wire.settimeout(PATIENCE)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                for byte in outgoing.read():
                    wire.send(bytes((byte,)))
                incoming.write(wire.recv(65536))
            else:
                break

    assert tls.getpeercert(binary_form=True) == ders["exact"]


@pytest.mark.parametrize(
    "first",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x00" * 64, b"\x16"],
    ids=["http", "broken-hello", "zeros", "cut"],
)
def test_what_is_no_tls_is_closed_and_counted(named, first):
    """Nothing of it reaches anybody, and others are not disturbed."""
    house, _ = named
    running = house._running[0]
    with socket.create_connection(("127.0.0.1", house.port)) as wire:
        wire.settimeout(PATIENCE)
        wire.sendall(first)
        said = b""
        # Where the first bytes tell already, it may be cut before the half-close.
        with contextlib.suppress(OSError):
            wire.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            said = wire.recv(100)

    assert b"HTTP/1.1 200" not in said
    assert house.ask("/", house.user).status == 200
    assert running.told("handshake.failed")


def test_a_silent_client_holds_nobody_up(named):
    """Connections that never say a word do not delay the handshakes of others."""
    house, ders = named
    silent = [socket.create_connection(("127.0.0.1", house.port)) for _ in range(50)]
    try:
        assert shown_for(house, "exact.test") == ders["exact"]
    finally:
        for wire in silent:
            wire.close()


def test_ops_trust_follows_a_reload(house, pki, free_port):
    """An authority that was removed is out on the ops address as well."""
    house.put("askers.pem", pki.root.certificate_pem() + pki.other.certificate_pem(), 0o644)
    house.config["truststores"]["askers"] = {"file": "askers.pem"}
    running = house.start()
    # From here on, `running.ops` cannot ask: it shows no certificate.
    house.config["ops"] |= {"keystore": "main", "client_certificates": {"mode": "required", "trust": "askers"}}
    house.save()
    running.reload()
    removed = pki.client("removed", pki.other)

    def asks(shows):
        try:
            with house.client(port=house.ops_port, shows=shows) as client:
                return client.ask("/livez").status == 200
        except OSError:
            return False

    assert asks(removed)
    house.put("askers.pem", pki.root.certificate_pem(), 0o644)
    running.reload()

    assert asks(pki.client("asker"))
    assert not asks(removed)
