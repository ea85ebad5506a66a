"""What deploy/compose.yaml and its README promise, kept by containers that were started from those very files."""

import base64
import hashlib
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate

from tests.deploy.composed import PAGE, STRANGER, Load, composed, until
from tests.promises.chromium import chromium, opened

pytestmark = pytest.mark.timeout(300)
FORGED = {
    "X_Authproxy_User": "550e8400-e29b-41d4-a716-446655440000",
    "Remote_User": "root",
    "X_Authproxy_Groups": "admins",
    "X_Forwarded_User": "root",
}
USER = "10001"
# What a person does who has copied the token.
PASTE = """
  const data = new DataTransfer();
  data.setData("text/plain", %r);
  document.getElementById("user-id").dispatchEvent(
    new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}))"""


@pytest.fixture(scope="module")
def house(docker, tool, tmp_path_factory):
    """One installation for all tests here; each leaves it running."""
    with composed(tool("docker-compose"), tmp_path_factory.mktemp("compose") / "deploy", "compose.yaml") as running:
        yield running


def secrets(house):
    """A fingerprint of every file that was made."""
    folder = house.folder / "secrets"
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def test_everything_is_healthy(house):
    """The first `up` ends with keys made and both services healthy."""
    keys = house.state("keys")["State"]

    assert (keys["Status"], keys["ExitCode"]) == ("exited", 0)
    assert {house.state(name)["State"]["Health"]["Status"] for name in ("proxy", "legacy")} == {"healthy"}


def test_a_token_lets_in_and_nothing_else_does(house):
    """200 with the token of the first start, 401 without one and with another."""
    client = house.client()

    assert client.ask("/hello", Authorization=house.bearer).seen["hello"] == "alice"
    assert client.ask("/hello").status == 401
    assert client.ask("/hello", Authorization="Bearer web_1_AAAA").status == 401


def test_an_identity_cannot_be_forged(house):
    """Whatever a client says of itself is gone, in both spellings, and the truth is there once."""
    spelled_oddly = {"X_Authproxy_User": FORGED["X_Authproxy_User"], "remote_user": "root"}
    connection = house.client().connect()
    connection.putrequest("GET", "/who")
    connection.putheader("Authorization", house.bearer)
    for name, value in (FORGED | spelled_oddly).items():
        connection.putheader(name.replace("_", "-"), value)
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()

    assert response.status == 200
    assert '"Remote-User": "alice"' in text
    assert '"X-Authproxy-Groups": "staff"' in text
    assert not any(value in text for value in FORGED.values())


