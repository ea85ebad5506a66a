"""The real process over real TLS, a service behind it that does as it is told, and clients that look closely."""

import contextlib
import hashlib
import http.client
import json
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import pytest
import yaml
from typing_extensions import override

from authproxy.core.pepper import Pepper
from authproxy.core.record import UserId
from authproxy.core.secret import Secret
from authproxy.core.token import generate
from authproxy.keystore import generate as keys
from tests.patience import PATIENCE
from tests.ports import free_port

T = TypeVar("T")
BLOCK = bytes(range(256)) * 256
_EC = keys.Algorithm.EC_P256


def until(look: Callable[[], T], seconds: float = PATIENCE, what: str = "") -> T:
    """Return the first true value of `look()`, or fail with what was waited for."""
    ends = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < ends, f"not within {seconds:g}s: {what or look}"
        time.sleep(0.01)


@pytest.fixture(name="until", scope="session")
def _until() -> Callable[..., Any]:
    return until


@pytest.fixture(name="free_port", scope="session")
def _free_port() -> Callable[[], int]:
    return free_port


# ---------------------------------------------------------------- certificates


class Pki:
    """One authority that everybody here believes, and another that nobody does."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.root = keys.new_authority("the root", keys.Validity.of_days(self.now, 30), _EC)
        self.other = keys.new_authority("another root", keys.Validity.of_days(self.now, 30), _EC)

    def server(
        self, *names: str, by: keys.Issued | None = None, begin: timedelta = timedelta(hours=-1),
        end: timedelta = timedelta(days=20), now: datetime | None = None,
    ) -> keys.Issued:  # fmt: skip
        now = now or self.now
        entries = [keys.alternative_name(name) for name in names or ("localhost", "127.0.0.1")]
        return keys.new_server(by or self.root, entries, keys.Validity(begin=now + begin, end=now + end), _EC)

    def client(self, name: str, by: keys.Issued | None = None) -> keys.Issued:
        return keys.new_client(by or self.root, name, keys.Validity.of_days(self.now, 20), _EC)


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()


# ---------------------------------------------------------------- the service behind


@dataclass
class Seen:
    """One request as the service behind got it."""

    method: str
    path: str
    headers: dict[str, str]
    certificate: Mapping[str, Any]


class Handler(BaseHTTPRequestHandler):
    """Does what the path says."""

    protocol_version = "HTTP/1.1"
    server: "Service"  # type: ignore[mutable-override]  # only a Service makes these

    def handle_any(self) -> None:
        name, _, rest = self.path.partition("?")[0].lstrip("/").partition("/")
        peer = self.request.getpeercert() if isinstance(self.request, ssl.SSLSocket) else {}
        self.server.seen.append(Seen(self.command, self.path, dict(self.headers.items()), peer or {}))
        act = getattr(self, f"on_{name.replace('-', '_')}", None)
        if act is not None:
            act(rest)
            return
        self.answer(json.dumps({"path": self.path, "headers": dict(self.headers.items())}).encode())

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = handle_any  # noqa: N815  # names that http.server looks for

    def answer(self, body: bytes, **more: str) -> None:
        self.send_response(200)
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin(self, *fields: tuple[str, str]) -> None:
        self.send_response(200)
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def body(self) -> Iterator[bytes]:
        """The request's body, in whichever framing it came."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", "0"))
        while left:
            data = self.rfile.read(min(left, 1 << 16))
            if not data:
                raise ConnectionError("body cut short")
            left -= len(data)
            yield data

    def on_slow(self, gate: str) -> None:
        self.server.wait(gate)
        self.answer(b"slow but whole")

    def on_sse(self, gate: str) -> None:
        self.begin(("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"))
        self.chunk(b"data: first\n\n")
        self.server.wait(gate)
        self.chunk(b"data: second\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def on_events(self, count: str) -> None:
        """Send each event when the client asks for it, by opening its gate."""
        self.begin(("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"))
        for number in range(int(count)):
            self.server.wait(f"event {number}")
            self.chunk(b"id: %d\ndata: %d\n\n" % (number, number))
        self.wfile.write(b"0\r\n\r\n")

    def on_flood(self, size: str) -> None:
        """Send events of 1 KiB without waiting for anybody; the number of the last stands in `sent`."""
        self.begin(("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"))
        for number in range(int(size) // 1024):
            self.chunk((b"id: %d\ndata: " % number).ljust(1022, b".") + b"\n\n")
            self.server.sent = number + 1
        self.wfile.write(b"0\r\n\r\n")

    def on_down(self, size: str) -> None:
        self.begin(("Content-Length", size))
        for _ in range(int(size) // len(BLOCK)):
            self.wfile.write(BLOCK)
            self.server.sent += len(BLOCK)

    def on_down_chunked(self, size: str) -> None:
        self.begin(("Transfer-Encoding", "chunked"))
        for _ in range(int(size) // len(BLOCK)):
            self.chunk(BLOCK)
            self.server.sent += len(BLOCK)
        self.wfile.write(b"0\r\n\r\n")

    def on_up(self, _: str) -> None:
        digest, size = hashlib.sha256(), 0
        for data in self.body():
            digest.update(data)
            size += len(data)
        framing = "chunked" if "Transfer-Encoding" in self.headers else "length"
        self.answer(json.dumps({"sha256": digest.hexdigest(), "size": size, "framing": framing}).encode())

    def on_deaf(self, gate: str) -> None:
        self.server.wait(gate)
        self.close_connection = True

    def on_short(self, how: str) -> None:
        """Begin an answer and break off."""
        if how == "length":
            self.begin(("Content-Length", "1000"))
            self.wfile.write(b"x" * 10)
        else:
            self.begin(("Transfer-Encoding", "chunked"))
            self.chunk(b"x" * 10)
        self.wfile.flush()
        self.close_connection = True

    def on_ws(self, _: str) -> None:
        digest = hashlib.sha1(f"{self.headers['Sec-WebSocket-Key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode())
        self.send_response(101)
        for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("X-Accept", digest.hexdigest())):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        while (head := self.rfile.read(2)) and len(head) == 2:
            mask = self.rfile.read(4)
            payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(head[1] & 127)))
            self.server.heard.append(payload)
            self.wfile.write(bytes((head[0], len(payload))) + payload)
            self.wfile.flush()
            if head[0] & 15 == 8:
                self.server.closes.append(payload)
                return

    @override
    def log_message(self, *_: object) -> None:
        pass


class Service(ThreadingHTTPServer):
    """The service behind: a thread for each connection, over TLS unless `context` is None."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, context: ssl.SSLContext | None, handler: type[Handler] = Handler, port: int = 0) -> None:
        # Not any port: who ends one and starts another in its place finds it free, and no client's of somebody else's.
        super().__init__(("127.0.0.1", port or free_port()), handler)
        self.context = context
        self.port = int(self.server_address[1])
        self.seen: list[Seen] = []
        self.closes: list[bytes] = []
        self.heard: list[bytes] = []
        self.sent = 0
        self.accepted = 0
        self.crashes: list[BaseException | None] = []
        self._is_closing = False
        self._gates: dict[str, threading.Event] = {}
        self._open: set[socket.socket] = set()
        self._runner = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._runner.start()

    def gate(self, name: str) -> threading.Event:
        return self._gates.setdefault(name, threading.Event())

    def wait(self, name: str) -> None:
        assert self.gate(name).wait(60), f"gate {name} stayed shut"

    @override
    def finish_request(self, request: Any, client_address: Any) -> None:
        self.accepted += 1
        request.settimeout(60)
        if self.context is None:
            super().finish_request(request, client_address)
            return
        with self.context.wrap_socket(request, server_side=True) as tls:
            self._open.add(tls)
            try:
                super().finish_request(tls, client_address)
            finally:
                self._open.discard(tls)

    @override
    def shutdown_request(self, request: Any) -> None:
        request.close()

    @override
    def handle_error(self, *_: object) -> None:
        error = sys.exc_info()[1]
        # Whoever closes takes the TLS from under those who are about to use it.
        if not (isinstance(error, OSError | ValueError) or (self._is_closing and isinstance(error, AttributeError))):
            self.crashes.append(error)

    def aclose(self) -> None:
        self._is_closing = True
        for gate in self._gates.values():
            gate.set()
        self.shutdown()
        self.server_close()
        for tls in list(self._open):
            with contextlib.suppress(OSError):
                tls.shutdown(socket.SHUT_RDWR)
        self._runner.join(10)


def server_side(issued: keys.Issued, directory: Path) -> ssl.SSLContext:
    path = directory / f"{secrets.token_hex(4)}.pem"
    path.write_bytes(keys.combined_file(issued))
    path.chmod(0o600)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    context.load_cert_chain(path)
    return context


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """`serve(issued)` starts a service that shows this certificate; `serve(None)` one without TLS."""
    made: list[Service] = []

    def start(
        issued: keys.Issued | None, demand: keys.Issued | None = None, handler: type[Handler] = Handler, port: int = 0
    ) -> Service:  # fmt: skip
        context = None if issued is None else server_side(issued, tmp_path)
        if demand is not None and context is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=demand.certificate_pem().decode())
        made.append(Service(context, handler, port))
        return made[-1]

    yield start
    for service in made:
        service.aclose()
    assert [crash for service in made for crash in service.crashes] == []


@pytest.fixture
def service(serve: Callable[..., Service], pki: Pki) -> Service:
    """The service behind, with a certificate that the proxy believes."""
    return serve(pki.server())


# ---------------------------------------------------------------- users and clients


@dataclass(frozen=True)
class User:
    """Somebody with a token."""

    token: str = field(repr=False)
    row: dict[str, object] = field(repr=False)

    @property
    def user_id(self) -> str:
        return str(self.row["user_id"])


class Client(http.client.HTTPSConnection):
    """A client of the proxy; asks for `name`, connects to this machine, believes the root only."""

    def __init__(self, port: int, context: ssl.SSLContext, name: str = "localhost", timeout: float = 20) -> None:
        super().__init__(name, port, timeout=timeout, context=context)
        self._tls = context

    @override
    def connect(self) -> None:
        wire = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        try:
            self.sock = self._tls.wrap_socket(wire, server_hostname=self.host)
        except BaseException:
            wire.close()
            raise

    def ask(
        self, path: str = "/", user: User | None = None, *, method: str = "GET", body: Any = None, **fields: str
    ) -> "Answer":  # fmt: skip
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        if user is not None:
            headers["Authorization"] = f"Bearer {user.token}"
        self.request(method, path, body=body, headers=headers, encode_chunked=body is not None)
        with self.getresponse() as response:
            return Answer(response.status, dict(response.getheaders()), response.read())

    @property
    def shown(self) -> bytes:
        """The certificate that the proxy showed, in DER."""
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.sock.getpeercert(binary_form=True) or b""

    @property
    def wire(self) -> ssl.SSLSocket:
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.sock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


# ---------------------------------------------------------------- the process


class Running:
    """The process at work, with everything it says."""

    def __init__(self, house: "House", process: "subprocess.Popen[bytes]") -> None:
        self.house = house
        self.process = process
        self.pid = process.pid
        self._said: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        self._readers = [
            threading.Thread(target=self._listen, args=(pipe, said), daemon=True)
            for pipe, said in ((process.stdout, self._said["stdout"]), (process.stderr, self._said["stderr"]))
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _listen(pipe: Any, said: list[bytes]) -> None:
        for line in pipe:
            said.append(line)
        pipe.close()

    def stderr(self) -> str:
        return b"".join(self._said["stderr"]).decode()

    def stdout(self) -> str:
        return b"".join(self._said["stdout"]).decode()

    def events(self, event: str | None = None, since: int = 0, **facts: object) -> list[dict[str, Any]]:
        """What was logged on standard error from line `since` on, with these facts."""
        lines = [json.loads(line) for line in list(self._said["stderr"])[since:] if line.startswith(b"{")]
        return [
            line for line in lines
            if event in (None, line["event"]) and all(line.get(name) == value for name, value in facts.items())
        ]  # fmt: skip

    def told(self, event: str, since: int = 0, **facts: object) -> list[dict[str, Any]]:
        """The same, waited for: what the client or the metrics show may be seen before its line has come through the pipe."""
        return until(lambda: self.events(event, since, **facts), what=f"the event {event}")

    def mark(self) -> int:
        return len(self._said["stderr"])

    def hup(self) -> int:
        """Send SIGHUP; return the mark behind which its outcome is told."""
        mark = self.mark()
        os.kill(self.pid, signal.SIGHUP)
        return mark

    def reload(self) -> int:
        """Send SIGHUP and wait until all parts of the reload are told."""
        mark = self.hup()

        def told() -> bool:
            parts = [line["part"] for line in self.events(since=mark) if line["event"].startswith("reload.")]
            return "config" in parts and any(part.startswith("catalog:") for part in parts[parts.index("config") :])

        until(told, what="the outcome of a reload")
        return mark

    def term(self, number: int = signal.SIGTERM) -> None:
        os.kill(self.pid, number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Return the exit code; fails when the process is still there after `seconds`."""
        code = self.process.wait(seconds)
        for reader in self._readers:
            reader.join(5)
        return code

    def rss(self) -> int:
        """Resident memory in bytes."""
        return self._figure(r"VmRSS:\s+(\d+) kB") * 1024

    def threads(self) -> int:
        return self._figure(r"Threads:\s+(\d+)")

    def _figure(self, pattern: str) -> int:
        found = re.search(pattern, Path(f"/proc/{self.pid}/status").read_text())
        return 0 if found is None else int(found[1])

    def ops(self, path: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.house.ops_port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path)
            with connection.getresponse() as response:
                return Answer(response.status, dict(response.getheaders()), response.read())

    def metric(self, sample: str) -> float | None:
        """The value of `name{label="..."}` at this moment, None when there is no such sample."""
        for line in self.ops("/metrics").body.decode().splitlines():
            if line.startswith(sample + " "):
                return float(line.rpartition(" ")[2])
        return None

    def access_lines(self) -> list[dict[str, Any]]:
        path = self.house.directory / "access.log"
        # What is being written meanwhile may be there without its end.
        whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
        return [json.loads(line) for line in whole.splitlines()]

    def access(self, answer: Answer) -> dict[str, Any]:
        """The access log's line of the request that was answered so."""
        wanted = answer.headers["X-Request-Id"]
        lines = until(
            lambda: [line for line in self.access_lines() if line["request_id"] == wanted],
            what=f"the access line of {wanted}",
        )
        return lines[0]


class House:
    """A directory with a configuration and all that it names; files change by rename, as operators should do it."""

    def __init__(self, directory: Path, pki: Pki, service: Service) -> None:
        self.directory = directory
        self.pki = pki
        self.port, self.ops_port = free_port(), free_port()
        self._pepper = secrets.token_bytes(32)
        self.pepper_text = "hex:" + self._pepper.hex()
        self._running: list[Running] = []
        self.user = self.new_user()
        self.leaf = pki.server()
        self.put("ca.pem", pki.root.certificate_pem(), 0o644)
        self.put("pepper", self.pepper_text)
        self.put_pair("server", self.leaf)
        self.put_users(self.user)
        self.config: dict[str, Any] = {
            "version": 1,
            "keystores": {"main": {"certificate": "server.pem", "key": "server.key"}},
            "truststores": {"ca": {"file": "ca.pem"}},
            "listeners": {"public": {"bind": f"127.0.0.1:{self.port}", "keystore": "main"}},
            "catalogs": {"users": {"kind": "file", "file": "tokens.yaml", "poll": "0s"}},
            "zones": {"api": {"prefix": "svc", "peppers": [{"file": "pepper"}], "catalog": "users"}},
            "upstreams": {"legacy": {"urls": [f"https://127.0.0.1:{service.port}"], "trust": "ca"}},
            "routes": [{"name": "all", "path": "/", "zone": "api", "upstream": "legacy"}],
            "ops": {"bind": f"127.0.0.1:{self.ops_port}"},
            "logging": {"access": "./access.log"},
            "timeouts": {"drain": "5s"},
        }

    def put(self, name: str, data: bytes | str, mode: int = 0o600) -> Path:
        """Replace a file in one step."""
        path = self.directory / name
        fresh = path.with_name(f".{name}.new")
        fresh.write_bytes(data.encode() if isinstance(data, str) else data)
        fresh.chmod(mode)
        return fresh.replace(path)

    def put_pair(self, stem: str, issued: keys.Issued) -> None:
        self.put(f"{stem}.pem", issued.certificate_pem(), 0o644)
        self.put(f"{stem}.key", issued.key_pem())

    def put_users(self, *users: User) -> None:
        self.put("tokens.yaml", yaml.safe_dump([user.row for user in users]))

    def new_user(self, prefix: str = "svc") -> User:
        user_id, secret = uuid.uuid4(), secrets.token_bytes(32)
        digest = Pepper(Secret(self._pepper)).digest(UserId(user_id.bytes), 1, secret)
        return User(
            token=generate(prefix, 1, UserId(user_id.bytes), secret),
            row={"user_id": str(user_id), "rotation_version": 1, "hash": digest.hex()},
        )

    def save(self) -> None:
        self.put("authproxy.yaml", yaml.safe_dump(self.config))

    def spawn(self) -> Running:
        """Save the configuration and start the process; wait for nothing."""
        self.save()
        command = [sys.executable, "-m", "authproxy", "run", "-c", str(self.directory / "authproxy.yaml")]
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AUTHPROXY_", "COV", "PYTHONDONTWRITE"))
        }
        process = subprocess.Popen(
            command, cwd=self.directory, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._running.append(Running(self, process))
        return self._running[-1]

    def start(self) -> Running:
        """Start the process and wait until it is ready."""
        running = self.spawn()

        def ready() -> bool:
            assert running.process.poll() is None, f"the start failed: {running.stderr()}"
            try:
                # Its own word too: only that says that it is this process which answers there.
                return running.ops("/readyz").status == 200 and bool(running.events("proxy.started"))
            except OSError:
                return False

        until(ready, what="ready")
        return running

    def trusting(self, client: keys.Issued | None = None) -> ssl.SSLContext:
        """A client's context: believes the root, looks at names, shows `client`."""
        context = ssl.create_default_context(cadata=self.pki.root.certificate_pem().decode())
        if client is not None:
            path = self.put(f"client-{secrets.token_hex(4)}.pem", keys.combined_file(client))
            context.load_cert_chain(path)
        return context

    def client(self, name: str = "localhost", *, port: int = 0, shows: keys.Issued | None = None) -> Client:
        return Client(port or self.port, self.trusting(shows), name)

    def ask(self, path: str = "/", user: User | None = None, **more: Any) -> Answer:
        """Ask on a connection of its own."""
        with self.client() as client:
            return client.ask(path, user, **more)

    def refuses(self, port: int = 0) -> bool:
        """Whether nobody listens there."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port or self.port)) != 0

    def aclose(self) -> None:
        for running in self._running:
            if running.process.poll() is None:
                running.process.kill()
            running.wait(10)


@pytest.fixture
def house(tmp_path: Path, pki: Pki, service: Service) -> Iterator[House]:
    """A configuration that is good; `house.start()` runs it."""
    made = House(tmp_path, pki, service)
    yield made
    made.aclose()


# ---------------------------------------------------------------- what can be wrong with a certificate


@dataclass(frozen=True)
class Breakage:
    """One way to spoil the files of keystore `main` (or `site`, for names)."""

    spoil: Callable[[House], object]
    file: str
    reason: str
    code: int = 78
    prepare: Callable[[House], object] = lambda _: None

    BY_NAME: ClassVar[dict[str, "Breakage"]] = {}


def _with_site(house: House) -> None:
    house.put_pair("site", house.pki.server("site.test"))
    house.config["keystores"]["site"] = {"certificate": "site.pem", "key": "site.key"}
    house.config["listeners"]["public"]["sni"] = {"site.test": "site"}


def _shift(begin: timedelta, end: timedelta) -> Callable[[House], None]:
    return lambda house: house.put_pair("server", house.pki.server(begin=begin, end=end))


_DAY = timedelta(days=1)
Breakage.BY_NAME.update({
    "missing": Breakage(lambda house: (house.directory / "server.pem").unlink(), "server.pem", "no such file"),
    "empty": Breakage(lambda house: house.put("server.pem", b""), "server.pem", "CERTIFICATE|empty|no certificate"),
    "truncated": Breakage(
        lambda house: house.put("server.pem", house.leaf.certificate_pem()[:300]), "server.pem", "cut off"
    ),
    "key-mismatch": Breakage(
        lambda house: house.put("server.key", house.pki.server().key_pem()), "server.pem", "belongs to the private key"
    ),
    "expired": Breakage(_shift(-2 * _DAY, -_DAY), "server.pem", "expired"),
    "not-yet-valid": Breakage(_shift(_DAY, 2 * _DAY), "server.pem", "not valid before"),
    "wrong-usage": Breakage(
        lambda house: house.put_pair("server", house.pki.client("a client")), "server.pem", "serverAuth"
    ),
    "wrong-name": Breakage(
        lambda house: house.put_pair("site", house.pki.server("elsewhere.test")), "site.pem", "site.test",
        prepare=_with_site,
    ),
    "encrypted-key": Breakage(
        lambda house: house.put("server.key", house.leaf.key_pem(Secret(b"correct horse"))), "server.key", "password"
    ),
    "open-key": Breakage(
        lambda house: (house.directory / "server.key").chmod(0o644), "server.key", "everybody may read", code=77
    ),
})  # fmt: skip


@pytest.fixture(params=sorted(Breakage.BY_NAME))
def breakage(request: pytest.FixtureRequest, house: House) -> Breakage:
    """Every way in which a certificate can be bad; the house is ready for it, and not spoilt yet."""
    chosen = Breakage.BY_NAME[request.param]
    chosen.prepare(house)
    return chosen
