"""Kind `inline`: rows in the configuration itself."""

from typing import Literal, Self, final

from pydantic import model_validator
from typing_extensions import override

from authproxy.catalogs.index import Index
from authproxy.catalogs.interface import Catalog, CatalogKind, OpenCatalogs
from authproxy.catalogs.rows import Row
from authproxy.core.record import TokenRecord, UserId, user_id_text
from authproxy.options import Options


class InlineOptions(Options):
    """Rows in the configuration itself; a bad one is an error of the configuration."""

    kind: Literal["inline"]
    """Where the rows are."""
    users: tuple[Row, ...]
    """The rows, as in a token file."""

    @model_validator(mode="after")
    def _has_one_row_each(self) -> Self:
        seen: set[tuple[str | None, UserId]] = set()
        for row in self.users:
            if (row.zone, row.user_id) in seen:
                raise ValueError(f"{user_id_text(row.user_id)} has two rows for the same zone: keep one")
            seen.add((row.zone, row.user_id))
        return self


@final
class MemoryCatalog(Catalog):
    """Rows that are always at hand."""

    def __init__(self, index: Index) -> None:
        self._index = index

    @override
    def peek(self, zone: str, user_id: UserId) -> TokenRecord | None:
        """Return the row; it is always known."""
        return self._index.find(zone, user_id)

    @override
    async def look_up(self, zone: str, user_id: UserId) -> TokenRecord | None:
        """Return what `peek` returns."""
        return self._index.find(zone, user_id)

    @override
    async def aclose(self) -> None:
        """Do nothing: nothing is open."""


def _open(options: InlineOptions, _: OpenCatalogs) -> Catalog:
    return MemoryCatalog(Index(row.record() for row in options.users))


kind = CatalogKind(options=InlineOptions, open=_open, bounded=True)
