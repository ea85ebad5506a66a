"""The token's text form, against what turvata 0.4 itself said, and for every input."""

import json
import re
import string
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.record import UserId
from authproxy.core.token import MAX_TOKEN_LENGTH, WITHIN, Token, generate, is_prefix, parse
from authproxy.errors import AuthproxyError

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "turvata-v2.json").read_text())
CANONICAL = VECTORS["malformed"]["canonical"]
USER = UserId(UUID(VECTORS["malformed"]["user_id"]).bytes)
SECRET = bytes(range(32))

prefixes = st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=20)
tokens = st.builds(
    generate,
    prefixes,
    st.integers(0, 65535),
    st.binary(min_size=16, max_size=16).map(UserId),
    st.binary(min_size=32, max_size=32),
)


def expected(parsed) -> Token:
    user_id = UserId(UUID(parsed["user_id"]).bytes)
    return Token(
        parsed["prefix"].encode(), parsed["rotation_version"], user_id, bytes.fromhex(parsed["secret_hex"])
    )  # fmt: skip


def long_input(note: str) -> str:
    rest = CANONICAL.removeprefix("svc")
    return {
        "prefix 4004 characters: 4096 in all (accepted)": "k" * 4004 + rest,
        "prefix 4005 characters: 4097 in all": "k" * 4005 + rest,
        "1 MiB of a": "a" * 1048576,
    }[note]


@pytest.mark.parametrize("case", VECTORS["tokens"]["cases"], ids=lambda case: case["id"])
def test_generates_what_turvata_generates(case):
    """Prefix, version, user id and secret give the very same text."""
    given_ = case["in"]

    text = generate(
        given_["prefix"],
        given_["rotation_version"],
        UserId(UUID(given_["user_id"]).bytes),
        bytes.fromhex(given_["secret_hex"]),
    )

    assert text == case["token"]
    assert len(text) == case["token_length"]


@pytest.mark.parametrize("case", VECTORS["tokens"]["cases"], ids=lambda case: case["id"])
def test_parses_what_turvata_generates(case):
    """Every field comes back."""
    assert parse(case["token"].encode()) == expected(case["parsed"])


@pytest.mark.parametrize("case", VECTORS["case_variants"]["cases"], ids=lambda case: case["variant"][:12])
def test_letter_case_is_free(case):
    """A token means the same in capital letters, in part or in whole."""
    assert case["outcome"]["result"] == "accept"
    assert parse(case["variant"].encode()) == expected(case["outcome"]["parsed"])


@pytest.mark.parametrize("case", VECTORS["trailing_bit_variants"]["cases"], ids=lambda case: case["canonical"][-8:])
def test_one_payload_has_one_last_character(case):
    """Stricter than turvata: of the 16 last characters that it takes for the same, only the generated one passes."""
    canonical = case["canonical"]
    accepted_there = {each["last"] for each in case["all_last_chars"] if each["result"] == "accept"}

    accepted = {last for last in "abcdefghijklmnopqrstuvwxyz234567" if parse((canonical[:-1] + last).encode())}

    assert accepted == {canonical[-1]}
    assert len(accepted_there) == 16
    assert accepted < accepted_there


# There is no null among bytes.
@pytest.mark.parametrize(
    "case", [case for case in VECTORS["malformed"]["cases"] if case["stage"] != "type"], ids=lambda case: case["note"]
)
def test_accepts_and_refuses_what_turvata_does(case):
    """Each malformed text is refused, each odd but legal one is read alike."""
    text = case["input"] if case["input"] is not None else long_input(case["note"])

    token = parse(text.encode())

    if case["parse"]["result"] == "reject":
        assert token is None
    elif "parsed" in case["parse"]:
        assert token == expected(case["parse"]["parsed"])
    else:
        assert token is not None


@given(prefixes, st.integers(0, 65535), st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32))
def test_parse_is_the_inverse_of_generate(prefix, rotation_version, user_id, secret):
    """What is put in comes out, with the prefix in lower case."""
    text = generate(prefix, rotation_version, UserId(user_id), secret)

    assert parse(text.encode()) == Token(prefix.lower().encode(), rotation_version, UserId(user_id), secret)


@given(tokens, st.data())
def test_a_changed_payload_is_refused(text, data):
    """Any other character at any one place of the payload makes it no token."""
    place = data.draw(st.integers(len(text) - 84, len(text) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: chr(byte).lower() != text[place]))
    changed = bytearray(text.encode())
    changed[place] = other

    assert parse(bytes(changed)) is None


