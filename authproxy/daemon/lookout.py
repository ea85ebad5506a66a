"""Looks after the session stores that somebody signs in with: are they there, and what in them has ended?

A store is asked once a second whether anybody needs it or not, so that `/readyz` tells the truth at night too, and so that
a store that was away is found to be back without a request that must wait for it.

The wall clock, by which sessions end, may be set back: what had ended before is then removed, and not brought back to life.
Why sessions are not judged by the latest time that was ever seen: a clock that was once a day ahead would keep people out,
or let sessions last, for a day.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from authproxy import events
from authproxy.core.session import milliseconds
from authproxy.daemon import log
from authproxy.daemon.prepare import Prepared
from authproxy.daemon.sessions import OpenedStore, prune
from authproxy.daemon.status import Status
from authproxy.errors import SessionStoreUnavailable

_LOG: Final = log.get("authproxy.sessions")
# What no session is kept under.
_NOBODY: Final = bytes(32)
# One answer that is late is none that fails.
_FAILURES: Final = 2
_LOOKS_PER_PRUNING: Final = 60
# Between two looks: less is no jump, but a process that had to wait.
_JUMP: Final = timedelta(minutes=1)


class Lookout:
    """Writes down in `status.away` which stores are away, and why."""

    def __init__(self, status: Status) -> None:
        self._status: Final = status
        self._failures: dict[str, int] = {}
        self._looks = 0
        self._seen = datetime.min.replace(tzinfo=UTC)
        """What the clock said at the last look."""

    async def look(self, prepared: Prepared, now: datetime) -> None:
        """Look at the clock and at every store; called once a second."""
        seen, self._seen = self._seen, now
        if self._looks and abs(now - seen) >= _JUMP:
            self._status.clock_jumps += 1
            _LOG.warning(events.CLOCK_JUMPED, seconds=round((now - seen).total_seconds()))
        if now < seen:
            await prune(prepared.sessions, milliseconds(seen))
        used = {zone.sessions for zone in prepared.loaded.settings.zones.values() if "session" in zone.counts}
        stores = {name: opened for name, opened in prepared.sessions.items() if name in used and opened.is_outside}
        self._failures = {name: count for name, count in self._failures.items() if name in stores}
        for name in self._status.away.keys() - stores:
            del self._status.away[name]
        await asyncio.gather(*(self._look_at(name, opened) for name, opened in stores.items()))
        self._looks += 1
        if self._looks % _LOOKS_PER_PRUNING == 0:
            await prune(prepared.sessions, milliseconds(now))

    async def _look_at(self, name: str, opened: OpenedStore) -> None:
        away = self._status.away
        try:
            await opened.store.get(_NOBODY)
        except SessionStoreUnavailable as error:
            # At the start there is nothing to hold a failure against.
            self._failures[name] = self._failures.get(name, 0 if self._looks else _FAILURES) + 1
            if self._failures[name] >= _FAILURES:
                if name not in away:
                    _LOG.error(events.SESSIONS_LOST, store=name, error=str(error))
                away[name] = str(error)
        else:
            self._failures[name] = 0
            if away.pop(name, None) is not None:
                _LOG.info(events.SESSIONS_RECOVERED, store=name)
