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


@pytest.mark.parametrize("byte", range(256))
def test_every_byte_of_a_name(byte):
    """Letters fold to capitals, digits to themselves, all the rest to `_`."""
    one = bytes([byte])
    letter = byte < 128 and chr(byte).isalnum()

    assert fold(one) == (one.upper() if letter else b"_")
    assert is_token(one) is (chr(byte) in TOKEN)
    assert is_token(b"X" + one) is (chr(byte) in TOKEN)


PREFIXES = [
    "X-Authproxy-", "X-Forwarded-", "Remote-", "X-Remote-", "SSL-Client-", "X-SSL-Client-", "X-Amzn-Oidc-", "X-Amzn-Ava-", "X-Goog-",
    "CF-Access-", "Tailscale-", "X-Pomerium-", "X-Auth-Request-", "X-Authentik-", "X-Vouch-", "X-Token-User-", "X-Token-Subject",
    "Teleport-", "X-Consumer-", "X-Credential-", "X-Anonymous-Consumer", "X-Authenticated-", "X-Webauth-", "L5d-Client-", "GAP-", "Proxy-", "X-Original-",
    "X-Rewrite-", "X-HTTP-Method", "X-Method-Override", "X-Client-Cert", "X-Envoy-",
]  # fmt: skip
FAMILIES = [
    "Proxy", "X-Forwarded", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "X-Cluster-Client-IP", "X-Scheme", "X-URL-Scheme",
    "Client-IP", "Fastly-Client-IP", "X-Override-URL", "X-HTTP-Host-Override", "X-HTTP-Path-Override", "X-HTTP-DestinationURL",
    "Front-End-HTTPS", "Client-Cert", "Client-Cert-Chain",
]  # fmt: skip


@pytest.mark.parametrize("name", [*FAMILIES, *[prefix + "Z9" for prefix in PREFIXES]])
@pytest.mark.parametrize("sign", ["-", "_", "."])
def test_no_family_is_forgotten(name, sign):
    """Identity and address as other products write them; none of them may be taken away by Connection either."""
    spelt = name.replace("-", sign).encode()
    table = RequestNames()

    assert table[spelt] == table[spelt.lower()] == table[spelt.upper()] == names.DROP
    assert table.is_relied_on(spelt)
    assert table.is_reserved(fold(spelt))


@pytest.mark.parametrize("name", [*FAMILIES, *PREFIXES])
def test_a_family_begins_where_its_name_does(name):
    """What merely ends or begins alike passes."""
    table = RequestNames()

    assert table[b"Z" + name.encode() + b"Z"] == names.PASS
    if name in FAMILIES and not name.startswith(tuple(PREFIXES)):
        assert table[name.encode() + b"Z"] == names.PASS


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_family_ends_where_its_prefix_does(prefix):
    """A name that has all of the prefix but its last character is another's."""
    table = RequestNames()

    assert table[prefix[:-1].encode() + b"Z"] == names.PASS
    assert not table.is_relied_on(prefix[:-1].encode() + b"Z")


@pytest.mark.parametrize("name", [*SPECIAL, "X-Real-Ip"])
def test_special_fields_are_what_they_are(name):
    """As browsers spell them, in small letters, and in any other letter case; an imitation is dropped."""
    wanted = SPECIAL.get(name, names.FORWARDED)
    table = RequestNames()
    for spelt in (name, name.lower(), name.upper()):
        assert table[spelt.encode()] == wanted
        assert table.classify(spelt.encode()) == wanted
    if "-" in name:
        assert table[name.replace("-", "_").encode()] == names.DROP


@pytest.mark.parametrize(
    "name",
    ["Host", "Authorization", "Cookie", "Content-Length", "Transfer-Encoding", "Content-Type", "Expect", "X-Request-Id",
     "Forwarded", "Origin", "Sec-Fetch-Site", "X-Real-IP"],
)  # fmt: skip
def test_what_is_relied_on_is_complete(name):
    """In any spelling."""
    table = RequestNames()

    assert table.is_relied_on(name.lower().encode())
    assert table.is_relied_on(name.replace("-", "_").encode())
    assert not table.is_relied_on(name.encode() + b"z")


def test_unusual_names_are_dropped_where_a_listener_says_so():
    """Those with `_` or `.`; a hyphen is usual."""
    for name in (b"X_A", b"X.A", b"_", b"a.b-c"):
        assert RequestNames()[name] == names.PASS
        assert RequestNames(drop_unusual=True)[name] == names.DROP
    assert RequestNames(drop_unusual=True)[b"X-A"] == names.PASS


