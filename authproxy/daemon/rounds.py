"""Keeps the deadlines of all connections: one timer for all instead of one for each request, some at a time."""

import asyncio
from collections.abc import Collection
from time import monotonic
from typing import Final, Protocol

# Looked at before the loop's other work has its turn: half a millisecond.
_SLICE: Final = 256


class Dated(Protocol):
    """Has a deadline."""

    deadline: float
    """Monotonic."""


class Kept(Protocol):
    """A connection that is looked at."""

    @property
    def line(self) -> Dated:
        """Has the deadline."""
        ...

    def on_deadline(self) -> None:
        """Something took too long."""

    def recheck(self) -> None:
        """End what the credential would no longer open."""

    def watch(self, now: float) -> None:
        """Look at what the client does."""

    def crash(self, error: BaseException) -> None:
        """Looking failed."""


class Rounds:
    """Goes round all connections."""

    def __init__(self, connections: Collection[Kept]) -> None:
        self._connections = connections
        self._left: list[Kept] = []

    def go(self) -> None:
        """Begin a round, unless the one before is still under way."""
        if not self._left:
            self._left = list(self._connections)
            self._look()

    def _look(self) -> None:
        now = monotonic()
        part, self._left = self._left[:_SLICE], self._left[_SLICE:]
        for connection in part:
            try:
                if connection.line.deadline <= now:
                    connection.on_deadline()
                connection.recheck()
                connection.watch(now)
            except Exception as error:  # noqa: BLE001  # one connection's trouble must not stop the others' clock
                connection.crash(error)
        if self._left:
            asyncio.get_running_loop().call_soon(self._look)
