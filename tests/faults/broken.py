"""Upstreams that are broken in one way each: a thread per connection, and a record of all that was asked of them."""

import contextlib
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

_HEAD: Final = b"HTTP/1.1 200 OK\r\n"
_PATIENCE: Final = 30.0
_ENDLESS: Final = 4 << 20


def black_hole(host: str, port: int = 0) -> list[socket.socket]:
    """Return sockets that make `host:port` an address where nothing ever answers, not even the kernel.

    The queue of a listening socket that nobody accepts from is full; then SYNs are dropped. The first socket listens.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.bind((host, port))
    listening.listen(0)
    sockets = [listening]
    for _ in range(3):
        filler = socket.socket(family)
        filler.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            filler.connect(listening.getsockname()[:2])
        sockets.append(filler)
    return sockets


def _reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


@dataclass
class Record:
    """What a broken upstream has noted."""

    asked: Counter[str] = field(default_factory=Counter)
    """How often each target was asked for."""
    reused: int = 0
    """Requests that came on a connection after its fault."""
    left_open: int = 0
    """Connections that the proxy did not close after the fault."""
    errors: list[BaseException] = field(default_factory=list)
    """Why faults could not be played."""


class Broken:
    """One kind of fault on a port of its own."""

    def __init__(self, kind: str, certificate: Path) -> None:
        self.kind = kind
        self.record = Record()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._held: list[socket.socket] = []
        self._over = threading.Event()
        if kind == "black-hole":
            self._held = black_hole("127.0.0.1")
            self.port = int(self._held[0].getsockname()[1])
            return
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))
        self._held = [self._listening]
        self.port = int(self._listening.getsockname()[1])
        if kind != "refused":
            self._listening.listen(256)
            self._listening.settimeout(0.1)
            self._begin(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it; waits until every connection has ended."""
        self._over.set()
        for thread in list(self._threads):
            thread.join(_PATIENCE)
        for sock in self._held:
            sock.close()

    def _begin(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                sock, _ = self._listening.accept()
            except TimeoutError:
                continue
            self._begin(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        try:
            sock.settimeout(_PATIENCE)
            if self.kind == "reset-at-accept":
                _reset(sock)
                return
            with self._context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=True) as tls:
                target = self._read(tls)
                with self._lock:
                    self.record.asked[target] += 1
                getattr(self, "_" + self.kind.replace("-", "_"))(tls)
        except (OSError, EOFError):
            pass
        except BaseException as error:  # the experiment tells
            self.record.errors.append(error)
        finally:
            sock.close()

    def _read(self, tls: ssl.SSLSocket) -> str:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = tls.recv(65536)
            if not piece:
                raise EOFError
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name == b"content-length":
                while len(body) < int(value):
                    body += tls.recv(65536)
        return head.split(b" ")[1].decode()

    def _watch(self, tls: ssl.SSLSocket) -> None:
        """The connection must end, and nothing may come on it before."""
        try:
            if tls.recv(65536):
                self.record.reused += 1
        except TimeoutError:
            self.record.left_open += 1

    # ------------------------------------------------------------------ what goes wrong after the request

    def _reset_after_request(self, tls: ssl.SSLSocket) -> None:
        _reset(tls)

    def _reset_after_head(self, tls: ssl.SSLSocket) -> None:
        tls.sendall(_HEAD + b"Content-Length: 1000\r\n\r\n")
        self._linger(tls)

    def _reset_in_body(self, tls: ssl.SSLSocket) -> None:
        tls.sendall(_HEAD + b"Content-Length: 1000\r\n\r\n" + b"x" * 500)
        self._linger(tls)

    def _reset_in_chunk(self, tls: ssl.SSLSocket) -> None:
        tls.sendall(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n100\r\nxx")
        self._linger(tls)

    def _linger(self, tls: ssl.SSLSocket) -> None:
        # A reset overtakes what is still on its way; the fault is meant to come after it.
        self._over.wait(0.1)
        _reset(tls)

    def _stall_in_body(self, tls: ssl.SSLSocket) -> None:
        tls.sendall(_HEAD + b"Content-Length: 1000\r\n\r\n" + b"x" * 500)
        self._watch(tls)

    def _stall_before_head(self, tls: ssl.SSLSocket) -> None:
        self._watch(tls)

    def _endless_head(self, tls: ssl.SSLSocket) -> None:
        tls.sendall(_HEAD)
        sent = 0
        with contextlib.suppress(OSError):
            while sent < _ENDLESS:
                tls.sendall(b"X-More: %b\r\n" % (b"x" * 1000))
                sent += 1000
        if sent >= _ENDLESS:
            self.record.left_open += 1

    def _garbage_head(self, tls: ssl.SSLSocket) -> None:
        tls.sendall(b"\x00\x01\x02 this is no answer\r\n\r\n")
        self._watch(tls)

    def _wrong_name(self, tls: ssl.SSLSocket) -> None:
        tls.sendall(_HEAD + b"Content-Length: 2\r\n\r\nno")
        self._watch(tls)
