"""The catalogs of a configuration: opened, used on across reloads, read again when told or when their time has come."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from authproxy.catalogs import registry
from authproxy.catalogs.cached import CachedCatalog
from authproxy.catalogs.interface import Catalog, Reloadable, Reloaded
from authproxy.daemon.material import gather
from authproxy.errors import ConfigError, MaterialError
from authproxy.options import Options
from authproxy.settings import Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A catalog, what it was opened with, and which others it builds on."""

    options: Options
    catalog: Catalog
    needs: frozenset[str]


class _Opener:
    """Opens catalogs by name, each once; one that is unchanged in every part is taken over from before."""

    def __init__(self, loaded: Loaded, before: Mapping[str, Opened]) -> None:
        self._settings = loaded.settings.catalogs
        self._before = before
        self._kinds = registry.kinds()
        self._asking: list[str] = []
        self.opened: dict[str, Opened] = {}
        self._needs: dict[str, set[str]] = {}

    def __call__(self, name: str) -> Catalog:
        for asker in self._asking:
            self._needs.setdefault(asker, set()).add(name)
        if name in self._asking:
            raise ConfigError(f"catalog {name}: builds on itself")
        if name not in self.opened:
            self._asking.append(name)
            try:
                self.opened[name] = self._take_over(name) or self._open(name)
            finally:
                self._asking.pop()
        return self.opened[name].catalog

    def _take_over(self, name: str) -> Opened | None:
        before = self._before.get(name)
        if before is None or before.options != self._settings[name]:
            return None
        for needed in before.needs:
            if needed not in self._settings or self(needed) is not self._before[needed].catalog:
                return None
        return before

    def _open(self, name: str) -> Opened:
        options = self._settings[name]
        kind = self._kinds[str(getattr(options, "kind", ""))]
        catalog = kind.open(options, self)
        if not kind.bounded:
            catalog = CachedCatalog(catalog, name=name, clock=monotonic)
        return Opened(options=options, catalog=catalog, needs=frozenset(self._needs.get(name, ())))


def open_catalogs(loaded: Loaded, before: Mapping[str, Opened]) -> dict[str, Opened]:
    """Return every catalog of the configuration.

    Raises:
        ConfigError: with every problem; what was opened newly is let go of by the garbage collector.
    """
    opener = _Opener(loaded, before)
    gather(loaded, "catalogs", loaded.settings.catalogs, opener)
    return opener.opened


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogOutcome:
    """How reading one catalog again ended."""

    name: str
    reloaded: Reloaded | None
    error: str = ""


def reload_one(name: str, catalog: Reloadable) -> CatalogOutcome:
    """Read a catalog again; a source that cannot be used leaves the old rows. Blocks."""
    try:
        return CatalogOutcome(name=name, reloaded=catalog.reload())
    except MaterialError as error:
        return CatalogOutcome(name=name, reloaded=None, error=str(error))
    except Exception as error:  # noqa: BLE001  # a plug-in's fault must not stop the others, nor the polling
        return CatalogOutcome(name=name, reloaded=None, error=f"failed with {type(error).__name__}: {error}")


class Poller:
    """Reads catalogs again when their time has come; one after the other, never two at once."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._lock = asyncio.Lock()

    async def reload_all(self, catalogs: Mapping[str, Opened]) -> list[CatalogOutcome]:
        """Read every catalog again that can be."""
        return await self._reload(catalogs, catalogs)

    async def reload_due(self, catalogs: Mapping[str, Opened], now: float) -> list[CatalogOutcome]:
        """Read those again whose `poll` has passed; `now` is monotonic."""
        due = []
        self._due = {name: when for name, when in self._due.items() if name in catalogs}
        for name, opened in catalogs.items():
            poll = opened.catalog.poll if isinstance(opened.catalog, Reloadable) else None
            if poll is None or poll <= timedelta(0):
                continue
            if self._due.setdefault(name, now + poll.total_seconds()) <= now:
                self._due[name] = now + poll.total_seconds()
                due.append(name)
        return await self._reload(catalogs, due)

    async def _reload(self, catalogs: Mapping[str, Opened], names: Iterable[str]) -> list[CatalogOutcome]:
        outcomes = []
        async with self._lock:
            for name in names:
                catalog = catalogs[name].catalog
                if isinstance(catalog, Reloadable):
                    outcomes.append(await asyncio.to_thread(reload_one, name, catalog))
        return outcomes
