"""What the author of a catalog plug-in writes; checked by mypy, and run by tests/catalogs/test_registry.py.

An entry point makes it known:

    [project.entry-points."authproxy.catalogs"]
    ldap = "example_ldap:kind"
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from typing_extensions import override

from authproxy.catalogs.interface import MISS, Catalog, CatalogKind, Miss, OpenCatalogs
from authproxy.core.record import TokenRecord, UserId
from authproxy.errors import CatalogUnavailable
from authproxy.options import Duration, LocalPath, Options, SecretRef


class LdapOptions(Options):
    """Rows in a directory."""

    kind: Literal["ldap"]
    """Where the rows are."""
    host: str
    """The directory's host."""
    password: SecretRef | None = None
    """For binding."""
    trust: LocalPath | None = None
    """Authorities that the directory's certificate may come from."""
    retry: Duration = timedelta(seconds=1)
    """How long to wait after a refused connection."""


class LdapCatalog(Catalog):
    """Asks a directory; the program puts a deadline and a cache around it."""

    def __init__(self, options: LdapOptions, entries: Mapping[UserId, TokenRecord] | None = None) -> None:
        self._host = options.host
        self._entries = entries

    @override
    def peek(self, zone: str, user_id: UserId) -> Miss:
        return MISS

    @override
    async def look_up(self, zone: str, user_id: UserId) -> TokenRecord | None:
        if self._entries is None:
            raise CatalogUnavailable(f"{self._host}: not connected")
        return self._entries.get(user_id)

    @override
    async def aclose(self) -> None:
        self._entries = None


def open_ldap(options: LdapOptions, catalogs: OpenCatalogs) -> LdapCatalog:
    """Return a catalog that connects when it is first asked."""
    return LdapCatalog(options)


kind = CatalogKind(options=LdapOptions, open=open_ldap)


class OtherOptions(Options):
    """Options of another kind."""

    kind: Literal["other"]
    """Where the rows are."""


# An opener for other options is found out by the type checker; strict mypy complains if it were not.
wrong = CatalogKind(options=OtherOptions, open=open_ldap)  # type: ignore[arg-type]
