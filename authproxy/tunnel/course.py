"""What all relays have in common: two sides, the time that they may take, and one end that is told once."""

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from typing_extensions import override

from authproxy.runtime import TunnelPlan
from authproxy.tunnel.ended import End, why_lost
from authproxy.tunnel.relay import Side

# How long a client may take to hear that there is nothing for it here.
_GOODBYE: Final = 5.0


class _Client(Side):
    """The client's side: the protocol that the door hands a connection to."""

    __slots__ = ("_course",)

    def __init__(self, course: "Course") -> None:
        super().__init__(course)
        self._course = course

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands at the door."""
        super().connection_made(transport)
        if self.transport is not None:
            self._course.begin(self.transport)


class Course(ABC):
    """The course of a relay; is its own line, since there is nothing else to keep of it.

    `begin` is called first; somebody calls `watch` and, at the `deadline`, `on_deadline`.
    """

    __slots__ = ("_ends", "_is_open", "_monotonic", "_owed", "_plan", "began", "client", "deadline", "target", "waited")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._plan: TunnelPlan | None = None
        """None: nothing is to be relayed."""
        self.client: Side = _Client(self)
        self.target = Side(self)
        self.client.pair(self.target)
        self.began = monotonic()
        self.waited = 0.0
        """Seconds until the connection to the target stood; 0: it never did."""
        self._ends = math.inf
        self._is_open = False
        """Its end has not been told yet."""
        self._owed = -1
        """What was still to be taken at the last look, once both sides have ended."""
        self.deadline = math.inf

    @property
    def protocol(self) -> asyncio.Protocol:
        """What the door hands the connection to."""
        return self.client

    @abstractmethod
    def begin(self, transport: asyncio.Transport) -> None:
        """The client stands at the door."""

    @abstractmethod
    def end(self, end: End, detail: str) -> None:
        """It has ended; called once for each that was opened."""

    @abstractmethod
    def on_gone(self) -> None:
        """A socket is closed."""

    def open(self, transport: asyncio.Transport, plan: TunnelPlan | None) -> None:
        """Begin; nothing is taken of the client before there is somebody to take it."""
        self._is_open = True
        self._plan = plan
        if plan is not None and plan.life is not None:
            self._ends = self.began + plan.life
        transport.pause_reading()

    def join(self) -> bool:
        """The connection to the target stands; False: the client has gone meanwhile."""
        if self.client.transport is None or not self._is_open:
            return False
        self.waited = self._monotonic() - self.began
        self.touch()
        self.client.transport.resume_reading()
        return True

    @property
    def has_gone(self) -> bool:
        """Whether both sockets are closed."""
        return self.client.transport is None and self.target.transport is None

    # ------------------------------------------------------------------ the owner of two sides

    def on_bytes(self, side: Side, size: int) -> None:
        """Some passed: nobody is idle."""
        del side, size
        self.touch()

    def on_half(self) -> None:
        """One side has ended; the other may go on."""
        self.touch()

    def on_whole(self) -> None:
        """Both have ended: close as soon as what waits has been taken."""
        self.touch()
        self.watch(self._monotonic())

    def on_lost(self, side: Side, error: Exception | None) -> None:
        """One side was cut."""
        end = why_lost(error, is_client=side is self.client)
        self.tell(end, "" if error is None or end is End.CLIENT_TRUNCATED else str(error))

    def touch(self) -> None:
        """Something has happened: the time begins anew."""
        if self._plan is not None:
            is_half = self.client.has_ended or self.target.has_ended
            self.deadline = self._monotonic() + (self._plan.half_close if is_half else self._plan.idle)

    # ------------------------------------------------------------------ time

    @property
    def is_busy(self) -> bool:
        """Whether somebody may still have something to say: as long as it is open, nobody can tell."""
        return self._is_open

    def watch(self, now: float) -> None:
        """End what has lasted too long, and close what is through."""
        if not self._is_open:
            return
        if now >= self._ends:
            self.break_off(End.LIFE)
        elif self.client.has_ended and self.target.has_ended:
            owed = self.client.owes + self.target.owes
            if not owed:
                self.client.close()
                self.target.close()
                self.deadline = now + _GOODBYE
                self.tell(End.WHOLE, "")
            elif owed != self._owed:
                self._owed = owed
                self.touch()

    def on_deadline(self) -> None:
        """Nothing has passed for too long, or a client does not go."""
        is_half = self.client.has_ended or self.target.has_ended
        self.break_off(End.HALF_IDLE if is_half else End.IDLE)

    # ------------------------------------------------------------------ the end

    def dismiss(self, end: End, detail: str) -> None:
        """Close in good order a client that nothing was passed on for."""
        if self._is_open:
            self.client.close()
            self.deadline = self._monotonic() + _GOODBYE
            self.tell(end, detail)

    def break_off(self, end: End, detail: str = "") -> None:
        """Reset both sides: neither may take what it got for the whole."""
        self.client.reset()
        self.target.reset()
        self.deadline = math.inf
        self.tell(end, detail)

    def tell(self, end: End, detail: str) -> None:
        """Tell its end, unless that has been told."""
        if self._is_open:
            self._is_open = False
            self.end(end, detail)
