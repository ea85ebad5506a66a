"""Paths: what is accepted has one reading, however often somebody decodes it."""

import posixpath
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authproxy.core.path import DOUBLE_SLASH, ENCODED_SLASH, SEMICOLON, UNUSUAL, read_path, worth_a_look

PIECES = [
    "a", "b", ".", "..", "...", "/", "//", "%2e", "%2E", "%2f", "%2F", "%5c", "%00", "%25", "%252e", "%252f", "%255c", "%2500", "\\",
    ";", ";x=1", "%3b", "%", "%2", "%zz", "%c3%a9", "%0a", "%7f", "%20", "%61", "~", "%25%32%65", "..;", "%2525",
]  # fmt: skip
PATHS = st.lists(st.sampled_from(PIECES), max_size=10).map(lambda parts: ("/" + "".join(parts)).encode())


def has_dots(path: bytes) -> bool:
    """Whether a segment is `.` or `..`, with or without parameters, for a reader of either slash."""
    return any(segment.split(b";")[0] in {b".", b".."} for segment in path.replace(b"\\", b"/").split(b"/"))


@given(PATHS)
@example(b"/a/%252e%252e;x/b")
@example(b"/%25%32%65%25%32%65/")
def test_an_accepted_path_has_no_dot_segments_and_no_hidden_separators(raw):
    """Plain, decoded once or decoded twice."""
    path = read_path(raw)
    if path is None:
        return
    once = unquote_to_bytes(raw)
    twice = unquote_to_bytes(once)

    assert path.decoded == once
    for reading in (raw, once, twice):
        assert not has_dots(reading)
        assert b"\\" not in reading
        assert b"\x00" not in reading
    assert twice.count(b"/") == once.count(b"/")
    assert not any(byte < 0x20 or byte == 0x7F for byte in once)


@given(PATHS)
def test_an_ordinary_path_means_the_same_to_those_who_normalise(raw):
    """Nothing unusual: what a normaliser makes of it is the path itself."""
    path = read_path(raw)
    if path is None or path.unusual:
        return

    assert raw.count(b"/") == path.decoded.count(b"/")
    assert b"//" not in path.decoded
    assert b";" not in raw
    assert posixpath.normpath(path.decoded) == (path.decoded.rstrip(b"/") or b"/")


@given(PATHS)
def test_a_refused_path_has_a_reason(raw):
    """The other half of the oracle: what is refused is broken, or has two readings."""
    if read_path(raw) is not None:
        return
    once = unquote_to_bytes(raw)
    twice = unquote_to_bytes(once)
    broken = any(part[:2].strip(b"0123456789abcdefABCDEF") or len(part) < 2 for part in raw.split(b"%")[1:])

    assert (
        broken
        or has_dots(once)
        or has_dots(twice)
        or b"\\" in twice
        or b"\x00" in twice
        or any(byte < 0x20 or byte == 0x7F for byte in once)
        or twice.count(b"/") != once.count(b"/")
    )


@given(PATHS)
def test_plain_paths_are_their_own_reading(raw):
    """The short cut that callers take is never another answer."""
    if worth_a_look(raw) is None:
        path = read_path(raw)
        assert path is not None
        assert path.decoded == raw
        assert not path.unusual


@pytest.mark.parametrize(
    ("raw", "unusual"),
    [
        (b"/a", set()), (b"/a%20b", set()), (b"/.a", set()), (b"/a;b", {SEMICOLON}), (b"/a//b", {DOUBLE_SLASH}),
        (b"/a%2fb", {ENCODED_SLASH}), (b"/a/%2fb", {ENCODED_SLASH, DOUBLE_SLASH}), (b"/a;b//c%2Fd", set(UNUSUAL)), (b"//", {DOUBLE_SLASH}),
        (b"/a%3bb", set()), (b"/%2f", {ENCODED_SLASH, DOUBLE_SLASH}),
    ],
)  # fmt: skip
def test_unusual_forms_are_named(raw, unusual):
    """A route must ask for each of them."""
    path = read_path(raw)

    assert path is not None
    assert path.unusual == unusual


@pytest.mark.parametrize(
    "raw",
    [
        b"/a%", b"/a%2", b"/a%zz", b"/%%41", b"/a%2/b",
        b"/a%00", b"/a%0ab", b"/a%1fb", b"/a%7fb", b"/a%2500b",
        b"/a\\b", b"/a%5cb", b"/a%255cb",
        b"/.", b"/..", b"/a/./b", b"/a/../b", b"/a/..", b"/%2e/", b"/%2e%2e/a", b"/a/.%2e", b"/..;x/a", b"/a/.;", b"/%252e%252e/a",
        b"/a%252fb", b"/%252e%252e%252fa",
        b"/%c0%ae%c0%ae/a", b"/a%c1%9cb", b"/a%e0%80%afb",
    ],
)  # fmt: skip
def test_paths_with_two_readings_are_refused(raw):
    """Broken escapes, control bytes, separators and dots that only some readers see, and letters spelled too long."""
    assert read_path(raw) is None


@pytest.mark.parametrize(
    "raw", [b"/a%41", b"/a%20b", b"/a%80", b"/a%c3%a9", b"/a%e0%a0%80", b"/a.", b"/...", b"/.a/b.", b"/a%25b"]
)
def test_their_neighbours_are_not(raw):
    """One reading is enough."""
    assert read_path(raw) is not None


@given(PATHS)
def test_what_needs_nothing_unusual_names_nothing(raw):
    """Each name stands for a form that is there."""
    path = read_path(raw)
    if path is None:
        return

    assert (SEMICOLON in path.unusual) is (b";" in raw)
    assert (DOUBLE_SLASH in path.unusual) is (b"//" in path.decoded)
    assert (ENCODED_SLASH in path.unusual) is (b"%2f" in raw.lower())
