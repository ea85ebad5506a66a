"""The credential in an Authorization field."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.bearer import offers_token, token_of
from authproxy.core.token import parse

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "turvata-v2.json").read_text())

NOTHING_BUT_SPACES = "between scheme and token stand spaces and nothing else"
NO_LINE_ENDS = "the reader of the head refuses line ends in a value; here they are part of what is no token"
DEVIATIONS = {
    "Bearer\tabc": (NOTHING_BUT_SPACES, None),
    "Bearer\n abc": (NOTHING_BUT_SPACES, None),
    # Not stripped, hence no token: what is refused is refused as malformed.
    "Bearer \u2003abc": (NOTHING_BUT_SPACES, "\u2003abc"),
    "Bearer abc\r\n": (NO_LINE_ENDS, "abc\r\n"),
    "Bearer a\nb": (NO_LINE_ENDS, "a\nb"),
}


@pytest.mark.parametrize(
    "case",
    [case for case in VECTORS["authorization_header"]["cases"] if case["authorization"] is not None],
    ids=lambda case: ascii(case["authorization"]),
)
def test_finds_what_turvata_finds(case):
    """The same token out of every header, deviations listed above."""
    value = case["authorization"]
    wanted = DEVIATIONS[value][1] if value in DEVIATIONS else case["extracted_token"]
    # HTTP's reader takes the blanks around a field value away.
    arrived = value.encode().strip(b" \t")
    if value == "\tBearer abc":
        arrived = value.encode()

    found = token_of(arrived)

    assert found == (None if wanted is None else wanted.encode())


def test_every_deviation_deviates():
    """The list holds nothing that is not in the vectors or is no deviation."""
    theirs = {case["authorization"]: case["extracted_token"] for case in VECTORS["authorization_header"]["cases"]}

    for value, (_, ours) in DEVIATIONS.items():
        assert theirs[value] != ours


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "Token", "token", "TOKEN"])
@pytest.mark.parametrize("blanks", [" ", "    "])
def test_scheme_in_any_case_and_one_or_more_spaces(scheme, blanks):
    """`Bearer` and `Token` are one."""
    assert token_of(f"{scheme}{blanks}abc".encode()) == b"abc"


@pytest.mark.parametrize(
    "value", [b"", b"Bearer", b"Bearer ", b"Bearerabc", b"Basic abc", b"Bear\xc5\x99er abc", b" Bearer abc"]
)
def test_other_values_hold_no_credential(value):
    """No scheme of ours, or nothing behind it."""
    assert token_of(value) is None


@pytest.mark.parametrize(
    "value", [b"Bearer \tabc", b"Bearer \nabc", b"Bearer abc def", b"Bearer abc,def", b"Bearer \xa0abc"]
)
def test_what_is_no_token_is_presented_all_the_same(value):
    """Something was shown, so it is refused as malformed and not taken for nothing."""
    shown = token_of(value)

    assert shown is not None
    assert parse(shown) is None


@given(st.from_regex(rb" *[^ ]?.{0,20}", fullmatch=True))
def test_every_spelling_is_read_alike(rest):
    """What stands behind the scheme means the same behind any spelling of it."""
    assert token_of(b"Bearer" + rest) == token_of(b"bEARER" + rest) == token_of(b"Token" + rest)


@given(st.binary(max_size=60) | st.from_regex(rb"(?i)(bearer|token)[ \t]*.*"))
def test_never_raises_and_never_begins_with_a_space(value):
    """Every value holds a credential or none."""
    found = token_of(value)

    assert found is None or (found and found[:1] != b" " and value.endswith(found))


@pytest.mark.parametrize(
    ("value", "offers"),
    [
        (b"Bearer x", True), (b"bearer", True), (b"TOKEN ", True), (b"Token\tx", True), (b"Bearer \xff\n", True),
        (b"", False), (b"Basic x", False), (b"Bearerx", False), (b"Bearer_x y", False), (b"x Bearer y", False),
        (b"svc_000001_x", False), (b"Tokens x", False),
    ],
)  # fmt: skip
def test_a_scheme_for_tokens_is_told_whatever_follows(value, offers):
    """Also when what follows could not be one: it is a bad token then, and not none."""
    assert offers_token(value) is offers
