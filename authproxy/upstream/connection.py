"""One connection to an upstream: writes requests, reads answers of every framing, one exchange at a time."""

import asyncio
from collections.abc import Callable
from typing import Final

from typing_extensions import override

from authproxy.http1.answer import BODILESS, MAX_ANSWER_HEAD, SWITCHING, AnswerHead, AnswerReader, BadAnswer
from authproxy.http1.chunked import BadChunk, ChunkedReader
from authproxy.upstream.held import Held, forget
from authproxy.upstream.interface import Failure, Receiver
from authproxy.upstream.side import Side
from authproxy.upstream.state import CHUNKED, DONE, HEAD, IDLE, LENGTH, State
from authproxy.upstream.words import explain_loss

_MAX_INTERIM: Final = 8
_HEAD_END: Final = b"\r\n\r\n"
_TOO_LONG: Final = "bytes after the end of the answer"
_READER: Final = AnswerReader()


class UpstreamConnection(Held):
    """Speaks HTTP/1.1 to an upstream for one `Receiver` after the other.

    After an answer it is `reusable` only when nothing is left in doubt: the request was sent whole, the answer ended
    exactly where its framing said, and neither side asked to close.
    """

    __slots__ = (
        "_bodiless", "_buffer", "_chunks", "_ended", "_interim", "_is_special", "_left", "_upgrade", "address", "expires", "home", "idle_since",
    )  # fmt: skip

    def __init__(self, home: "Side[UpstreamConnection]") -> None:
        self.home = home
        self._transport: asyncio.Transport | None = None
        self._state = IDLE
        self._receiver: Receiver | None = None
        self._buffer = b""
        self._left = 0
        self._chunks: ChunkedReader | None = None
        self._bodiless = False
        self._upgrade: bytes | None = None
        self._keep = True
        self._ended = False
        self._is_paused = False
        self.is_idle = True
        """Whether a request may be written to it now; False for good once it is closing."""
        self.write: Callable[[bytes], None] = forget
        """Sends bytes of the request, already framed."""
        self._interim = 0
        self._is_special = False
        """What is said by `_bodiless`, `_upgrade` or `_interim` is not the usual."""
        self.idle_since = self.expires = 0.0
        """Monotonic: since when it waits for a request, and when it is too old to carry one more."""
        self.address = ""
        """Where it leads: an IP address, or the path of a Unix socket."""

    def begin(self, receiver: Receiver, head: bytes) -> None:
        """Write a request's head (with any body bytes at hand) and read its answer for `receiver`."""
        self._receiver = receiver
        self._state = HEAD
        self.is_idle = False
        write = self.write
        write(head)

    def expect(self, *, bodiless: bool, upgrade: bytes | None) -> None:
        """Say before `begin` what is special about the answer to come.

        `bodiless`: the method is HEAD. `upgrade`: the protocol for which a 101 may come.
        """
        self._is_special = True
        self._bodiless = bodiless
        self._upgrade = upgrade

    @property
    def answered(self) -> bool:
        """Whether a byte of the answer to the request in progress has come."""
        return self._state is not HEAD or bool(self._buffer) or self._interim > 0

    def hand_over(self, receiver: Receiver) -> None:
        """From now on `receiver` gets what comes: the exchange became a tunnel."""
        self._receiver = receiver

    def finish(self) -> bool:
        """End the exchange; return whether the connection may carry another request."""
        self._receiver = None
        if self._state is DONE and self._keep and self._transport is not None:
            self._state = IDLE
            self.is_idle = True
            if self._is_special:
                self._is_special = self._bodiless = False
                self._upgrade = None
                self._interim = 0
            if self._is_paused:
                # A slow client had this answer held back: the next one must not find a deaf connection.
                self.resume()
        return self.is_idle

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """The upstream is gone: say what that means for the answer."""
        state, receiver, answered = self._state, self._receiver, self.answered
        self._end()
        self._transport = None
        self.write = forget
        self.home.forget(self)
        if receiver is None or state in {DONE, State.DEAD, IDLE}:
            return
        if state is State.UNTIL_CLOSE and self._ended:
            receiver.on_body(b"", complete=True)
        elif state is State.TUNNEL:
            receiver.on_failure(Failure.CLOSED if self._ended else Failure.TRUNCATED, explain_loss(exc, "closed"))
        elif answered:
            receiver.on_failure(Failure.TRUNCATED, explain_loss(exc, "closed before the end of the answer"))
        else:
            receiver.on_failure(Failure.CLOSED, explain_loss(exc, "closed before the answer"))

    @override
    def eof_received(self) -> bool:
        """The upstream said that it ends; True: it may still be written to."""
        # Over TLS this is close_notify and nothing else: a connection that was just cut is not said to have ended.
        self._ended = True
        self.is_idle = False
        return self._state is State.TUNNEL and self._receiver is not None and self._receiver.on_end()

    @override
    def data_received(self, data: bytes) -> None:
        """Read a piece of the answer."""
        state = self._state
        receiver = self._receiver
        if receiver is None:
            # Bytes that nobody asked for: whatever they answer, it is not the next request.
            self.abort()
        elif state is HEAD:
            self._read_head(receiver, self._buffer + data if self._buffer else data)
        elif state is LENGTH:
            self._read_length(receiver, data)
        elif state is CHUNKED:
            self._read_chunked(receiver, data)
        elif state is State.UNTIL_CLOSE or state is State.TUNNEL:
            receiver.on_body(data, complete=False)
        elif state is DONE:
            # Bytes behind the end of an answer that is already passed on: never reuse (RFC 9112, 6.3).
            self._keep = False

    def _read_head(  # noqa: C901, PLR0915  # the hot path, straight on
        self, receiver: Receiver, data: bytes
    ) -> None:
        head = _READER.take(data)
        if head is not None:
            self._buffer = b""
            rest = data[_READER.end :]
        else:
            end = data.find(_HEAD_END)
            if end < 0 or end > MAX_ANSWER_HEAD:
                self._await_more(data, end)
                return
            self._buffer = b""
            careful = _READER.read_carefully(data[:end])
            if isinstance(careful, BadAnswer):
                self._fail(Failure.MALFORMED, careful.problem)
                return
            head = careful
            rest = data[end + 4 :]
        if head.close:
            self._keep = False
        length = head.content_length
        status = head.status
        if status < 200:  # noqa: PLR2004  # 1xx, RFC 9110, 15.2
            self._on_informational(receiver, head, rest)
            return
        if self._bodiless or status in BODILESS:
            length = 0
        if length >= 0:
            self._left = left = length - len(rest)
            if left < 0:
                self._fail(Failure.MALFORMED, _TOO_LONG)
                return
            self._state = LENGTH if left else DONE
            receiver.on_answer(head, rest, complete=not left)
        else:
            self._begin_unmeasured(receiver, head, rest)

    def _await_more(self, data: bytes, end: int) -> None:
        if end > MAX_ANSWER_HEAD or len(data) >= MAX_ANSWER_HEAD + len(_HEAD_END):
            self._fail(Failure.MALFORMED, "head larger than 64 KiB")
        elif data.count(b"\n") != data.count(b"\r\n"):
            self._fail(Failure.MALFORMED, "a bare LF")
        else:
            self._buffer = data

    def _begin_unmeasured(self, receiver: Receiver, head: AnswerHead, rest: bytes) -> None:
        """Begin a body in chunks, or one that ends with the connection (RFC 9112, 6.3)."""
        if head.chunked:
            self._state = CHUNKED
            self._chunks = ChunkedReader()
            payload = self._feed_chunks(rest) if rest else b""
            if payload is not None:
                receiver.on_answer(head, payload, complete=self._state is DONE)
        else:
            self._state = State.UNTIL_CLOSE
            self._keep = False
            receiver.on_answer(head, rest, complete=False)

    def _on_informational(self, receiver: Receiver, head: AnswerHead, rest: bytes) -> None:
        if head.status == SWITCHING:
            offered = head.upgrade.lower() if head.upgrade is not None else None
            if self._upgrade is None or offered != self._upgrade.lower():
                self._fail(Failure.MALFORMED, "101 without being asked for that protocol")
                return
            self._state = State.TUNNEL
            self._keep = False
            receiver.on_answer(head, rest, complete=False)
            return
        self._interim += 1
        self._is_special = True
        if self._interim > _MAX_INTERIM:
            self._fail(Failure.MALFORMED, "more than 8 interim answers")
            return
        receiver.on_interim(head)
        if rest and self._state is HEAD and self._receiver is receiver:
            self._read_head(receiver, rest)

    def _read_length(self, receiver: Receiver, data: bytes) -> None:
        self._left = left = self._left - len(data)
        if left < 0:
            self._fail(Failure.MALFORMED, _TOO_LONG)
            return
        if not left:
            self._state = DONE
        receiver.on_body(data, complete=not left)

    def _read_chunked(self, receiver: Receiver, data: bytes) -> None:
        payload = self._feed_chunks(data)
        if payload or self._state is DONE:
            receiver.on_body(payload or b"", complete=self._state is DONE)

    def _feed_chunks(self, data: bytes) -> bytes | None:
        """Return the payload in `data`, or None when the exchange has failed."""
        chunks = self._chunks or ChunkedReader()
        try:
            payload, rest = chunks.feed(data)
        except BadChunk as error:
            self._fail(Failure.MALFORMED, str(error))
            return None
        if rest:
            self._fail(Failure.MALFORMED, _TOO_LONG)
            return None
        if chunks.done:
            self._state = DONE
        return payload

    def _fail(self, failure: Failure, detail: str) -> None:
        receiver = self._receiver
        self.abort()
        if receiver is not None:
            receiver.on_failure(failure, detail)
