"""How heads are cut into lines, and lines into names and values."""

import pytest

from authproxy.http1.lines import ENDS, MOST_FIELDS, PLAIN, find_names, joined, prefixes_of, value_of


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"X: a", b"a"), (b"X:a", b"a"), (b"X: \t a \t ", b"a"), (b"X:\ta\t", b"a"), (b"X: a b\tc ", b"a b\tc"), (b"X: a: b:", b"a: b:"),
        (b"X:", b""), (b"X: ", b""), (b"X", b""), (b"X: \xa0a\xa0", b"\xa0a\xa0"), (b"X: \x0ba\x0b", b"\x0ba\x0b"),
    ],
)  # fmt: skip
def test_a_value_has_no_blanks_around_it(line, value):
    """Blank and tab, as HTTP means them, and nothing else."""
    assert value_of(line) == value


def test_lines_begin_with_their_names():
    """But for the first one, which is no field."""
    assert prefixes_of(()) == (b"",)
    assert prefixes_of((b"Host", b"x-a", b"")) == (b"", b"Host:", b"x-a:", b":")


def test_names_stand_before_the_first_colon():
    """A line without a colon has none, and is missed."""
    assert find_names(b"GET a:b HTTP/1.1\r\nHost: a:1\r\nx-A:\r\n: 1\r\n X : 1") == [b"Host", b"x-A", b"", b" X "]
    assert find_names(b"GET / HTTP/1.1\r\nHost\r\nX: 1\nY: 2\r\nA\rB: 1") == [b"X"]
    assert find_names(b"GET / HTTP/1.1") == []


def test_joined_lines_stand_behind_another():
    """Each with CRLF before it."""
    assert joined([b"a", b"b"]) == b"\r\na\r\nb"
    assert joined([]) == b""


@pytest.mark.parametrize("byte", range(256))
def test_plain_bytes(byte):
    """RFC 9110, 5.5: no control byte but tab."""
    assert (byte in PLAIN) is (byte == 9 or (byte >= 0x20 and byte != 0x7F))


def test_ends_are_counted():
    """One for every number of lines that is looked at; a larger head is refused for its number of fields."""
    assert len(ENDS) == MOST_FIELDS == 1100
    assert ENDS[:3] == (b"", b"\r\n", b"\r\n\r\n")
    assert ENDS[1099] == b"\r\n" * 1099
