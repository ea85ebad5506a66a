"""An upstream that records every byte it gets and answers with scripted bytes.

Blocking sockets and a thread for each connection: what it read, and whether a connection ended with close_notify or
was cut, is seen exactly as it was on the wire.
"""

import contextlib
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.patience import PATIENCE

TRUSTED = "127.0.0.2"
"""A peer whose X-Forwarded-* are believed."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEADS = b"\r\n\r\n"


class Gone(Exception):
    """The proxy ended the connection; `str` of it is `clean` or `cut`."""


@dataclass(kw_only=True, eq=False)
class Seen:
    """A request, byte for byte."""

    connection: int
    head: bytes
    """Without the empty line."""
    body: bytes = b""
    """The payload."""
    framed: bytes = b""
    """The body as it came."""
    whole: bool = False
    """Whether the body ended as its framing says."""

    @property
    def line(self) -> bytes:
        return self.head.partition(b"\r\n")[0]

    @property
    def method(self) -> bytes:
        return self.line.split(b" ")[0]

    @property
    def target(self) -> bytes:
        return self.line.split(b" ")[1]

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """Names as they came, values without the blanks around them."""
        pairs = [line.partition(b":") for line in self.head.split(b"\r\n")[1:]]
        return [(name, value.strip(b" \t")) for name, _, value in pairs]

    def all(self, name: str) -> list[bytes]:
        """The values of every field of this name."""
        return [value for key, value in self.fields if key.lower() == name.lower().encode()]

    def one(self, name: str) -> bytes | None:
        """The value of the only field of this name, or None."""
        values = self.all(name)
        assert len(values) < 2, (name, values)
        return values[0] if values else None

    def like(self, name: str) -> list[tuple[bytes, bytes]]:
        """The fields that a folding reader (CGI, WSGI) takes for this name."""
        return [(key, value) for key, value in self.fields if folded(key) == folded(name.encode())]


def folded(name: bytes) -> bytes:
    """The name as CGI spells it."""
    return bytes(c if chr(c).isalnum() else ord("_") for c in name.upper())


@dataclass(kw_only=True, eq=False)
class Turn:
    """What a script may do with one request."""

    sock: ssl.SSLSocket
    seen: Seen
    upstream: "RecordingUpstream"
    buffer: bytearray

    def read_body(self) -> None:
        """Read the request's body to its end, as its framing says."""
        length, coding = self.seen.one("Content-Length"), self.seen.one("Transfer-Encoding")
        assert length is None or coding is None, self.seen.head
        if coding is not None:
            assert coding == b"chunked", coding
            self._read_chunks()
        elif length is not None:
            self.seen.body = self.seen.framed = self.read(int(length))
        self.seen.whole = True
        self.upstream.tell()

    def read(self, count: int) -> bytes:
        """Exactly so many bytes; what came is recorded when fewer come."""
        while len(self.buffer) < count:
            try:
                receive(self.sock, self.buffer)
            except Gone:
                self.seen.framed += bytes(self.buffer)
                raise
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def read_line(self) -> bytes:
        """One line without its CRLF."""
        while b"\r\n" not in self.buffer:
            receive(self.sock, self.buffer)
        line, _, rest = bytes(self.buffer).partition(b"\r\n")
        self.buffer[:] = rest
        return line

    def send(self, data: bytes) -> None:
        """Send exactly these bytes."""
        self.sock.sendall(data)

    def close(self) -> None:
        """End with close_notify, and go on reading nothing."""
        shut(self.sock)
        raise Gone("closed here")

    def cut(self) -> None:
        """End without close_notify."""
        raise Gone("cut here")

    def reset(self) -> None:
        """End with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        raise Gone("reset here")

    def wait(self, event: threading.Event) -> None:
        """Go on when the test says so."""
        assert event.wait(PATIENCE)

    def _read_chunks(self) -> None:
        while True:
            line = self.read_line()
            assert line == line.strip(), line
            assert b";" not in line, line
            self.seen.framed += line + b"\r\n"
            size = int(line, 16)
            data = self.read(size + 2)
            assert data[-2:] == b"\r\n"
            self.seen.framed += data
            self.seen.body += data[:-2]
            if not size:
                return


Script = Callable[[Turn], None]


def reply(raw: bytes = OK, then: str = "") -> Script:
    """Read the request whole, send these bytes, then `close`, `cut`, `reset` or go on."""

    def script(turn: Turn) -> None:
        turn.read_body()
        bodiless = raw is OK and turn.seen.method == b"HEAD"
        turn.send(raw[: -len(b"ok")] if bodiless else raw)
        if then:
            getattr(turn, then)()

    return script


def early(raw: bytes = OK, then: str = "") -> Script:
    """Answer before the body is read."""

    def script(turn: Turn) -> None:
        turn.send(raw)
        if then:
            getattr(turn, then)()
        turn.read_body()

    return script


def pieces(*raws: bytes, then: str = "") -> Script:
    """Send these bytes one after the other, each once the proxy had time to read what was before."""

    def script(turn: Turn) -> None:
        turn.read_body()
        for raw in raws:
            turn.send(raw)
            turn.upstream.breathe()
        if then:
            getattr(turn, then)()

    return script


@dataclass(eq=False)
class RecordingUpstream:
    """Listens on a port of its own; `scripts` answer in the order in which requests come, then `OK` does."""

    context: ssl.SSLContext
    requests: list[Seen] = field(default_factory=list)
    scripts: deque[Script] = field(default_factory=deque)
    ends: dict[int, str] = field(default_factory=dict)
    """How the proxy ended a connection, by its number: `clean` or `cut`."""
    errors: list[BaseException] = field(default_factory=list)
    source: str = "127.1.0.0"
    """The address that the clients of the test under way come from, and no other test's."""

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listening.getsockname()[1]
        self._open: dict[int, ssl.SSLSocket] = {}
        self._threads: list[threading.Thread] = []
        self._count = self._tests = 0
        self.breathe: Callable[[], None] = lambda: None
        self._start(self._accept)

    def reset(self) -> None:
        """Forget what was: a request of an earlier test that comes late is told by its client's address."""
        with self._changed:
            self._tests += 1
            self.source = f"127.1.{self._tests >> 8}.{self._tests & 255}"
            self.requests = []
            self.scripts = deque()
            self.ends = {}
            self.errors = []

    def answer(self, *scripts: Script | bytes) -> None:
        """Answer the next requests so."""
        self.scripts.extend(reply(script) if isinstance(script, bytes) else script for script in scripts)

    def tell(self) -> None:
        """Wake those who wait."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the condition holds."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), f"{what}; requests: {self.requests}"

    def request(self, number: int = 1, *, whole: bool = True) -> Seen:
        """The request of this number, once it is there."""
        self.wait(lambda: len(self.requests) >= number and (self.requests[number - 1].whole or not whole), "no request")
        return self.requests[number - 1]

    def end_of(self, seen: Seen) -> str:
        """How the proxy ended the connection of a request, once it did."""
        self.wait(lambda: seen.connection in self.ends, "connection not ended")
        return self.ends[seen.connection]

    def stop(self) -> None:
        """Close everything."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._changed:
            for sock in self._open.values():
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)

    # ------------------------------------------------------------------ connections

    def _start(self, run: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=run, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listening.accept()
            except OSError:
                return
            self._count += 1
            self._start(self._serve, raw, self._count)

    def _serve(self, raw: socket.socket, number: int) -> None:
        raw.settimeout(60)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock = self.context.wrap_socket(raw, server_side=True, suppress_ragged_eofs=False)
        except OSError:
            raw.close()
            return
        with self._changed:
            self._open[number] = sock
        end = "clean"
        try:
            buffer = bytearray()
            while True:
                self._one(sock, buffer, number)
        except Gone as gone:
            end = str(gone)
        except OSError:
            end = "cut"
        except BaseException as error:
            self.errors.append(error)
            end = "broken"
        finally:
            with self._changed:
                del self._open[number]
                self.ends[number] = end
                sock.close()
                self._changed.notify_all()

    def _one(self, sock: ssl.SSLSocket, buffer: bytearray, number: int) -> None:
        while HEADS not in buffer:
            receive(sock, buffer)
        head, _, rest = bytes(buffer).partition(HEADS)
        buffer[:] = rest
        seen = Seen(connection=number, head=head)
        with self._changed:
            script = reply()
            if self._is_ours(seen):
                self.requests.append(seen)
                script = self.scripts.popleft() if self.scripts else script
            self._changed.notify_all()
        try:
            script(Turn(sock=sock, seen=seen, upstream=self, buffer=buffer))
        finally:
            self.tell()

    def _is_ours(self, seen: Seen) -> bool:
        peer = b",".join(seen.all("X-Forwarded-For")).rpartition(b",")[2].strip()
        return peer in {self.source.encode(), TRUSTED.encode()}


def receive(sock: ssl.SSLSocket, buffer: bytearray) -> None:
    """Read some bytes, or tell how the connection ended."""
    try:
        data = sock.recv(65536)
    except (ConnectionError, ssl.SSLError) as error:
        raise Gone("cut") from error
    if not data:
        raise Gone("clean")
    buffer += data


def shut(sock: ssl.SSLSocket) -> None:
    """Send close_notify without waiting for the other's."""
    sock.settimeout(0)
    with contextlib.suppress(OSError):
        sock.unwrap()
