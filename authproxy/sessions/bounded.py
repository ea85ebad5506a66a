"""Bounds for a store that must be waited for: time, crowd, and how long what it said is believed.

What is kept are sessions, never verdicts. A session is believed for less than a second, which is how long one that was
ended elsewhere may go on here, an open stream's included (which is looked at every quarter); one that is ended through this very object ends at once. That there is none is not kept:
made-up ids would push out real sessions.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar, final

from typing_extensions import override

from authproxy.core.record import UserId
from authproxy.core.session import Session
from authproxy.core.stats import StoreStats
from authproxy.errors import SessionStoreUnavailable
from authproxy.sessions.interface import DEADLINE, UNREAD, SessionStore, Unread

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one store may cost."""

    deadline: timedelta = DEADLINE
    """For one answer."""
    waiting: int = 1024
    """Questions that may wait at one time; the next one is told at once that the store is unavailable.

    As many as an SQLite file answers within the deadline: some hundred people who ask in the same moment are no crowd.
    """
    keep: timedelta = timedelta(milliseconds=700)
    """How long a session is believed."""
    size: int = 10_000
    """Sessions kept; the one kept longest goes for another."""


@final
class BoundedSessions(SessionStore):
    """Puts bounds around `inner`; whatever goes wrong there is `SessionStoreUnavailable` here."""

    def __init__(
        self,
        inner: SessionStore,
        *,
        name: str,
        clock: Callable[[], float],
        bounds: Bounds | None = None,
        stats: StoreStats | None = None,
    ) -> None:
        """Bound `inner`, called `name` in messages; `clock` counts seconds and never goes back (time.monotonic)."""
        self._inner: Final = inner
        self._name: Final = name
        self._clock: Final = clock
        self._bounds: Final = bounds or Bounds()
        self._stats: Final = stats or StoreStats()
        self._kept: Final[dict[bytes, tuple[float, Session]]] = {}
        self._waiting = 0
        self._endings = 0
        """Grows with every deletion, at its beginning and its end: what was asked before may be wrong after."""

    @override
    def peek(self, key: bytes) -> Session | Unread | None:
        """Return what the store knows itself, else what may still be believed."""
        known = self._inner.peek(key)
        if known is not UNREAD:
            return known
        kept = self._kept.get(key)
        return UNREAD if kept is None or self._clock() >= kept[0] else kept[1]

    @override
    async def get(self, key: bytes) -> Session | None:
        """Return what is known, else ask."""
        known = self.peek(key)
        if known is not UNREAD:
            return known
        asked = self._clock(), self._endings
        return self._note(key, await self._ask(lambda: self._inner.get(key)), *asked)

    @override
    async def put(self, session: Session, per_user: int) -> int:
        """Keep it. The oldest sessions of the user may end by it, so none of them is believed any more."""
        try:
            return await self._ask(lambda: self._inner.put(session, per_user))
        finally:
            self._forget_user(session.zone, session.user_id)

    @override
    async def touch(self, key: bytes, idle_ends: int) -> Session | None:
        """Refresh it, unless it has been ended meanwhile."""
        asked = self._clock(), self._endings
        return self._note(key, await self._ask(lambda: self._inner.touch(key, idle_ends)), *asked)

    @override
    async def delete(self, key: bytes) -> bool:
        """End it, here at once."""
        self._forget(key)
        try:
            return await self._ask(lambda: self._inner.delete(key))
        finally:
            self._forget(key)

    @override
    async def delete_user(self, zone: str, user_id: UserId) -> int:
        """End them, here at once."""
        self._forget_user(zone, user_id)
        try:
            return await self._ask(lambda: self._inner.delete_user(zone, user_id))
        finally:
            self._forget_user(zone, user_id)

    @override
    async def sessions_of(self, zone: str, user_id: UserId | None) -> tuple[Session, ...]:
        """Ask for them."""
        return await self._ask(lambda: self._inner.sessions_of(zone, user_id))

    @override
    async def prune(self, now: int) -> int:
        """Have those removed that have ended, and forget them."""
        for key, (_, session) in list(self._kept.items()):
            if min(session.idle_ends, session.ends) <= now:
                self._forget(key)
        return await self._ask(lambda: self._inner.prune(now))

    @override
    async def aclose(self) -> None:
        """Close the store inside."""
        self._kept.clear()
        await self._inner.aclose()

    async def _ask(self, question: Callable[[], Awaitable[R]]) -> R:
        failures = self._stats.failures
        if self._waiting >= self._bounds.waiting:
            failures["crowded"] += 1
            raise SessionStoreUnavailable(f"sessions {self._name}: {self._waiting} requests are waiting already")
        self._waiting += 1
        begun = self._clock()
        try:
            async with asyncio.timeout(self._bounds.deadline.total_seconds()):
                return await question()
        except SessionStoreUnavailable:
            failures["error"] += 1
            raise
        except TimeoutError as error:
            failures["timeout"] += 1
            raise SessionStoreUnavailable(f"sessions {self._name}: did not answer in time") from error
        except Exception as error:
            failures["error"] += 1
            raise SessionStoreUnavailable(f"sessions {self._name}: failed with {type(error).__name__}") from error
        finally:
            self._waiting -= 1
            self._stats.duration.add(self._clock() - begun)

    def _note(self, key: bytes, session: Session | None, asked: float, before: int) -> Session | None:
        self._kept.pop(key, None)
        if session is None:
            return None
        if session.key != key:
            self._stats.failures["error"] += 1
            raise SessionStoreUnavailable(f"sessions {self._name}: gave an answer to another question")
        if before == self._endings:
            if len(self._kept) >= self._bounds.size:
                del self._kept[next(iter(self._kept))]
            # From the question on: what ended while the answer was under way has ended.
            self._kept[key] = asked + self._bounds.keep.total_seconds(), session
        return session

    def _forget(self, key: bytes) -> None:
        self._endings += 1
        self._kept.pop(key, None)

    def _forget_user(self, zone: str, user_id: UserId) -> None:
        self._endings += 1
        for key, (_, session) in list(self._kept.items()):
            if session.user_id == user_id and session.zone == zone:
                del self._kept[key]
