"""A session is good for as long as the token that bought it would be, and no longer than it may last."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core import session as module
from authproxy.core.match import Match
from authproxy.core.record import TokenRecord, UserId
from authproxy.core.secret import Secret
from authproxy.core.session import (
    ID,
    Session,
    SessionMatch,
    SessionReason,
    SessionRules,
    begin,
    judge,
    milliseconds,
    next_idle_end,
    session_of,
    store_keys,
)
from authproxy.core.session_key import SessionKey, derive

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "turvata-v2.json").read_text())
REFRESH = VECTORS["session_refresh"]["cases"]
# The settings allow no lifetime like these.
IMPOSSIBLE = {"ttl 0, remaining 5: never refreshed", "negative ttl, remaining 5"}
HOUR = 3_600_000
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
TICK = timedelta(milliseconds=1)
ALICE = UserId(UUID("550e8400-e29b-41d4-a716-446655440000").bytes)
BOB = UserId(UUID("123e4567-e89b-12d3-a456-426614174000").bytes)
COOKIE = b"A" * 42 + b"E"
OLD = SessionKey(Secret(b"o" * 32), "0000000d", "web")
NEW = SessionKey(Secret(b"n" * 32), "0000000e", "web")
RECORD = TokenRecord(
    user_id=ALICE,
    rotation_version=3,
    hash=b"h" * 64,
    previous_hash=b"p" * 64,
    grace_expires_at=NOW + timedelta(hours=1),
)


def rules(**changes) -> SessionRules:
    usual = SessionRules(zone="web", keys=(NEW,), idle=4 * HOUR, absolute=12 * HOUR, per_user=10)
    return replace(usual, **changes)


def made(version: int = 3, record: TokenRecord = RECORD, now: datetime = NOW, **changes) -> Session:
    return begin(rules(**changes), COOKIE, record, version, now)


def after(session: Session, **times: float) -> SessionMatch | SessionReason:
    return judge(rules(), session, RECORD, NOW + timedelta(**times))


def test_a_session_is_good_as_soon_as_it_is_made():
    """With the credential's match, the pepper's id, and nothing to refresh."""
    session = made()

    assert judge(rules(), session, RECORD, NOW) == SessionMatch(session, Match.PRIMARY, NEW.id, None)


def test_a_seal_is_looked_at_again_for_whatever_is_not_the_very_same():
    """Found good once, it is believed of these very objects: of no other session, record, zone or pepper."""
    own, session = rules(), made()
    assert isinstance(judge(own, session, RECORD, NOW), SessionMatch)
    forged, other = session._replace(mac=b"m" * 32), replace(RECORD, hash=b"x" * 64)

    assert isinstance(judge(own, session, RECORD, NOW), SessionMatch)
    assert judge(own, forged, RECORD, NOW) is SessionReason.FORGED
    assert judge(own, session, other, NOW) is SessionReason.FORGED
    assert judge(replace(own, keys=(OLD,)), session, RECORD, NOW) is SessionReason.FORGED
    assert judge(replace(own, zone="api"), session, RECORD, NOW) is SessionReason.FORGED
    assert judge(own, session, replace(RECORD, disabled=True), NOW) is SessionReason.USER_DISABLED
    assert judge(own, session, RECORD, NOW + timedelta(hours=4)) is SessionReason.EXPIRED
    assert isinstance(judge(own, session, RECORD, NOW), SessionMatch)


def test_the_seals_that_are_remembered_are_bounded(monkeypatch):
    """Nobody's number of sessions makes them more."""
    monkeypatch.setattr(module, "_MOST_SEALED", 3)
    own = rules()
    sessions = [begin(own, COOKIE[:-1] + bytes([letter]), RECORD, 3, NOW) for letter in b"ABCDEFG"]
    for session in sessions:
        assert isinstance(judge(own, session, RECORD, NOW), SessionMatch)
        assert 0 < len(own.sealed) <= 3


@pytest.mark.parametrize("case", REFRESH, ids=lambda case: case["note"])
def test_sliding_is_as_in_the_original(case):
    """The vectors of turvata, but for lifetimes that the settings refuse; a session that is over stays as it was."""
    if case["note"] in IMPOSSIBLE:
        assert case["ttl_ms"] <= 0
        return
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=case["now"])
    record = replace(RECORD, expires_at=None)
    own = rules(idle=case["ttl_ms"], absolute=10 * case["ttl_ms"])
    session = begin(own, COOKIE, record, 3, now)._replace(idle_ends=case["entry_expires_at"])

    verdict = judge(own, session, record, now)

    if case["result"] is None:
        assert verdict is SessionReason.EXPIRED
        assert case["store_expires_at_after"] == case["entry_expires_at"]
        return
    assert isinstance(verdict, SessionMatch)
    assert (verdict.refresh is not None) == case["result"]["refreshed?"]
    assert (verdict.refresh or session.idle_ends) == case["store_expires_at_after"]


