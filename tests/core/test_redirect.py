"""Where a person is sent after a login: nowhere but a page of the very same origin."""

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, unquote, unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authproxy.core.redirect import MAX_NEXT, login_location, safe_next

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "turvata-v2-web.json").read_text())["next"]
OWN = ("/auth/login", "/auth/logout")

# What turvata accepts and this proxy does not (spec/tokens.md, 14).
STRICTER = {
    "/%2f/evil.example": "an encoded slash directly after the first",
    "/\u00a0": "not ASCII",
    "/\u200b": "not ASCII",
    "/\u00e9": "not ASCII",
    "/..//evil.example": "a dot segment",
    "/./": "a dot segment",
    "/auth/login?next=/x": "the login's own path",
}

# Pieces that have fooled somebody's check before.
PIECES = [
    "/", "//", "\\", ".", "..", "%2e", "%2E%2e", "%252e", "%2f", "%2F", "%5c", "%255c", "%", "%0", "%00", "%0a", "%7f", "?",
    "#", ";", ":", "@", "a", "evil.example", "\t", "\n", "\r", " ", "\x00", "\x7f", "\x85", "\u00a0", "\u2028", "\uff0f",
    "javascript:", "https:", "&", "=", "+", "'", '"', "<", ">", "[", "]", "auth", "login", "logout", "%6c",
]  # fmt: skip
wild = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=12).map("".join)
harmless = st.lists(
    st.sampled_from(["/", "a", "b.c", "%2e.", "?", "#", ";", "%20", "+", "%", "<", "'", "%0", "[", "auth/login"])
)
plausible = harmless.map(lambda pieces: "/a" + "".join(pieces))
likely = st.builds("".join, st.lists(st.sampled_from(PIECES), max_size=12)).map("/{}".format)


def in_a_browser(reference):
    """Return (host or None, path) as the URL Standard's parser reads a reference on an https page; 4.4, basic parser."""
    text = re.sub("[\t\n\r]", "", reference.strip("".join(map(chr, range(0x21)))))
    if re.match("[A-Za-z][A-Za-z0-9+.-]*:", text):
        return "another scheme", ""
    if re.match(r"[/\\]{2}", text):
        return re.split(r"[/\\?#]", text[2:], maxsplit=1)[0], ""
    path: list[str] = []
    segments = re.split(r"[/\\]", re.split("[?#]", text, maxsplit=1)[0])
    for place, segment in enumerate(segments[1:], 2):
        is_last = place == len(segments)
        plain = segment.lower().replace("%2e", ".")
        if plain == "..":
            path = path[:-1] + [""] * is_last
        elif plain == ".":
            path += [""] * is_last
        else:
            path.append(segment)
    return None, "/" + "/".join(path)


@pytest.mark.parametrize("case", VECTORS["values"], ids=lambda case: ascii(case["next"]))
def test_accepts_what_turvata_accepts_less_what_was_decided(case):
    """And what is accepted comes back as it came, once it is decoded."""
    found = safe_next(case["next"], OWN)

    assert (found is not None) == (case["accepted"] and case["next"] not in STRICTER)
    if found is not None:
        assert unquote(found) == unquote(case["next"])


def test_every_stricter_case_is_one():
    """The list holds nothing that turvata refuses too."""
    theirs = {case["next"]: case["accepted"] for case in VECTORS["values"]}

    assert all(theirs[value] for value in STRICTER)


@pytest.mark.parametrize(
    ("raw", "location"),
    [
        ("/", "/"),
        ("/a/b/c/?x=1&y=%20#top", "/a/b/c/?x=1&y=%20#top"),
        ("/a#b#c", "/a#b%23c"),
        ("/a#/../b", "/a#/../b"),
        ("/a?x=/../b", "/a?x=/../b"),
        ("/%0", "/%250"),
        ("/100%", "/100%25"),
        ("/<script>", "/%3Cscript%3E"),
        ('/"x', "/%22x"),
        ("/{x}|^`", "/%7Bx%7D%7C%5E%60"),
        ("/[::1]", "/%5B::1%5D"),
        ("/a'b;c,d(e)!$*~_-.", "/a'b;c,d(e)!$*~_-."),
        ("/..a/b../.c", "/..a/b../.c"),
        ("/auth/login/deeper", "/auth/login/deeper"),
        ("/auth/logins", "/auth/logins"),
        ("/a//b", "/a//b"),
        ("/a%252fb", "/a%252fb"),
        ("/a?x=%252f", "/a?x=%252f"),
        ("/?%252f", "/?%252f"),
        ("/%250a", "/%250a"),
        ("/%2525", "/%2525"),
        ("/%252", "/%252"),
    ],
)
def test_is_encoded_and_nothing_else(raw, location):
    """Whatever RFC 3986 wants escaped is; the rest stays."""
    assert safe_next(raw, OWN) == location


