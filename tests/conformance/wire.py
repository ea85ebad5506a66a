"""A client that sends exact bytes over TLS and reads answers with a small parser of its own.

Nothing here is shared with the proxy: two readers that agree prove more than one that agrees with itself.
"""

import contextlib
import socket
import ssl
from dataclasses import dataclass, field

from tests.patience import PATIENCE

TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Truncated(Exception):
    """The connection ended within an answer."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer, read whole."""

    status: int
    line: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes
    framing: str
    """`none`, `length`, `chunked` or `close`."""

    def all(self, name: str) -> list[bytes]:
        """The values of every field of this name."""
        return [value for key, value in self.fields if key.lower() == name.lower().encode()]

    def one(self, name: str) -> bytes | None:
        """The value of the only field of this name, or None."""
        values = self.all(name)
        assert len(values) < 2, (name, values)
        return values[0] if values else None

    @property
    def kind(self) -> str:
        """The class of an answer of the proxy's own; empty for an upstream's."""
        return (self.one("X-Authproxy-Response") or b"").partition(b";")[0].decode()


@dataclass(kw_only=True)
class Wire:
    """A connection to the proxy."""

    sock: ssl.SSLSocket
    buffer: bytearray = field(default_factory=bytearray)
    end: str = ""
    """Empty while open; then `clean` (close_notify came), or `cut`."""

    def send(self, data: bytes) -> None:
        """Send exactly these bytes; a proxy that has closed already is no error here."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            self.sock.sendall(data)

    def ask(self, data: bytes, method: str | None = None) -> Answer:
        """Send a request and read its answer."""
        self.send(data)
        return self.answer(method or data.lstrip(b"\r\n").partition(b" ")[0].decode("latin-1"))

    def interim(self) -> Answer:
        """Read one answer head of any status, with no body."""
        return self._head()

    def answer(self, method: str = "GET") -> Answer:
        """Read one final answer; interim ones fail the test."""
        head = self._head()
        assert head.status >= 200, head
        return self._with_body(head, method)

    def rest(self) -> bytes:
        """Everything until the end of the connection; how it ended is in `end`."""
        while self._more():
            pass
        data = bytes(self.buffer)
        self.buffer.clear()
        return data

    def exactly(self, count: int) -> bytes:
        """The next `count` bytes."""
        while len(self.buffer) < count:
            if not self._more():
                raise Truncated(bytes(self.buffer))
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def close(self) -> None:
        """Close without a word."""
        self.sock.close()

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    # ------------------------------------------------------------------ parsing

    def _more(self) -> bool:
        if self.end:
            return False
        try:
            data = self.sock.recv(65536)
        except (ssl.SSLEOFError, ConnectionError):
            self.end = "cut"
            return False
        except ssl.SSLError as error:
            if "EOF" not in str(error):
                raise
            self.end = "cut"
            return False
        if not data:
            self.end = "clean"
            return False
        self.buffer += data
        return True

    def _until(self, mark: bytes) -> bytes:
        while (position := self.buffer.find(mark)) < 0:
            if not self._more():
                raise Truncated(bytes(self.buffer))
        data = bytes(self.buffer[:position])
        del self.buffer[: position + len(mark)]
        return data

    def _head(self) -> Answer:
        line, *lines = self._until(b"\r\n\r\n").split(b"\r\n")
        version, status, _ = line.split(b" ", 2)
        assert version in {b"HTTP/1.1", b"HTTP/1.0"}, line
        fields = []
        for one in lines:
            name, colon, value = one.partition(b":")
            assert colon, one
            assert name, one
            assert not name.translate(None, TOKEN), one
            fields.append((name, value.strip(b" \t")))
        return Answer(status=int(status), line=line, fields=fields, body=b"", framing="none")

    def _with_body(self, head: Answer, method: str) -> Answer:
        coding, length = head.one("Transfer-Encoding"), head.one("Content-Length")
        assert coding is None or length is None, head
        if method == "HEAD" or head.status in {204, 304}:
            return head
        if coding is not None:
            assert coding == b"chunked"
            body, framing = self._chunks(), "chunked"
        elif length is not None:
            body, framing = self.exactly(int(length)), "length"
        else:
            body, framing = self.rest(), "close"
            if self.end != "clean":
                raise Truncated(body)
        return Answer(status=head.status, line=head.line, fields=head.fields, body=body, framing=framing)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self._until(b"\r\n"), 16):
            body += self.exactly(size)
            assert self.exactly(2) == b"\r\n"
        assert self.exactly(2) == b"\r\n"
        return body


def connect(port: int, context: ssl.SSLContext, *, source: str = "", name: str = "proxy.test") -> Wire:
    """A fresh connection to the proxy; `source` is the address that it comes from."""
    raw = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0) if source else None)
    try:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Wire(sock=context.wrap_socket(raw, server_hostname=name, suppress_ragged_eofs=False))
    except BaseException:
        raw.close()
        raise
