"""The process at work: start, serve, reload, drain."""

import asyncio
import gc
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Final

from authproxy import events
from authproxy.core.stats import Stats
from authproxy.daemon import log
from authproxy.daemon.catalogs import CatalogOutcome, Poller
from authproxy.daemon.doors import Doors
from authproxy.daemon.prepare import Prepared, Workshop, prepare, read_inputs
from authproxy.daemon.reload import CONFIG, TRUST, run_attempt
from authproxy.daemon.status import Stage, Status
from authproxy.daemon.tasks import Tasks
from authproxy.daemon.writer import LogWriter
from authproxy.edge.access_log import AccessLog
from authproxy.edge.server import health_page
from authproxy.edge.services import Services
from authproxy.runtime import Current
from authproxy.settings import Loaded

_LOG: Final = log.get("authproxy.daemon")
# How exactly deadlines are kept, and how old a line of the access log may get.
_SWEEP: Final = 0.25
_POLL: Final = 1.0
_WARN_DAYS: Final = 30


class Proxy:
    """One configuration at work after the other, under one roof."""

    def __init__(
        self, load: Callable[[], Loaded], environ: Mapping[str, str], now: Callable[[], datetime]
    ) -> None:  # fmt: skip
        self._load = load
        self._now = now
        self.stats = Stats()
        self.status = Status(started=now())
        self.tasks = Tasks(self._report_crash)
        self._workshop = Workshop(environ=environ, stats=self.stats, spawn=self.tasks.spawn)
        self._poller = Poller()
        self._reloading = asyncio.Lock()
        self.prepared: Prepared
        self.services: Services
        self.writer: LogWriter | None = None
        self._doors: Doors
        self._sweeper: asyncio.TimerHandle | None = None
        self._said: set[str] = set()

    async def start(self) -> None:
        """Take the whole road once and begin to serve.

        Raises:
            ConfigError: with every problem; nothing listens.
            MaterialError: the access log cannot be opened.
        """
        loaded = await asyncio.to_thread(self._load)
        inputs = await asyncio.to_thread(read_inputs, self._workshop, loaded, self._now(), None)
        prepared = await asyncio.to_thread(prepare, self._workshop, inputs, 1, None)
        current = Current(prepared.built.runtime)
        self.writer = _writer_for(loaded)
        self.services = Services(
            current=current,
            journal=AccessLog(None if self.writer is None else self.writer.write),
            spawn=self.tasks.spawn,
            monotonic=monotonic,
            now=self._now,
            on_crash=self._report_request_crash,
            stats=self.stats,
        )
        self._doors = Doors(self.services, self.stats, health_page(self.services), monotonic)
        sockets = self._doors.open_new(loaded)
        self._put_to_work(prepared)
        self._doors.apply(loaded, prepared.contexts, sockets)
        for outcome in await self._poller.reload_all(prepared.catalogs):
            self._note_catalog(outcome)
        self.status.note(CONFIG, self._now())
        self.status.note(TRUST, self._now())
        self._sweep()
        self.tasks.spawn(self._poll())
        # What was built so far lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        self.status.stage = Stage.SERVING
        _LOG.info(events.PROXY_STARTED, generation=1, listeners=list(loaded.settings.listeners))

    async def reload(self) -> None:
        """Take the road again; whatever goes wrong, what is at work stays."""
        async with self._reloading:
            if self.status.stage is not Stage.SERVING:
                return
            before = self.prepared
            generation = self.status.generation + 1
            tried = await run_attempt(self._workshop, self._load, before, self._now(), generation)
            prepared, errors = tried.prepared, dict(tried.errors)
            if prepared is not before:
                try:
                    sockets = self._doors.open_new(prepared.loaded)
                except Exception as error:  # noqa: BLE001  # whatever it is, what is at work stays
                    errors[CONFIG] = str(error).replace("\n", "; ")
                else:
                    self._put_to_work(prepared)
                    self._doors.apply(prepared.loaded, prepared.contexts, sockets)
                    self._retire(before, prepared)
            for part in (CONFIG, TRUST):
                self._note_part(part, errors.get(part, ""))
            for outcome in await self._poller.reload_all(self.prepared.catalogs):
                self._note_catalog(outcome, always=True)
            if self.writer is not None:
                self.writer.reopen()

    async def drain(self, hurry: asyncio.Event) -> None:
        """Let what is in progress end, within the configured time; `hurry` ends the waiting."""
        timeouts = self.prepared.loaded.settings.timeouts
        self.status.stage = Stage.STOPPING
        _LOG.info(events.PROXY_DRAINING, connections=len(self.services.connections))
        await _wait(hurry, timeouts.pre_stop.total_seconds())
        self.status.stage = Stage.DRAINING
        self.services.current.draining = True
        self._doors.close()
        for connection in list(self.services.connections):
            connection.drain()
        ends = monotonic() + timeouts.drain.total_seconds()
        while self.services.connections and monotonic() < ends and not hurry.is_set():
            await _wait(hurry, 0.05)
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
        self.services.journal.flush()
        if self.writer is not None:
            self.writer.close()

    def lines_dropped(self) -> int:
        """Return how many lines of the access log were lost."""
        return 0 if self.writer is None else self.writer.dropped

    def now(self) -> datetime:
        """Return the wall clock's time."""
        return self._now()

    # ------------------------------------------------------------------ steps

    def _put_to_work(self, prepared: Prepared) -> None:
        """Swap the one reference that requests look at; must run without an await beside the door's swap."""
        self.prepared = prepared
        runtime = prepared.built.runtime
        self.services.current.runtime = runtime
        self.status.generation = runtime.generation
        self.status.not_after = {name: store.not_after for name, store in prepared.material.keystores.items()}
        self.status.unsafe = prepared.loaded.notes
        said, self._said = self._said, {*prepared.loaded.notes, *prepared.notes}
        for note in prepared.notes:
            if note not in said:
                event = events.UNSAFE_ENABLED if note in prepared.loaded.notes else events.CONFIG_NOTED
                _LOG.warning(event, note=note)
        for name, keystore in prepared.material.keystores.items():
            left = keystore.days_left(self._now())
            if left < _WARN_DAYS:
                _LOG.warning(events.CERTIFICATE_EXPIRING, keystore=name, days=left, file=keystore.source)

    def _retire(self, before: Prepared, after: Prepared) -> None:
        kept = set(map(id, after.built.runtime.upstreams.values()))
        for upstream in before.built.runtime.upstreams.values():
            if id(upstream) not in kept:
                upstream.retire()
        for name, opened in before.catalogs.items():
            other = after.catalogs.get(name)
            if other is None or other.catalog is not opened.catalog:
                self.tasks.spawn(opened.catalog.aclose())

    def _note_part(self, part: str, error: str) -> None:
        self.status.note(part, self._now(), error)
        if error:
            _LOG.error(events.RELOAD_REJECTED, part=part, error=error, generation=self.status.generation)
        else:
            _LOG.info(events.RELOAD_APPLIED, part=part, generation=self.status.generation)

    def _note_catalog(self, outcome: CatalogOutcome, *, always: bool = False) -> None:
        part = f"catalog:{outcome.name}"
        reloaded = outcome.reloaded
        if reloaded is None:
            known = self.status.parts.get(part)
            if always or known is None or known.error != outcome.error:
                self._note_part(part, outcome.error)
            return
        self.status.records[outcome.name] = reloaded.records
        before = self.status.rejected.get(outcome.name, 0)
        self.status.rejected[outcome.name] = len(reloaded.problems)
        failed = part in self.status.parts and not self.status.parts[part].success
        if always or reloaded.changed or failed or part not in self.status.parts:
            self._note_part(part, "")
        if reloaded.changed or always or len(reloaded.problems) != before:
            for problem in reloaded.problems:
                _LOG.error(events.CATALOG_ROW_REJECTED, catalog=outcome.name, error=problem)

    def _sweep(self) -> None:
        """Keep deadlines: one timer for all connections instead of one per request."""
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP, self._sweep)
        now = monotonic()
        for connection in list(self.services.connections):
            if connection.line.deadline <= now:
                try:
                    connection.on_deadline()
                except Exception as error:  # noqa: BLE001  # one connection's trouble must not stop the others' clock
                    connection.crash(error)
        for upstream in self.services.current.runtime.upstreams.values():
            upstream.sweep(now)
        self.services.journal.flush()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(_POLL)
            for outcome in await self._poller.reload_due(self.prepared.catalogs, monotonic()):
                self._note_catalog(outcome)

    def _report_crash(self, error: BaseException) -> None:
        _LOG.error(events.TASK_CRASHED, exc_info=error)

    def _report_request_crash(self, request_id: str, error: BaseException) -> None:
        _LOG.error(events.REQUEST_CRASHED, request_id=request_id, exc_info=error)


def _writer_for(loaded: Loaded) -> LogWriter | None:
    access: str | Path = loaded.settings.logging.access
    return None if access == "off" else LogWriter(access)


async def _wait(hurry: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await hurry.wait()
    except TimeoutError:
        return
