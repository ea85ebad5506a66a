"""The real program in a process of its own, with keys, tokens and configuration made for it."""

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from authproxy.core.pepper import Pepper
from authproxy.core.record import UserId
from authproxy.core.secret import Secret
from authproxy.core.token import generate
from authproxy.keystore.generate import (
    Algorithm,
    Issued,
    Validity,
    alternative_name,
    combined_file,
    new_authority,
    new_server,
)
from tests.conformance.upstream import RecordingUpstream
from tests.conformance.wire import Wire, connect
from tests.patience import PATIENCE
from tests.ports import free_ports

ALICE = "11111111-2222-4333-8444-555555555555"
"""In group `admins`, named `alice`; holds tokens of zones `api` and `web`."""
BOB = "99999999-8888-4777-8666-555555555555"
"""In no group."""
PEPPERS = {"api": b"a" * 32, "web": b"w" * 32}


def token(zone: str, user: str, version: int = 3, prefix: str = "") -> str:
    """The token of a user; of one version only one is good."""
    secret = (zone + user).encode().ljust(32, b".")[:32]
    return generate(prefix or {"api": "svc", "web": "web"}[zone], version, UserId(UUID(user).bytes), secret)


def rows(*users: str) -> str:
    """The token file: everybody has version 3 in both zones."""
    lines = []
    for zone, pepper in PEPPERS.items():
        for user in users:
            secret = (zone + user).encode().ljust(32, b".")[:32]
            digest = Pepper(Secret(pepper)).digest(UserId(UUID(user).bytes), 3, secret)
            more = ", name: alice, groups: [admins]" if user == ALICE else ""
            lines.append(f"- {{user_id: {user}, zone: {zone}, rotation_version: 3, hash: {digest.hex()}{more}}}\n")
    return "".join(lines)


GOOD = f"Authorization: Bearer {token('api', ALICE)}\r\n".encode()
"""The line of a credential that passes."""


def request(line: str | bytes = "GET / HTTP/1.1", *lines: str | bytes, body: bytes = b"", auth: bytes = GOOD) -> bytes:
    """A request as bytes: with Host and a good credential, and further lines as they are given."""
    start = line.encode("latin-1") if isinstance(line, str) else line
    more = [one.encode("latin-1") if isinstance(one, str) else one for one in lines]
    return start + b"\r\nHost: proxy.test\r\n" + auth + b"".join(one + b"\r\n" for one in more) + b"\r\n" + body


def post(body: bytes, *lines: str, target: str = "/") -> bytes:
    """A POST with a body of known length."""
    return request(f"POST {target} HTTP/1.1", f"Content-Length: {len(body)}", *lines, body=body)


def chunked(body: bytes, *lines: str, target: str = "/") -> bytes:
    """A POST with these bytes behind its head."""
    return request(f"POST {target} HTTP/1.1", "Transfer-Encoding: chunked", *lines, body=body)


