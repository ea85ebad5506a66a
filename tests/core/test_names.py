"""Field names: every spelling of a reserved name is found, and none of anybody else's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core import names
from authproxy.core.names import AnswerNames, RequestNames, fold, is_token

TABLE = RequestNames(["X-Authproxy-User", "Remote-User", "Legacy-Login"])
DROPPING = RequestNames(["X-Authproxy-User"], drop_unusual=True)
TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
OTHERS = [sign for sign in TOKEN if not sign.isalnum()]
RESERVED = [
    "X-Authproxy-User", "X-Authproxy-Assertion", "Remote-User", "Legacy-Login", "X-Forwarded-User", "X-Auth-Request-Email",
    "X-Pomerium-Claim-Email", "CF-Access-Client-Id", "X-Goog-Authenticated-User-Id", "X-Amzn-Oidc-Data", "Teleport-Jwt-Assertion",
    "X-Authentik-Jwt", "X-Vouch-User", "X-Token-User-Name", "X-Token-Subject", "Tailscale-User-Login", "X-Consumer-Id",
    "X-Forwarded-Client-Cert", "SSL-Client-Cert", "L5d-Client-Id", "X-Webauth-User", "X-Original-Url", "X-Rewrite-Url",
    "X-Http-Method-Override", "Proxy", "Proxy-Connection", "X-Real-Ip", "GAP-Signature",
]  # fmt: skip


@st.composite
def spelling(draw: st.DrawFn, of: list[str]) -> tuple[str, str]:
    """A name and one of its spellings: any letter case, any sign for the hyphens."""
    name = draw(st.sampled_from(of))
    letters = [
        draw(st.sampled_from(OTHERS)) if sign == "-" else draw(st.sampled_from([sign.lower(), sign.upper()]))
        for sign in name
    ]
    return name, "".join(letters)


@given(spelling(RESERVED))
def test_every_spelling_of_a_reserved_name_is_dropped(case):
    """Whatever a folding reader takes for it; X-Real-IP itself is kept aside for trusted peers."""
    name, spelt = case
    kind = TABLE[spelt.encode()]

    if name == "X-Real-Ip" and spelt.lower() == "x-real-ip":
        assert kind == names.FORWARDED
    else:
        assert kind == names.DROP


SPECIAL = {
    "Host": names.HOST, "Authorization": names.AUTHORIZATION, "Cookie": names.COOKIE, "Content-Length": names.CONTENT_LENGTH,
    "Transfer-Encoding": names.TRANSFER_ENCODING, "Connection": names.CONNECTION, "Expect": names.EXPECT, "Upgrade": names.UPGRADE,
    "TE": names.TE, "X-Request-Id": names.REQUEST_ID, "X-Forwarded-For": names.FORWARDED, "X-Forwarded-Proto": names.FORWARDED,
    "X-Forwarded-Host": names.FORWARDED, "X-Forwarded-Port": names.FORWARDED, "Forwarded": names.FORWARDED,
    "Content-Type": names.CONTENT_TYPE, "Keep-Alive": names.DROP, "Trailer": names.DROP,
}  # fmt: skip


@given(spelling(list(SPECIAL)))
def test_special_fields_have_one_spelling_but_for_letter_case(case):
    """Another sign for the hyphen makes an imitation, which is dropped."""
    name, spelt = case

    assert TABLE[spelt.encode()] == (SPECIAL[name] if spelt.lower() == name.lower() else names.DROP)


@given(st.text(alphabet=TOKEN, min_size=1, max_size=30))
def test_names_outside_the_families_pass(name):
    """All that is neither reserved nor special, once folded."""
    folded = fold(name.encode())
    special = {fold(one.encode()) for one in SPECIAL}

    if TABLE.is_reserved(folded) or folded in special:
        return
    assert TABLE[name.encode()] == names.PASS
    assert DROPPING[name.encode()] == (names.DROP if "_" in name or "." in name else names.PASS)


@given(st.binary(max_size=20))
def test_a_name_is_a_token_or_bad(name):
    """RFC 9110, 5.6.2."""
    token = bool(name) and all(chr(byte) in TOKEN for byte in name)

    assert is_token(name) is token
    assert (TABLE.classify(name) == names.BAD) is (not token)
    assert (AnswerNames().classify(name) == names.BAD) is (not token)


@given(st.binary(max_size=20))
def test_folding_twice_is_folding_once(name):
    """And leaves nothing but capitals, digits and underscores."""
    folded = fold(name)

    assert fold(folded) == folded
    assert len(folded) == len(name)
    assert not folded.strip(b"_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def test_the_table_does_not_grow_without_end():
    """A client can make up names by the million."""
    table = RequestNames()
    for number in range(10_000):
        assert table[b"X-%d" % number] == names.PASS

    assert len(table) <= 4096
    assert table[b"X-Authproxy-Late"] == names.DROP
    assert table[b"X-Late"] == names.PASS


@given(
    spelling(["Host", "Authorization", "Cookie", "X-Authproxy-User", "Remote-User", "Legacy-Login", "X-Forwarded-For"])
)
def test_a_connection_option_never_takes_these_away(case):
    """In no spelling."""
    assert TABLE.is_relied_on(case[1].encode())


@pytest.mark.parametrize("option", [b"x-mine", b"te", b"keep-alive", b"close", b"accept", b"hosts"])
def test_a_connection_option_may_name_others(option):
    """They end here."""
    assert not TABLE.is_relied_on(option)


@given(
    st.sampled_from(["X-Authproxy-User", "X-Authproxy-Response", "X-Authproxy-"]).flatmap(lambda name: spelling([name]))
)
def test_an_answer_never_speaks_with_our_voice(case):
    """In no spelling."""
    assert AnswerNames()[case[1].encode()] == names.DROP


def test_an_identity_header_may_be_an_otherwise_special_one():
    """The client's copy of it goes, even where a trusted peer's would be kept aside."""
    assert RequestNames(["X-Real-IP"])[b"X-Real-IP"] == names.DROP
    assert RequestNames()[b"X-Real-IP"] == names.FORWARDED
