"""Where certificates are asked for, a connection serves the hosts that its handshake was for, and no others."""

import socket

import pytest

pytestmark = [pytest.mark.promise, pytest.mark.timeout(120)]


@pytest.fixture
def named(house, pki):
    """Two keystores by name; certificates are asked for."""
    for name in ("site", "wild"):
        house.put_pair(name, pki.server("site.test" if name == "site" else "*.wild.test", "localhost"))
        house.config["keystores"][name] = {"certificate": f"{name}.pem", "key": f"{name}.key"}
    house.config["listeners"]["public"] |= {
        "sni": {"site.test": "site", "*.wild.test": "wild", "too.wild.test": "wild"},
        "client_certificates": {"mode": "optional", "trust": "ca"},
    }
    return house


def status(house, asked, host):
    """What a request for `host` gets on a connection whose handshake was for `asked`."""
    context = house.trusting()
    context.check_hostname = False
    with (
        socket.create_connection(("127.0.0.1", house.port)) as wire,
        context.wrap_socket(wire, server_hostname=asked) as tls,
    ):
        tls.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {house.user.token}\r\n\r\n".encode())
        return int(tls.recv(4096).split()[1])


ROWS = [
    ("site.test", "site.test", 200),
    ("site.test", "SITE.test:8443", 200),
    ("site.test", "localhost", 421),
    ("site.test", "a.wild.test", 421),
    ("a.wild.test", "b.wild.test", 200),
    ("a.wild.test", "too.wild.test", 200),
    ("a.wild.test", "site.test", 421),
    ("localhost", "site.test", 421),
    ("localhost", "unknown.test", 200),
    (None, "localhost", 200),
    (None, "site.test", 421),
]


def test_the_host_is_one_of_its_handshake_s(named):
    """The same keystore is the same server; anything else is misdirected, and without a name it is the default's."""
    running = named.start()
    came = [(asked, host, status(named, asked, host)) for asked, host, _ in ROWS]

    assert came == ROWS
    assert running.metric('authproxy_refusals_total{reason="other-server-name",route="",zone=""}') == 5


def test_where_no_certificate_is_asked_for_it_does_not_matter(named):
    """Clients may use a connection for every host that its certificate covers."""
    named.config["listeners"]["public"]["client_certificates"] = {"mode": "none"}
    named.start()

    assert status(named, "site.test", "localhost") == 200
