"""Primary, grace, or nothing."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from authproxy.core import match as module
from authproxy.core.match import Match, match, still_holds
from authproxy.core.pepper import Pepper
from authproxy.core.record import TokenRecord, UserId
from authproxy.core.secret import Secret
from authproxy.core.token import Token, parse

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "turvata-v2.json").read_text())
VERIFY = VECTORS["verify_key"]
USER = UserId(UUID(VERIFY["user_id"]).bytes)
SECRET = bytes.fromhex(VERIFY["secret_hex"])
NOW = datetime.fromisoformat(VERIFY["now"])
TICK = timedelta(microseconds=1)
PEPPER = Pepper(Secret(bytes.fromhex(VERIFY["pepper_hex"])))
OTHER = Pepper(Secret(b"another pepper, as long as needed"))
PEPPERS = (PEPPER,)

# turvata's clock counts nanoseconds, ours microseconds, so "one nanosecond later" becomes one tick of ours.
TICKS = {
    "2026-07-13T12:00:00.000000001Z": NOW + TICK,
    "2026-07-13T11:59:59.999999999Z": NOW - TICK,
}
# Rows that cannot become a record: they are refused where they are read (tests/catalogs), and their user with them.
NO_RECORDS = {
    "primary, hash truncated to 32 bytes": "a hash has 64 bytes",
    "primary, empty hash": "a hash has 64 bytes",
    "primary, hash missing": "a hash has 64 bytes",
    "row without rotation-version": "a row has a version; turvata raises",
    "row rotation-version 2^31": "a version is at most 65535; turvata raises",
    "row rotation 65536 (beyond the field), token 65535 in grace": "a version is at most 65535",
    "expires-at is a java.util.Date": "a time is a time; turvata raises",
    "expires-at is a java.util.Date but the hash is wrong": "a time is a time",
}


def token(version: int, secret: bytes = SECRET) -> Token:
    return Token(b"svc", version, USER, secret)


def record(version: int = 3, **more: Any) -> TokenRecord:
    """Version 3 is current, made with another secret; 2, made with SECRET, is previous."""
    made = TokenRecord(
        user_id=USER,
        rotation_version=version,
        hash=PEPPER.digest(USER, version, bytes(32)),
        previous_hash=PEPPER.digest(USER, version - 1, SECRET) if version else None,
        grace_expires_at=NOW + timedelta(minutes=1),
    )
    return replace(made, **more)


def outcome(token, record, now=NOW, peppers=PEPPERS):
    found = match(peppers, token, record, now)
    return None if found is None else found[0]


def row(values) -> TokenRecord:
    def time(text):
        return None if text is None else TICKS.get(text) or datetime.fromisoformat(text)

    previous = values.get("prev-hash")
    return TokenRecord(
        user_id=USER,
        rotation_version=values["rotation-version"],
        hash=bytes.fromhex(values["hash"]["bytes_hex"]),
        previous_hash=None if previous is None else bytes.fromhex(previous["bytes_hex"]),
        expires_at=time(values.get("expires-at")),
        grace_expires_at=time(values.get("grace-period-expires-at")),
    )


def test_no_record_is_claimed_for_known_vectors_only():
    """Each vector that is left out is there."""
    assert set(NO_RECORDS) <= {case["note"] for case in VERIFY["cases"]}


@pytest.mark.parametrize(
    "case", [case for case in VERIFY["cases"] if case["note"] not in NO_RECORDS], ids=lambda case: case["note"]
)
def test_judges_as_turvata_does(case):
    """Version, hash and time give turvata's own verdict, on both sides of every boundary."""
    verdicts = {False: None, "valid/primary": Match.PRIMARY, "valid/grace": Match.GRACE}
    shown = token(case["token_rotation_version"], SECRET)
    if case["note"].startswith("new token"):
        shown = shown._replace(secret=SECRET)

    assert outcome(shown, row(case["row"])) is verdicts[case["result"]]


@pytest.mark.parametrize(
    "case", VECTORS["authenticate_api_token"]["cases"], ids=lambda case: case["note"]
)  # fmt: skip
def test_authenticates_whom_turvata_authenticates(case):
    """A good token of the zone's prefix passes and no other; prefixes compare in lower case.

    A zone without a prefix, or with a line end in it, cannot be configured; a catalog that is not there cannot either;
    a catalog's failure is an exception of the catalog's and never reaches the judgement.
    """
    known = TokenRecord(user_id=USER, rotation_version=1, hash=PEPPER.digest(USER, 1, SECRET))
    shown = parse(case["token"].encode())
    prefix = (case["settings_prefix"] or "").lower().encode()
    asked = shown is not None and shown.prefix == prefix

    found = shown is not None and asked and match(PEPPERS, shown, None if "unknown" in case["note"] else known, NOW)

    assert asked == bool(case["catalog_calls"])
    if "throws" not in case:
        assert bool(found) == (case["result"] is not None)


