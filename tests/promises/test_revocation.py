"""Whoever is shut out by a reload is out: at the next handshake, and on the connections that stand. Nobody else notices."""

import contextlib
import http.client
import secrets
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from authproxy.keystore import certificate_names
from authproxy.keystore import generate as keys
from tests.keystore.revocation import crl_of, der, pem
from tests.patience import PATIENCE, SOON

pytestmark = [pytest.mark.promise, pytest.mark.timeout(120)]
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def crl(authority, *revoked, **dates):
    return pem(crl_of(authority, *revoked, now=datetime.now(UTC).replace(microsecond=0), **dates))


class Matrix:
    """One who will be shut out, one who will not, and the reloads that do it."""

    def __init__(self, house, pki):
        self.house, self.pki = house, pki
        self.good, self.bad = pki.client("good"), pki.client("bad", pki.other)
        house.put("clients.pem", pki.root.certificate_pem() + pki.other.certificate_pem(), 0o644)
        house.put("clients.crl", crl(pki.root) + crl(pki.other), 0o644)
        house.put("denied.txt", "# nobody\n", 0o644)
        house.config["truststores"]["clients"] = {"file": "clients.pem", "deny": "denied.txt"}
        house.config["listeners"]["public"] |= {
            "tls": {"minimum": "1.2"},
            "client_certificates": {"mode": "required", "trust": "clients"},
        }

    def authority_removed(self):
        self.house.put("clients.pem", self.pki.root.certificate_pem(), 0o644)

    def crl_added(self):
        self.house.put("clients.crl", crl(self.pki.root) + crl(self.pki.other, self.bad), 0o644)
        self.house.config["truststores"]["clients"]["crls"] = ["clients.crl"]
        self.house.save()

    def certificate_denied(self):
        self.house.put("denied.txt", certificate_names(der(self.bad)[0]).fingerprint + "\n", 0o644)

    def key_denied(self):
        self.house.put("denied.txt", f"spki:{certificate_names(der(self.bad)[0]).spki}\n", 0o644)

    def rule_taken_away(self):
        self.house.config["listeners"]["public"]["client_certificates"]["allow"] = [{"cn": "nobody"}, {"cn": "good"}]
        self.house.save()

    def certificates_demanded(self):
        self.house.config["listeners"]["public"]["client_certificates"]["mode"] = "required"
        self.house.save()


CHANGES = {
    "authority_removed": "certificate-untrusted",
    "crl_added": "certificate-revoked",
    "certificate_denied": "certificate-denied",
    "key_denied": "certificate-denied",
    "rule_taken_away": "certificate-not-allowed",
    "certificates_demanded": "no-certificate",
}


@pytest.fixture
def matrix(house, pki):
    return Matrix(house, pki)


def contexts_of(matrix, version, change):
    """The contexts of the one who stays and the one who goes."""
    shown = matrix.good, None if change == "certificates_demanded" else matrix.bad
    made = [matrix.house.trusting(one) for one in shown]
    for context in made:
        context.maximum_version = context.minimum_version = version
    if change == "certificates_demanded":
        matrix.house.config["listeners"]["public"]["client_certificates"]["mode"] = "optional"
    return made


def connect(house, context, session=None):
    """A connection over TLS; the session is resumed where the server lets it."""
    client = house.client()
    client._tls = context
    client.connect()
    if session is not None:
        client.close()
        raw = socket.create_connection(("127.0.0.1", house.port), 20)
        client.sock = context.wrap_socket(raw, server_hostname="localhost", session=session)
    return client


def in_flight(client, user, gate):
    """Ask for something that takes until the gate opens."""
    client.request("GET", f"/slow/{gate}", headers={"Authorization": f"Bearer {user.token}"})
    return client


def upgraded(client, user):
    """A WebSocket, open."""
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    client.wire.sendall(
        f"GET /ws/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {user.token}\r\nConnection: Upgrade\r\n"
        f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    said = b""
    while b"\r\n\r\n" not in said:
        said += client.wire.recv(4096)
    assert said.startswith(b"HTTP/1.1 101"), said
    return client


def echo(client, text):
    """What comes back on a WebSocket."""
    mask = secrets.token_bytes(4)
    client.wire.sendall(bytes((0x81, 0x80 | len(text))) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(text)))
    return client.wire.recv(100)[2:]