@given(tokens, st.data())
def test_a_changed_head_never_means_the_same(text, data):
    """Prefix and version are outside the checksum: a change there is refused, or read as what it says."""
    place = data.draw(st.integers(0, len(text) - 85))
    other = data.draw(st.integers(0, 255).filter(lambda byte: chr(byte).lower() != text[place].lower()))
    changed = bytearray(text.encode())
    changed[place] = other

    assert parse(bytes(changed)) != parse(text.encode())


@given(tokens, st.data())
def test_a_cut_or_stretched_token_is_refused(text, data):
    """One character less or more in the payload makes it no token."""
    place = data.draw(st.integers(len(text) - 84, len(text) - 1))
    extra = data.draw(st.binary(min_size=1, max_size=1))
    raw = text.encode()

    assert parse(raw[:place] + raw[place + 1 :]) is None
    assert parse(raw[:place] + extra + raw[place:]) is None


@given(st.binary(max_size=200) | st.from_regex(rb"[a-z]{1,4}_02[0-9a-f]{4}_[a-z2-7]{80,88}\n?"))
def test_parse_never_raises(text):
    """Every sequence of bytes is a token or is none."""
    token = parse(text)

    assert token is None or len(token.secret) == 32


def test_longest_token_is_4096_characters():
    """4096 pass, 4097 do not, whoever made them."""
    longest = generate("k" * 4004, 1, USER, SECRET)

    assert len(longest) == MAX_TOKEN_LENGTH
    assert parse(longest.encode()) is not None
    assert parse(b"k" + longest.encode()) is None
    with pytest.raises(AuthproxyError, match="prefix: must be 1 to 4004 ASCII letters"):
        generate("k" * 4005, 1, USER, SECRET)


def test_a_token_has_a_prefix():
    """One character will do; none is no token."""
    assert parse(CANONICAL.removeprefix("svc").encode()) is None
    one = parse(b"x" + CANONICAL.removeprefix("svc").encode())
    assert one is not None
    assert one.prefix == b"x"


@pytest.mark.parametrize("prefix", ["", "my_svc", "my svc", "svç", "svc\n", "\u212a"])
def test_prefix_that_could_not_be_read_back_is_not_written(prefix):
    """Stricter than turvata, which makes tokens that it then refuses."""
    assert not is_prefix(prefix)
    with pytest.raises(AuthproxyError, match="prefix"):
        generate(prefix, 1, USER, SECRET)


@pytest.mark.parametrize(
    ("rotation_version", "user_id", "secret", "problem"),
    [
        (-1, USER, SECRET, "rotation_version"),
        (65536, USER, SECRET, "rotation_version"),
        (1, USER[:15], SECRET, "user_id"),
        (1, USER, SECRET + b"x", "secret"),
    ],
)
def test_parts_that_do_not_fit_are_refused(rotation_version, user_id, secret, problem):
    """The message names the part and repeats no secret."""
    with pytest.raises(AuthproxyError, match=problem) as refusal:
        generate("svc", rotation_version, UserId(user_id), secret)

    assert SECRET.hex() not in str(refusal.value)


@pytest.mark.parametrize("rotation_version", [0, 65535])
def test_both_ends_of_the_version_pass(rotation_version):
    """0 and 65535 are versions like any other."""
    token = parse(generate("svc", rotation_version, USER, SECRET).encode())

    assert token is not None
    assert token.rotation_version == rotation_version


def test_a_token_prints_without_its_secret():
    """Neither secret nor user id stands in what a log or a debugger shows."""
    token = parse(CANONICAL.encode())

    assert token is not None
    for shown in (repr(token), str(token), f"{token}"):
        assert shown == "Token(b'svc', 1, ...)"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (CANONICAL, 1), (f"Bearer {CANONICAL}", 1), (f"/a/{CANONICAL}/b", 1), (f'"{CANONICAL}"', 1),
        (CANONICAL * 3, 3), (f"{CANONICAL}-{CANONICAL}", 2), (f"{CANONICAL} {CANONICAL}", 2),
        (CANONICAL[:-1], 0), (f"{CANONICAL[:-1]} ", 0), (CANONICAL.replace("_020", "_02"), 0), (CANONICAL.replace("_02", "_020"), 0),
        (CANONICAL.replace("_02", "_03"), 0), (CANONICAL.replace("_02", "-02"), 0),
    ],
)  # fmt: skip
def test_tokens_are_found_within_any_text(text, found):
    """Each whole one and no part of one, also right behind another."""
    assert len(re.findall(WITHIN, text.encode())) == found