def test_idle_ends_are_exclusive():
    """Good one millisecond before, dead at the very end."""
    assert isinstance(after(made(), hours=4, milliseconds=-1), SessionMatch)
    assert after(made(), hours=4) is SessionReason.EXPIRED


def test_use_does_not_prolong_beyond_the_absolute_end():
    """However often it is refreshed."""
    session = made()
    for hour in range(1, 12):
        verdict = after(session, hours=hour)
        assert isinstance(verdict, SessionMatch)
        if verdict.refresh is not None:
            session = session._replace(idle_ends=verdict.refresh)
    forever = session._replace(idle_ends=session.ends + HOUR)

    assert session.idle_ends == session.ends
    assert isinstance(after(forever, hours=12, milliseconds=-1), SessionMatch)
    assert after(forever, hours=12) is SessionReason.EXPIRED


def test_a_shorter_lifetime_counts_for_sessions_made_before():
    """The absolute one at once; the idle one when the session is next used."""
    session = made()
    shorter = rules(idle=HOUR, absolute=2 * HOUR)

    assert judge(shorter, session, RECORD, NOW + timedelta(hours=2)) is SessionReason.EXPIRED
    verdict = judge(shorter, session, RECORD, NOW + timedelta(minutes=1))
    assert isinstance(verdict, SessionMatch)
    assert verdict.refresh == milliseconds(NOW + timedelta(minutes=61))


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (None, SessionReason.UNKNOWN_USER),
        (replace(RECORD, user_id=BOB), SessionReason.UNKNOWN_USER),
        (replace(RECORD, disabled=True), SessionReason.USER_DISABLED),
        (replace(RECORD, expires_at=NOW), SessionReason.TOKEN_EXPIRED),
        (replace(RECORD, rotation_version=4, previous_hash=RECORD.hash), SessionReason.ROTATED),
        (replace(RECORD, rotation_version=2), SessionReason.ROTATED),
        (replace(RECORD, hash=b"x" * 64), SessionReason.FORGED),
    ],
    ids=["removed", "another", "disabled", "expired", "rotated", "rolled back", "made anew"],
)
def test_what_ends_a_token_ends_its_sessions(record, reason):
    """Rotation even where the token itself has a grace; a new token of the same version, too."""
    assert judge(rules(), made(), record, NOW) is reason


def test_a_token_is_good_until_its_end_and_so_is_its_session():
    """One tick before `expires_at`."""
    record = replace(RECORD, expires_at=NOW + TICK)

    assert isinstance(judge(rules(), made(), record, NOW), SessionMatch)


def test_a_session_of_a_token_in_grace_ends_with_the_grace():
    """Or when the grace is taken back, or the token is rotated again."""
    session = made(version=2)
    end = NOW + timedelta(hours=1)

    verdict = judge(rules(), session, RECORD, end - TICK)
    assert isinstance(verdict, SessionMatch)
    assert verdict.matched is Match.GRACE
    assert judge(rules(), session, RECORD, end) is SessionReason.ROTATED
    retired = replace(RECORD, previous_hash=None, grace_expires_at=None)
    assert judge(rules(), session, retired, NOW) is SessionReason.ROTATED
    assert judge(rules(), session, replace(RECORD, previous_hash=b"y" * 64), NOW) is SessionReason.FORGED
    assert judge(rules(), session, replace(RECORD, rotation_version=4), NOW) is SessionReason.ROTATED


@pytest.mark.parametrize("version", [0, 1, 4])
def test_no_other_version_has_a_grace(version):
    """Whatever a row claims."""
    assert judge(rules(), made()._replace(version=version), RECORD, NOW) is SessionReason.ROTATED


@pytest.mark.parametrize(
    "change",
    [
        {"key": bytes(32)},
        {"zone": "api"},
        {"created": milliseconds(NOW) + 1},
        {"ends": milliseconds(NOW) + 13 * HOUR},
        {"version": 2},
        {"mac": bytes(32)},
        {"mac": b""},
    ],
    ids=lambda change: next(iter(change)),
)
def test_who_writes_to_the_store_can_make_no_session(change):
    """Every field but the idle end is sealed: a row cannot be changed, nor copied to another key or zone."""
    assert judge(rules(), made()._replace(**change), RECORD, NOW) is SessionReason.FORGED


def test_a_row_cannot_be_given_to_another_user():
    """Even when both have the same version and, by whatever accident, the same hash."""
    stolen = made()._replace(user_id=BOB)

    assert judge(rules(), stolen, replace(RECORD, user_id=BOB), NOW) is SessionReason.FORGED


