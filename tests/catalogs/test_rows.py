"""The parts of a row, on both sides of every limit."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from authproxy.catalogs.append import row_text, time_text
from authproxy.catalogs.rows import Row, parse_time, parse_user_id, row_problems
from authproxy.catalogs.yaml_rows import read_yaml
from authproxy.core.record import TokenRecord, UserId, user_id_text

ID = "550e8400-e29b-41d4-a716-446655440000"
NEEDED: dict[str, object] = {"user_id": ID, "rotation_version": 1, "hash": "ab" * 64}

digests = st.binary(min_size=64, max_size=64)
times = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
visible = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=",")
printable = st.characters(exclude_categories=["Cc", "Cs", "Cn", "Co", "Zl", "Zp", "Cf"])
graces = st.none() | st.tuples(digests, times)


@st.composite
def records(draw) -> TokenRecord:
    grace = draw(graces)
    return TokenRecord(
        user_id=UserId(draw(st.binary(min_size=16, max_size=16))),
        rotation_version=draw(st.integers(0, 65535)),
        hash=draw(digests),
        expires_at=draw(st.none() | times),
        previous_hash=grace[0] if grace else None,
        grace_expires_at=grace[1] if grace else None,
        disabled=draw(st.booleans()),
        name=draw(st.text(printable, max_size=256)),
        groups=tuple(sorted(draw(st.sets(st.text(visible, min_size=1, max_size=12), max_size=4)))),
        zone=draw(st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)),
    )


@given(records())
def test_a_row_is_read_as_it_was_written(record):
    """What `row_text` writes, a token file gives back, every field."""
    sheet = read_yaml(row_text(record).encode(), "tokens.yaml")

    assert sheet.problems == ()
    assert sheet.records == (record,)


@given(times, st.integers(-23 * 60, 23 * 60))
def test_a_time_is_an_instant(time, minutes):
    """Whatever its offset, it is read as the same instant, in UTC."""
    there = time.astimezone(timezone(timedelta(minutes=minutes))) if time.year > 1 else time

    assert parse_time(there.isoformat()) == time
    assert parse_time(there.isoformat()).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2027-01-01T00:00:00Z", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2027-01-01t00:00:00z", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2027-01-01 00:00:00+00:00", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2027-01-01T00:00:00-00:00", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2027-01-01T01:30:00+01:30", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2027-01-01T00:00:00.5Z", datetime(2027, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        # Never later than what was written.
        ("2027-01-01T00:00:00.000001999Z", datetime(2027, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
    ],
)
def test_times_as_rfc_3339_spells_them(text, wanted):
    """An offset is there, in one of its spellings; nanoseconds are dropped."""
    assert parse_time(text) == wanted
    assert time_text(parse_time(text)) == time_text(wanted)


@pytest.mark.parametrize(
    "text",
    [
        *("2027-01-01T00:00:00", "2027-01-01", "2027-01-01T00:00Z", "2027-01-01T24:00:00Z", "2027-01-01T00:00:60Z"),
        *("2027-13-01T00:00:00Z", "0000-01-01T00:00:00Z", "2027-01-01T00:00:00+0100", "2027-01-01T00:00:00+24:00"),
        *("20270101T000000Z", "2027-W01-1T00:00:00Z", "2027-01-01T00:00:00.Z", "2027-01-01T00:00:00Z ", "tomorrow"),
        *("0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "\u0662027-01-01T00:00:00Z"),
        *(None, 0, True, 1798761600, datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_other_times_are_refused(text):
    """Naive, incomplete, impossible, or no text."""
    with pytest.raises(ValueError, match=r"must be a time with its offset|there is no such time"):
        parse_time(text)


@given(st.uuids())
def test_user_ids_are_uuids_in_any_case(user_id):
    """Letter case does not count."""
    assert parse_user_id(str(user_id).upper()) == user_id.bytes


@pytest.mark.parametrize(
    "text",
    [ID[:-1], ID + "0", ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}", "", None, 5, ID.replace("5", "\u0665")],
)
def test_other_spellings_of_a_user_id_are_refused(text):
    """One form, so that a search for a user finds it."""
    with pytest.raises(ValueError, match="must be a UUID"):
        parse_user_id(text)


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("name", "x" * 256, "x" * 257),
        ("name", "Zoë\u00a0Ω 🙂", "a\u2028b"),
        ("name", "", "\x7f"),
        ("groups", ["g" * 256], ["g" * 257]),
        ("groups", [f"g{number}" for number in range(256)], [f"g{number}" for number in range(257)]),
        ("groups", ["!~"], ["a b"]),
        ("groups", [], [""]),
        ("groups", (), ["ü"]),
        ("zone", "a" * 64, "a" * 65),
        ("zone", "0.a_b-c", "-a"),
        ("rotation_version", 65535, 65536),
        ("rotation_version", "0", "-0"),
        ("rotation_version", 0, False),
        ("hash", "AB" * 64, "ab" * 64 + "a"),
        ("hash", "0" * 128, 0),
        ("disabled", True, 1),
        ("disabled", "True", "yes"),
    ],
)
def test_limits(key, good, bad):
    """The last value that passes, and the first that does not."""
    Row.model_validate({**NEEDED, key: good})
    with pytest.raises(ValidationError) as refusal:
        Row.model_validate({**NEEDED, key: bad})

    assert [named for named, _ in row_problems(refusal.value)] == [key]


def test_groups_are_sorted_and_single():
    """So that two records of one user compare equal."""
    record = Row.model_validate({**NEEDED, "groups": ["b", "a", "b"]}).record()

    assert record.groups == ("a", "b")


@pytest.mark.parametrize(
    "key", ["zone", "name", "groups", "expires_at", "previous_hash", "grace_expires_at", "disabled"]
)
def test_an_empty_value_is_not_an_absent_key(key):
    """An end that was left empty by mistake would be no end."""
    with pytest.raises(ValidationError):
        Row.model_validate({**NEEDED, key: None})


def test_every_key_of_a_record_can_be_written():
    """A row knows what a record knows, and nothing else."""
    fields = {name for name in TokenRecord.__dataclass_fields__ if name not in {"user_id_header", "rejected"}}

    assert set(Row.model_fields) == fields


def test_user_id_in_a_message_is_canonical():
    """The same text in files, messages and headers."""
    assert user_id_text(parse_user_id(ID.upper())) == ID