@pytest.mark.parametrize(
    "raw",
    [
        "/a/%2e%2e/b", "/a/.%2E", "/%252e%252e/", "/a/..;x=1/b", "/a/..%2fb", "/a/%2e", "/..", "/.?x", "/..#x",
        "/%2F", "/%2fevil.example", "//evil.example", "/a%5C", "/a?x=%5c", "/a?x=%0a", "/a#%00",
        "/%252fevil.example", "/%252F/e", "/%255cevil", "/%25255Cevil", "/%25%32%66e", "/%25%35%43e", "/%2525252fe", "/%2525%32fe",
        "/%2525%2532%2546e", "/%252525%252532%252546e", "/%252525%252535%252543e", "/%%32%35%%33%32fe",
        "/auth/login", "/auth/login/", "/auth/login?x", "/auth/login#x", "/auth/%6cogin", "/auth/logout", "/auth/logout/?",
    ],
)  # fmt: skip
def test_refuses(raw):
    """Each has a reading that leads elsewhere, or straight back to the login."""
    assert safe_next(raw, OWN) is None


@pytest.mark.parametrize("piece", ["25", "%", "%25", "%2525", "%%32%35", "%%3235", "%2", "%2532%2535", "%25%32%35"])
def test_what_is_encoded_for_ever_is_decoded_in_a_few_steps(piece, monkeypatch):
    """Whoever is led to the login may make it up: each step takes a third off, so that 2 KB need less than twenty."""
    steps = []

    def counted(text):
        steps.append(text)
        return unquote_to_bytes(text)

    monkeypatch.setattr("authproxy.core.redirect.unquote_to_bytes", counted)
    safe_next("/%" + piece * (2040 // len(piece)) + "2fe")

    assert 0 < len(steps) < 20


def test_own_paths_are_only_those_that_are_named():
    """Another zone's login is a page like any."""
    assert safe_next("/auth/login") == "/auth/login"
    assert safe_next("/sign-in/", ("/sign-in",)) is None
    assert safe_next("/sign-in", ("/sign-in/",)) is None


@pytest.mark.parametrize("character", ["a", "%20", "<"])
def test_is_at_most_2048_characters_as_it_is_sent(character):
    """Counted encoded, so that a Location is never longer."""
    assert MAX_NEXT == 2048
    sent = len(safe_next("/" + character) or "") - 1
    fits = (MAX_NEXT - 1) // sent
    rest = "b" * (MAX_NEXT - 1 - fits * sent)

    assert len(safe_next("/" + character * fits + rest) or "") == MAX_NEXT
    assert safe_next("/" + character * fits + rest + "b") is None


@given(wild | likely | plausible)
@example("/\t/evil.example")
@example("/%2e%2e//evil.example")
@example("/.//evil.example")
def test_what_is_accepted_stays_on_this_origin_in_every_browser(raw):
    """Same scheme and host, no segment that vanishes, never the login or the logout."""
    found = safe_next(raw, OWN)
    if found is None:
        return

    assert found.isascii()
    assert found.isprintable()
    assert not set(found) & set(' \\"<>')
    assert in_a_browser(raw)[0] is None
    host, path = in_a_browser(found)
    assert host is None
    assert path == re.split("[?#]", found, maxsplit=1)[0]
    assert unquote(path).rstrip("/") not in OWN
    decoded = unquote_to_bytes(found)
    assert not any(byte < 0x20 or byte in b"\\\x7f" for byte in decoded)
    assert not decoded.startswith(b"//")


@given(wild | likely | plausible)
def test_encoding_is_stable_and_changes_no_meaning(raw):
    """Encoding again changes nothing, and decoding gives what decoding the original gives."""
    found = safe_next(raw, OWN)
    if found is None:
        return

    assert safe_next(found, OWN) == found
    assert unquote_to_bytes(found) == unquote_to_bytes(raw)


@given((likely | plausible).filter(str.isascii))
@example("/search?q=a+b&c=%2B")
def test_a_round_trip_through_the_login_keeps_the_page(target):
    """What the login page reads out of its address is what `safe_next` made of the request's own target."""
    location = login_location("/auth/login", target.encode(), OWN).decode()

    path, mark, query = location.partition("?")
    assert path == "/auth/login"
    wanted = safe_next(target, OWN)
    assert parse_qs(query, strict_parsing=bool(mark)) == ({} if wanted is None else {"next": [wanted]})


def test_a_target_that_no_login_accepts_is_left_out():
    """Nobody is sent to a page that refuses him."""
    for target in (b"//x", b"/a%5cb", b"/%0d", b"/auth/login", b"/\xff", b"/" + b"a" * MAX_NEXT):
        assert login_location("/auth/login", target, OWN) == b"/auth/login"


def test_the_login_path_is_encoded_too():
    """It comes from the configuration, as plain text."""
    assert login_location("/an meldung/ö", b"/") == b"/an%20meldung/%C3%B6?next=%2F"
