"""What every catalog does, and what a kind of catalog is.

Catalogs fetch, they never judge: a record goes to `authproxy.core.match`, which holds it against the token.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Final, Protocol, TypeVar, final, runtime_checkable

from authproxy.core.record import TokenRecord, UserId
from authproxy.options import Options


@final
class Miss(Enum):
    """The type of `MISS`."""

    MISS = "miss"


MISS: Final = Miss.MISS
"""Not known without waiting: ask `look_up`. Unlike None, which says that there is no such user."""


class Catalog(Protocol):
    """Finds the record of a user in a zone.

    A record that names a zone counts in that zone only and there wins over one that names none.
    None means that there is no such user; a failure is `CatalogUnavailable`, never None.
    """

    def peek(self, zone: str, user_id: UserId) -> TokenRecord | Miss | None:
        """Return what is known without waiting, or `MISS`. Runs in the event loop, for every request: no I/O."""
        ...

    async def look_up(self, zone: str, user_id: UserId) -> TokenRecord | None:
        """Return the record, waiting for it if need be.

        Cancelling it must leave the catalog usable: whoever asked may have gone away or run out of time.

        Raises:
            CatalogUnavailable: The catalog cannot tell just now.
        """
        ...

    async def aclose(self) -> None:
        """Give back what is held open; nobody asks this catalog any more. A second call does nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """What a catalog holds after a reload."""

    changed: bool
    """False: the source is what it was, and nothing was parsed."""
    records: int
    """Rows that count."""
    problems: tuple[str, ...] = ()
    """Rows that do not, one line each: `file:line: key: what is wrong`. All of today's, changed or not."""
    notes: tuple[str, ...] = ()
    """Oddities that count all the same, in the same form: what `check --strict` refuses."""


@runtime_checkable
class Reloadable(Protocol):
    """A catalog whose rows are read as a whole and kept."""

    @property
    def poll(self) -> timedelta | None:
        """How often to call `reload` unasked; None: only when told to."""
        ...

    def reload(self) -> Reloaded:
        """Read the source again and swap the rows in one step. Blocks, so call it in a thread, one call at a time.

        Raises:
            MaterialError: The source as a whole cannot be used; the old rows stay.
        """
        ...


class OpenCatalogs(Protocol):
    """The catalogs of one configuration, by name; what a kind that builds on others is given."""

    def __call__(self, name: str) -> Catalog:
        """Return the catalog called `name`, opening it if that has not happened yet.

        Raises:
            ConfigError: There is none of that name, or it builds on the one that asks.
        """
        ...


T = TypeVar("T", bound=Options)


@final
class CatalogKind:
    """One word after `kind:`; what an entry point of the group `authproxy.catalogs` names."""

    __slots__ = ("bounded", "open", "options")

    options: type[Options]
    """The model of the kind's keys; `kind` is one of them, a Literal of the name under which the kind is known."""
    open: Callable[[Options, OpenCatalogs], Catalog]
    """Opens a catalog with such options. Blocks; raises MaterialError or ConfigError.

    Runs outside the event loop, and for catalogs that are then thrown away, as `check` does: what has to be closed
    again (a connection, a pool) is opened by the first `look_up`.
    """
    bounded: bool
    """True: `look_up` never waits on anything outside. Every other catalog gets a deadline and a cache."""

    def __init__(
        self,
        *,
        options: type[T],
        open: Callable[[T, OpenCatalogs], Catalog],  # noqa: A002  the word that the reader of a plug-in expects
        bounded: bool = False,
    ) -> None:
        def open_checked(given: Options, catalogs: OpenCatalogs) -> Catalog:
            if not isinstance(given, options):
                raise TypeError(f"{options.__name__} expected, {type(given).__name__} given")
            return open(given, catalogs)

        self.options = options
        self.open = open_checked
        self.bounded = bounded