@pytest.mark.parametrize("end", ["expires_at", "grace_expires_at"])
def test_an_end_is_exclusive(end):
    """Alive one microsecond before its end, dead at the very instant, dead after it."""
    ends: dict[str, Any] = {end: NOW}
    ending = record(**ends)
    shown = token(3, bytes(32)) if end == "expires_at" else token(2)

    assert outcome(shown, ending, NOW - TICK) is (Match.PRIMARY if end == "expires_at" else Match.GRACE)
    assert outcome(shown, ending, NOW) is None
    assert outcome(shown, ending, NOW + TICK) is None


def test_grace_never_outlives_the_current_credential():
    """Stricter than turvata: once the current token has ended, the previous one has too."""
    ending = record(expires_at=NOW)

    assert outcome(token(2), ending, NOW - TICK) is Match.GRACE
    assert outcome(token(2), ending, NOW) is None


def test_end_of_the_current_token_does_not_depend_on_grace():
    """A current token is alive when the grace of its predecessor has ended."""
    assert outcome(token(3, bytes(32)), record(grace_expires_at=NOW - TICK)) is Match.PRIMARY


def test_end_in_another_offset_is_the_same_instant():
    """Times compare as instants."""
    elsewhere = datetime.fromisoformat("2026-07-13T14:00:00+02:00")

    assert outcome(token(2), record(grace_expires_at=elsewhere)) is None
    assert outcome(token(2), record(grace_expires_at=elsewhere + TICK)) is Match.GRACE


@pytest.mark.parametrize(
    ("shown", "more"),
    [
        (token(1), {"previous_hash": PEPPER.digest(USER, 1, SECRET)}),
        (token(4), {"hash": PEPPER.digest(USER, 4, SECRET)}),
        (token(3), {"previous_hash": PEPPER.digest(USER, 3, SECRET)}),
        (token(2), {"hash": PEPPER.digest(USER, 2, SECRET), "previous_hash": None, "grace_expires_at": None}),
        (token(2), {"hash": PEPPER.digest(USER, 2, SECRET), "previous_hash": bytes(64)}),
        (token(2), {"grace_expires_at": None}),
    ],
    ids=["two behind", "ahead", "previous hash of the current version", "no grace", "wrong previous hash", "no end"],
)
def test_only_the_very_previous_version_has_grace(shown, more):
    """A right hash beside a wrong version is refused."""
    assert outcome(shown, record(**more)) is None


def test_versions_do_not_wrap_around():
    """65535 is not the version before 0."""
    known = record(0, previous_hash=PEPPER.digest(USER, 65535, SECRET))

    assert outcome(token(65535), known) is None
    assert outcome(token(0, bytes(32)), known) is Match.PRIMARY


def test_any_live_pepper_matches_and_is_named():
    """The newest is tried first; an older one still matches, and which one is told."""
    known = record(previous_hash=None, grace_expires_at=None)

    assert match((OTHER, PEPPER), token(3, bytes(32)), known, NOW) == (Match.PRIMARY, PEPPER)
    assert match((PEPPER, OTHER), token(3, bytes(32)), known, NOW) == (Match.PRIMARY, PEPPER)
    assert match((OTHER,), token(3, bytes(32)), known, NOW) is None
    assert match((OTHER, PEPPER), token(2), record(), NOW) == (Match.GRACE, PEPPER)


def test_a_disabled_user_is_refused():
    """Whatever the credential: current or previous."""
    known = record(disabled=True)

    assert outcome(token(3, bytes(32)), known) is None
    assert outcome(token(2), known) is None


def test_a_hash_of_another_user_is_refused():
    """The user id is bound by the hash: a row found under the wrong id lets nobody in."""
    foreign = replace(record(), hash=PEPPER.digest(UserId(bytes(16)), 3, SECRET), rotation_version=3)

    assert outcome(token(3), foreign) is None