@dataclass(frozen=True, kw_only=True)
class Material:
    """Keys and certificates of a test run."""

    authority: Issued
    server: Issued
    upstream: Issued
    stranger: Issued

    @classmethod
    def make(cls) -> "Material":
        validity = Validity.of_days(datetime.now(UTC), 3)
        kind = Algorithm.EC_P256
        authority = new_authority("authproxy tests", validity, kind)
        names = [alternative_name(name) for name in ("proxy.test", "localhost", "127.0.0.1")]
        return cls(
            authority=authority,
            server=new_server(authority, names, validity, kind),
            upstream=new_server(authority, [alternative_name("upstream.test")], validity, kind),
            stranger=new_authority("somebody else", validity, kind),
        )

    def client_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.authority.certificate_pem().decode())
        # Set by default before Python 3.11.4: a connection that was cut would look like one that ended.
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        return context

    def upstream_context(self, folder: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        file = folder / "upstream.pem"
        file.write_bytes(combined_file(self.upstream))
        context.load_cert_chain(file)
        return context

    def write(self, folder: Path) -> None:
        (folder / "server.pem").write_bytes(combined_file(self.server))
        (folder / "server.pem").chmod(0o600)
        (folder / "ca.pem").write_bytes(self.authority.certificate_pem())
        (folder / "stranger.pem").write_bytes(self.stranger.certificate_pem())
        for zone, pepper in PEPPERS.items():
            (folder / f"{zone}.pepper").write_bytes(pepper)
            (folder / f"{zone}.pepper").chmod(0o600)
        (folder / "tokens.yaml").write_text(rows(ALICE, BOB))


@dataclass(eq=False)
class Proxy:
    """A running authproxy."""

    process: subprocess.Popen[bytes]
    ports: dict[str, int]
    context: ssl.SSLContext
    upstream: RecordingUpstream
    log: list[str] = field(default_factory=list)
    """What it wrote on standard error."""
    access: list[dict[str, object]] = field(default_factory=list)
    """The lines of its access log."""

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._read, args=(stream, take), daemon=True)
            for stream, take in ((self.process.stderr, self._take_log), (self.process.stdout, self._take_access))
        ]
        for thread in self._threads:
            thread.start()

    def connect(self, listener: str = "public", *, source: str = "", name: str = "proxy.test") -> Wire:
        """A fresh connection."""
        return connect(self.ports[listener], self.context, source=source or self.upstream.source, name=name)

    def wait_log(self, text: str) -> str:
        """The first line of the log that holds this text, once it is there."""
        with self._changed:
            ended = lambda: not self._threads[0].is_alive()  # noqa: E731  # two words
            self._changed.wait_for(lambda: ended() or any(text in line for line in self.log), PATIENCE)
            found = [line for line in self.log if text in line]
            assert found, "".join(self.log)
            return found[0]

    def wait_access(self, request_id: bytes | None) -> dict[str, object]:
        """The line of a request, once it is written."""
        assert request_id is not None
        wanted = request_id.decode()
        with self._changed:
            assert self._changed.wait_for(
                lambda: any(line["request_id"] == wanted for line in self.access), PATIENCE
            ), wanted
            return next(line for line in self.access if line["request_id"] == wanted)

    def wait_access_text(self, text: str) -> dict[str, object]:
        """The first line of the access log that holds this text, once it is written."""
        with self._changed:
            assert self._changed.wait_for(lambda: any(text in str(line) for line in self.access), PATIENCE), text
            return next(line for line in self.access if text in str(line))

    def wait_log_count(self, text: str, count: int) -> None:
        """Return once so many lines of the log hold this text."""
        with self._changed:
            enough = lambda: sum(text in line for line in self.log) >= count  # noqa: E731  # two words
            assert self._changed.wait_for(enough, PATIENCE), "".join(self.log)

    def stop(self) -> None:
        """End it: twice asked means now."""
        for _ in range(2):
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(PATIENCE)
        for thread in self._threads:
            thread.join(PATIENCE)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def _read(self, stream: object, take: object) -> None:
        for line in stream:  # type: ignore[attr-defined]
            with self._changed:
                take(line)  # type: ignore[operator]
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _take_log(self, line: bytes) -> None:
        self.log.append(line.decode())

    def _take_access(self, line: bytes) -> None:
        self.access.append(json.loads(line))


def start(
    folder: Path,
    material: Material,
    configuration: dict[str, object],
    listeners: list[str],
    upstream: RecordingUpstream,
) -> Proxy:
    """Start authproxy with this configuration (`bind` of each listener is filled in) and wait until it serves."""
    material.write(folder)
    environ = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("COVERAGE_", "COV_CORE_", "AUTHPROXY_", "PYTHONDONTWRITE"))
    }
    for attempt in range(5):
        ports = dict(zip(listeners, free_ports(len(listeners)), strict=True))
        text = json.dumps(configuration)
        for name, port in ports.items():
            text = text.replace(f"@{name}@", f"127.0.0.1:{port}")
        (folder / "authproxy.yaml").write_text(text)
        process = subprocess.Popen(
            [sys.executable, "-m", "authproxy", "run", "-c", str(folder / "authproxy.yaml")],
            cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        proxy = Proxy(process, ports, material.client_context(), upstream)
        try:
            proxy.wait_log("proxy.started")
        except AssertionError:
            proxy.stop()
            # Somebody else may have taken a port between the choice and the start.
            if attempt == 4 or "cannot listen" not in "".join(proxy.log):
                raise
            continue
        return proxy
    raise AssertionError
