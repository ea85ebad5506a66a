"""Deciding by certificate: what counts alone, what in a token's place, what together; and what still counts later."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from authproxy.core.decision import Allow, Deny, Reason
from authproxy.core.record import UserId
from authproxy.core.route import Pattern
from authproxy.edge.certified import Certified, still_admitted
from authproxy.edge.decide import decide, fetch_and_judge
from authproxy.edge.origin import Origin
from authproxy.edge.refusal import Refusal
from authproxy.keystore import Demand, Truststore
from authproxy.runtime import CertificateRules
from tests.edge.made import (
    GOOD,
    MISS,
    NOW,
    RECORD,
    USER,
    WRONG,
    Users,
    facts,
    head,
    listener,
    route,
    services,
    zone,
)  # fmt: skip

OTHER = UserId(UUID("77777777-8888-4777-8666-555555555555").bytes)
NOBODY = Deny(Reason.UNKNOWN_CERTIFICATE, presented=False, detail="cn mallory")


class Says:
    """A certificate that says whose it is."""

    def __init__(self, found: UserId | Deny) -> None:
        self.found = found

    def user(self, *_: object) -> UserId | Deny:
        """Whose."""
        return self.found


def rules(how: str) -> CertificateRules | None:
    """`token`: certificates count for nothing; `certificate`, `or`, `and`: alone, in a token's place, together."""
    if how == "token":
        return None
    demand = Demand(is_required=True, trust=Truststore(name="t", certificates=(), source="t.pem"))
    return CertificateRules(demand=demand, sources=(), users=None, or_token=how == "or", and_token=how == "and")


def origin(found: UserId | Deny | None) -> Origin:
    """Where a request comes from, and what its certificate says."""
    shown: Any = None if found is None else Says(found)
    return Origin("192.0.2.7", b"", shown=shown)


def asked(how: str, line: bytes, found: UserId | Deny | None, users: Users | None = None) -> Any:
    """A request to a zone of that kind: its facts, and what is decided at once."""
    way = route(zone=replace(zone(users), certificates=rules(how)))
    request = facts(head(*([line] if line else [])), listener((Pattern(None, "/", False), way)), origin=origin(found))
    return request, decide(services(), request)


ALICE = "certificate"
TOKEN = "token"


@pytest.mark.parametrize(
    ("how", "line", "found", "outcome"),
    [
        ("token", GOOD, None, TOKEN),
        ("token", b"", USER, "no-credential"),
        ("token", GOOD, NOBODY, TOKEN),
        ("certificate", b"", USER, ALICE),
        ("certificate", GOOD, None, "no-certificate"),
        ("certificate", WRONG, USER, ALICE),
        ("certificate", b"", NOBODY, "unknown-certificate"),
        ("certificate", b"", OTHER, "unknown-user"),
        ("or", b"", USER, ALICE),
        ("or", GOOD, USER, TOKEN),
        ("or", GOOD, OTHER, TOKEN),
        ("or", GOOD, NOBODY, TOKEN),
        ("or", GOOD, None, TOKEN),
        ("or", WRONG, USER, "token-mismatch"),
        ("or", b"Authorization: Bearer x", USER, "malformed-token"),
        ("or", b"Authorization: token", USER, "no-credential"),
        ("or", b"Authorization: Basic x", USER, ALICE),
        ("or", b"", None, "no-credential"),
        ("or", b"", NOBODY, "unknown-certificate"),
        ("and", GOOD, USER, TOKEN),
        ("and", GOOD, OTHER, "user-mismatch"),
        ("and", GOOD, NOBODY, "unknown-certificate"),
        ("and", GOOD, None, "no-certificate"),
        ("and", WRONG, USER, "token-mismatch"),
        ("and", WRONG, OTHER, "token-mismatch"),
        ("and", b"", USER, "no-credential"),
        ("and", b"", None, "no-certificate"),
    ],
)
def test_what_is_shown_decides(how, line, found, outcome):
    """By what the zone takes; the one who passes is known by the credential that counted."""
    request, answer = asked(how, line, found)

    if outcome in {ALICE, TOKEN}:
        assert answer is None
        assert request.allow.record == RECORD
        assert (request.allow.method, request.allow.version) == (outcome, 3 if outcome == TOKEN else None)
    else:
        assert isinstance(answer, Refusal)
        assert (answer.status, answer.reason) == (401, outcome)
        assert request.allow is None


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.CERTIFICATE_UNNAMED, 403),
        (Reason.CERTIFICATE_AMBIGUOUS, 403),
        (Reason.CERTIFICATE_NAME_REFUSED, 403),
        (Reason.CERTIFICATE_UNTRUSTED, 401),
        (Reason.CERTIFICATE_EXPIRED, 401),
        (Reason.UNKNOWN_CERTIFICATE, 401),
    ],
)
def test_what_is_wrong_with_a_certificate_itself_is_403(reason, status):
    """The rest is 401; the log tells more."""
    _, answer = asked("certificate", b"", Deny(reason, presented=False, detail="so it is"))

    assert (answer.status, answer.reason, answer.detail) == (status, reason.value, "so it is")


