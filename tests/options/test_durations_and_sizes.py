"""Durations and sizes: one spelling in, the same value out."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from authproxy.options import Duration, Size, duration_text, parse_duration, parse_size, size_text

whole_milliseconds = st.integers(0, 36500 * 24 * 3600 * 1000).map(lambda count: timedelta(milliseconds=count))


@given(whole_milliseconds)
def test_a_duration_reads_back_as_written(value):
    """Text is the inverse of reading, for every whole number of milliseconds."""
    assert parse_duration(duration_text(value)) == value


@given(st.integers(0, 2**53))
def test_a_size_reads_back_as_written(value):
    """Text is the inverse of reading, for every size."""
    assert parse_size(size_text(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("250ms", timedelta(milliseconds=250)),
        ("10s", timedelta(seconds=10)),
        ("5m", timedelta(minutes=5)),
        ("4h", timedelta(hours=4)),
        ("7d", timedelta(days=7)),
        ("36500d", timedelta(days=36500)),
        (0, timedelta(0)),
        ("0", timedelta(0)),
        ("0s", timedelta(0)),
        ("60s", timedelta(minutes=1)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text, value):
    """The five units, and a bare zero."""
    assert parse_duration(text) == value


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        (30, "a duration needs a unit: 30s"),
        ("30", "a duration needs a unit: 30s"),
        ("10 seconds", "write it as 10s"),
        ("10 s", "write it as 10s"),
        ("2hours", "write it as 2h"),
        ("5min", "write it as 5m"),
        ("3 Days", "write it as 3d"),
        ("2w", "the units of a duration are ms, s, m, h and d, such as 10s"),
        ("1h30m", "must be a duration: a whole number and ms, s, m, h or d, such as 10s"),
        ("1.5s", "must be a duration: a whole number and ms, s, m, h or d, such as 10s"),
        ("-5s", "must be a duration: a whole number and ms, s, m, h or d, such as 10s"),
        ("", "must be a duration: a whole number and ms, s, m, h or d, such as 10s"),
        ("36501d", "must be at most 36500d"),
        ("999999999999999d", "must be at most 36500d"),
        ("٣s", "must be a duration: a whole number and ms, s, m, h or d, such as 10s"),
        (True, "must be a duration such as 10s, 5m or 4h"),
        (1.5, "must be a duration such as 10s, 5m or 4h"),
        (None, "must be a duration such as 10s, 5m or 4h"),
    ],
)
def test_what_is_no_duration_gets_its_cure(text, cure):
    """The message says what to write instead, where that can be known."""
    with pytest.raises(ValueError) as refused:
        parse_duration(text)

    assert str(refused.value) == cure


@pytest.mark.parametrize(
    ("text", "value"), [("32KiB", 32768), ("1MiB", 1048576), ("2GiB", 2147483648), ("8190", 8190), (8190, 8190), (0, 0)]
)
def test_a_size_is_a_number_with_or_without_a_unit(text, value):
    """The three units, and plain bytes."""
    assert parse_size(text) == value


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("32KB", "write it as 32KiB (units count by 1024)"),
        ("32k", "write it as 32KiB (units count by 1024)"),
        ("32 KiB", "write it as 32KiB (units count by 1024)"),
        ("1M", "write it as 1MiB (units count by 1024)"),
        ("1gb", "write it as 1GiB (units count by 1024)"),
        ("12 parsecs", "must be a size: a whole number and KiB, MiB or GiB, such as 32KiB"),
        ("-1", "must be a size: a whole number and KiB, MiB or GiB, such as 32KiB"),
        (-1, "must be a size: a whole number and KiB, MiB or GiB, such as 32KiB"),
        ("9999999999999999GiB", "is larger than any machine's memory"),
        (True, "must be a size such as 32KiB or 1MiB, or a whole number of bytes"),
        (1.5, "must be a size such as 32KiB or 1MiB, or a whole number of bytes"),
    ],
)
def test_what_is_no_size_gets_its_cure(text, cure):
    """The message says what to write instead, where that can be known."""
    with pytest.raises(ValueError) as refused:
        parse_size(text)

    assert str(refused.value) == cure


def test_a_size_ends_at_two_to_the_53():
    """One byte more is refused."""
    assert parse_size(str(2**53)) == 2**53
    with pytest.raises(ValueError, match="memory"):
        parse_size(str(2**53 + 1))


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.integers())))
def test_anything_else_is_refused_with_a_message_for_people(value):
    """Reading raises ValueError or returns a value in range, whatever comes."""
    told = []
    for parse in (parse_duration, parse_size):
        try:
            parse(value)
        except ValueError as error:
            told.append(str(error))

    assert all(message.isprintable() for message in told)


def test_they_show_as_they_are_written():
    """A model that holds them serializes to the spelling that it reads."""
    assert TypeAdapter(Duration).dump_json(timedelta(minutes=5)) == b'"5m"'
    assert TypeAdapter(Size).dump_json(65536) == b'"64KiB"'


def test_a_message_of_pydantic_s_own_holds_no_value():
    """Even where pydantic's text is shown, the value is not in it."""
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Duration).validate_python("10 seconds")

    assert refused.value.errors(include_input=False)[0]["msg"] == "Value error, write it as 10s"