def test_the_record_that_was_current_is_sealed_too():
    """Else a session could be made to survive a rotation."""
    rotated = replace(RECORD, rotation_version=4, previous_hash=RECORD.hash)

    assert judge(rules(), made()._replace(current=4), rotated, NOW) is SessionReason.FORGED


def test_a_session_survives_a_new_pepper_while_the_old_one_is_listed():
    """And not its removal; what is made now is made under the newest."""
    session = begin(rules(keys=(OLD,)), COOKIE, RECORD, 3, NOW)
    both = rules(keys=(NEW, OLD))

    verdict = judge(both, session, RECORD, NOW)

    assert isinstance(verdict, SessionMatch)
    assert verdict.pepper == OLD.id
    assert session.key in store_keys(both, COOKIE)
    assert session.key not in store_keys(rules(keys=(NEW,)), COOKIE)
    assert judge(rules(keys=(NEW,)), session, RECORD, NOW) is SessionReason.FORGED
    assert begin(both, COOKIE, RECORD, 3, NOW) == made()


def test_zones_that_share_a_pepper_share_no_session():
    """The key is the zone's own."""
    other = SessionKey(Secret(b"n" * 32), NEW.id, "api")

    assert other.store_key(COOKIE) != NEW.store_key(COOKIE)
    assert other.mac(bytes(32), ALICE, (1, 1, 1, 1), bytes(64)) != NEW.mac(bytes(32), ALICE, (1, 1, 1, 1), bytes(64))


def test_a_key_shows_no_secret():
    """In a log or a traceback there is the pepper's id."""
    assert repr(NEW) == "SessionKey(0000000e)"
    assert not hasattr(NEW, "__dict__")


def test_keys_are_derived_as_the_standard_says():
    """RFC 5869, A.3: SHA-256, no salt, no info; the first of its two blocks."""
    assert derive(b"\x0b" * 22, b"").hex() == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"


def test_an_old_name_does_not_open_what_its_key_seals():
    """Naming and sealing use different first bytes."""
    assert NEW.store_key(b"A" * 43) != NEW.mac(bytes(32), ALICE, (0, 0, 0, 0), bytes(64))


@pytest.mark.parametrize(
    "text", [b"", b"A" * 42, b"A" * 44, b"A" * 42 + b"=", b'"' + b"A" * 43 + b'"', b"A" * 42 + b"\n"]
)
def test_an_id_is_43_characters(text):
    """And nothing that needs reading a second time."""
    assert ID(text) is None
    assert ID(COOKIE) is not None


def test_what_a_store_kept_is_read_back():
    """Field by field."""
    assert session_of(tuple(made())) == made()


@pytest.mark.parametrize(
    "change",
    [
        {"key": bytes(31)}, {"mac": bytes(33)}, {"user_id": bytes(15)}, {"version": 65536}, {"version": -1},
        {"current": -1}, {"current": 65536}, {"created": -1}, {"ends": 2**63}, {"idle_ends": -1}, {"zone": b"web"},
        {"mac": "text"}, {"created": None}, {"ends": 1.5},
    ],
    ids=str,
)  # fmt: skip
def test_what_no_session_can_be_is_none(change):
    """A foreign hand in the store makes nobody's request fail but by finding no session."""
    assert session_of(tuple(made()._replace(**change))) is None
    assert session_of(tuple(made())[:-1]) is None


times = st.integers(0, 2**40)


@given(idle=st.integers(60_000, 10**9), remaining=st.integers(1, 10**10), left=st.integers(1, 10**10), now=times)
def test_refreshing_keeps_within_its_bounds(idle, remaining, left, now):
    """Never beyond the absolute end, never more than `idle` from now, and after it nothing is to do."""
    ends = now + left
    wanted = next_idle_end(idle, min(now + remaining, ends), ends, now)

    if wanted is None:
        assert idle // 2 < remaining <= idle or min(now + remaining, ends) == min(now + idle, ends)
        return
    assert now < wanted <= min(now + idle, ends)
    assert next_idle_end(idle, wanted, ends, now) is None


@given(idle=st.integers(60_000, 10**9), now=times, data=st.data())
def test_a_session_in_use_lasts(idle, now, data):
    """Whoever comes back within `idle` each time is signed out by the absolute end alone."""
    ends = now + idle * 5
    idle_ends = now + idle
    for pause in data.draw(st.lists(st.integers(0, idle // 2), max_size=9)):
        now += pause
        assert now < idle_ends
        idle_ends = next_idle_end(idle, idle_ends, ends, now) or idle_ends


def test_reasons_are_told_apart_in_logs():
    """No other refusal has such a word."""
    values = [reason.value for reason in SessionReason]

    assert len(set(values)) == len(values)
    assert all("session" in value for value in values)
