"""A real Prometheus that reads the shipped configuration, and a proxy to which something of everything happens."""

import contextlib
import http.client
import json
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from authproxy.keystore.names import certificate_names
from tests.keystore.revocation import crl_of, der, pem
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.promises.conftest import Client, House, Pki, Running, Service, User, until
from tests.promises.lane import Lane, Target

SHIPPED = Path(__file__).parents[2] / "deploy/prometheus"
FORM: Mapping[str, Any] = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
UPGRADE = (
    "GET /ws HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2l4dGVlbiBieXRlcyEh\r\n\r\n"
)
# Another address of this machine: what is too much for one source is not too much for the rest of the test.
CROWD = "127.0.0.2"
MOST = 16


class Prometheus:
    """A process of it, asked over its HTTP interface."""

    def __init__(self, program: str, directory: Path) -> None:
        self.port = free_port()
        command = [
            program, "--config.file=scrape.yaml", f"--web.listen-address=127.0.0.1:{self.port}",
            f"--storage.tsdb.path={directory / 'data'}", "--log.level=warn",
        ]  # fmt: skip
        self._log = (directory / "prometheus.log").open("wb")
        self._process = subprocess.Popen(command, cwd=directory, stdout=self._log, stderr=subprocess.STDOUT)

        def is_ready() -> bool:
            assert self._process.poll() is None, (directory / "prometheus.log").read_text()
            with contextlib.suppress(OSError):
                return self._get("/-/ready")[0] == 200
            return False

        until(is_ready, what="Prometheus to be ready")

    def query(self, query: str) -> list[dict[str, Any]]:
        """The series that answer a query; one that cannot be read fails."""
        return list(self.ask(f"/api/v1/query?{urlencode({'query': query})}")["result"])

    def ask(self, path: str) -> dict[str, Any]:
        """The `data` of an answer."""
        _, body = self._get(path)
        answer = json.loads(body)
        assert answer["status"] == "success", (path, answer)
        return dict(answer["data"])

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path)
            with connection.getresponse() as response:
                return response.status, response.read()

    def close(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)
        self._log.close()


def configure(directory: Path, near: int, far: int) -> None:
    """Put the shipped files there; they are asked every second, and the two proxies of the example are on these ports."""
    shutil.copy(SHIPPED / "authproxy.rules.yaml", directory)
    text = (SHIPPED / "scrape.yaml").read_text()
    for shown, here in (
        (": 15s", ": 1s"), ('"127.0.0.1:9901"', f'"127.0.0.1:{near}"'), ('"proxy.internal:9901"', f'"127.0.0.1:{far}"'),
    ):  # fmt: skip
        assert shown in text
        text = text.replace(shown, here)
    (directory / "scrape.yaml").write_text(text)


# ---------------------------------------------------------------- the proxies


def far_house(directory: Path, pki: Pki, service: Service) -> House:
    """A proxy whose `ops` is for Prometheus on another machine, as the example says."""
    house = House(directory, pki, service)
    house.put_pair("server", pki.server("proxy.internal", "localhost"))
    house.config["ops"] |= {
        "keystore": "main",
        "client_certificates": {"mode": "required", "trust": "ca", "allow": [{"cn": "prometheus.internal"}]},
    }
    return house


def tls_files(directory: Path, pki: Pki) -> None:
    """What `scrape.yaml` names."""
    shown = pki.client("prometheus.internal")
    directory.mkdir()
    (directory / "ca.pem").write_bytes(pki.root.certificate_pem())
    (directory / "prometheus.pem").write_bytes(shown.certificate_pem())
    (directory / "prometheus.key").write_bytes(shown.key_pem())


