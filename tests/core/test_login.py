"""The login form: credentials, or why there are none; never a token where it could be read."""

import json
import re
from pathlib import Path
from urllib.parse import quote_plus, urlencode
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.login import MAX_BODY, MAX_FIELDS, FormProblem, LoginForm, read_login
from authproxy.core.record import UserId
from authproxy.core.redirect import safe_next
from authproxy.core.secret import Secret

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "turvata-v2-web.json").read_text())
TYPE = b"application/x-www-form-urlencoded"
USER = "550e8400-e29b-41d4-a716-446655440000"
TOKEN = "svc_020001_kuhiiahctna5jjywirtfkraaaaaacaqdaqcqmbyibefawdanbyhraeiscmkbkfqxdamrugy4dupb7emktreq"
GOOD = {"user-id": USER, "token": TOKEN}


def form(fields=None, **more):
    """What `read_login` makes of these fields."""
    return read_login(urlencode((fields or GOOD) | more).encode(), TYPE)


def test_a_good_form_is_read():
    """User, token and where to go."""
    assert form(next="/a?b=c&d=e") == LoginForm(
        user_id=UserId(UUID(USER).bytes), token=Secret(TOKEN.encode()), next="/a?b=c&d=e"
    )


@pytest.mark.parametrize(
    "content_type", [TYPE, TYPE.upper(), TYPE + b";charset=UTF-8", TYPE + b" ; x", b"\t" + TYPE + b"\t;x"]
)
def test_the_type_may_have_parameters(content_type):
    """And any letter case."""
    assert isinstance(read_login(urlencode(GOOD).encode(), content_type), LoginForm)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        b"",
        b"multipart/form-data; boundary=x",
        b"application/json",
        b"text/plain",
        TYPE + b"x",
        TYPE + b", " + TYPE,
    ],
)
def test_no_other_type_is_read(content_type):
    """Multipart and JSON have readers with a history."""
    problem = read_login(urlencode(GOOD).encode(), content_type)

    assert problem is FormProblem.WRONG_TYPE
    assert problem.status == 415


# note of the vector: body, and whether it is read as a form (turvata's answer in the second place, where it differs).
CASES = {
    "keyword keys": (GOOD, True),
    "uuid object": (GOOD, True),
    "upper-case uuid": (GOOD | {"user-id": USER.upper()}, True),
    "uuid in braces": (GOOD | {"user-id": "{" + USER + "}"}, False),
    "uuid with spaces around": (GOOD | {"user-id": f" {USER} "}, False),
    "userid extra beside user-id": (GOOD | {"userid": USER}, True),
    "empty": ({"x": ""}, False),
    "empty token": (GOOD | {"token": ""}, False),
    "blank token": (GOOD | {"token": "   "}, False),
    "token leading space": (GOOD | {"token": " " + TOKEN}, True),
    "token with Bearer": (GOOD | {"token": "Bearer " + TOKEN}, True),
    "token garbage": (GOOD | {"token": "garbage"}, True),
    "other user's uuid": (GOOD | {"user-id": str(UUID(int=7))}, True),
    "near-miss extra: tokens": (GOOD | {"tokens": "x"}, True),
    "case-variant key TOKEN beside token": (GOOD | {"TOKEN": "x"}, True),
    "anti-forgery param": (GOOD | {"__anti-forgery-token": "x"}, True),
}
# Unknown names are ignored here, however near they come to a known one.
IGNORED = {"userid extra beside user-id", "near-miss extra: tokens", "case-variant key TOKEN beside token"}


@pytest.mark.parametrize("case", VECTORS["login_params"]["cases"], ids=lambda case: case["note"])
def test_reads_what_turvata_reads(case):
    """What it answers 400 is no form, what it answers 303 is one, good or bad; but for names that come near."""
    if case["note"] == "params nil":
        assert read_login(b"", TYPE) is FormProblem.INCOMPLETE
        return
    fields, is_form = CASES[case["note"]]

    found = form(fields)

    assert isinstance(found, LoginForm) is is_form
    assert is_form is (case["status"] == 303 or case["note"] in IGNORED)
    if is_form:
        assert found.token.reveal() == fields["token"].encode()
    else:
        assert found.status == 400


