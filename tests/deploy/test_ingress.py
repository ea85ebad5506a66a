"""nginx, HAProxy and Caddy in front of a real proxy, as shipped; Traefik's files as far as they can be read without it."""

import base64
import contextlib
import http.client
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from authproxy.core.pepper import Pepper
from authproxy.core.record import UserId
from authproxy.core.secret import Secret
from authproxy.core.token import generate
from authproxy.keystore import generate as keys
from tests.deploy.serving import Behind, Serving, accept
from tests.patience import PATIENCE
from tests.ports import free_port

HERE = Path(__file__).parents[2] / "deploy" / "ingress"
OUTSIDE, INSIDE = "proxy.example.org", "authproxy.internal"
# Of loopback, so that who asks differs from who passes on.
CALLER, INGRESS = "127.0.0.5", "127.0.0.1"
EC = keys.Algorithm.EC_P256


@dataclass(frozen=True)
class Kind:
    """One way through one ingress."""

    file: str
    mode: str
    program: str
    check: tuple[str, ...]
    run: tuple[str, ...]


NGINX = ("-c", "{file}", "-e", "stderr", "-g", "daemon off; pid {dir}/nginx.pid;")
KINDS = {
    "nginx-passthrough": Kind("nginx-passthrough.conf", "passthrough", "nginx", (*NGINX, "-t"), NGINX),
    "nginx-reencrypt": Kind("nginx-reencrypt.conf", "reencrypt", "nginx", (*NGINX, "-t"), NGINX),
    "haproxy-passthrough": Kind("haproxy-passthrough.cfg", "passthrough", "haproxy", ("-c", "-f", "{file}"), ("-db", "-f", "{file}")),
    "haproxy-reencrypt": Kind("haproxy-reencrypt.cfg", "reencrypt", "haproxy", ("-c", "-f", "{file}"), ("-db", "-f", "{file}")),
    "caddy-reencrypt": Kind(
        "Caddyfile", "reencrypt", "caddy",
        ("validate", "--config", "{file}", "--adapter", "caddyfile"), ("run", "--config", "{file}", "--adapter", "caddyfile"),
    ),
}  # fmt: skip


def test_every_shipped_file_is_run_or_named():
    """Nothing lies here that no test knows."""
    known = {kind.file for kind in KINDS.values()} | {"passthrough.yaml", "reencrypt.yaml", "README.md"}

    assert {path.name for path in HERE.iterdir()} - known == {
        "traefik.yaml", "traefik-passthrough.yaml", "traefik-reencrypt.yaml",
    }  # fmt: skip


