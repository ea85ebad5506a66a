"""What every catalog promises, as tests that any kind can run against itself.

Inherit and say how one is made; any test runner that collects methods called `test_...` will do:

```python
class TestMyCatalog(CatalogContract):
    async def catalog_of(self, records: Sequence[TokenRecord]) -> Catalog:
        return MyCatalog(await a_database_with(records))
```
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, TypeVar

from authproxy.catalogs.interface import MISS, Catalog
from authproxy.core.record import TokenRecord, UserId

T = TypeVar("T")

ALICE: Final = TokenRecord(
    user_id=UserId(bytes.fromhex("550e8400e29b41d4a716446655440000")),
    rotation_version=3,
    hash=bytes(range(64)),
    expires_at=datetime(2027, 1, 1, tzinfo=UTC),
    previous_hash=bytes(range(64, 128)),
    grace_expires_at=datetime(2026, 12, 1, 12, 30, 15, 250000, tzinfo=UTC),
)
"""A user in the middle of a rotation, without anything that only the product's own formats can say."""
BOB: Final = TokenRecord(
    user_id=UserId(bytes.fromhex("123e4567e89b12d3a456426614174000")), rotation_version=0, hash=bytes(range(1, 65))
)
"""A user with nothing but what is needed."""
NIL: Final = TokenRecord(user_id=UserId(bytes(16)), rotation_version=65535, hash=b"\xff" * 64)
"""The nil UUID is a user id like any other."""
ROOT: Final = replace(BOB, user_id=UserId(b"\xff" * 16), name="Zoë from Ω", groups=("admins", "jobs"), disabled=True)
"""A user with everything that only the product's own formats can say."""
NOBODY: Final = UserId(bytes.fromhex("00000000000040008000000000000001"))
_MANY: Final = 16


def promise(kept: object, text: str) -> None:
    """Raise AssertionError with `text` unless `kept`; unlike `assert` it says something under every test runner."""
    if not kept:
        raise AssertionError(text)


class CatalogContract:
    """Inherit as `Test...`; implement `catalog_of`."""

    zoned = True
    """Whether rows of this kind can name their zone, a name, groups, and be disabled."""

    async def catalog_of(self, records: Sequence[TokenRecord]) -> Catalog:
        """Return an open catalog that holds these rows; it is closed after the test."""
        raise NotImplementedError

    def _with(self, records: Sequence[TokenRecord], use: Callable[[Catalog], Awaitable[T]]) -> T:
        async def run() -> T:
            catalog = await self.catalog_of(records)
            try:
                return await use(catalog)
            finally:
                await catalog.aclose()

        return asyncio.run(run())

    def _found(self, records: Sequence[TokenRecord], zone: str, user_id: UserId) -> TokenRecord | None:
        return self._with(records, lambda catalog: catalog.look_up(zone, user_id))

    def test_a_known_user_is_found_with_every_field(self) -> None:
        """A row comes back as it went in: times to the microsecond, absent ends absent."""
        for record in (ALICE, BOB, NIL):
            found = self._found([ALICE, BOB, NIL], "api", record.user_id)
            promise(found == record, f"{record} went in, {found} came out")

    def test_what_only_our_own_formats_say_comes_back_too(self) -> None:
        """Name, groups and the flag that disables."""
        if self.zoned:
            found = self._found([ROOT], "api", ROOT.user_id)
            promise(found == ROOT, f"{ROOT} went in, {found} came out")

    def test_an_unknown_user_is_none(self) -> None:
        """None, and no exception, whether there are rows or not."""
        promise(self._found([ALICE, BOB], "api", NOBODY) is None, "a record for a user without a row")

    def test_a_row_for_one_zone_counts_there_only(self) -> None:
        """A row that names its zone is not found from another."""
        if self.zoned:
            row = replace(BOB, zone="web")
            promise(self._found([row], "web", BOB.user_id) == row, "a row was not found from its own zone")
            promise(self._found([row], "api", BOB.user_id) is None, "a row for one zone was found from another")

    def test_a_row_for_the_zone_wins(self) -> None:
        """Of a row for every zone and one for this zone the latter counts, in whatever order they stand."""
        if self.zoned:
            general, special = BOB, replace(BOB, zone="web", rotation_version=7)
            for rows in ([general, special], [special, general]):
                promise(self._found(rows, "web", BOB.user_id) == special, "the row for the zone did not win")
                promise(self._found(rows, "api", BOB.user_id) == general, "the row for every zone was not found")

    def test_peek_says_what_look_up_says_or_nothing(self) -> None:
        """Before and after a look-up: `MISS`, or the same answer."""

        async def _use(catalog: Catalog) -> None:
            for user_id, wanted in ((ALICE.user_id, ALICE), (NOBODY, None)):
                before = catalog.peek("api", user_id)
                found = await catalog.look_up("api", user_id)
                after = catalog.peek("api", user_id)
                promise(found == wanted, "look_up gave another record")
                promise(before is MISS or before == found, "peek contradicts look_up")
                promise(after is MISS or after == found, "peek after look_up contradicts it")

        self._with([ALICE, BOB], _use)

    def test_many_may_ask_at_once(self) -> None:
        """Answers do not get mixed up."""

        async def _use(catalog: Catalog) -> None:
            records = [ALICE, BOB, NIL, None] * _MANY
            asked = [NOBODY if record is None else record.user_id for record in records]
            found = await asyncio.gather(*(catalog.look_up("api", user_id) for user_id in asked))
            promise(found == records, "answers were mixed up")

        self._with([ALICE, BOB, NIL], _use)

    def test_who_gives_up_harms_nobody(self) -> None:
        """After a look-up was cancelled the catalog answers the next one."""

        async def _use(catalog: Catalog) -> None:
            waiting = asyncio.ensure_future(catalog.look_up("api", ALICE.user_id))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            promise(await catalog.look_up("api", ALICE.user_id) == ALICE, "no answer after a cancelled look-up")

        self._with([ALICE], _use)

    def test_closing_twice_is_closing(self) -> None:
        """`aclose` may be called again."""

        async def _use(catalog: Catalog) -> None:
            await catalog.aclose()
            await catalog.aclose()

        self._with([ALICE], _use)