def ending_of(client):
    """What still comes before the connection ends, and how long that takes."""
    began, said = time.monotonic(), b""
    client.wire.settimeout(PATIENCE)
    with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
        while piece := client.wire.recv(4096):
            said += piece
    return said, time.monotonic() - began


def is_refused(house, user, context, session=None):
    """Whether a new connection brings no answer."""
    try:
        with contextlib.closing(connect(house, context, session)) as client:
            return client.ask("/", user).status != 200
    except (OSError, http.client.HTTPException):
        return True


@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
@pytest.mark.parametrize("change", CHANGES)
def test_who_is_shut_out_is_out_and_nobody_else_notices(matrix, service, change, version):
    """Idle, in the middle of an answer, on a WebSocket, and with the session of an earlier handshake."""
    house = matrix.house
    stays, goes = contexts_of(matrix, version, change)
    running = house.start()
    user = house.user
    with contextlib.ExitStack() as stack:

        def opened(context):
            client = stack.enter_context(contextlib.closing(connect(house, context)))
            assert client.ask("/", user).status == 200
            return client

        kept, idle = opened(stays), opened(goes)
        kept_busy, busy = in_flight(opened(stays), user, "kept"), in_flight(opened(goes), user, "never")
        kept_socket, tunnel = upgraded(opened(stays), user), upgraded(opened(goes), user)
        assert echo(tunnel, b"before") == b"before"
        sessions = kept.wire.session, idle.wire.session
        getattr(matrix, change)()
        mark = running.reload()
        endings = [ending_of(one) for one in (idle, tunnel, busy)]

        # Seen one after the other, all have ended by then.
        assert sum(took for _, took in endings) < SOON
        assert endings[0][0] == endings[2][0] == b""
        assert endings[1][0] == bytes((0x88, 2)) + (1008).to_bytes(2, "big")
        assert is_refused(house, user, goes)
        assert is_refused(house, user, goes, sessions[1])
        assert kept.ask("/", user).status == 200
        service.gate("kept").set()
        assert kept_busy.getresponse().read() == b"slow but whole"
        assert echo(kept_socket, b"after") == b"after"
        assert not is_refused(house, user, stays, sessions[0])
    reason = CHANGES[change]
    assert len(running.told("connection.revoked", mark, reason=reason)) == 3
    assert running.metric(f'authproxy_connections_revoked_total{{listener="public",reason="{reason}"}}') == 3
    service.gate("never").set()


def test_who_is_shut_out_may_be_kept(matrix):
    """With `on_revoke: keep` what stands goes on; the next handshake obeys all the same."""
    house, user = matrix.house, matrix.house.user
    house.config["listeners"]["public"]["client_certificates"]["on_revoke"] = "keep"
    context = house.trusting(matrix.bad)
    running = house.start()
    with contextlib.closing(connect(house, context)) as kept:
        assert kept.ask("/", user).status == 200
        matrix.certificate_denied()
        mark = running.reload()

        assert is_refused(house, user, context)
        running.told("handshake.refused", mark, reason="certificate-denied")
        assert kept.ask("/", user).status == 200
    assert not running.events("connection.revoked")


def test_nobody_is_heard_before_he_is_let_in(house, pki):
    """The connection of somebody whom no rule admits ends without an answer, and the log says whose it was."""
    house.config["listeners"]["public"]["client_certificates"] = {
        "mode": "optional", "trust": "ca", "allow": [{"cn": "somebody", "issuer": "CN=the root"}, {"ou": "elsewhere"}],
    }  # fmt: skip
    running = house.start()
    for shows, expected in ((pki.client("somebody"), 200), (None, 200), (pki.client("anybody"), None)):
        if expected:
            with house.client(shows=shows) as client:
                assert client.ask("/", house.user).status == expected
            continue
        with house.client(shows=shows) as client:
            client.connect()
            client.wire.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.wire.recv(100) == b""
    (told,) = running.told("handshake.refused")
    assert told["reason"] == "certificate-not-allowed"
    assert certificate_names(der(shows)[0]).fingerprint in told["error"]
    assert running.metric('authproxy_handshakes_total{listener="public",result="certificate-not-allowed"}') == 1
    assert running.metric('authproxy_handshakes_total{listener="public",result="ok"}') == 2