class Site:
    """The files of one ingress and of the proxy behind it, with this machine's ports and paths in them."""

    def __init__(self, directory, kind, behind, name=""):
        self.directory, self.kind = directory, kind
        self.port, self.proxy_port = free_port(), free_port()
        now = keys.Validity.of_days(datetime.now(UTC), 90)
        self.root = keys.new_authority("root", now, EC)
        self.ca = self.root.certificate_pem().decode()
        self._put("internal-ca.pem", self.ca.encode(), 0o644)
        (directory / "tls").mkdir()
        issued = keys.new_server(self.root, [keys.alternative_name(OUTSIDE)], now, EC)
        # Whoever wants the key apart finds it there, too.
        self._put("tls/proxy.pem", keys.combined_file(issued))
        self._put("tls/proxy.key", issued.key_pem())
        # Whom the proxy's certificate names.
        self.name = name or (OUTSIDE if kind.mode == "passthrough" else INSIDE)
        names = [keys.alternative_name(self.name)]
        self._put("tls/server.pem", keys.combined_file(keys.new_server(self.root, names, now, EC)))
        pepper, user, secret = secrets.token_bytes(32), uuid.uuid4(), secrets.token_bytes(32)
        self._put("pepper", f"hex:{pepper.hex()}".encode())
        digest = Pepper(Secret(pepper)).digest(UserId(user.bytes), 1, secret)
        self.token = generate("svc", 1, UserId(user.bytes), secret)
        self._put(
            "tokens.yaml",
            yaml.safe_dump([{"user_id": str(user), "rotation_version": 1, "hash": digest.hex()}]).encode(),
        )
        self.proxy = self.fitted(f"{kind.mode}.yaml", {
            "0.0.0.0:8443": f"{INGRESS}:{self.proxy_port}", "192.0.2.1/32": f"{INGRESS}/32",
            "127.0.0.1:8080": f"127.0.0.1:{behind.port}", "/etc/authproxy/": f"{directory}/",
        })  # fmt: skip
        self.ingress = self.fitted(kind.file, self._places())

    def _places(self):
        """What stands in every ingress's file, and what stands for it here."""
        own = f"{INGRESS}:{self.port}"
        listens = {
            "nginx": ("listen 443", f"listen {own}"),
            "haproxy": ("bind :443", f"bind {own}"),
            "caddy": (":443", f":{self.port}"),
        }
        fits = dict([listens[self.kind.program]])
        fits["authproxy.internal:8443"] = f"{INGRESS}:{self.proxy_port}"
        if self.kind.mode == "reencrypt" or self.kind.program == "haproxy":
            fits["/etc/ingress/"] = f"{self.directory}/"
        if self.kind.program == "caddy":
            fits["admin off"] = (
                f"admin off\n\thttp_port {free_port()}\n\thttps_port {self.port}\n\tstorage file_system {self.directory}/caddy"
            )
        if self.kind.file == "nginx-reencrypt.conf":
            fits["/var/log/nginx/"] = f"{self.directory}/"
        return fits

    def fitted(self, name, fits):
        """A shipped file with other places in it; each must be there to be replaced."""
        text = (HERE / name).read_text()
        for before, after in fits.items():
            assert before in text, f"{name}: no {before}"
            text = text.replace(before, after)
        return self._put(name, text.encode())

    def words(self, words):
        return [word.format(dir=self.directory, file=self.ingress) for word in words]

    def _put(self, name, data, mode=0o600):
        path = self.directory / name
        path.write_bytes(data)
        path.chmod(mode)
        return path


@pytest.fixture(scope="module")
def behind():
    with Behind() as service:
        yield service


@pytest.fixture(scope="module", params=KINDS)
def site(request, tmp_path_factory, behind):
    return Site(tmp_path_factory.mktemp(request.param), KINDS[request.param], behind)


def program(tool, kind):
    # Debian has it where only root looks.
    return shutil.which(kind.program, path="/usr/sbin") or tool(kind.program)


def environ(site):
    return {"HOME": str(site.directory), "PATH": "/usr/bin:/bin"}


def test_its_own_program_takes_it(tool, site):
    """With nginx -t, haproxy -c, caddy validate: well, and without a warning."""
    checked = subprocess.run(
        [program(tool, site.kind), *site.words(site.kind.check)], env=environ(site), capture_output=True, text=True, timeout=30, check=False
    )  # fmt: skip

    # The test's certificate has no such server.
    said = re.sub(r".*stapling OCSP.*", "", checked.stdout + checked.stderr)
    assert checked.returncode == 0, said
    assert not re.search(r"\[warn\]|\[WARNING\]|\[ALERT\]|\"level\":\"(warn|error)\"", said), said


# ---------------------------------------------------------------- at work


class Through:
    """A client at the ingress; asks from an address of its own."""

    def __init__(self, site, proxy):
        self.site, self.proxy = site, proxy
        self.context = ssl.create_default_context(cadata=site.ca)

    def shake(self, port=0, name=OUTSIDE, protocols=()):
        if protocols:
            self.context.set_alpn_protocols(protocols)
        wire = socket.create_connection((INGRESS, port or self.site.port), 10, source_address=(CALLER, 0))
        return self.context.wrap_socket(wire, server_hostname=name)

    def ask(self, *fields, port=0, name=OUTSIDE, path="/"):
        with self.shake(port, name) as tls:
            lines = [f"GET {path} HTTP/1.1", f"Host: {OUTSIDE}", "Connection: close", *fields, "", ""]
            tls.sendall("\r\n".join(lines).encode())
            with http.client.HTTPResponse(tls) as response:
                response.begin()
                # Some write names in lower case.
                return response.status, response.headers