@pytest.mark.parametrize("peppers", [(PEPPER,), (OTHER, PEPPER)], ids=["one pepper", "two peppers"])
def test_refusals_cost_the_same(peppers, monkeypatch):
    """One HMAC and one comparison for each pepper: for an unknown user, a wrong secret, a wrong version, a disabled one."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(ours: bytes, theirs: bytes) -> bool:
        compared.append((ours, theirs))
        return compare_digest(ours, theirs)

    monkeypatch.setattr(module, "compare_digest", compare)

    costs = []
    for shown, known in (
        (token(3), None),
        (token(3), record()),
        (token(9), record()),
        (token(3), record(disabled=True)),
        (token(2, bytes(32)), record(expires_at=NOW)),
    ):
        compared.clear()
        assert match(peppers, shown, known, NOW) is None
        assert all(len(ours) == len(theirs) == 64 for ours, theirs in compared)
        costs.append(len(compared))

    assert costs == [len(peppers)] * 5


def test_an_all_zero_hash_is_nobodys():
    """The stand-in for unknown users cannot be met: it is disabled, whatever its hash."""
    assert module._NOBODY.disabled


_MOMENT = datetime(2026, 7, 13, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("shown", "now_known", "holds"),
    [
        ({}, {}, True),
        ({}, None, False),
        ({}, {"disabled": True}, False),
        ({}, {"hash": bytes(64)}, False),
        ({}, {"expires_at": _MOMENT}, False),
        ({}, {"expires_at": _MOMENT + timedelta(microseconds=1)}, True),
        ({}, {"rotation_version": 4, "hash": b"n" * 64}, False),
        ({}, {"rotation_version": 4, "hash": b"n" * 64, "previous_hash": b"h" * 64}, False),
        (
            {},
            {"rotation_version": 4, "hash": b"n" * 64, "previous_hash": b"h" * 64, "grace_expires_at": _MOMENT},
            False,
        ),
        (
            {},
            {
                "rotation_version": 4, "hash": b"n" * 64, "previous_hash": b"h" * 64,
                "grace_expires_at": _MOMENT + timedelta(microseconds=1),
            },
            True,
        ),
        ({}, {"rotation_version": 5, "hash": b"n" * 64, "previous_hash": b"h" * 64}, False),
        ({}, {"rotation_version": 2}, False),
    ],
)  # fmt: skip
def test_an_open_stream_holds_as_long_as_its_credential(shown, now_known, holds):
    """By the same rules as a new request, with the hash in the place of the token."""
    base = {"user_id": UserId(b"u" * 16), "rotation_version": 3, "hash": b"h" * 64}
    record = TokenRecord(**(base | shown))
    current = None if now_known is None else TokenRecord(**(base | now_known))

    assert still_holds(record, 3, current, _MOMENT) is holds


def test_a_current_hash_of_the_previous_version_is_no_grace():
    """A row that was rotated by its version alone: only `previous_hash` is a previous credential."""
    row = TokenRecord(
        user_id=USER, rotation_version=3, hash=PEPPER.digest(USER, 2, SECRET), grace_expires_at=NOW + TICK
    )  # fmt: skip

    assert match(PEPPERS, token(2), row, NOW) is None
    assert match(PEPPERS, token(2), replace(row, previous_hash=row.hash), NOW) == (Match.GRACE, PEPPER)
    assert match(PEPPERS, token(2), replace(row, rotation_version=2), NOW) == (Match.PRIMARY, PEPPER)


@pytest.mark.parametrize(
    ("change", "now", "holds"),
    [
        ({}, NOW, True), ({"grace_expires_at": NOW + 2 * TICK}, NOW + TICK, True), ({}, NOW + TICK, False),
        ({"grace_expires_at": None}, NOW, False), ({"previous_hash": None}, NOW, False), ({"previous_hash": b"x" * 64}, NOW, False),
        ({"rotation_version": 4}, NOW, False), ({"rotation_version": 1}, NOW, False),
        ({"rotation_version": 2, "hash": b"p" * 64, "previous_hash": None}, NOW, True),
        ({"rotation_version": 2}, NOW, False), ({"hash": b"x" * 64}, NOW, True), ({"disabled": True}, NOW, False),
        ({"expires_at": NOW}, NOW, False), ({"expires_at": NOW + TICK}, NOW, True),
    ],
)  # fmt: skip
def test_a_stream_opened_in_grace_holds_as_long_as_its_grace(change, now, holds):
    """Its credential is the previous one, whatever becomes of the current; one rotation more, and it is over."""
    shown = TokenRecord(
        user_id=USER, rotation_version=3, hash=b"c" * 64, previous_hash=b"p" * 64, grace_expires_at=NOW + TICK
    )  # fmt: skip

    assert still_holds(shown, 2, replace(shown, **change), now) is holds
    assert not still_holds(shown, 2, None, now)
