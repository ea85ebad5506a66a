"""Our cookies are read in one way, never forwarded, and set as strictly as a browser knows how."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authproxy.core.cookie import (
    UNFIT,
    CookieRules,
    clear_line,
    is_own,
    read_session_id,
    set_line,
    without_own,
)

NAME = b"__Host-authproxy-web"
ID = b"Ab-_" * 10 + b"xyz"
RULES = CookieRules(NAME, b"Lax")


def pair(value: bytes = ID, name: bytes = NAME) -> bytes:
    return name + b"=" + value


@pytest.mark.parametrize(
    "cookies",
    [
        pair(),
        b"a=b; " + pair(),
        pair() + b"; a=b",
        pair() + b";a=b;",
        b"a=b;\t" + pair() + b" ; __Host-authproxy-api=" + ID,
        pair() + b"; __Host-authproxy-web2=" + ID[::-1],
        pair() + b"; x__Host-authproxy-web=" + ID[::-1],
        pair() + b"; __host-authproxy-web=" + ID[::-1],
    ],
)
def test_the_session_is_found_among_others(cookies):
    """By its whole name, in its own letter case."""
    assert read_session_id(cookies, NAME) == ID


@pytest.mark.parametrize(
    "cookies", [None, b"", b"a=b", b"a=b; c", pair(name=b"__Host-authproxy-web2"), b"a=" + NAME, NAME]
)
def test_no_cookie_of_the_name_is_none(cookies):
    """A name in another cookie's value is none, nor is a name without a value."""
    assert read_session_id(cookies, NAME) is None


@pytest.mark.parametrize(
    "cookies",
    [
        pair() + b"; " + pair(),
        pair() + b"; a=b; " + pair(ID[::-1]),
        pair() + b"; " + pair(b""),
        pair(ID[::-1], NAME + b" ") + b"; " + pair(),
        pair() + b"; " + pair(ID[::-1], NAME + b"\t"),
        pair(b"short") + b"; " + pair(),
        pair(b""),
        pair(ID[:-1]),
        pair(ID + b"A"),
        pair(b'"' + ID + b'"'),
        pair(ID[:-1] + b"="),
        pair(ID[:-1] + b"%"),
        pair(ID[:20] + b" " + ID[21:]),
        pair(ID + b"=x"),
    ],
)
def test_two_or_a_broken_one_are_unfit(cookies):
    """Which of two counts would be for whoever planted the other to choose."""
    assert read_session_id(cookies, NAME) is UNFIT


@pytest.mark.parametrize(
    ("cookies", "left"),
    [
        (b"a=b; c=d", b"a=b; c=d"),
        (b"a=b;c=__Host-authproxy-web", b"a=b;c=__Host-authproxy-web"),
        (pair(), b""),
        (pair() + b"; " + pair(name=b"__Host-authproxy-api"), b""),
        (pair() + b"; a=b", b"a=b"),
        (b"a=b; " + pair() + b"; c=d", b"a=b; c=d"),
        (b"a=b; " + pair(name=b"__HOST-AuthProxy-Web"), b"a=b"),
        (b"a=b; " + pair(name=b"__Host-authproxy"), b"a=b"),
        (b"a=b; __Host-authproxy-web ;c=d", b"a=b;c=d"),
        (b"a=b; __Host-authproxy-web = x;c=d", b"a=b;c=d"),
        (b"__Host-mine=x; a=b", b"a=b"),
        (b"__host-MINE=x", b""),
        (b"__Host-mine2=x; a=__Host-mine", b"__Host-mine2=x; a=__Host-mine"),
    ],
)
def test_our_cookies_go_and_all_others_stay(cookies, left):
    """Of every zone, in every spelling; those of a name of the operator's own, too."""
    assert without_own(cookies, {b"__host-mine"}) == left


names = st.sampled_from(
    [b"a", b"A", b"session", NAME, NAME + b" ", NAME.lower(), b"__Host-authproxy-x", b"__Host-mine", b" b ", b""]
)
values = st.binary(max_size=4).map(lambda raw: raw.translate(None, b";\r\n\0"))


fields = st.lists(st.tuples(names, values, st.sampled_from([b";", b"; ", b" ;"])), max_size=6)


@given(fields, st.sampled_from([frozenset({b"__host-mine"}), frozenset()]))
@example([(NAME, b"", b";"), (b"a", b"", b"; ")], frozenset())
@example([(b"a", NAME, b"; "), (NAME, b"", b"")], frozenset())
def test_whatever_is_left_holds_none_of_ours(pairs, own):
    """And what is left was there, in the same order."""
    cookies = b"".join(name + b"=" + value + end for name, value, end in pairs)
    left = without_own(cookies, own)

    assert not any(is_own(part.partition(b"=")[0], own) for part in left.split(b";"))
    for name in (NAME, b"__Host-authproxy-x"):
        assert read_session_id(left, name) is None
    wanted = [name + b"=" + value for name, value, _ in pairs if not is_own(name, own)]
    found = [part.strip(b" \t") for part in left.split(b";") if part.strip(b" \t")]
    assert found == [one.strip(b" \t") for one in wanted if one.strip(b" \t")]


@given(fields, st.sampled_from([ID, ID[::-1], b"", b"short"]))
def test_a_session_is_read_as_pair_by_pair(pairs, value):
    """However the field is written: the look at what browsers write finds nothing else."""
    at = len(pairs) // 2
    pairs = [*pairs[:at], (NAME, value, b"; "), *pairs[at:]]
    cookies = b"".join(name + b"=" + value + end for name, value, end in pairs)
    split = [part.strip(b" \t").partition(b"=") for part in cookies.split(b";")]
    found = [shown.lstrip(b" \t") for name, mark, shown in split if mark and name.rstrip(b" \t") == NAME]
    wanted = found[0] if len(found) == 1 and found[0] in {ID, ID[::-1]} else UNFIT

    assert read_session_id(cookies, NAME) == wanted


@pytest.mark.parametrize(("left", "seconds"), [(14_400_000, 14_400), (1, 1), (999, 1), (1000, 1), (1001, 2), (1500, 2)])
def test_a_cookie_lasts_as_long_as_its_session(left, seconds):
    """In whole seconds, rounded up: rounded down, the last one would be dropped at once."""
    line = set_line(RULES, ID, left)

    assert line == (
        b"Set-Cookie: __Host-authproxy-web="
        + ID
        + b"; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=%d\r\n" % seconds
    )
    assert read_session_id(line.partition(b": ")[2].partition(b";")[0], NAME) == ID


def test_clearing_repeats_what_the_cookie_was_set_with():
    """A browser takes a `__Host-` cookie away only for a line that may set one."""
    line = clear_line(CookieRules(NAME, b"Strict"))

    assert line == (
        b"Set-Cookie: __Host-authproxy-web=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0; "
        b"Expires=Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    )