class Street:
    """A proxy with every part that is measured, and traffic of every kind."""

    def __init__(self, directory: Path, pki: Pki, service: Service) -> None:
        self.house = house = House(directory, pki, service)
        self.pki = pki
        (directory / "web").mkdir()
        self.target = Target()
        self.lane = Lane(house, self.target)
        # Another house's pepper, for the other zone.
        other = House(directory / "web", pki, service)
        self.visitor = other.new_user("web")
        house.put("web.pepper", other.pepper_text)
        self.rotated = _rotated(house.new_user())
        house.put_users(house.user, self.visitor, self.rotated)
        self.denied = pki.client("denied", pki.other)
        house.put("clients.pem", pki.root.certificate_pem() + pki.other.certificate_pem(), 0o644)
        house.put("clients.crl", pem(*(crl_of(one) for one in (pki.root, pki.other))), 0o644)
        house.put("denied.txt", "# nobody\n", 0o644)
        house.config["truststores"]["clients"] = {"file": "clients.pem", "crls": ["clients.crl"], "deny": "denied.txt"}
        house.config["listeners"]["public"]["client_certificates"] = {"mode": "optional", "trust": "clients"}
        house.config["sessions"] = {"browser": {"kind": "sqlite", "file": "sessions.db"}}
        house.config["zones"]["web"] = {
            "prefix": "web", "peppers": [{"file": "web.pepper"}], "catalog": "users", "accepts": ["session"],
            "sessions": "browser",
        }  # fmt: skip
        nobody = f"https://127.0.0.1:{free_port()}"
        house.config["upstreams"] |= {
            "dead": {"urls": [nobody], "trust": "ca"},
            "pair": {
                "urls": [f"https://127.0.0.1:{service.port}", nobody], "trust": "ca", "max_connections": 50,
                "health": {"path": "/health", "every": "1s"},
            },
        }  # fmt: skip
        house.config["routes"] += [
            {"name": "web", "path": "/web", "zone": "web", "upstream": "legacy"},
            {"name": "public", "path": "/public", "public": True, "upstream": "legacy"},
            {"name": "dead", "path": "/dead", "zone": "api", "upstream": "dead"},
            {"name": "pair", "path": "/pair", "zone": "api", "upstream": "pair"},
        ]
        house.config["limits"] = {"connections_per_source": MOST, "failures_per_minute": 100_000}
        house.config["trusted_proxies"] = ["127.0.0.1/32"]
        self.running: Running

    def start(self) -> None:
        """Run it, and let a reload shut a client out that is connected."""
        self.running = self.house.start()
        with self.house.client(shows=self.denied) as client:
            assert client.ask("/", self.house.user).status == 200
            self.house.put("denied.txt", certificate_names(der(self.denied)[0]).fingerprint + "\n", 0o644)
            self.running.reload()
            self.running.told("connection.revoked")

    @contextlib.contextmanager
    def websocket(self) -> Iterator[None]:
        """One that stands meanwhile."""
        with self.house.client() as client:
            client.connect()
            client.wire.sendall(UPGRADE.format(self.house.user.token).encode())
            assert b" 101 " in client.wire.recv(4096)
            yield

    def go(self) -> None:
        """Everything once."""
        self._api()
        self._browser()
        self._repl()
        self._doors()

    def _api(self) -> None:
        house = self.house
        wrong = replace(house.user, token=house.new_user().token)
        with house.client() as client:
            answers = [
                client.ask("/x", house.user), client.ask("/x", self.rotated), client.ask("/public/x"),
                client.ask("/pair/x", house.user), client.ask("/up", house.user, method="POST", body=b"x" * 100),
                client.ask("/x"), client.ask("/x", wrong), client.ask("/a/../b", house.user), client.ask("/dead/x", house.user),
            ]  # fmt: skip
            assert [answer.status for answer in answers] == [200] * 5 + [401, 401, 400, 502]
            with self.websocket():
                # It has taken the connection that was kept, so that this one needs another.
                assert client.ask("/x", house.user).status == 200

    def _browser(self) -> None:
        with self.house.client() as client:
            assert _login(client, self.visitor, self.house.user.token).status == 303
            cookie = _login(client, self.visitor, self.visitor.token).headers["Set-Cookie"].partition(";")[0]
            assert client.ask("/web/x", Cookie=cookie).status == 200
            assert client.ask("/auth/logout", method="POST", body=b"", **FORM, Cookie=cookie).status == 303
            assert client.ask("/web/x", Cookie=cookie).status == 401

    def _repl(self) -> None:
        client, service = self.lane.pair()
        with client, service:
            client.send(b"(+ 1 2)")
            service.recv(7)
            service.sendall(b"3")
            client.end()
            service.recv(1)
            service.close()
            client.rest()

    def _doors(self) -> None:
        """A scan, a client of old times, and a crowd."""
        with socket.create_connection(("127.0.0.1", self.house.port)):
            pass
        context = self.house.trusting()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with Client(self.house.port, context) as client:
            assert client.ask("/public/x").status == 200
        with contextlib.ExitStack() as stack:
            for _ in range(MOST + 1):
                stack.enter_context(
                    socket.create_connection(("127.0.0.1", self.house.port), PATIENCE, source_address=(CROWD, 0))
                )


def _login(client: Client, user: User, token: str) -> Any:
    body = urlencode({"user-id": user.user_id, "token": token}).encode()
    return client.ask("/auth/login", method="POST", body=body, **FORM)


def _rotated(user: User) -> User:
    """Somebody who has a newer token by now, and still uses this one."""
    row = user.row | {
        "rotation_version": 2, "hash": "0" * 128, "previous_hash": user.row["hash"],
        "grace_expires_at": datetime.now(UTC) + timedelta(days=1),
    }  # fmt: skip
    return replace(user, row=row)