def test_identity_headers_are_dropped_under_any_name():
    """Whatever the configuration calls them, in every spelling."""
    table = RequestNames(["Legacy-Login", "Content-Type", "X-Forwarded-For"])

    for name in (
        b"Legacy-Login",
        b"legacy_login",
        b"Content-Type",
        b"content.type",
        b"X-Forwarded-For",
        b"X_Forwarded_For",
    ):
        assert table[name] == names.DROP
        assert table.is_relied_on(name)
    assert table[b"Legacy-Logins"] == names.PASS
    assert RequestNames()[b"Legacy-Login"] == names.PASS


ANSWERS = {
    "Connection": names.CONNECTION, "Content-Length": names.CONTENT_LENGTH, "Transfer-Encoding": names.TRANSFER_ENCODING,
    "Upgrade": names.UPGRADE, "Set-Cookie": names.SET_COOKIE, "Strict-Transport-Security": names.HSTS, "Keep-Alive": names.DROP,
    "Proxy-Connection": names.DROP, "Proxy-Authenticate": names.DROP, "Proxy-Authentication-Info": names.DROP, "Proxy-Anything": names.DROP,
    "Proxy_Anything": names.DROP, "Proximity": names.PASS, "TE": names.DROP,
    "Trailer": names.DROP, "X-Request-Id": names.DROP, "X-Authproxy-Response": names.DROP, "X_Authproxy_Z": names.DROP,
    "Server": names.PASS, "Proxy": names.PASS, "X-Forwarded-For": names.PASS, "X-Authproxy": names.PASS, "Z-X-Authproxy-A": names.PASS,
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_fields_of_answers_are_what_they_are(name):
    """In any letter case."""
    table = AnswerNames()

    for spelt in (name, name.lower(), name.upper()):
        assert table[spelt.encode()] == ANSWERS[name]


def test_usual_names_are_known_beforehand():
    """As clients and upstreams spell them, and in small letters."""
    asked = (
        "User-Agent", "Accept", "Accept-Encoding", "Accept-Language", "Referer", "Origin", "Cache-Control", "If-None-Match",
        "If-Modified-Since", "Range", "Pragma", "Content-Encoding", "Traceparent", "Tracestate", "Sec-Fetch-Site", "Sec-Fetch-Mode",
        "Sec-Fetch-Dest", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol",
    )  # fmt: skip
    answered = (
        "Server", "Date", "Content-Type", "Last-Modified", "ETag", "Accept-Ranges", "Cache-Control", "Vary", "Location",
        "Content-Encoding", "Expires", "Age", "Content-Disposition",
    )  # fmt: skip
    for table, told in ((RequestNames(), asked), (AnswerNames(), answered)):
        for name in told:
            assert dict(table)[name.encode()] == dict(table)[name.lower().encode()] == names.PASS
    assert {name.encode() for name in SPECIAL} <= RequestNames().keys()
    assert b"set-cookie" in AnswerNames()


def test_kinds_are_numbers_of_their_own():
    """No two things are done with one field."""
    kinds = [
        names.PASS, names.DROP, names.HOST, names.AUTHORIZATION, names.COOKIE, names.CONTENT_LENGTH, names.TRANSFER_ENCODING,
        names.CONNECTION, names.EXPECT, names.UPGRADE, names.TE, names.REQUEST_ID, names.FORWARDED, names.CONTENT_TYPE, names.BAD,
        names.SET_COOKIE, names.HSTS,
    ]  # fmt: skip

    assert kinds == list(range(17))


def test_names_forget_the_oldest_and_never_learn_a_long_one():
    """Made-up names neither fill the memory nor keep the real ones out; what they mean does not change."""
    table = RequestNames(["X-Authproxy-User"])
    longest, longer = b"x" * 64, b"x" * 65
    for name in (longest, longer):
        assert table[name] == names.PASS
    assert longest in table
    assert longer not in table
    begun = len(table)
    for number in range(2048 - begun):
        assert table[b"x-made-up-%d" % number] == names.PASS
    assert len(table) == 2048
    first = next(iter(table))
    assert table[b"x-one-more"] == names.PASS

    assert len(table) == 2048
    assert first not in table
    assert longest in table
    assert table[b"Authorization"] == names.AUTHORIZATION
    assert table[b"X_Authproxy_User"] == names.DROP


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
