"""Kind `file`: rows in a YAML file, or in turvata's EDN.

Why the whole file is read at every poll and only its digest decides: the time stamps of a file may stay what they were
across two quick writes, and reading a megabyte costs two milliseconds in a thread; parsing it costs two hundred.
"""

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal, final

from typing_extensions import override

from authproxy.catalogs.edn_rows import read_edn
from authproxy.catalogs.index import Index
from authproxy.catalogs.interface import Catalog, CatalogKind, OpenCatalogs, Reloaded
from authproxy.catalogs.source import read_source
from authproxy.catalogs.yaml_rows import read_yaml
from authproxy.core.record import TokenRecord, UserId
from authproxy.options import Duration, LocalPath, Options


class FileOptions(Options):
    """Rows in a file."""

    kind: Literal["file"]
    """Where the rows are."""
    file: LocalPath
    """The token file: EDN as turvata writes it when the name ends in `.edn`, else YAML."""
    poll: Duration = timedelta(seconds=5)
    """How often to look whether the file has changed; 0 for at a reload only."""


@final
class FileCatalog(Catalog):
    """The rows of one file, all in memory; a `Reloadable`.

    A bad row disables its user and nobody else. A file that cannot be read, or told apart into rows, leaves the old rows
    in place: it is probably half written.
    """

    def __init__(self, path: Path, poll: timedelta | None) -> None:
        """Read the file once; raises MaterialError."""
        self.poll = poll
        self._path = path
        self._digest = b""
        self._index = Index()
        self._reloaded = Reloaded(changed=False, records=0)
        self.reload()

    @override
    def peek(self, zone: str, user_id: UserId) -> TokenRecord | None:
        """Return the row of the last good reading; it is always known."""
        return self._index.find(zone, user_id)

    @override
    async def look_up(self, zone: str, user_id: UserId) -> TokenRecord | None:
        """Return what `peek` returns."""
        return self._index.find(zone, user_id)

    @override
    async def aclose(self) -> None:
        """Do nothing: the file is open only while it is read."""

    def reload(self) -> Reloaded:
        """Read the file again; MaterialError: the old rows stay."""
        data = read_source(self._path)
        digest = hashlib.sha256(data).digest()
        if digest == self._digest:
            return replace(self._reloaded, changed=False)
        parse = read_edn if self._path.suffix.lower() == ".edn" else read_yaml
        sheet = parse(data, str(self._path))
        self._index = Index(sheet.records)
        self._digest = digest
        self._reloaded = Reloaded(changed=True, records=sheet.good, problems=sheet.problems, notes=sheet.notes)
        return self._reloaded


def _open(options: FileOptions, _: OpenCatalogs) -> Catalog:
    return FileCatalog(options.file, options.poll or None)


kind = CatalogKind(options=FileOptions, open=_open, bounded=True)
