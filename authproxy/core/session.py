"""Is this session good, now? A session is what a token bought at sign-in; it lives no longer than that token would.

All times are whole milliseconds since 1970 (UTC), as every kind of store can keep and compare them.

Why bound to the credential's hash and not to its version alone: a user who is removed and made anew may get the same
version again, and a session of the old token would come back to life.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, unique
from functools import lru_cache
from hmac import compare_digest
from typing import Final, NamedTuple

from authproxy.core.match import Match
from authproxy.core.record import TokenRecord, UserId
from authproxy.core.session_key import SessionKey

_new: Final = tuple.__new__
# Bound once: reaching a member through its class costs a call on Python 3.11.
_PRIMARY: Final = Match.PRIMARY
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

# Unpadded base64url (RFC 4648, 5) of 32 bytes. That its last character has spare bits does no harm: the store's key is
# made from these very characters, so another spelling is another session.
ID: Final = re.compile(rb"[A-Za-z0-9_-]{43}").fullmatch
"""Matches the id of a session as it stands in a cookie."""


@unique
class SessionReason(Enum):
    """Why a session is none. The values stand in logs and metrics and are stable."""

    MALFORMED = "malformed-session"
    UNKNOWN = "unknown-session"
    EXPIRED = "session-expired"
    FORGED = "session-forged"
    ROTATED = "session-rotated"
    UNKNOWN_USER = "session-user-unknown"
    USER_DISABLED = "session-user-disabled"
    TOKEN_EXPIRED = "session-token-expired"

    # As in `decision.Reason`: members are singletons.
    __hash__ = object.__hash__


class Session(NamedTuple):
    """What a store keeps of one session."""

    key: bytes
    """32 bytes: the HMAC of the id, which itself is kept by the browser alone."""
    zone: str
    user_id: UserId
    version: int
    """The rotation version of the credential that was shown at sign-in."""
    current: int
    """The rotation version that the record had then: the same, or one above it when the credential was in grace."""
    created: int
    ends: int
    """The absolute end, exclusive."""
    idle_ends: int
    """The end unless it is used before, exclusive; all else stays as it was made."""
    mac: bytes
    """32 bytes, over everything but `idle_ends`, and over the credential's hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRules:
    """How long the sessions of a zone last; in milliseconds."""

    zone: str
    keys: tuple[SessionKey, ...]
    """One for each pepper, newest first; at least one."""
    idle: int
    """More than 0, and at most `absolute`."""
    absolute: int
    per_user: int
    """Sessions that one user may have; one more ends the oldest."""
    sealed: dict[bytes, "tuple[Session, TokenRecord, str]"] = field(
        init=False, default_factory=dict, repr=False, compare=False
    )
    """Sessions whose seal was found good, by their keys: with which record, and the id of the pepper. No verdicts: it
    counts for these very objects only, which do not change, and all else is asked of them every time."""


_MOST_SEALED: Final = 10_000
_MOST: Final = 2**63 - 1
_MOST_VERSION: Final = 2**16 - 1
_BYTES: Final = 32
_USER_BYTES: Final = 16


def session_of(values: Sequence[object]) -> Session | None:
    """Return what a store has kept, or None when these are no values that a session can have: somebody else wrote them."""
    match values:
        case [
            bytes(key),
            str(zone),
            bytes(user),
            int(version),
            int(current),
            int(created),
            int(ends),
            int(idle),
            bytes(mac),
        ]:
            sizes = len(key) == len(mac) == _BYTES and len(user) == _USER_BYTES
            versions = 0 <= version <= _MOST_VERSION and 0 <= current <= _MOST_VERSION
            times = all(0 <= time <= _MOST for time in (created, ends, idle))
            if sizes and versions and times:
                return Session(key, zone, UserId(user), version, current, created, ends, idle, mac)
        case _:
            pass
    return None


class SessionMatch(NamedTuple):
    """The session is good."""

    session: Session
    matched: Match
    """Whether the credential that it was made with is the current one, or the previous one in its grace."""
    pepper: str
    """The id of the pepper whose key it is of."""
    refresh: int | None
    """The new `idle_ends` that the store must be told before anybody is let in; None: not yet."""


@lru_cache(maxsize=4)  # one moment serves all requests of a millisecond
def milliseconds(moment: datetime) -> int:
    """Return an instant in whole milliseconds, rounded down."""
    return (moment - _EPOCH) // _MILLISECOND


