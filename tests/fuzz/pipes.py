"""Transports whose other end is this program: the client's, and the upstream's, which reads strictly."""

import asyncio
from collections import deque
from typing import Final, Protocol

from typing_extensions import override

from tests.fuzz.breaker import OK
from tests.fuzz.grammar import Script, Step
from tests.fuzz.outcome import Carried
from tests.fuzz.reader import Bad, Message, More, read_body, read_request

HEADS: Final = b"\r\n\r\n"


class Upstreams(Protocol):
    """Where the upstream's connections tell what they saw."""

    carried: list[Carried]
    crashes: list[str]

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Runs everything."""
        ...

    def script_of(self, carried: Carried) -> Script:
        """What is done with a request."""
        ...


class Pipe(asyncio.Transport):
    """A transport whose other end is this program."""

    def __init__(self, loop: asyncio.AbstractEventLoop, peer: str) -> None:
        super().__init__({"peername": (peer, 50000), "sockname": ("127.0.0.1", 8443)})
        self._loop = loop
        self.protocol: asyncio.Protocol | None = None
        self.written = bytearray()
        self.end = ""
        """How this side ended it."""
        self.paused = False
        self.waiting: deque[bytes] = deque()
        """What came while reading was paused."""
        self.unsent = 0
        self.lost = False
        self._ending = ""

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.end and not self.lost:
            self.written += data

    @override
    def can_write_eof(self) -> bool:
        return True

    @override
    def write_eof(self) -> None:
        """Nothing more comes from the proxy; the client goes when its case says so."""

    @override
    def is_closing(self) -> bool:
        return bool(self.end) or self.lost

    @override
    def close(self) -> None:
        self._stop("clean")

    @override
    def abort(self) -> None:
        self._stop("cut")

    @override
    def pause_reading(self) -> None:
        self.paused = True

    @override
    def resume_reading(self) -> None:
        self.paused = False
        self._loop.call_soon(self._drain)

    @override
    def get_write_buffer_size(self) -> int:
        return self.unsent

    def _stop(self, how: str) -> None:
        if not self.end and not self.lost:
            self.end = how
            self._loop.call_soon(self.lose, None)

    def feed(self, data: bytes) -> None:
        """Let bytes arrive."""
        self.waiting.append(data)
        self._drain()

    def _drain(self) -> None:
        while self.waiting and not self.paused and not self.is_closing() and self.protocol is not None:
            self.protocol.data_received(self.waiting.popleft())
        if self._ending and not self.waiting:
            self.end_from_outside(self._ending)

    def lose(self, error: Exception | None) -> None:
        """End it, as the loop tells a protocol."""
        if not self.lost and self.protocol is not None:
            self.lost = True
            self.protocol.connection_lost(error)

    def end_from_outside(self, how: str) -> None:
        """The other side ends it, once what it sent before has arrived."""
        if self.is_closing() or self.protocol is None:
            return
        if self.waiting:
            self._ending = how
            return
        if how == "clean":
            self.protocol.eof_received()
        self.lose(None if how == "clean" else ConnectionResetError("cut"))


class Behind(Pipe):
    """A connection at the upstream's end: reads strictly, and does what the scripts say."""

    def __init__(self, world: "Upstreams", number: int) -> None:
        super().__init__(world.loop, "127.0.0.9")
        self.number = number
        self._world = world
        self._now: Carried | None = None
        self._message: Message | None = None
        self._answered = False
        self._is_tunnel = False
        self._is_scheduled = False

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        super().write(data)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._serve)

    @override
    def write_eof(self) -> None:
        """What is in a tunnel has no more to say either, once the other side has ended."""
        self._loop.call_soon(self.end_from_outside, "clean")

    @property
    def is_busy(self) -> bool:
        return self._now is not None or bool(self.written)

    def _serve(self) -> None:
        self._is_scheduled = False
        while self.written and not self.lost:
            if self._is_tunnel and self._now is not None:
                self._now.tunnelled += bytes(self.written)
                self.written.clear()
                return
            if not self._step():
                return

    def _step(self) -> bool:
        """Read on; return whether there may be more."""
        data = bytes(self.written)
        if self._now is None:
            if HEADS not in data:
                return False
            self._now = Carried(connection=self.number, asked=data, whole=False)
            self._answered = False
            self._world.carried.append(self._now)
        self._now.asked = data
        try:
            message = read_request(data, 0)
        except (Bad, More) as bad:
            self._world.crashes.append(f"the upstream cannot read what the proxy writes: {bad!r} in {data[:3000]!r}")
            self.written.clear()
            return False
        script = self._world.script_of(self._now)
        if script.when == "head" and not self._answered:
            self._do(script, message)
        try:
            read_body(data, message)
        except More:
            return False
        except Bad as bad:
            self._world.crashes.append(f"the upstream cannot read the proxy's body: {bad!r} in {data[:3000]!r}")
            self.written.clear()
            return False
        now = self._now
        now.asked, now.whole = data[: message.end], True
        del self.written[: message.end]
        if not self._answered:
            self._do(script, message)
        if not self._is_tunnel:
            self._now = None
        return True

    def _do(self, script: Script, message: Message) -> None:
        self._answered = True
        now = self._now
        if now is None or self.lost:
            return
        pieces: tuple[Step, ...] = script.pieces
        if script.when == "never":
            pieces = ()
        elif not pieces:
            pieces = (OK[:-2] if message.method == b"HEAD" else OK,)
        for piece in pieces:
            if isinstance(piece, bytes):
                now.sent += piece
                self._loop.call_soon(self.feed, piece)
            elif self.protocol is not None:
                call = self.protocol.pause_writing if piece == "pause" else self.protocol.resume_writing
                self.unsent = 1 if piece == "pause" else 0
                self._loop.call_soon(call)
        if now.sent.startswith(b"HTTP/1.1 101") and message.all(b"upgrade"):
            self._is_tunnel = True
        if script.then != "keep":
            now.end = "clean" if script.then == "close" else "cut"
            self._loop.call_soon(self.end_from_outside, now.end)
