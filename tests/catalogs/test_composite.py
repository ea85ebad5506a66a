"""Several catalogs asked in turn."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError
from typing_extensions import override

from authproxy.catalogs.composite import CompositeCatalog, CompositeOptions, kind
from authproxy.catalogs.index import Index, refused
from authproxy.catalogs.inline import MemoryCatalog
from authproxy.catalogs.interface import MISS, Catalog, Miss
from authproxy.core.match import match
from authproxy.core.pepper import Pepper
from authproxy.core.record import TokenRecord, UserId
from authproxy.core.secret import Secret
from authproxy.core.token import parse
from authproxy.errors import CatalogUnavailable, ConfigError

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "turvata-v2.json").read_text())
CASES = {case["note"]: case for case in VECTORS["composite"]["cases"]}
TOKEN = parse(VECTORS["malformed"]["canonical"].encode())
assert TOKEN is not None
PEPPERS = (Pepper(Secret(bytes.fromhex(VECTORS["malformed"]["pepper_hex"]))),)
USER = TOKEN.user_id
GOOD = TokenRecord(user_id=USER, rotation_version=1, hash=PEPPERS[0].digest(USER, 1, TOKEN.secret), name="good")
BAD = TokenRecord(user_id=USER, rotation_version=1, hash=bytes(64), name="bad")


class Down(Catalog):
    """A catalog that cannot tell."""

    asked = 0

    @override
    def peek(self, zone: str, user_id: UserId) -> Miss:
        return MISS

    @override
    async def look_up(self, zone: str, user_id: UserId) -> TokenRecord | None:
        self.asked += 1
        raise CatalogUnavailable("down")

    @override
    async def aclose(self) -> None:
        raise AssertionError("members have their own owner")


def rows(*records: TokenRecord) -> MemoryCatalog:
    return MemoryCatalog(Index(records))


@pytest.mark.parametrize(
    ("note", "members", "wanted"),
    [
        ("both have it: first wins", (rows(GOOD), rows(BAD)), GOOD),
        ("first lacks it", (rows(), rows(GOOD)), GOOD),
        ("empty list", (), None),
        ("first returns a row whose hash does not match: NO fallthrough", (rows(BAD), rows(GOOD)), BAD),
    ],
)
async def test_finds_what_turvata_finds(note, members, wanted):
    """The first row counts, whether or not the token fits it."""
    catalog = CompositeCatalog(members)
    now = datetime(2026, 7, 13, tzinfo=UTC)

    found = await catalog.look_up("api", USER)

    assert found == catalog.peek("api", USER) == wanted
    assert TOKEN is not None
    passed = match(PEPPERS, TOKEN, found, now) is not None
    assert passed == (CASES[note]["authenticate"]["result"] is not None)


async def test_a_failure_is_a_failure_of_the_whole():
    """Whoever stands behind a member that cannot tell is not asked."""
    behind = Down()

    with pytest.raises(CatalogUnavailable):
        await CompositeCatalog((rows(), Down(), behind)).look_up("api", USER)

    assert behind.asked == 0


async def test_who_is_found_before_is_not_harmed():
    """A member that is down does not matter to users of those before it."""
    catalog = CompositeCatalog((rows(GOOD), Down()))

    assert await catalog.look_up("api", USER) == catalog.peek("api", USER) == GOOD


def test_peek_does_not_skip_whoever_must_be_waited_for():
    """A later member's record is no answer while an earlier one has not answered."""
    assert CompositeCatalog((Down(), rows(GOOD))).peek("api", USER) is MISS


async def test_a_refused_row_is_not_fallen_through():
    """A user whose row in the first catalog is bad does not come in by the second."""
    found = await CompositeCatalog((rows(refused(USER, None)), rows(GOOD))).look_up("api", USER)

    assert found is not None
    assert found.disabled


async def test_members_stay_open():
    """They are closed under their own names."""
    await CompositeCatalog((Down(),)).aclose()


async def test_members_are_named_in_the_options():
    """In their order; what is not there is the opener's ConfigError."""
    known = {"one": rows(), "two": rows(GOOD)}

    def catalogs(name: str) -> Catalog:
        if name not in known:
            raise ConfigError(name)
        return known[name]

    opened = kind.open(CompositeOptions(kind="composite", of=("one", "two")), catalogs)

    assert await opened.look_up("api", USER) == GOOD
    with pytest.raises(ConfigError):
        kind.open(CompositeOptions(kind="composite", of=("three",)), catalogs)


def test_a_composite_of_nothing_is_refused():
    """It would let nobody in."""
    with pytest.raises(ValidationError):
        CompositeOptions(kind="composite", of=())