def store_keys(rules: SessionRules, session_id: bytes) -> tuple[bytes, ...]:
    """Return the keys under which the session of this id may be kept: one for each pepper, newest first."""
    keys = rules.keys
    if len(keys) == 1:
        return (keys[0].store_key(session_id),)
    return tuple([key.store_key(session_id) for key in keys])


def begin(
    rules: SessionRules, session_id: bytes, record: TokenRecord, version: int, now: datetime
) -> Session:  # fmt: skip
    """Return a new session for a user whose credential of this `version` has just been accepted.

    `session_id` is what `ID` matches, made from 32 random bytes that were never used before.
    """
    key = rules.keys[0]
    created = milliseconds(now)
    made = Session(
        key=key.store_key(session_id),
        zone=rules.zone,
        user_id=record.user_id,
        version=version,
        current=record.rotation_version,
        created=created,
        ends=created + rules.absolute,
        idle_ends=created + min(rules.idle, rules.absolute),
        mac=b"",
    )
    return made._replace(mac=_mac(key, made, _hash_of(made, record)))


def judge(
    rules: SessionRules, session: Session, record: TokenRecord | None, now: datetime
) -> SessionMatch | SessionReason:
    """Return whether a session that the store knows is good at `now`, given what the catalog knows of its user.

    The session must have been found under one of the `store_keys` of the id that was shown. Ends are exclusive.
    Its user's record is what a token would be held against: disabled, expired, rotated or replaced, it ends here.
    """
    moment = milliseconds(now)
    # A shorter lifetime in the configuration counts at once, for sessions that were made under a longer one, too.
    name, _, user_id, _, _, created, ends, idle_ends, _ = session
    ends = min(ends, created + rules.absolute)
    if moment >= idle_ends or moment >= ends:
        return SessionReason.EXPIRED
    if record is None or record.user_id != user_id:
        return SessionReason.UNKNOWN_USER
    matched = _credential(session, record, now)
    if matched.__class__ is SessionReason:
        return matched
    known = rules.sealed.get(name)
    if known is not None and known[0] is session and known[1] is record:
        pepper: str | None = known[2]
    else:
        pepper = _sealed_with(rules, session, record)
    if pepper is None:
        return SessionReason.FORGED
    remaining, idle = idle_ends - moment, rules.idle
    refresh = None if idle // 2 < remaining <= idle else next_idle_end(idle, idle_ends, ends, moment)
    # A named tuple's own constructor is Python code; this is the same without it.
    return _new(SessionMatch, (session, matched, pepper, refresh))


def _sealed_with(rules: SessionRules, session: Session, record: TokenRecord) -> str | None:
    """Return the id of the pepper by whose key a session is sealed, for this record; None: by none."""
    digest = _hash_of(session, record)
    for key in rules.keys:
        if session.zone == rules.zone and compare_digest(_mac(key, session, digest), session.mac):
            if len(rules.sealed) >= _MOST_SEALED:
                rules.sealed.clear()
            rules.sealed[session.key] = session, record, key.id
            return key.id
    return None


def next_idle_end(idle: int, idle_ends: int, ends: int, now: int) -> int | None:
    """Return when a session that is used at `now` is to end if it is not used again, or None for no change yet.

    It is refreshed when half of `idle` or less remains. More than all of it remains only when the configuration's `idle`
    was shortened or the clock was set back: then it comes down to what is right.
    Source: turvata 0.4, session.clj; the absolute end and coming down are ours.
    """
    remaining = idle_ends - now
    if idle // 2 < remaining <= idle:
        return None
    wanted = min(now + idle, ends)
    return None if wanted == idle_ends else wanted


def _credential(session: Session, record: TokenRecord, now: datetime) -> Match | SessionReason:
    """Tell whether the credential behind a session would be accepted, but for its hash."""
    if record.disabled:
        return SessionReason.USER_DISABLED
    if record.expires_at is not None and now >= record.expires_at:
        return SessionReason.TOKEN_EXPIRED
    if record.rotation_version != session.current:
        return SessionReason.ROTATED
    if session.version == session.current:
        return _PRIMARY
    end = record.grace_expires_at
    is_previous = session.version == session.current - 1 and record.previous_hash is not None
    return Match.GRACE if is_previous and end is not None and now < end else SessionReason.ROTATED


def _hash_of(session: Session, record: TokenRecord) -> bytes:
    return record.hash if session.version == session.current else record.previous_hash or b""


def _mac(key: SessionKey, session: Session, digest: bytes) -> bytes:
    # The store's key is bound too: else a row could be copied over another one, and somebody's session become a stranger's.
    return key.mac(
        session.key, session.user_id, (session.version, session.current, session.created, session.ends), digest
    )
