"""Ask, judge, admit: both sides of every boundary."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.decision import (
    Allow,
    AllowRules,
    Deny,
    Reason,
    TokenRules,
    admit,
    ask,
    is_within,
    judge,
    judge_certified,
    read_address,
)
from authproxy.core.match import Match
from authproxy.core.pepper import Pepper
from authproxy.core.record import TokenRecord, UserId
from authproxy.core.secret import Secret
from authproxy.core.token import SHAPE, Token, generate

NOW = datetime(2026, 7, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
USER = UserId(UUID("550e8400-e29b-41d4-a716-446655440000").bytes)
NEW, OLD = (Pepper(Secret(word * 32)) for word in (b"n", b"o"))
RULES = TokenRules(zone="api", prefix=b"svc", peppers=(NEW, OLD))
SECRET, BEFORE = b"s" * 32, b"p" * 32
RECORD = TokenRecord(
    user_id=USER, rotation_version=3, hash=NEW.digest(USER, 3, SECRET), previous_hash=NEW.digest(USER, 2, BEFORE),
    grace_expires_at=NOW + TICK, groups=("admins",),
)  # fmt: skip


def shown(version: int = 3, secret: bytes = SECRET, prefix: bytes = b"svc") -> Token:
    return Token(prefix, version, USER, secret)


# ---------------------------------------------------------------------- ask


@pytest.mark.parametrize("value", [None, b"", b"Basic abc", b"Bearer", b"Bearer "])
def test_nothing_shown_is_not_called_invalid(value):
    """No credential of ours came."""
    assert ask(RULES, value) == Deny(Reason.NO_CREDENTIAL, presented=False)


@pytest.mark.parametrize("value", [b"Bearer x", b"Token svc_", b"bearer  a b", b"Bearer svc_020003_short"])
def test_what_is_no_token_is_malformed(value):
    """Something was shown."""
    assert ask(RULES, value) == Deny(Reason.MALFORMED_TOKEN, presented=True)


@pytest.mark.parametrize("prefix", ["other", "svcx", "sv", "web"])
def test_a_foreign_prefix_is_refused_before_any_look_up(prefix):
    """It belongs to another zone or to nobody."""
    text = generate(prefix, 3, USER, SECRET).encode()

    assert ask(RULES, b"Bearer " + text) == Deny(Reason.WRONG_PREFIX, presented=True)


@pytest.mark.parametrize("change", [bytes.lower, bytes.upper, bytes])
def test_a_token_of_the_zone_is_asked_about(change):
    """In any letter case."""
    text = generate("svc", 3, USER, SECRET).encode()

    assert ask(RULES, b"Bearer " + change(text)) == shown()


# ---------------------------------------------------------------------- judge


def test_the_current_token_passes():
    """Who, where, how and under which pepper."""
    verdict = judge(RULES, shown(), RECORD, NOW)

    assert verdict == Allow(RECORD, "api", "token", 3, Match.PRIMARY, NEW.id)
    assert isinstance(verdict, Allow)
    assert verdict.credential == ("api", USER, 3)


def test_an_older_pepper_still_verifies():
    """And is named, so that its use can be seen."""
    verdict = judge(RULES, shown(), replace(RECORD, hash=OLD.digest(USER, 3, SECRET)), NOW)

    assert isinstance(verdict, Allow)
    assert verdict.pepper == OLD.id


@pytest.mark.parametrize(
    ("token", "change", "now", "reason"),
    [
        (shown(), None, NOW, Reason.UNKNOWN_USER),
        (shown(), {"disabled": True}, NOW, Reason.USER_DISABLED),
        (shown(), {"expires_at": NOW}, NOW, Reason.TOKEN_EXPIRED),
        (shown(), {"expires_at": NOW + TICK}, NOW, None),
        (shown(), {"disabled": True, "rejected": True}, NOW, Reason.ROW_REJECTED),
        (shown(secret=BEFORE), {}, NOW, Reason.TOKEN_MISMATCH),
        (shown(secret=BEFORE), {"expires_at": NOW + TICK}, NOW, Reason.TOKEN_MISMATCH),
        (shown(secret=BEFORE), {"expires_at": NOW}, NOW, Reason.TOKEN_EXPIRED),
        (shown(2, BEFORE), {}, NOW, None),
        (shown(2, BEFORE), {}, NOW + TICK, Reason.TOKEN_ROTATED),
        (shown(2, BEFORE), {"grace_expires_at": None}, NOW, Reason.TOKEN_ROTATED),
        (shown(2, BEFORE), {"expires_at": NOW}, NOW, Reason.TOKEN_EXPIRED),
        (shown(1), {}, NOW, Reason.TOKEN_ROTATED),
        (shown(4), {}, NOW, Reason.TOKEN_ROTATED),
    ],
)
def test_ends_are_exclusive_and_reasons_are_named(token, change, now, reason):
    """At the very instant of its end a credential is dead; the tick before it lives."""
    record = None if change is None else replace(RECORD, **change)
    verdict = judge(RULES, token, record, now)

    if reason is None:
        assert isinstance(verdict, Allow)
    else:
        assert verdict == Deny(reason, presented=True, user_id=USER)


def test_grace_is_seen_as_such():
    """With the version that was shown."""
    verdict = judge(RULES, shown(2, BEFORE), RECORD, NOW)

    assert isinstance(verdict, Allow)
    assert (verdict.version, verdict.matched) == (2, Match.GRACE)


@given(st.integers(0, 65_535), st.binary(min_size=32, max_size=32))
def test_no_other_secret_passes(version, secret):
    """Whatever its version."""
    if secret in {SECRET, BEFORE}:
        return

    assert isinstance(judge(RULES, shown(version, secret), RECORD, NOW), Deny)


# ---------------------------------------------------------------------- admit

NETS = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
OTHER = UserId(bytes(16))


@pytest.mark.parametrize(
    ("rules", "address", "reason"),
    [
        (AllowRules(), "10.0.0.1", None),
        (AllowRules(users=frozenset({USER})), "1.1.1.1", None),
        (AllowRules(users=frozenset({OTHER})), "1.1.1.1", Reason.NOT_ALLOWED),
        (AllowRules(groups=frozenset({"admins", "x"})), "1.1.1.1", None),
        (AllowRules(groups=frozenset({"x"})), "1.1.1.1", Reason.NOT_ALLOWED),
        (AllowRules(users=frozenset({OTHER}), groups=frozenset({"admins"})), "1.1.1.1", None),
        (AllowRules(users=frozenset({USER}), groups=frozenset({"x"})), "1.1.1.1", None),
        (AllowRules(networks=NETS), "10.255.255.255", None),
        (AllowRules(networks=NETS), "11.0.0.0", Reason.NETWORK_NOT_ALLOWED),
        (AllowRules(networks=NETS), "9.255.255.255", Reason.NETWORK_NOT_ALLOWED),
        (AllowRules(networks=NETS), "2001:db8::1", None),
        (AllowRules(networks=NETS), "::ffff:10.0.0.1", None),
        (AllowRules(networks=NETS), "", Reason.NETWORK_NOT_ALLOWED),
        (AllowRules(networks=NETS), "nonsense", Reason.NETWORK_NOT_ALLOWED),
        (AllowRules(groups=frozenset({"admins"}), networks=NETS), "1.1.1.1", Reason.NETWORK_NOT_ALLOWED),
        (AllowRules(groups=frozenset({"x"}), networks=NETS), "10.0.0.1", Reason.NOT_ALLOWED),
    ],
)
def test_any_user_or_group_from_any_network(rules, address, reason):
    """Who first, then from where."""
    assert admit(rules, RECORD, address) == reason


@given(st.ip_addresses(v=4))
def test_mapped_addresses_are_the_addresses_that_they_map(address):
    """RFC 4291, 2.5.5.2: the same client, whichever socket it came through."""
    assert read_address(f"::ffff:{address}") == address == read_address(str(address))
    assert is_within(f"::ffff:{address}", NETS) == is_within(str(address), NETS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 10.0.0.1",
        "10.0.0.1 ",
        "10.0.0",
        "10.0.0.1/8",
        "010.0.0.1",
        "10.0.0.1:80",
        "[::1]",
        "unknown",
        "0x7f000001",
        "\uff110.0.0.1",
    ],
)
def test_what_is_no_address_lies_nowhere(text):
    """Not even nearly."""
    assert read_address(text) is None
    assert not is_within(text, (ip_network("0.0.0.0/0"), ip_network("::/0")))


@pytest.mark.parametrize("text", ['fe80::1%"', "fe80::1%eth0", 'fe80::1%","x":"', "::1%\n"])
def test_a_zone_index_is_no_part_of_an_address(text):
    """It names an interface of somebody else's, and could be anything: not even a quote is excluded by its grammar."""
    parsed = read_address(text)

    assert parsed is None or "%" not in str(parsed)


