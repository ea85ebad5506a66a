"""TLS over a socket, by an engine in memory (`ssl.SSLObject`).

Why our own, where the loops have one: theirs send no alert when a handshake fails, lose the answer of a peer that has
ended its own side (half-close), keep a buffer of 32 to 256 KiB for every idle connection, and send each write by
itself. Chain and name are verified by OpenSSL as the context says; this module only carries bytes to it and from it.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from time import monotonic
from typing import Final

from typing_extensions import override

from authproxy.wire.handshake import Handshake
from authproxy.wire.plain import BUFFER, BULK
from authproxy.wire.sending import Bytes

_VIEW: Final = memoryview(BUFFER)
# The payload of the largest record (RFC 8446, 5.1).
_RECORD: Final = 16 * 1024
# Written in one turn of the loop beyond this, it is sent without waiting for the turn's end.
_BURST: Final = 64 * 1024
# OpenSSL's own answers, to key updates (RFC 8446, 4.6.3) and to attempts to renegotiate, wait for the next write, and a
# peer may ask for them without end. More than this is sent by itself (session tickets are a few kilobytes at most);
_WAITING: Final = 16 * 1024
# and with so much that the peer does not take it is given up: whoever writes has stopped long before.
_UNTAKEN: Final = 1024 * 1024
# How a connection ends after the peer's close_notify.
_CLEAN: Final = EOFError()


class TlsTransport(Handshake):
    """Shakes hands, then carries a protocol.

    `shaken` is called once: with None when it may `begin`, or with what went wrong, and an alert has told the peer.
    """

    __slots__ = (
        "_behind", "_decrypt", "_encrypt", "_has_part", "_shaken",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913  # what a connection is made of
        self,
        loop: asyncio.AbstractEventLoop,
        wire: socket.SocketType,
        context: ssl.SSLContext,
        shaken: "Callable[[TlsTransport, Exception | None], None]",
        *,
        server_name: str | None = None,
        known: dict[str, object] | None = None,
    ) -> None:
        """`server_name`: whom the server's certificate must name, for the client's side; None for the server's."""
        super().__init__(loop, wire, context, server_name, known)
        # `SSLObject.read` and `write` are Python code that calls these; where a later Python has no such attribute, they serve.
        engine = getattr(self._session, "_sslobj", self._session)
        self._decrypt: Callable[[int], bytes] = engine.read
        self._encrypt: Callable[[Bytes], int] = engine.write
        self._shaken = shaken
        self._has_part = False
        """OpenSSL holds a part of a record."""
        self._behind: Exception | None = None
        """How the peer's side ended, while the bytes before that are still to be taken."""

    @override
    def _tell(self, error: Exception | None) -> None:
        self._shaken(self, error)

    @override
    def begin(self, protocol: asyncio.Protocol) -> None:
        """Carry `protocol` from now on."""
        self._introduce(protocol)

    # ------------------------------------------------------------------ asyncio.Transport

    @override
    def get_write_buffer_size(self) -> int:
        """Return how many bytes, encrypted, the kernel has not taken yet."""
        return len(self._unsent) + self._outgoing.pending

    @override
    def write(self, data: Bytes) -> None:
        """Encrypt now, send at the end of this turn of the loop."""
        if self._is_ending:
            self._refuse_late()
            return
        encrypt = self._encrypt
        try:
            if len(data) <= _RECORD:
                if data:
                    encrypt(data)
            else:
                self._encrypt_all(data)
        except ssl.SSLError as error:
            self._end(error)
            return
        if self._unsent:
            self._weigh()
        elif not self._is_queued:
            self._is_queued = True
            self._poller.flush_later(self)
        elif self._outgoing.pending > _BURST:
            self.flush()

    @override
    def write_eof(self) -> None:
        """Say close_notify after what was written; reading goes on (RFC 8446, 6.1)."""
        if not self._is_ending:
            self._say_goodbye()
            super().write_eof()

    @override
    def close(self) -> None:
        """Send what was written, say close_notify, then close."""
        if self._is_shaken:
            super().close()
        else:
            self.abort()

    @override
    def resume_reading(self) -> None:
        """Take what the peer sends again, beginning with what has come already."""
        was_paused = self._is_paused
        super().resume_reading()
        if was_paused and (self._behind is not None or self._incoming.pending):
            self._loop.call_soon(self._drain_if_reading)

    # ------------------------------------------------------------------ bytes

    def _encrypt_all(self, data: Bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._encrypt(rest[:_RECORD]) :]

    @override
    def _on_readable(self) -> None:
        # Functions in slots are called through names: Python 3.11 takes a third longer otherwise.
        receive, put, room = self._receive, self._put, self._room
        if self._outgoing.pending > _WAITING and self._is_flooded():
            return
        try:
            size = receive(BUFFER, room)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error)
            return
        if not size:
            self._on_end(clean=False)
            return
        put(_VIEW[:size])
        if not self._is_shaken:
            self._go_on()
        elif size >= BULK or size == room:
            began = monotonic()
            self._drain(_RECORD)
            self._adapt(monotonic() - began)
        else:
            # The payload is shorter than its record: room for more would only be taken and given back.
            self._drain(_RECORD if self._has_part else size)

    def _is_flooded(self) -> bool:
        """Send what waits; give a peer up that takes nothing and makes it more and more."""
        if not self._unsent:
            self.flush()
        elif self._outgoing.pending > _UNTAKEN:
            self._end(ssl.SSLError(ssl.SSLErrorNumber.SSL_ERROR_SSL, "asks for answers of TLS's own, and takes none"))
        return self._is_gone

    def _drain(self, size: int) -> None:
        """Hand over what can be decrypted. `size`: no record that waits holds more."""
        decrypt, hand_over = self._decrypt, self._hand_over
        try:
            data = decrypt(size)
            self._has_part = False
            if data and self._incoming.pending:
                data = self._gather(data)
        except ssl.SSLWantReadError:
            # None of the application's, or only a part of it.
            self._has_part = True
            if self._outgoing.pending and not self._is_queued:
                # The answer to a key update.
                self._queue()
            return
        except ssl.SSLZeroReturnError:
            # close_notify, after our own.
            data = b""
        except ssl.SSLError as error:
            self.flush()
            self._end(error)
            return
        if data:
            try:
                hand_over(data)
            except Exception as error:  # noqa: BLE001  # nothing that failed half-way may go on
                self._crash(error)
        else:
            self._on_end(clean=True)

    def _gather(self, data: bytes) -> bytes:
        """Return `data` with what can be decrypted behind it."""
        pieces = [data]
        try:
            while self._incoming.pending:
                piece = self._decrypt(_RECORD)
                if not piece:
                    self._keep_end(_CLEAN)
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:
            self._has_part = True
        except ssl.SSLZeroReturnError:
            self._keep_end(_CLEAN)
        except ssl.SSLError as error:
            self._keep_end(error)
        return b"".join(pieces)

    def _keep_end(self, how: Exception) -> None:
        """Read no more, and tell how it ended once the bytes before that have been handed over and taken."""
        self._behind = how
        self._has_ended = True
        self._poller.remove_reader(self._fd)
        self._loop.call_soon(self._drain_if_reading)

    @override
    def _drain_if_reading(self) -> None:
        if self._is_paused or self._is_closing:
            return
        behind, self._behind = self._behind, None
        if behind is _CLEAN:
            self._on_end(clean=True)
        elif behind is not None:
            self.flush()
            self._end(behind)
        elif not self._has_ended:
            self._drain(_RECORD)

    # ------------------------------------------------------------------ the end

    @override
    def _on_end(self, *, clean: bool) -> None:
        if self._is_shaken:
            super()._on_end(clean=clean)
        else:
            self._end(ConnectionResetError("closed in its handshake"))

    @override
    def _finish(self) -> None:
        # After close_notify the socket stays open in both directions: the peer's own may come at any time.
        if self._is_closing:
            self._part()

    @override
    def _end(self, error: Exception | None) -> None:
        super()._end(error)
        self._take = self._outgoing.read
        if not self._is_shaken:
            # A connection that was reset in its handshake: whoever waits for it hears of it now, not at the deadline.
            self._is_shaken = True
            self._tell(error or ConnectionAbortedError("given up"))

    @override
    def _say_goodbye(self) -> None:
        """Write close_notify."""
        if not self._is_shaken or self._is_gone:
            return
        # OpenSSL would take records that wait to be read for a fault of the peer's: they are hidden from it meanwhile.
        hidden = self._incoming.read() if self._incoming.pending else b""
        try:  # noqa: SIM105  # at every connection's end; `suppress` costs as much as what it guards
            self._session.unwrap()
        except ssl.SSLError:
            # It wants to read the peer's own close_notify, which may come at any time or never.
            pass
        if hidden:
            self._put(hidden)
