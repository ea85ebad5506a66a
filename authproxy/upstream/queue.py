"""Requests that wait because all connections that an upstream may have are in use, in the order in which they came."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.interface import Failure


class Waiter(Protocol):
    """Waits for a connection."""

    def on_connected(self, connection: UpstreamConnection) -> None:
        """A verified connection is yours."""

    def on_connect_failed(self, failure: Failure, detail: str) -> None:
        """There will be none."""


class Queue:
    """As many may wait as are served: who would be further back had better come again."""

    def __init__(self, room: int, clock: Callable[[], float], on_change: Callable[[bool], None]) -> None:
        self.room = room
        self._clock = clock
        self._on_change = on_change
        self._waiting: deque[tuple[Waiter, float]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, waiter: Waiter, limit: float) -> bool:
        """Let it wait for at most `limit` seconds; return whether there was room."""
        if len(self._waiting) >= self.room:
            return False
        self._waiting.append((waiter, self._clock() + limit))
        self._on_change(True)
        return True

    def next(self) -> tuple[Waiter, float]:
        """Take the first out; return it with the seconds that are left to it."""
        waiter, ends = self._waiting.popleft()
        self._on_change(bool(self._waiting))
        return waiter, max(ends - self._clock(), 0.0)

    def drop(self, waiter: Waiter) -> None:
        """Take one out that waits no longer, if it is there."""
        for place, (one, _) in enumerate(self._waiting):
            if one is waiter:
                del self._waiting[place]
                self._on_change(bool(self._waiting))
                return

    def late(self, now: float) -> Iterator[Waiter]:
        """Take those out whose time is over."""
        while self._waiting and self._waiting[0][1] <= now:
            yield self.next()[0]