@pytest.mark.parametrize("prefix", ["svc", "SVC", "web"])
@pytest.mark.parametrize("last", ["", "a"])
def test_what_a_pattern_has_taken_apart_is_asked_the_same(prefix, last):
    """The quick way through heads hands over the parts of a token; a wrong checksum or prefix is told all the same."""
    text = generate(prefix, 3, USER, SECRET).encode()
    text = text[:-1] + last.encode() if last else text
    found = re.fullmatch(SHAPE, text)
    assert found is not None
    parts = found["prefix"], found["version"], found["payload"]

    assert ask(RULES, b"Bearer " + text, parts) == ask(RULES, b"Bearer " + text)


# ---------------------------------------------------------------------- judge_certified


def test_a_certified_user_is_who_the_catalog_says():
    """Neither hash nor version nor end of a token count, and none is claimed."""
    record = replace(RECORD, expires_at=NOW - TICK, groups=("jobs",))

    verdict = judge_certified("api", USER, record)

    assert isinstance(verdict, Allow)
    assert (verdict.record, verdict.zone, verdict.method) == (record, "api", "certificate")
    assert (verdict.version, verdict.matched, verdict.pepper) == (None, None, "")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (None, Reason.UNKNOWN_USER),
        (replace(RECORD, disabled=True), Reason.USER_DISABLED),
        (replace(RECORD, disabled=True, rejected=True), Reason.ROW_REJECTED),
    ],
)
def test_a_certified_user_must_be_known_and_enabled(record, reason):
    """No token was shown, so none is called invalid."""
    assert judge_certified("api", USER, record) == Deny(reason, presented=False, user_id=USER)
