"""The watch over keys, certificates, trust and secrets: cert-manager and its kin send no signal."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

from authproxy import events
from authproxy.daemon import log
from authproxy.daemon.reloader import Reloader
from authproxy.daemon.status import Stage
from authproxy.daemon.watched import look_at, material_files

if TYPE_CHECKING:
    from authproxy.daemon.proxy import Proxy

_LOG: Final = log.get("authproxy.daemon")
_TICK: Final = 1.0


class Watch:
    """Looks at the files every `reload.watch`, and asks for a reload of material when one has changed.

    What was tried and rejected is not tried again until something changes once more. The configuration files
    themselves are not looked at: half-edited ones must not be taken over because a certificate was renewed.
    """

    def __init__(
        self, proxy: "Proxy", reloader: Reloader, environ: Mapping[str, str], clock: Callable[[], float] = monotonic
    ) -> None:
        self._proxy = proxy
        self._reloader = reloader
        self._environ = environ
        self._clock = clock
        self._last = clock()
        self._tried: Mapping[Path, str] = {}
        self.is_looking = False
        """A thread reads files: on a file system that hangs it may do so for ever."""

    async def run(self) -> None:
        """Look when it is time, until cancelled."""
        while True:
            await asyncio.sleep(_TICK)
            try:
                await self.look_if_due()
            except Exception as error:  # noqa: BLE001  # a fault of this program must not be the end of the watch
                self._proxy.report_crash(error)

    async def look_if_due(self) -> None:
        """Look, if `reload.watch` has passed since the last look; 0s: never."""
        every = self._every
        if every <= timedelta(0) or self._clock() - self._last < every.total_seconds():
            return
        self._last = self._clock()
        await self.look()

    async def look(self) -> None:
        """Compare with what was read for the material at work; what differs and was not tried yet is tried."""
        if self._proxy.status.stage is not Stage.SERVING:
            return
        settings = self._proxy.prepared.loaded.settings
        self.is_looking = True
        seen = await asyncio.to_thread(lambda: look_at(material_files(settings, self._environ)))
        self.is_looking = False
        known = self._proxy.prepared.sources.seen
        if settings is not self._proxy.prepared.loaded.settings or seen == self._tried:
            return
        if seen == known:
            # Back to what is at work: a reload tells so, or an alert about what was rejected would stay for ever.
            tried, self._tried = self._tried, {}
            if tried:
                await self._reloader.ask(material_only=True)
            return
        changed = sorted(str(path) for path, content in seen.items() if known.get(path) != content)
        _LOG.info(events.MATERIAL_CHANGED, files=changed)
        self._tried = seen
        await self._reloader.ask(material_only=True)

    @property
    def _every(self) -> timedelta:
        return self._proxy.prepared.loaded.settings.reload.watch
