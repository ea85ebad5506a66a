"""Every built-in kind keeps the contract."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from typing_extensions import override

from authproxy.catalogs.append import row_text, time_text
from authproxy.catalogs.cached import CachedCatalog
from authproxy.catalogs.composite import CompositeCatalog
from authproxy.catalogs.contract import CatalogContract, promise
from authproxy.catalogs.file import FileCatalog
from authproxy.catalogs.index import Index
from authproxy.catalogs.inline import MemoryCatalog
from authproxy.catalogs.interface import MISS, Catalog, Miss, Reloadable
from authproxy.core.record import TokenRecord, UserId, user_id_text


class Distant(Catalog):
    """Rows that nobody knows without waiting."""

    def __init__(self, records: Sequence[TokenRecord]) -> None:
        self._index = Index(records)

    @override
    def peek(self, zone: str, user_id: UserId) -> Miss:
        return MISS

    @override
    async def look_up(self, zone: str, user_id: UserId) -> TokenRecord | None:
        return self._index.find(zone, user_id)

    @override
    async def aclose(self) -> None:
        pass


def edn(record: TokenRecord) -> str:
    lines = [f'{{:user-id #uuid "{user_id_text(record.user_id)}"', f":rotation-version {record.rotation_version}"]
    lines.append(f':hash-hex "{record.hash.hex()}"')
    if record.expires_at is not None:
        lines.append(f':expires-at #inst "{time_text(record.expires_at)}"')
    if record.previous_hash is not None and record.grace_expires_at is not None:
        lines.append(f':prev-hash-hex "{record.previous_hash.hex()}"')
        lines.append(f':grace-period-expires-at #inst "{time_text(record.grace_expires_at)}"')
    return "\n  ".join(lines) + "}"


class InFolder:
    @pytest.fixture(autouse=True)
    def in_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path


class TestInline(CatalogContract):
    """Rows in the configuration."""

    @override
    async def catalog_of(self, records: Sequence[TokenRecord]) -> Catalog:
        return MemoryCatalog(Index(records))


@pytest.mark.blocks
class TestYamlFile(InFolder, CatalogContract):
    """Rows in a YAML file."""

    @override
    async def catalog_of(self, records: Sequence[TokenRecord]) -> Catalog:
        path = self.folder / "tokens.yaml"
        path.write_text("".join(map(row_text, records)))
        return FileCatalog(path, timedelta(seconds=5))


@pytest.mark.blocks
class TestEdnFile(InFolder, CatalogContract):
    """Rows in a file of turvata's."""

    zoned = False

    @override
    async def catalog_of(self, records: Sequence[TokenRecord]) -> Catalog:
        path = self.folder / "tokens.edn"
        path.write_text("[" + "\n ".join(map(edn, records)) + "]")
        return FileCatalog(path, None)


class TestComposite(CatalogContract):
    """Rows in two places, one of them distant."""

    @override
    async def catalog_of(self, records: Sequence[TokenRecord]) -> Catalog:
        # A user's rows for several zones stand in one member: the first that knows the user counts.
        near = [record for record in records if record.user_id[0] % 2]
        far = [record for record in records if not record.user_id[0] % 2]
        return CompositeCatalog((MemoryCatalog(Index(near)), Distant(far)))


class TestCached(CatalogContract):
    """Rows behind bounds."""

    @override
    async def catalog_of(self, records: Sequence[TokenRecord]) -> Catalog:
        return CachedCatalog(Distant(records), name="far", clock=lambda: 0.0)


class Broken(CatalogContract):
    @override
    async def catalog_of(self, records: Sequence[TokenRecord]) -> Catalog:
        return MemoryCatalog(Index())


def promises() -> Iterator[str]:
    return (name for name in vars(CatalogContract) if name.startswith("test_"))


@pytest.mark.parametrize(
    "name", sorted(set(promises()) - {"test_an_unknown_user_is_none", "test_closing_twice_is_closing"})
)
def test_the_contract_finds_a_catalog_that_forgets(name):
    """A suite that passes whatever it is given would prove nothing."""
    with pytest.raises(AssertionError):
        getattr(Broken(), name)()


def test_a_broken_promise_says_what_was_promised():
    """The message stands in the report of any test runner."""
    with pytest.raises(AssertionError, match="as promised"):
        promise(kept=False, text="not as promised")


def test_kinds_that_are_read_as_a_whole_say_so(tmp_path):
    """The daemon polls what is `Reloadable`, and nothing else."""
    path = tmp_path / "tokens.yaml"
    path.write_text("[]")

    assert isinstance(FileCatalog(path, None), Reloadable)
    assert not isinstance(MemoryCatalog(Index()), Reloadable)
    assert not isinstance(CachedCatalog(Distant(()), name="far", clock=lambda: 0.0), Reloadable)