@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
def test_another_kind_of_key_is_shown_at_once(house, pki, version):
    """EC to RSA and back: the next handshake shows it, connections that stand go on."""
    running = house.start()
    context = house.trusting()
    context.maximum_version = context.minimum_version = version
    now = datetime.now(UTC)
    names = [keys.alternative_name("localhost")]
    other = keys.new_server(pki.root, names, keys.Validity.of_days(now, 5), keys.Algorithm.RSA)
    with contextlib.closing(connect(house, context)) as before:
        assert before.ask("/", house.user).status == 200
        session = before.wire.session
        for issued in (other, house.leaf):
            house.put_pair("server", issued)
            running.reload()
            with contextlib.closing(connect(house, context, session)) as after:
                assert after.shown == der(issued)[0]
                assert after.ask("/", house.user).status == 200
            assert before.ask("/", house.user).status == 200


BAD = {
    "missing crl": (lambda house, pki: (house.directory / "clients.crl").unlink(), "clients.crl: there is no such file"),
    "expired crl": (
        lambda house, pki: house.put("clients.crl", crl(pki.root, begin=timedelta(-2), end=timedelta(-1)), 0o644),
        "the list expired on",
    ),
    "early crl": (
        lambda house, pki: house.put("clients.crl", crl(pki.root, begin=timedelta(1), end=timedelta(2)), 0o644),
        "not valid before",
    ),
    "a stranger's crl": (
        lambda house, pki: house.put("clients.crl", crl(pki.other), 0o644), "no certificate of this truststore"
    ),
    "a forged crl": (
        lambda house, pki: house.put("clients.crl", crl(pki.root, key=pki.other.key), 0o644), "its signature is not by"
    ),
    "a garbled crl": (lambda house, pki: house.put("clients.crl", "garbage", 0o644), "no X509 CRL block"),
    "a garbled deny list": (lambda house, pki: house.put("denied.txt", "\nnonsense\n", 0o644), "denied.txt:2: must be"),
    "missing deny list": (lambda house, pki: (house.directory / "denied.txt").unlink(), "denied.txt: there is no such"),
    "missing bundle": (lambda house, pki: (house.directory / "clients.pem").unlink(), "clients.pem: there is no such"),
    "empty bundle": (lambda house, pki: house.put("clients.pem", b"", 0o644), "no CERTIFICATE block"),
    "garbled bundle": (
        lambda house, pki: house.put("clients.pem", pki.root.certificate_pem()[:200], 0o644), "the text is cut off"
    ),
}  # fmt: skip


@pytest.fixture
def careful(matrix):
    """Everything that can say whom not to believe, of one authority."""
    house, pki = matrix.house, matrix.pki
    house.put("clients.pem", pki.root.certificate_pem(), 0o644)
    house.put("clients.crl", crl(pki.root), 0o644)
    house.config["truststores"]["clients"]["crls"] = ["clients.crl"]
    return matrix


@pytest.mark.parametrize("bad", BAD)
def test_bad_trust_is_refused_and_the_old_stays(careful, bad):
    """At a start nothing listens, and the code is 78; at a reload the old trust stays at work. Never the system's."""
    house = careful.house
    spoil, said = BAD[bad]
    running = house.start()
    spoil(house, careful.pki)
    mark = running.reload()
    (told,) = running.told("reload.rejected", mark, part="trust")

    assert said in told["error"]
    assert "truststores.clients" in told["error"]
    assert not is_refused(house, house.user, house.trusting(careful.good))
    assert is_refused(house, house.user, house.trusting(careful.bad))
    running.term()
    assert running.wait() == 0
    again = house.spawn()
    assert again.wait() == 78
    assert said in again.stderr()


@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
def test_a_list_that_expires_at_work_shuts_everybody_out(careful, version, until):
    """Until a new one comes: then everybody is let in again. A session from before does not help."""
    house, user = careful.house, careful.house.user
    context = house.trusting(careful.good)
    context.maximum_version = context.minimum_version = version
    running = house.start()
    short = datetime.now(UTC).replace(microsecond=0)
    house.put("clients.crl", pem(crl_of(careful.pki.root, now=short, end=timedelta(seconds=6))), 0o644)
    running.reload()
    with contextlib.closing(connect(house, context)) as kept:
        assert kept.ask("/", user).status == 200
        session = kept.wire.session
        until(lambda: datetime.now(UTC) > short + timedelta(seconds=6), what="the end of the list")

        assert is_refused(house, user, context)
        assert is_refused(house, user, context, session)
        # It was let in while the list was in force, and no reload has come since.
        assert kept.ask("/", user).status == 200
    house.put("clients.crl", crl(careful.pki.root), 0o644)
    running.reload()
    assert not is_refused(house, user, context)