@pytest.mark.parametrize("service", ["proxy", "legacy"])
def test_a_container_may_do_nothing_more_than_it_must(house, service):
    """Not root, no capability, none to be gained, and a root that cannot be written to."""
    told = house.inside(
        service,
        "import os; print(*[line for line in open('/proc/1/status') if line[:6] in ('Uid:\\t1', 'CapEff', 'CapBnd', 'NoNewP')])\n"
        "for place in ('/', '/tmp', '/etc', '/opt', '/usr/bin', '/var'):\n"
        "    try: open(place + '/written', 'x'); print('could write to', place)\n"
        "    except OSError: pass",
    )
    facts = dict(line.split(":\t") for line in told.replace("\n ", "\n").strip().splitlines())

    assert facts.pop("Uid").split("\t")[0] == (USER if service == "proxy" else "10002")
    assert facts == {"CapEff": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1"}
    assert house.state(service)["HostConfig"]["ReadonlyRootfs"] is True


def test_the_service_is_reached_through_the_proxy_alone(house, docker):
    """It has no port, its network leads nowhere, and who gets onto that network is not let in without a certificate."""
    legacy = house.state("legacy")
    (place,) = legacy["NetworkSettings"]["Networks"].values()
    outside = "import socket; socket.create_connection(('{}', 9443), 3)".format(place["IPAddress"])
    # Says nothing first, so that what the service says to that can be read.
    inside = (
        "import socket, ssl; s = socket.create_connection(('legacy', 9443), 3)\n"
        "ssl._create_unverified_context().wrap_socket(s, server_hostname='legacy').recv(1)"
    )

    def from_network(network, program):
        return docker("run", "--rm", "--network", network, "--entrypoint", "python", "authproxy:local", "-c", program)

    reached = from_network(f"{house.name}_outside", outside)
    refused = from_network(f"{house.name}_inside", inside)

    assert legacy["HostConfig"]["PortBindings"] in ({}, None)
    assert reached.returncode != 0
    assert "OSError" in reached.stderr or "TimeoutError" in reached.stderr or "timed out" in reached.stderr
    assert refused.returncode != 0
    assert "CERTIFICATE_REQUIRED" in refused.stderr


def test_a_secret_is_for_its_own_user_alone(house):
    """Each file may be read by one user, and the proxy holds none of the service's nor the authority's."""
    told = house.inside(
        "proxy",
        "import os\nfor p, _, fs in os.walk('/run/secrets'):\n"
        "    for f in sorted(fs):\n        s = os.stat(os.path.join(p, f)); print(f, oct(s.st_mode & 0o777), s.st_uid)",
    )
    seen = {line.split()[0]: line.split()[1:] for line in told.splitlines()}
    seen.pop(".gitignore")

    assert set(seen) == {"legacy-ca.pem", "legacy-client.pem", "pepper", "server.pem", "tokens.yaml"}
    assert {tuple(facts) for facts in seen.values()} == {("0o400", USER)}


def test_the_token_belongs_to_who_started_it(house):
    """Whoever owns the folder can read their token and nobody else can."""
    client = house.folder / "secrets" / "client"
    owned = {path.name: (path.stat().st_uid, oct(path.stat().st_mode & 0o777)) for path in client.glob("[a-z]*")}

    assert owned == {"bearer": (STRANGER, "0o400"), "token": (STRANGER, "0o400"), "ca.pem": (STRANGER, "0o444")}


def test_starting_again_makes_nothing_anew(house):
    """A second `up` leaves every key, pepper and token as it is."""
    before = secrets(house)

    house.compose("run", "--rm", "keys")

    assert secrets(house) == before


def test_a_further_user_gets_a_token(house):
    """`keys token NAME` shows a token that works as soon as the token file has been looked at."""
    token = house.compose("run", "--rm", "-T", "keys", "token", "bob").stdout.strip()
    client = house.client()

    until(lambda: client.ask("/x", Authorization=f"Bearer {token}").status == 200, "bob is let in")

    assert client.ask("/x", Authorization=f"Bearer {token}").seen["hello"] == "bob"


def test_a_certificate_is_swapped_under_load(house):
    """`keys renew`, then `kill -s HUP proxy`: new connections see the new certificate, and no request fails."""
    pem = house.folder / "secrets" / "proxy" / "server.pem"
    old, container = pem.read_bytes(), house.container("proxy")
    watcher = house.client()
    watcher.connect().close()
    (before,) = watcher.shown

    with Load(house) as load:
        until(lambda: load.answered > 50, "load")
        house.compose("run", "--rm", "keys", "renew")
        house.compose("kill", "-s", "HUP", "proxy")
        until(lambda: watcher.connect().close() is None and len(watcher.shown) == 2, "the new certificate")
        seen = load.answered
        until(lambda: load.answered > seen + 50, "load after it")
        until(
            lambda: all({before} < client.shown for client in load.clients[1::2]), "everybody sees the new certificate"
        )

    assert load.failed + load.parted == []
    assert pem.read_bytes() != old
    assert house.container("proxy") == container
    assert house.state("proxy")["RestartCount"] == 0


def test_people_sign_in_and_stay_signed_in(house):
    """A browser is led to the login, gets a cookie for the token, and keeps it over a new container."""
    browser = house.client()
    led = browser.ask("/page", **PAGE)
    signed_in = browser.sign_in(house.user_id(), house.token)
    page = browser.ask("/page", **PAGE)

    house.compose("up", "--detach", "--wait", "--no-build", "--force-recreate", "--no-deps", "proxy")
    later = browser.ask("/page", **PAGE)

    assert (led.status, led.headers["Location"]) == (302, "/auth/login?next=%2Fpage")
    assert (signed_in.status, signed_in.headers["Location"]) == (303, "/page")
    assert set(browser.cookies) == {"__Host-authproxy-web"}
    assert page.status == later.status == 200
    assert "<h1>Hello alice</h1>" in later.text
    assert browser.cookies["__Host-authproxy-web"] not in later.text


async def test_a_person_signs_in_with_a_real_browser_and_out_again(house, tool, tmp_path):
    """The token is pasted, the page that was asked for says who one is, its button signs out; nothing is complained of."""
    somebody = house.client()
    somebody.connect().close()
    (shown,) = somebody.shown
    public = load_der_x509_certificate(shown).public_key()
    key = hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()

    with chromium(tool("chromium"), tmp_path, base64.b64encode(key).decode()) as browser:
        async with opened(browser) as tab:
            await tab.go(f"https://localhost:{house.port}/report")
            led = await tab.js("location.pathname")
            await tab.submit(PASTE % house.token)
            await tab.until("document.title === 'Legacy'")
            page = await tab.js("location.pathname + ': ' + document.querySelector('h1').textContent")
            await tab.click("form button")
            await tab.until("location.pathname === '/auth/logout/success'")
            cookies = await tab.cookies()
            complaints = tab.complaints

    assert (led, page) == ("/auth/login", "/report: Hello alice")
    assert cookies == {}
    assert complaints == []


def test_a_stop_lets_requests_end(house):
    """`docker compose stop` accepts nobody new, lets the request in progress end, and the proxy exits 0."""
    body = b"x" * 1000
    connection = house.client().connect(timeout=30)
    connection.putrequest("POST", "/slow")
    connection.putheader("Authorization", house.bearer)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:500])
    stopping = threading.Thread(target=house.compose, args=("stop", "proxy"))

    def closed() -> bool:
        try:
            house.client().connect(timeout=2).close()
        except OSError:
            return True
        return False

    try:
        stopping.start()
        until(closed, "nobody new is let in")
        still = house.state("proxy")["State"]["Running"]
        connection.send(body[500:])
        response = connection.getresponse()
        response.read()
        stopping.join()
        state = house.state("proxy")["State"]
    finally:
        connection.close()
        house.up()

    assert still is True
    assert response.status == 200
    assert (state["Status"], state["ExitCode"], state["OOMKilled"]) == ("exited", 0, False)


def test_nothing_secret_is_in_the_logs(house):
    """Neither the token of the first start nor anything of a key file is in what the containers have said."""
    told = house.compose("logs", "--no-color").stdout
    secret = [house.token, Path(house.folder, "secrets", "proxy", "pepper").read_text().strip()]

    assert "alice" in told
    assert [text for text in secret if text in told] == []
    assert "PRIVATE KEY" not in told


def test_its_port_is_for_this_machine_alone(house):
    """A first try is not an open port for the whole network."""
    (binding,) = house.state("proxy")["HostConfig"]["PortBindings"]["8443/tcp"]

    assert binding == {"HostIp": "127.0.0.1", "HostPort": str(house.port)}