@contextlib.contextmanager
def working(program, site, status=(401,)):
    """The proxy, the ingress before it, and a client of that, which is answered so once both are ready."""
    log = (site.directory / "ingress.log").open("w+b")
    with Serving(site.proxy, site.proxy_port, site.name, site.ca) as proxy:
        ingress = subprocess.Popen(
            [program, *site.words(site.kind.run)], env=environ(site), stdout=log, stderr=log, cwd=site.directory
        )
        try:
            client = Through(site, proxy)

            def serves():
                assert ingress.poll() is None, Path(log.name).read_text()
                try:
                    return client.ask()[0] in status
                except (OSError, http.client.HTTPException):
                    return False

            proxy.until(serves)
            yield client
        finally:
            ingress.terminate()
            ingress.wait(PATIENCE)
            log.close()


@pytest.fixture(scope="module")
def at_work(tool, site):
    """All of it at work, as shipped."""
    with working(program(tool, site.kind), site) as client:
        yield client


def access_line(client, answer):
    """The access log's line of what was answered so."""
    wanted = answer[1]["X-Request-Id"]
    return client.proxy.until(lambda: [line for line in client.proxy.lines() if line.get("request_id") == wanted])[0]


def test_with_a_token_the_service_answers(at_work, behind):
    """And hears who calls, from where; the log has the client's address, not the ingress's."""
    answer = at_work.ask(f"Authorization: Bearer {at_work.site.token}")

    assert answer[0] == 200
    assert access_line(at_work, answer)["client"] == CALLER
    heard = behind.asked[-1]
    assert heard["X-Real-IP"] == CALLER
    assert heard["X-Forwarded-For"].split(", ")[0] == CALLER
    assert (heard["X-Forwarded-Proto"], heard["Host"]) == ("https", OUTSIDE)
    assert "Authorization" not in heard


def test_without_a_token_nobody_gets_in(at_work, behind):
    """The refusal is the proxy's own, and the service hears nothing."""
    before = len(behind.asked)
    answer = at_work.ask()

    assert answer[0] == 401
    assert answer[1]["X-Authproxy-Response"].startswith("unauthenticated; ")
    assert access_line(at_work, answer)["client"] == CALLER
    assert len(behind.asked) == before


@pytest.mark.parametrize(
    "forged",
    [
        ["X-Forwarded-For: 203.0.113.9"],
        ["X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 127.0.0.1"],
        ["Forwarded: for=203.0.113.9;proto=http"],
        ["X-Real-IP: 203.0.113.9"],
        ["X-Forwarded-Proto: http", "X-Forwarded-Host: evil.example", "X-Forwarded-Port: 1"],
        ["X-Authproxy-User: root", "X_Authproxy_User: root", "Remote-User: root"],
    ],
    ids=lambda lines: lines[0].split(":")[0],
)
def test_what_a_client_says_of_itself_is_not_believed(at_work, behind, forged):
    """Neither its address, nor how it came, nor who it is."""
    answer = at_work.ask(f"Authorization: Bearer {at_work.site.token}", *forged)

    assert answer[0] == 200
    assert access_line(at_work, answer)["client"] == CALLER
    heard = behind.asked[-1]
    assert "203.0.113.9" not in str(heard)
    assert "evil.example" not in str(heard)
    assert "root" not in str(heard)
    assert (heard["X-Real-IP"], heard["X-Forwarded-Proto"]) == (CALLER, "https")
    assert heard["X-Forwarded-Port"] in {"443", str(at_work.site.port), str(at_work.site.proxy_port)}


def test_past_the_ingress_nobody_is_believed(at_work):
    """Who comes to the proxy directly may not speak for others: by a header he is himself, by no PROXY header nobody."""
    site = at_work.site
    direct = {"port": site.proxy_port, "name": site.name}
    if site.kind.mode == "passthrough":
        # The listener takes a PROXY header from the ingress alone; from others it is no TLS.
        with socket.create_connection((INGRESS, site.proxy_port), 10, source_address=(CALLER, 0)) as wire:
            wire.sendall(b"PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n")
            assert not wire.recv(100).startswith(b"\x16\x03")
        # And from there nothing else.
        with (
            socket.create_connection((INGRESS, site.proxy_port), 10) as wire,
            pytest.raises(OSError, match=r"(?i)eof|reset|wrong version|alert"),
        ):
            at_work.context.wrap_socket(wire, server_hostname=OUTSIDE).close()
        return
    answer = at_work.ask("X-Forwarded-For: 203.0.113.9", **direct)
    assert answer[0] == 401
    assert access_line(at_work, answer)["client"] == CALLER


