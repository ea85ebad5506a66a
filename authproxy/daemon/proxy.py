"""The process at work: start, serve, reload, drain."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from time import monotonic
from typing import Final

from authproxy import events
from authproxy.catalogs.interface import Catalog
from authproxy.core.stats import Stats
from authproxy.daemon import log
from authproxy.daemon.catalogs import Poller
from authproxy.daemon.expiry import Warner, endings_of
from authproxy.daemon.lookout import Lookout
from authproxy.daemon.memory import Trimmer, trim
from authproxy.daemon.outcome import Outcome, Try
from authproxy.daemon.outside import Outside
from authproxy.daemon.prepare import Prepared, Workshop, prepare, read_inputs
from authproxy.daemon.reload import CONFIG, TRUST, attempt, one_line, outcomes_of
from authproxy.daemon.revocations import revocation_teller
from authproxy.daemon.rounds import Rounds
from authproxy.daemon.status import Stage, Status
from authproxy.daemon.tasks import Tasks
from authproxy.daemon.teller import Teller
from authproxy.door.caps import Caps
from authproxy.edge.access_log import AccessLog
from authproxy.edge.server import health_page
from authproxy.edge.services import Services
from authproxy.errors import ConfigError
from authproxy.runtime import Current
from authproxy.sessions.interface import SessionStore
from authproxy.settings import Loaded

_LOG: Final = log.get("authproxy.daemon")
# How exactly deadlines are kept, and how old a line of the access log may get.
_SWEEP: Final = 0.25
_POLL: Final = 1.0
# How often to look what ends soon.
_CALENDAR: Final = 60.0
_ASKED: Final = Try()
# Longer than the deadline of a look-up.
_LAST_ANSWERS: Final = 2.0
# While draining: how often to look, and how long connections without a request may take to close.
_LOOK: Final = 0.05
_GOODBYE: Final = 0.5


class Proxy:
    """One configuration at work after the other, under one roof."""

    def __init__(self, load: Callable[[], Loaded], environ: Mapping[str, str], now: Callable[[], datetime]) -> None:
        self._load = load
        self._now = now
        self.stats = Stats()
        self.status = Status(started=now())
        self.tasks = Tasks(self.report_crash)
        self._workshop = Workshop(environ=environ, stats=self.stats, spawn=self.tasks.spawn)
        self._teller = Teller(self.status, now)
        self._poller = Poller()
        self._reloading = asyncio.Lock()
        self.prepared: Prepared
        self.services: Services
        self.followers: list[Callable[[], Awaitable[tuple[Outcome, ...]]]] = []
        """Awaited after every reload; each returns what it could not follow."""
        self.beats: list[Callable[[], None]] = []
        """Called at the end of every sweep: as long as the loop turns."""
        self._outside: Outside
        self._sweeper: asyncio.TimerHandle | None = None
        self._said: set[str] = set()
        self._warner = Warner()
        self._lookout = Lookout(self.status)
        self._trimmer = Trimmer(lambda: self.tasks.spawn(asyncio.to_thread(trim)))

    async def start(self, before_serving: Callable[[], Awaitable[None]] | None = None) -> None:
        """Take the whole road once and begin to serve; `before_serving` runs when all is ready but the doors.

        Raises:
            ConfigError: with every problem; nothing listens.
        """
        loaded = await asyncio.to_thread(self._load)
        inputs = await asyncio.to_thread(read_inputs, self._workshop, loaded, self._now(), None)
        prepared = await asyncio.to_thread(prepare, self._workshop, inputs, 1, None)
        self.services = Services(
            current=Current(prepared.built.runtime),
            journal=AccessLog(None),
            spawn=self.tasks.spawn,
            monotonic=monotonic,
            now=self._now,
            on_crash=self._report_request_crash,
            on_revoked=revocation_teller(self.stats),
            stats=self.stats,
        )
        self._rounds = Rounds(self.services.connections)
        self._outside = Outside(self.services, self.stats, health_page(self.services))
        taken = self._outside.take(loaded)
        self._put_to_work(prepared)
        await self._lookout.look(prepared, self._now())
        for outcome in await self._poller.reload_all(prepared.catalogs):
            self._teller.tell_catalog(outcome)
        if before_serving is not None:
            await before_serving()
        self._outside.apply(prepared, taken)
        self.status.note(CONFIG, self._now())
        self.status.note(TRUST, self._now())
        self._sweep(monotonic())
        self.tasks.spawn(self._poll())
        # What was built so far lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        self.status.stage = Stage.SERVING
        _LOG.info(events.PROXY_STARTED, generation=1, listeners=list(loaded.settings.listeners))

    async def reload(self, how: Try = _ASKED) -> tuple[Outcome, ...]:
        """Take the road again; whatever goes wrong, what is at work stays. Return how each part ended.

        Nothing is done, and nothing returned, unless the proxy serves.
        """
        async with self._reloading:
            if self.status.stage is not Stage.SERVING:
                return ()
            before = self.prepared
            try:
                errors = await self._swap(how)
            except Exception as error:  # noqa: BLE001  # a fault of this program must not end what is at work
                _LOG.error(events.TASK_CRASHED, exc_info=error)
                errors = dict.fromkeys((CONFIG, TRUST), f"failed with {type(error).__name__}: {error}")
            outcomes = outcomes_of(before, self.prepared, errors)
            for outcome in outcomes:
                self._teller.tell(outcome, how)
            if not how.material_only and not (how.again and CONFIG in errors):
                for read in await self._poller.reload_all(self.prepared.catalogs):
                    outcomes.append(self._teller.tell_catalog(read, always=how.tells_everything))
                self._outside.rotate()
            outcomes += self._outside.renew()
            for follow in self.followers:
                outcomes += await follow()
        return tuple(outcomes)

    async def _swap(self, how: Try) -> dict[str, str]:
        """Build what can be had and put it to work in one step; return why a part stays as it was."""
        before = self.prepared
        facts = before, self._now(), self.status.generation + 1
        load = (lambda: before.loaded) if how.material_only else self._load
        tried = await asyncio.to_thread(attempt, self._workshop, load, *facts)
        errors = dict(tried.errors)
        if self.status.stage is not Stage.SERVING:
            # The end came meanwhile: nothing new is opened.
            return {}
        try:
            taken = self._outside.take(tried.prepared.loaded)
        except ConfigError as error:
            errors[CONFIG] = one_line(error)
            tried = await asyncio.to_thread(attempt, self._workshop, None, *facts)
            taken = self._outside.take(tried.prepared.loaded)
        if tried.prepared is not before:
            self._put_to_work(tried.prepared)
            self._outside.apply(tried.prepared, taken)
            self._retire(before, tried.prepared)
        return errors

    async def drain(self, hurry: asyncio.Event) -> None:
        """Let what is in progress end, within the configured time; `hurry` ends the waiting."""
        timeouts = self.prepared.loaded.settings.timeouts
        self.status.stage = Stage.STOPPING
        self.services.current.ending = True
        _LOG.info(events.PROXY_DRAINING, connections=len(self.services.connections))
        await _wait(hurry, timeouts.pre_stop.total_seconds())
        self.status.stage = Stage.DRAINING
        self.services.current.draining = True
        self._outside.stop_listening()
        for connection in list(self.services.connections):
            connection.drain()
        ends = monotonic() + timeouts.drain.total_seconds()
        while self._is_busy() and monotonic() < ends and not hurry.is_set():
            await _wait(hurry, _LOOK)
        # Those that are only saying goodbye get a moment, whatever they make of it.
        ends = min(ends, monotonic() + _GOODBYE)
        while self.services.connections and monotonic() < ends and not hurry.is_set():
            await _wait(hurry, _LOOK)
        left = len(self.services.connections)
        for connection in list(self.services.connections):
            connection.line.cut()
        _LOG.info(events.PROXY_STOPPED, cut=left)

    async def aclose(self) -> None:
        """Let go of everything."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self.tasks.aclose()
        for upstream in self.prepared.built.runtime.upstreams.values():
            upstream.retire()
        for opened in self.prepared.catalogs.values():
            await opened.catalog.aclose()
        for kept in self.prepared.sessions.values():
            await kept.store.aclose()
        self._outside.close()

    def lines_dropped(self) -> int:
        """Return how many lines of the access log were lost."""
        return self._outside.lines_dropped

    @property
    def caps(self) -> Caps:
        """How many connections there are, and may be."""
        return self._outside.caps

    @property
    def is_reloading(self) -> bool:
        """Whether a reload is under way."""
        return self._reloading.locked()

    def now(self) -> datetime:
        """Return the wall clock's time."""
        return self._now()

    # ------------------------------------------------------------------ steps

    def _is_busy(self) -> bool:
        return any(connection.is_busy for connection in self.services.connections)

    def _put_to_work(self, prepared: Prepared) -> None:
        """Swap the one reference that requests look at; must run without an await beside the door's swap."""
        self.prepared = prepared
        runtime = prepared.built.runtime
        self.services.current.runtime = runtime
        self.status.generation = runtime.generation
        self.status.endings = endings_of(prepared.material)
        self.status.unsafe = prepared.loaded.notes
        said, self._said = self._said, {*prepared.loaded.notes, *prepared.notes}
        for note in prepared.notes:
            if note not in said:
                event = events.UNSAFE_ENABLED if note in prepared.loaded.notes else events.CONFIG_NOTED
                _LOG.warning(event, note=note)
        self._warner.look(self.status.endings, self._now())

    def _retire(self, before: Prepared, after: Prepared) -> None:
        kept = set(map(id, after.built.runtime.upstreams.values()))
        for upstream in before.built.runtime.upstreams.values():
            if id(upstream) not in kept:
                upstream.retire()
        for name, opened in before.catalogs.items():
            other = after.catalogs.get(name)
            if other is None or other.catalog is not opened.catalog:
                self.tasks.spawn(_close_later(opened.catalog))
        used = {id(one.store) for one in after.sessions.values()}
        for former in before.sessions.values():
            if id(former.store) not in used:
                self.tasks.spawn(_close_later(former.store))

    def _sweep(self, due: float) -> None:
        """Keep deadlines, and let go of what has gathered; `due` (monotonic) is when this was to be done."""
        now = monotonic()
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP, self._sweep, now + _SWEEP)
        # A loop's own clock is of its turn's beginning, so that a timer may go off a little early.
        self.stats.lag.add(max(now - due, 0.0))
        self._rounds.go()
        for upstream in self.services.current.runtime.upstreams.values():
            upstream.sweep(now)
        self.services.journal.flush()
        self.stats.settle()
        self._trimmer.look(len(self.services.connections))
        for beat in self.beats:
            beat()

    async def _poll(self) -> None:
        looked = monotonic()
        while True:
            await asyncio.sleep(_POLL)
            if monotonic() - looked >= _CALENDAR:
                looked = monotonic()
                self._warner.look(self.status.endings, self._now())
            await self._lookout.look(self.prepared, self._now())
            for outcome in await self._poller.reload_due(self.prepared.catalogs, monotonic()):
                self._teller.tell_catalog(outcome)

    def report_crash(self, error: BaseException) -> None:
        """Log the failure of a task; the others go on."""
        self.stats.crashes["task"] += 1
        _LOG.error(events.TASK_CRASHED, exc_info=error)

    def _report_request_crash(self, request_id: str, error: BaseException) -> None:
        self.stats.crashes["request"] += 1
        _LOG.error(events.REQUEST_CRASHED, request_id=request_id, exc_info=error)


async def _close_later(asked: Catalog | SessionStore) -> None:
    """Close what no new request asks, once those that asked it have their answer."""
    await asyncio.sleep(_LAST_ANSWERS)
    await asked.aclose()


async def _wait(hurry: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await hurry.wait()
    except TimeoutError:
        return
