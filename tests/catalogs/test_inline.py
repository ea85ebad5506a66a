"""Rows in the configuration itself."""

import pytest
from pydantic import ValidationError

from authproxy.catalogs.inline import InlineOptions, kind
from authproxy.catalogs.interface import Catalog
from authproxy.catalogs.rows import parse_user_id

ID = "550e8400-e29b-41d4-a716-446655440000"
ROW = {"user_id": ID, "rotation_version": 1, "hash": "ab" * 64}


def options(*rows: dict[str, object]) -> InlineOptions:
    return InlineOptions.model_validate({"kind": "inline", "users": list(rows)})


def nobody(name: str) -> Catalog:
    raise AssertionError(name)


async def test_rows_are_found():
    """The zone's own row before the one for every zone."""
    catalog = kind.open(options(ROW, {**ROW, "zone": "web", "rotation_version": 2}), nobody)

    found = [catalog.peek(zone, parse_user_id(ID)) for zone in ("api", "web")]

    assert [getattr(record, "rotation_version", None) for record in found] == [1, 2]


def test_a_bad_row_is_an_error_of_the_configuration():
    """With the path to the key, so that file and line can be told; here nothing is half right."""
    with pytest.raises(ValidationError) as refusal:
        options(ROW, {**ROW, "hash": "short", "expires": "2027-01-01T00:00:00Z"})

    assert {error["loc"] for error in refusal.value.errors()} == {("users", 1, "hash"), ("users", 1, "expires")}


def test_two_rows_for_one_user_are_refused():
    """One for each zone is right, two for the same are not."""
    options(ROW, {**ROW, "zone": "web"}, {**ROW, "zone": "api"})

    for twice in ((ROW, ROW), ({**ROW, "zone": "web"}, {**ROW, "zone": "web"})):
        with pytest.raises(ValidationError, match="two rows for the same zone"):
            options(*twice)


def test_the_key_users_is_needed():
    """An inline catalog without rows says so: `users: []`."""
    assert options().users == ()
    with pytest.raises(ValidationError):
        InlineOptions.model_validate({"kind": "inline"})