def test_a_path_goes_through_as_it_is(at_work, behind):
    """Escapes and queries are the service's business."""
    answer = at_work.ask(f"Authorization: Bearer {at_work.site.token}", path="/a%20b/c?x=%2F&y=1")

    assert answer[0] == 200
    assert access_line(at_work, answer)["path"] == "/a%20b/c"


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.mode == "reencrypt"])
def test_an_ingress_sends_nothing_to_an_impostor(tool, tmp_path, behind, name):
    """A proxy with a certificate of the right authority, and of another name, is asked nothing."""
    site = Site(tmp_path, KINDS[name], behind, "elsewhere.internal")
    with working(program(tool, site.kind), site, (502, 503)) as client:
        assert client.ask(f"Authorization: Bearer {site.token}")[0] in {502, 503}

        assert [line for line in client.proxy.lines() if "request_id" in line] == []


def test_a_websocket_goes_through(at_work):
    """Frames in both directions, as they are."""
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    lines = [
        *("GET / HTTP/1.1", f"Host: {OUTSIDE}", f"Authorization: Bearer {at_work.site.token}", "Connection: Upgrade"),
        *("Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", "", ""),
    ]
    frame = b"\x82\x85abcd" + bytes(byte ^ mask for byte, mask in zip(b"hello", b"abcda", strict=True))
    with at_work.shake() as tls:
        tls.sendall("\r\n".join(lines).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += tls.recv(1)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert accept(key).encode() in head
        tls.sendall(frame)
        back = b""
        while len(back) < len(frame):
            back += tls.recv(100)

    assert back == frame


def test_http_2_is_spoken_where_the_table_says(at_work):
    """By who ends TLS."""
    with Through(at_work.site, at_work.proxy).shake(protocols=["h2", "http/1.1"]) as tls:
        assert tls.selected_alpn_protocol() == ("h2" if at_work.site.kind.mode == "reencrypt" else "http/1.1")


@pytest.mark.parametrize("site", ["haproxy-passthrough", "haproxy-reencrypt"], indirect=True, scope="module")
def test_haproxy_s_health_checks_succeed(at_work):
    """Over verified TLS, behind a PROXY header where the listener wants one; a server that is down would not be asked."""
    log = at_work.site.directory / "ingress.log"

    at_work.proxy.until(lambda: "Health check for server authproxy/one" in log.read_text())
    assert "Health check for server authproxy/one succeeded, reason: Layer7 check passed, code: 200" in log.read_text()


# ---------------------------------------------------------------- Traefik


@pytest.mark.parametrize(("mode", "part"), [("passthrough", "tcp"), ("reencrypt", "http")])
def test_traefik_s_parts_fit_together(mode, part):
    """No binary of it can be had here: every name that is used is defined, and nobody is believed who is not verified."""
    static = yaml.safe_load((HERE / "traefik.yaml").read_text())
    dynamic = yaml.safe_load((HERE / f"traefik-{mode}.yaml").read_text())
    [router] = dynamic[part]["routers"].values()
    balancer = dynamic[part]["services"][router["service"]]["loadBalancer"]

    assert set(router["entryPoints"]) <= static["entryPoints"].keys()
    assert OUTSIDE in router["rule"]
    assert "forwardedHeaders" not in static["entryPoints"]["websecure"]
    if part == "tcp":
        assert router["tls"] == {"passthrough": True}
        assert balancer == {"proxyProtocol": {"version": 2}, "servers": [{"address": f"{INSIDE}:8443"}]}
        return
    transport = dynamic["http"]["serversTransports"][balancer["serversTransport"]]
    assert set(router["middlewares"]) == dynamic["http"]["middlewares"].keys()
    assert transport["serverName"] == INSIDE
    assert transport["rootCAs"]
    assert "insecureSkipVerify" not in str(dynamic)
    assert balancer["servers"] == [{"url": f"https://{INSIDE}:8443"}]
    assert (
        balancer["healthCheck"]["path"]
        == yaml.safe_load((HERE / "reencrypt.yaml").read_text())["listeners"]["public"]["health"]
    )