# Answered 400 by turvata and read here: unknown names are ignored, an empty `next` is none.
READ_HERE = {"nxt=%2Fa", "next"}


@pytest.mark.parametrize("case", VECTORS["next"]["form_bodies"], ids=lambda case: case["body_suffix"])
def test_reads_next_as_turvata_does(case):
    """Decoded exactly once, `;` is no separator, twice is refused; without one the zone's own page follows."""
    found = read_login(f"user-id={USER}&token={TOKEN}&{case['body_suffix']}".encode(), TYPE)
    where = None
    if isinstance(found, LoginForm):
        where = "/home" if found.next is None else safe_next(found.next)

    assert where == ("/home" if case["body_suffix"] in READ_HERE else case["location"])


@pytest.mark.parametrize("extra", ["user-id", "username", "token", "next", "user%2Did", "%6eext"])
def test_a_field_twice_is_refused(extra):
    """Under its alias, and under another spelling of its name too."""
    body = urlencode(GOOD | {"next": "/"}) + f"&{extra}=x"

    assert read_login(body.encode(), TYPE) is FormProblem.REPEATED


def test_username_is_the_same_field():
    """As turvata's documents say."""
    assert form({"username": USER, "token": TOKEN}) == form()


@pytest.mark.parametrize("missing", GOOD)
def test_both_are_needed(missing):
    """A form without either is none."""
    assert form({name: value for name, value in GOOD.items() if name != missing}) is FormProblem.INCOMPLETE


@pytest.mark.parametrize("value", ["%", "%4", "%zz", "%ff", "%C3", "%ed%a0%80", "\xff"])
@pytest.mark.parametrize("place", ["x={}", "{}=x", "next=/{}"])
def test_what_is_no_text_is_refused(value, place):
    """Broken escapes and bytes that are not UTF-8, in names and values, also of fields that nobody wants."""
    body = f"user-id={USER}&token={TOKEN}&".encode() + place.format(value).encode("latin-1")

    problem = read_login(body, TYPE)

    assert problem is FormProblem.MALFORMED
    assert problem.status == 400


def test_size_is_bounded_on_both_sides():
    """The longest token with the longest `next`, that one all escaped, fits; one byte more than the limit does not."""
    assert MAX_BODY == 16_384
    longest = "a" * 4004 + TOKEN.removeprefix("svc")
    path = "%2f" + "%61" * 2047
    assert len(longest) == 4096
    assert isinstance(read_login(f"user-id={quote_plus(USER)}&token={longest}&next={path}".encode(), TYPE), LoginForm)

    body = urlencode(GOOD).encode() + b"&x="
    full = body + b"a" * (MAX_BODY - len(body))
    assert isinstance(read_login(full, TYPE), LoginForm)
    assert read_login(full + b"a", TYPE) is FormProblem.TOO_LARGE
    assert FormProblem.TOO_LARGE.status == 413


def test_the_number_of_fields_is_bounded_on_both_sides():
    """Sixteen are read."""
    assert MAX_FIELDS == 16
    body = urlencode(GOOD).encode() + b"&" * (MAX_FIELDS - 2)

    assert isinstance(read_login(body, TYPE), LoginForm)
    assert read_login(body + b"&", TYPE) is FormProblem.TOO_LARGE


def test_no_token_is_shown():
    """Neither by the form nor by a problem with one."""
    assert TOKEN not in repr(form())
    assert TOKEN not in str(form())
    for problem in FormProblem:
        assert re.fullmatch("login-[a-z-]+", problem.value)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=40), max_size=8), st.text(min_size=1), st.text())
def test_reads_back_what_a_browser_writes(others, token, target):
    """Whatever the values are."""
    known = {"user-id": USER, "token": "t" + token, "next": target}
    unknown = {"x-" + name: value for name, value in others.items()}

    found = form(unknown | known)

    assert found == LoginForm(
        user_id=UserId(UUID(USER).bytes), token=Secret(("t" + token).encode()), next=target or None
    )


@given(st.binary(max_size=200))
def test_any_bytes_are_a_form_or_a_problem(body):
    """Never an exception."""
    assert isinstance(read_login(body, TYPE), LoginForm | FormProblem)
