"""Kind `composite`: several catalogs asked in turn."""

from typing import Annotated, Literal, final

from pydantic import AfterValidator
from typing_extensions import override

from authproxy.catalogs.interface import MISS, Catalog, CatalogKind, Miss, OpenCatalogs
from authproxy.core.record import TokenRecord, UserId
from authproxy.options import Options


def _some(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("needs at least one catalog, as in [people, machines]")
    return names


class CompositeOptions(Options):
    """Several catalogs asked in turn."""

    kind: Literal["composite"]
    """Where the rows are."""
    of: Annotated[tuple[str, ...], AfterValidator(_some)]
    """Names of other catalogs; the first that knows the user counts, whether or not the token fits."""


@final
class CompositeCatalog(Catalog):
    """The first record wins; a member that cannot tell is a failure of the whole, and nobody behind it is asked.

    The members stay open: they have their own names in the configuration.

    Source: turvata 0.4, catalog.clj, composite.
    """

    def __init__(self, members: tuple[Catalog, ...]) -> None:
        self._members = members

    @override
    def peek(self, zone: str, user_id: UserId) -> TokenRecord | Miss | None:
        """Return the first record, as far as no member must be waited for before it."""
        for member in self._members:
            record = member.peek(zone, user_id)
            if record is not None:
                return record
        return None

    @override
    async def look_up(self, zone: str, user_id: UserId) -> TokenRecord | None:
        """Return the first record; CatalogUnavailable: a member before it cannot tell."""
        for member in self._members:
            record = member.peek(zone, user_id)
            if record is MISS:
                record = await member.look_up(zone, user_id)
            if record is not None:
                return record
        return None

    @override
    async def aclose(self) -> None:
        """Do nothing: the members have their own owner."""


def _open(options: CompositeOptions, catalogs: OpenCatalogs) -> Catalog:
    return CompositeCatalog(tuple(catalogs(name) for name in options.of))


kind = CatalogKind(options=CompositeOptions, open=_open, bounded=True)