def test_the_listener_s_own_certificate_opens_nothing(house, pki):
    """Also where its usages would fit: whoever has that key could be anybody."""
    now = datetime.now(UTC)
    own = keys.new_server(
        pki.root, [keys.alternative_name("localhost")], keys.Validity.of_days(now, 5), keys.Algorithm.EC_P256
    )
    client = keys.new_client(pki.root, "twin", keys.Validity.of_days(now, 5), keys.Algorithm.EC_P256)
    house.put_pair("server", own)
    house.config["listeners"]["public"]["client_certificates"] = {"mode": "required", "trust": "ca"}
    running = house.start()
    assert not is_refused(house, house.user, house.trusting(client))
    # The same key under a server's certificate from now on: the client's own key is the listener's.
    again = keys.Issued(certificate=keys_for(pki, client), key=client.key)
    house.put_pair("server", again)
    running.reload()

    assert is_refused(house, house.user, house.trusting(client))
    (told,) = running.told("handshake.refused")
    assert told["reason"] == "certificate-of-this-proxy"
    assert running.metric('authproxy_handshakes_total{listener="public",result="certificate-of-this-proxy"}') == 1


def keys_for(pki, issued):
    """A server's certificate for somebody's key."""
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder(
        pki.root.certificate.subject, name, issued.key.public_key(), x509.random_serial_number(),
        now - timedelta(hours=1), now + timedelta(days=1),
    )  # fmt: skip
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    # Clients of Python 3.13 follow RFC 5280 to the letter (4.2.1.1), and would refuse it before they are refused.
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(pki.root.key.public_key())
    return builder.add_extension(issuer, critical=False).sign(pki.root.key, hashes.SHA256())


def test_a_denied_server_gets_no_request(house, service):
    """A deny list, and a revocation list, of an upstream's truststore count for the upstream: 502, and nothing is sent."""
    house.put("denied.txt", "", 0o644)
    house.config["truststores"]["ca"] |= {"deny": "denied.txt"}
    running = house.start()
    assert house.ask("/", house.user).status == 200
    shown = ssl.get_server_certificate(("127.0.0.1", service.port))
    fingerprint = certificate_names(ssl.PEM_cert_to_DER_cert(shown)).fingerprint
    seen = len(service.seen)
    house.put("denied.txt", fingerprint, 0o644)
    running.reload()
    answer = house.ask("/", house.user)

    assert answer.status == 502
    line = running.access(answer)
    assert line["reason"] == "upstream-unverified"
    assert fingerprint in line["error"]
    assert len(service.seen) == seen
    house.put("denied.txt", "", 0o644)
    house.put("ca.crl", crl(house.pki.root), 0o644)
    house.config["truststores"]["ca"]["crls"] = "ca.crl"
    house.save()
    running.reload()
    assert house.ask("/", house.user).status == 200
    serial = ssl.PEM_cert_to_DER_cert(shown)
    house.put("ca.crl", revoking(house.pki.root, serial), 0o644)
    running.reload()
    answer = house.ask("/", house.user)
    assert answer.status == 502
    assert "certificate revoked" in running.access(answer)["error"]


def revoking(authority, shown):
    """A list that names a certificate in DER."""

    class One:
        certificate = x509.load_der_x509_certificate(shown)

    return crl(authority, One)


def test_ops_asks_the_same(house, pki, until):
    """Whoever is denied gets no metrics either."""
    house.put("denied.txt", "", 0o644)
    house.config["truststores"]["askers"] = {"file": "ca.pem", "deny": "denied.txt"}
    running = house.start()
    house.config["ops"] |= {"keystore": "main", "client_certificates": {"mode": "required", "trust": "askers"}}
    house.save()
    running.reload()
    asker, denied = pki.client("asker"), pki.client("denied")

    def status(shows):
        # It is opened anew after a reload, a moment after that is told.
        with contextlib.suppress(OSError), house.client(port=house.ops_port, shows=shows) as client:
            return client.ask("/metrics").status
        return 0

    assert until(lambda: status(asker) == status(denied) == 200)
    house.put("denied.txt", certificate_names(der(denied)[0]).fingerprint, 0o644)
    running.reload()

    assert until(lambda: (status(asker), status(denied)) == (200, 403))
    assert running.told("handshake.refused", listener="ops", reason="certificate-denied")
