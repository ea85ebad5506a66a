"""A TLS client that does exactly what it is told at the end of its side: say so, cut, or reset."""

import contextlib
import socket
import ssl
from typing import Self

from tests.patience import PATIENCE


def reset(wire: socket.socket) -> None:
    """Close with a TCP reset."""
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wire.close()


class TlsEnd:
    """Blocks, with a limit; what it encrypts goes out at once."""

    def __init__(
        self, port: int, context: ssl.SSLContext, name: str = "localhost", *, first: bytes = b"", buffer: int = 0
    ) -> None:
        self.wire = socket.socket()
        if buffer:
            self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.wire.settimeout(PATIENCE)
        self.wire.connect(("127.0.0.1", port))
        if first:
            self.wire.sendall(first)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._has_ended = False

    def shake(self) -> Self:
        """Shake hands."""
        try:
            self._shake()
        except BaseException:
            self.close()
            raise
        return self

    def _shake(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            else:
                self._flush()
                return

    def send(self, data: bytes) -> None:
        self.tls.write(data)
        self._flush()

    def end(self) -> None:
        """Say close_notify; reading goes on."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self._flush()

    def cut(self) -> None:
        """End the connection as a process does that is killed: FIN, and nothing said."""
        self.wire.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        reset(self.wire)

    def read(self, size: int) -> bytes:
        """Return so many bytes."""
        data = b""
        while len(data) < size:
            piece, how = self._piece()
            assert not how, f"ended ({how}) after {len(data)} of {size} bytes"
            data += piece
        return data

    def rest(self) -> tuple[int, str]:
        """Return how many bytes come until the end, and how that came: notify, fin, reset, or the alert's name."""
        size = 0
        while True:
            piece, how = self._piece()
            if how:
                return size, how
            size += len(piece)

    def close(self) -> None:
        self.wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _piece(self) -> tuple[bytes, str]:
        while True:
            try:
                data = self.tls.read(1 << 16)
            except ssl.SSLWantReadError:
                if self._has_ended:
                    return b"", "fin"
                try:
                    self._fill()
                except ConnectionResetError:
                    return b"", "reset"
            except ssl.SSLZeroReturnError:
                return b"", "notify"
            except ssl.SSLError as error:
                return b"", error.reason or str(error)
            else:
                return data, "" if data else "notify"

    def _flush(self) -> None:
        if self._outgoing.pending:
            self.wire.sendall(self._outgoing.read())

    def _fill(self) -> None:
        data = self.wire.recv(1 << 16)
        self._has_ended = not data
        if data:
            self._incoming.write(data)
        elif not self.tls.version():
            raise ConnectionResetError("closed in the handshake")