def test_a_mismatch_looks_like_a_bad_token():
    """Byte for byte, and it counts among the failures of its source."""
    (_, mismatch), (_, bad) = asked("and", GOOD, OTHER), asked("and", WRONG, USER)

    assert mismatch.lines == bad.lines
    assert b'error="invalid_token"' in mismatch.lines


@pytest.mark.parametrize("how", ["token", "certificate", "or", "and"])
def test_the_challenge_names_what_would_help(how):
    """A token where one counts, else a certificate."""
    _, answer = asked(how, b"", None)

    expected = b'ClientCertificate realm="api"' if how == "certificate" else b'Bearer realm="api"'
    assert b"WWW-Authenticate: " + expected + b"\r\n" in answer.lines


@pytest.mark.parametrize(
    ("how", "line", "known", "outcome"),
    [
        ("certificate", b"", RECORD, None),
        ("certificate", b"", None, "unknown-user"),
        ("certificate", b"", replace(RECORD, disabled=True), "user-disabled"),
        ("and", GOOD, RECORD, None),
        ("and", GOOD, replace(RECORD, disabled=True), "user-disabled"),
    ],
)
async def test_a_catalog_that_must_be_asked_is_waited_for(how, line, known, outcome):
    """The same verdict, a little later."""
    request, question = asked(how, line, USER, Users(MISS, known))
    assert question.user_id == USER
    assert isinstance(question, Certified) == (how == "certificate")

    answer = await fetch_and_judge(services(), request, question)

    assert (None if answer is None else answer.reason) == outcome
    assert (request.allow is not None) == (outcome is None)


async def test_a_mismatch_is_seen_after_waiting_too():
    """Token of one, certificate of another."""
    request, question = asked("and", GOOD, OTHER, Users(MISS, RECORD))

    answer = await fetch_and_judge(services(), request, question)

    assert answer is not None
    assert (answer.reason, request.allow) == ("user-mismatch", None)


BY_TOKEN = Allow(RECORD, "api", "token", 3, None, "")
BY_CERTIFICATE = Allow(RECORD, "api", "certificate", None, None, "")


def test_nobody_holds_nothing():
    """A stream that no credential opened is not judged by one."""
    request = facts(head(), listener(), origin=origin(USER))

    assert not still_admitted(replace(zone(), certificates=rules("or")), request, RECORD, NOW)


@pytest.mark.parametrize(
    ("how", "allow", "found", "holds"),
    [
        ("token", BY_TOKEN, None, True),
        ("token", BY_CERTIFICATE, USER, False),
        ("certificate", BY_TOKEN, USER, False),
        ("certificate", BY_CERTIFICATE, USER, True),
        ("certificate", BY_CERTIFICATE, OTHER, False),
        ("certificate", BY_CERTIFICATE, NOBODY, False),
        ("or", BY_TOKEN, None, True),
        ("or", BY_TOKEN, OTHER, True),
        ("or", BY_CERTIFICATE, USER, True),
        ("or", BY_CERTIFICATE, NOBODY, False),
        ("and", BY_TOKEN, USER, True),
        ("and", BY_TOKEN, OTHER, False),
        ("and", BY_TOKEN, None, False),
        ("and", BY_CERTIFICATE, USER, False),
    ],
)
def test_what_opened_a_stream_must_still_open_it(how, allow, found, holds):
    """By the rules of now, whichever they were then."""
    own = replace(zone(), certificates=rules(how))
    request = facts(head(), listener(), origin=origin(found))
    request.allow = allow

    assert still_admitted(own, request, RECORD, NOW) is holds
    assert not still_admitted(own, request, None, NOW)
    assert not still_admitted(own, request, replace(RECORD, disabled=True), NOW)
    rotated = replace(RECORD, rotation_version=9, hash=bytes(64))
    assert still_admitted(own, request, rotated, NOW) is (holds and allow is BY_CERTIFICATE)
