"""Bounds for a catalog that must be waited for: time, crowd, and how long an answer is believed.

What is kept are records, never verdicts: expiry, disabling and the hash are looked at for every request. A record is
kept for at most five seconds, which is how long a change may take to be seen, and that there is none for one second.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias, final

from typing_extensions import override

from authproxy.catalogs.interface import MISS, Catalog, Miss
from authproxy.core.record import TokenRecord, UserId
from authproxy.errors import CatalogUnavailable

_Key: TypeAlias = tuple[str, UserId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one catalog may cost."""

    deadline: timedelta = timedelta(milliseconds=250)
    """For one answer, waiting for somebody else's same question included."""
    waiting: int = 64
    """Requests that may wait at one time; the next one is told at once that the catalog is unavailable."""
    keep: timedelta = timedelta(seconds=5)
    """How long a record is believed."""
    keep_absent: timedelta = timedelta(seconds=1)
    """How long it is believed that there is none."""
    size: int = 10_000
    """Records kept, and as many absences: made-up users cannot push out real ones."""


@final
class _Kept:
    """Answers with their end, oldest first; the oldest goes when there are too many."""

    __slots__ = ("_answers", "_size")

    def __init__(self, size: int) -> None:
        self._answers: dict[_Key, tuple[float, TokenRecord | None]] = {}
        self._size = size

    def get(self, key: _Key, now: float) -> TokenRecord | Miss | None:
        answer = self._answers.get(key)
        return MISS if answer is None or now >= answer[0] else answer[1]

    def put(self, key: _Key, record: TokenRecord | None, until: float) -> None:
        self._answers.pop(key, None)
        if len(self._answers) >= self._size:
            del self._answers[next(iter(self._answers))]
        self._answers[key] = until, record

    def drop(self, key: _Key) -> None:
        self._answers.pop(key, None)


@final
class CachedCatalog(Catalog):
    """Puts bounds around `inner`; whatever goes wrong there is `CatalogUnavailable` here.

    Requests for one user that come together cause one question. An answer about somebody else is no answer.
    """

    def __init__(self, inner: Catalog, *, name: str, clock: Callable[[], float], bounds: Bounds | None = None) -> None:
        """Bound `inner`, called `name` in messages; `clock` counts seconds and never goes back (time.monotonic)."""
        self._inner: Final = inner
        self._name: Final = name
        self._clock: Final = clock
        self._bounds: Final = bounds or Bounds()
        self._present: Final = _Kept(self._bounds.size)
        self._absent: Final = _Kept(self._bounds.size)
        self._asked: Final[dict[_Key, asyncio.Future[None]]] = {}
        self._waiting = 0

    @override
    def peek(self, zone: str, user_id: UserId) -> TokenRecord | Miss | None:
        """Return what the catalog knows itself, else an answer that may still be believed."""
        known = self._inner.peek(zone, user_id)
        if known is not MISS:
            return known
        key, now = (zone, user_id), self._clock()
        known = self._present.get(key, now)
        return self._absent.get(key, now) if known is MISS else known

    @override
    async def look_up(self, zone: str, user_id: UserId) -> TokenRecord | None:
        """Return what is known, else ask; CatalogUnavailable also for too late, too many, or any other failure."""
        known = self.peek(zone, user_id)
        if known is not MISS:
            return known
        if self._waiting >= self._bounds.waiting:
            raise CatalogUnavailable(f"catalog {self._name}: {self._waiting} requests are waiting for it already")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._bounds.deadline.total_seconds()):
                return await self._answer((zone, user_id))
        except TimeoutError as error:
            raise CatalogUnavailable(f"catalog {self._name}: did not answer in time") from error
        finally:
            self._waiting -= 1

    @override
    async def aclose(self) -> None:
        """Close the catalog inside."""
        await self._inner.aclose()

    async def _answer(self, key: _Key) -> TokenRecord | None:
        while (asked := self._asked.get(key)) is not None:
            # Somebody else's question; shielded, for giving up here must not end it there.
            await asyncio.shield(asked)
            known = self.peek(*key)
            if known is not MISS:
                return known
        asked = self._asked[key] = asyncio.get_running_loop().create_future()
        try:
            record = await self._ask(key)
        except CatalogUnavailable as error:
            asked.set_exception(error)
            # Perhaps nobody shares the question; then nobody looks at its outcome.
            asked.exception()
            raise
        finally:
            del self._asked[key]
            if not asked.done():
                asked.set_result(None)
        return record

    async def _ask(self, key: _Key) -> TokenRecord | None:
        zone, user_id = key
        try:
            record = await self._inner.look_up(zone, user_id)
        except CatalogUnavailable:
            raise
        except Exception as error:
            raise CatalogUnavailable(f"catalog {self._name}: failed with {type(error).__name__}") from error
        self._check(record, key)
        self._keep(record, key)
        return record

    def _check(self, record: object, key: _Key) -> None:
        zone, user_id = key
        if record is None:
            return
        if not isinstance(record, TokenRecord) or record.user_id != user_id or record.zone not in {None, zone}:
            raise CatalogUnavailable(f"catalog {self._name}: gave an answer to another question")

    def _keep(self, record: TokenRecord | None, key: _Key) -> None:
        now = self._clock()
        if record is None:
            self._present.drop(key)
            self._absent.put(key, None, now + self._bounds.keep_absent.total_seconds())
        else:
            self._absent.drop(key)
            self._present.put(key, record, now + self._bounds.keep.total_seconds())
