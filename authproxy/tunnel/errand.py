"""The local side of `authproxy connect`: plain connections of this machine, each carried to the remote over TLS."""

import asyncio
import math
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Final

from typing_extensions import override

from authproxy.core.stats import ListenerStats
from authproxy.door.acceptor import Acceptor
from authproxy.door.caps import Caps
from authproxy.runtime import TunnelPlan
from authproxy.tunnel.course import Course
from authproxy.tunnel.ended import End
from authproxy.tunnel.relay import Side
from authproxy.tunnel.remote import NoRemote, Remote, explain, reach
from authproxy.upstream.means import Spawn

_SWEEP: Final = 0.25
# A REPL may be silent for days, and the server has limits of its own; a peer that is gone is found by keep-alive. Once
# one side has ended, somebody waits for the other: not for ever.
_HALF_CLOSE: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What errands need."""

    remote: Remote
    spawn: Spawn
    now: Callable[[], datetime]
    complain: Callable[[str], None]
    """Told one line of each that failed."""
    courses: "set[Errand]" = field(default_factory=set)
    """Those under way."""


class Errand(Course):
    """One connection of this machine."""

    __slots__ = ("_desk", "_is_spare")

    def __init__(self, desk: Desk, *, is_spare: bool) -> None:
        """`is_spare`: there are too many connections."""
        super().__init__(monotonic)
        self._desk = desk
        self._is_spare = is_spare

    @override
    def begin(self, transport: asyncio.Transport) -> None:
        """Somebody has connected."""
        self._desk.courses.add(self)
        plan = TunnelPlan(way=self._desk.remote.way, idle=math.inf, half_close=_HALF_CLOSE)
        self.open(transport, plan)
        if self._is_spare:
            self.break_off(End.TOO_MANY, "too many connections at once")
        else:
            self._desk.spawn(self._reach())

    async def _reach(self) -> None:
        try:
            transport = await reach(self._desk.remote)
        except NoRemote as error:
            self.break_off(End.UNREACHABLE, str(error))
            return
        except BaseException:
            self.break_off(End.CRASHED)
            raise
        if self.is_busy:
            transport.begin(self.target)
        if not self.join():
            transport.abort()

    @override
    def on_lost(self, side: Side, error: Exception | None) -> None:
        """One side was cut; what the remote says on its way out is worth a line."""
        if side is self.target:
            self.tell(End.TARGET_RESET, f"{self._desk.remote.way}: {explain(error)}")
        else:
            super().on_lost(side, error)

    @override
    def on_gone(self) -> None:
        """Forget it once both sockets are closed."""
        if self.has_gone:
            self._desk.courses.discard(self)

    @override
    def end(self, end: End, detail: str) -> None:
        """Say what went wrong with the remote; a client of this machine that breaks off knows it."""
        if detail and end not in {End.CLIENT_RESET, End.CLIENT_TRUNCATED}:
            self._desk.complain(detail)


class Forwarder:
    """Accepts on one socket and keeps the time of all that came by it."""

    def __init__(self, desk: Desk, listening: socket.socket, most: int) -> None:
        """`most`: how many connections there may be."""
        self._desk = desk
        caps = Caps()
        caps.connections = most
        self._acceptor = Acceptor(
            self._errand, None, caps=caps, stats=ListenerStats(), report=self._refused, now=desk.now
        )
        self._listening = listening
        self._sweeper: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Accept from now on."""
        self._acceptor.add(self._listening)
        self._sweep()

    def close(self) -> None:
        """Accept no more, and break off what is under way."""
        self._acceptor.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for course in list(self._desk.courses):
            course.break_off(End.DRAINED)

    def _errand(self, overloaded: bool) -> asyncio.Protocol:  # a factory's one argument
        return Errand(self._desk, is_spare=overloaded).protocol

    def _refused(self, address: str, reason: str, detail: str) -> None:
        del address
        if reason != "disconnected":
            self._desk.complain(f"{reason}: {detail}" if detail else reason)

    def _sweep(self) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP, self._sweep)
        now = monotonic()
        for course in list(self._desk.courses):
            if course.deadline <= now:
                course.on_deadline()
            course.watch(now)
