"""A real proxy of a shipped configuration, and a client of it."""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from typing_extensions import override

from tests.patience import PATIENCE


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Client(http.client.HTTPSConnection):
    """Asks for `name`, connects to a port of this machine."""

    def __init__(self, port: int, name: str, context: ssl.SSLContext) -> None:
        super().__init__(name, port, timeout=PATIENCE, context=context)
        self._tls = context

    @override
    def connect(self) -> None:
        """Connect."""
        self.sock = self._tls.wrap_socket(
            socket.create_connection(("127.0.0.1", self.port), PATIENCE), server_hostname=self.host
        )


def trusting(ca: str) -> ssl.SSLContext:
    """Return the context of a client that believes these authorities."""
    return ssl.create_default_context(cadata=ca)


def ask(port: int, name: str, context: ssl.SSLContext, path: str, **fields: str) -> Answer:
    """Ask on a connection of its own; `X_Name="..."` is a field."""
    with contextlib.closing(Client(port, name, context)) as client:
        client.request("GET", path, headers={key.replace("_", "-"): value for key, value in fields.items()})
        with client.getresponse() as response:
            return Answer(response.status, dict(response.getheaders()), response.read())


class Serving:
    """The process; ready when the block begins, gone when it ends."""

    def __init__(self, config: Path, port: int, name: str, ca: str) -> None:
        self.port, self.name, self.context = port, name, trusting(ca)
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("AUTHPROXY_", "COV"))}
        self._log = (config.parent / f".{port}.log").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "authproxy", "run", "-c", config], env=environ, stdout=self._log, stderr=self._log
        )

    def said(self) -> str:
        """What it wrote so far: events and the access log."""
        return Path(self._log.name).read_text()

    def lines(self) -> list[dict[str, Any]]:
        # What is being written meanwhile may be there without its end.
        whole = self.said().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def until(self, look, seconds=PATIENCE):
        """Return the first true value of `look()`."""
        ends = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < ends, f"not within {seconds:g}s: {self.said()}"
            time.sleep(0.05)
        return found

    def __enter__(self) -> Self:
        self.until(self._is_there)
        return self

    def _is_there(self) -> bool:
        assert self.process.poll() is None, f"the start failed: {self.said()}"
        return any(line["event"] == "proxy.started" for line in self.lines() if "event" in line)

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self._log.close()

    def trust(self, ca: str) -> None:
        """Believe these authorities from now on."""
        self.context = trusting(ca)

    def ask(self, path: str, token: str = "", **fields: str) -> Answer:
        more = {"Authorization": f"Bearer {token}"} if token else {}
        return ask(self.port, self.name, self.context, path, **more, **fields)

    def shown(self) -> bytes:
        """The certificate that a new connection is shown, whoever has issued it."""
        look = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        look.check_hostname, look.verify_mode = False, ssl.CERT_NONE
        with contextlib.closing(Client(self.port, self.name, look)) as client:
            client.connect()
            assert isinstance(client.sock, ssl.SSLSocket)
            return client.sock.getpeercert(binary_form=True) or b""

    def end(self) -> int:
        """Send SIGTERM; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def accept(key: str) -> str:
    """Return what a server answers to this Sec-WebSocket-Key (RFC 6455, 4.2.2)."""
    return base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()


class Behind:
    """The service behind, in plain HTTP on loopback; `asked` is what came through, names in any case."""

    def __init__(self) -> None:
        asked: list[Message] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked.append(self.headers)
                if "Upgrade" in self.headers:
                    self._echo()
                    return
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def _echo(self) -> None:
                """Change to bytes that come back as they are."""
                self.send_response(101)
                self.send_header("Connection", "Upgrade")
                self.send_header("Upgrade", self.headers["Upgrade"])
                self.send_header("Sec-WebSocket-Accept", accept(self.headers["Sec-WebSocket-Key"]))
                self.end_headers()
                self.close_connection = True
                while data := self.connection.recv(100):
                    self.connection.sendall(data)

            @override
            def log_message(self, *_: object) -> None:
                pass

        self.asked = asked
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
