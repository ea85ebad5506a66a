"""From a head to a verdict: who passes, who is refused with what, and whom the catalog is asked about."""

from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_network

import pytest
from typing_extensions import override

from authproxy.core.decision import Allow, AllowRules, Deny, Reason
from authproxy.core.record import UserId
from authproxy.core.route import Pattern
from authproxy.core.stats import RouteStats
from authproxy.core.tally import owner_of
from authproxy.core.token import Token
from authproxy.edge.decide import decide, fetch_and_judge, has_too_many_tunnels
from authproxy.edge.origin import Origin
from authproxy.edge.refusal import NO_CONTENT, TOO_MANY_TUNNELS, Refusal
from authproxy.edge.shown import Shown
from authproxy.http1.request import RequestReader
from authproxy.keystore import Demand, Truststore
from authproxy.runtime import CertificateRules, Preflight, Rewrite
from tests.edge.made import (
    GOOD,
    MISS,
    NOW,
    RECORD,
    USER_TEXT,
    WRONG,
    Users,
    facts,
    head,
    listener,
    route,
    runtime,
    services,
)

ANY = Pattern(None, "/")
CHALLENGE = b'WWW-Authenticate: Bearer realm="api"\r\nVary: Authorization\r\n'
INVALID = b'WWW-Authenticate: Bearer realm="api", error="invalid_token"\r\nVary: Authorization\r\n'
UPGRADE = (b"Connection: upgrade", b"Upgrade: websocket")


def asked(request, where, **counts):
    """The outcome of a request to the only route, and what is noted of it."""
    noted = facts(request, listener((ANY, where)), runtime(**counts))
    return decide(services(), noted), noted


def status(outcome):
    """Status and reason of a refusal."""
    assert isinstance(outcome, Refusal), outcome
    return outcome.status, outcome.reason


# ---------------------------------------------------------------------- who passes


def test_a_good_token_passes_and_is_noted():
    """Who it is, and which way it goes."""
    where = route()
    outcome, noted = asked(head(GOOD), where)

    assert outcome is None
    assert noted.route is where
    assert noted.allow is not None
    assert noted.allow.record is RECORD


def test_a_usual_head_is_decided_on_as_any():
    """Read by a pattern, token and all."""
    where = listener((ANY, route()))
    block = b"GET / HTTP/1.1\r\nHost: a\r\n" + GOOD
    for _ in range(100):
        assert where.reader.read(block)
    usual = where.reader.take(block + b"\r\n\r\n")
    assert usual is not None
    assert usual.token is not None
    noted = facts(usual, where)

    assert decide(services(), noted) is None
    assert noted.allow is not None


def usual(request):
    """The same head, as read by a pattern: the quick way through the decision."""
    request.is_usual = True
    return request


@pytest.mark.parametrize("is_usual", [False, True])
def test_the_quick_way_asks_whom_the_route_admits(is_usual):
    """Whoever reads the head: those whom `allow` names pass, others of the zone are 403."""
    for groups, expected in ((RECORD.groups, None), (("nobody",), (403, "not-allowed"))):
        request = usual(head(GOOD)) if is_usual else head(GOOD)
        outcome, noted = asked(request, route(allow=AllowRules(groups=frozenset(groups))))

        assert (None if outcome is None else status(outcome)) == expected
        assert noted.allow is not None


@pytest.mark.parametrize(("grace", "expected"), [(timedelta(seconds=1), (1, True)), (timedelta(0), (0, False))])
def test_the_quick_way_counts_who_passes_in_grace(grace, expected):
    """And nobody who passes with the new token."""
    rotated = replace(
        RECORD, rotation_version=4, hash=bytes(64), previous_hash=RECORD.hash, grace_expires_at=NOW + grace
    )
    counted = RouteStats()
    outcome, _ = asked(usual(head(GOOD)), route(Users(known=rotated), stats=counted))

    assert (counted.graced, outcome is None) == expected
    assert asked(usual(head(GOOD)), route(stats=counted))[0] is None
    assert counted.graced == expected[0]


def test_a_route_that_changes_requests_answers_no_preflight_by_itself():
    """Only one with `preflight` does; elsewhere OPTIONS is like any method, and needs a credential."""
    lines = (b"Origin: https://app.test", b"Access-Control-Request-Method: GET")
    where = route(rewrite=Rewrite(prefix=b"/old", replacement=b"/new"))
    assert not where.is_plain

    assert status(asked(head(*lines, start=b"OPTIONS / HTTP/1.1"), where)[0]) == (401, "no-credential")
    assert asked(head(GOOD, *lines, start=b"OPTIONS / HTTP/1.1"), where)[0] is None


def test_public_routes_ask_nobody():
    """With a credential or without; nobody is noted."""
    for lines in ((), (GOOD,), (WRONG,), (b"Authorization: Basic x",)):
        outcome, noted = asked(head(*lines), route(public=True))

        assert outcome is None
        assert noted.allow is None
        assert noted.route is not None


@pytest.mark.parametrize(
    ("lines", "reason", "challenge", "user"),
    [
        ((), "no-credential", CHALLENGE, ""),
        ((b"Authorization: Basic abc",), "no-credential", CHALLENGE, ""),
        ((b"Authorization: Bearer nonsense",), "malformed-token", INVALID, ""),
        ((WRONG,), "token-mismatch", INVALID, USER_TEXT),
    ],
)
def test_everybody_else_is_401(lines, reason, challenge, user):
    """Whoever showed nothing is not told that it was invalid; the user is named for the log when the token could be read."""
    outcome, noted = asked(head(*lines), route())

    assert outcome == Refusal(status=401, reason=reason, lines=challenge, user=user)
    assert noted.allow is None


def test_an_unknown_user_is_401():
    """The catalog says that there is none."""
    outcome, noted = asked(head(GOOD), route(Users(known=None)))

    assert outcome == Refusal(status=401, reason="unknown-user", lines=INVALID, user=USER_TEXT)
    assert noted.allow is None


@pytest.mark.parametrize("target", [b"*"])
def test_options_star_is_answered_here(target):
    """RFC 9110, 9.3.7: it is about no route."""
    outcome, noted = asked(head(start=b"OPTIONS %b HTTP/1.1" % target), route())

    assert outcome is NO_CONTENT
    assert noted.route is None


def test_no_way_is_no_pass():
    """Whatever credential came along."""
    request = head(GOOD, start=b"GET /a/../b HTTP/1.1")
    outcome, noted = asked(request, route())

    assert status(outcome) == (400, "ambiguous-path")
    assert noted.route is None


def test_a_preflight_is_answered_without_a_credential():
    """Any other request of that route needs one."""
    where = route(preflight=Preflight(origins=frozenset({b"https://a.test"}), lines=b"X: y\r\n"))
    asks = (b"Origin: https://a.test", b"Access-Control-Request-Method: PUT")

    answer, _ = asked(head(*asks, start=b"OPTIONS / HTTP/1.1"), where)
    assert status(answer) == (204, "")
    other, _ = asked(head(start=b"OPTIONS / HTTP/1.1"), where)
    assert status(other) == (401, "no-credential")
    plain, _ = asked(head(*asks, start=b"OPTIONS / HTTP/1.1"), route())
    assert status(plain) == (401, "no-credential")


# ---------------------------------------------------------------------- the route's own rules


def test_a_route_admits_whom_it_lists():
    """403 for a user whom the zone knows and the route does not."""
    within, without = AllowRules(groups=frozenset({"admins"})), AllowRules(groups=frozenset({"others"}))
    near = AllowRules(networks=(ip_network("10.0.0.0/8"),))

    assert asked(head(GOOD), route(allow=within))[0] is None
    assert asked(head(GOOD), route(allow=without))[0] == Refusal(status=403, reason="not-allowed")
    assert asked(head(GOOD), route(allow=near))[0] == Refusal(status=403, reason="network-not-allowed")
    assert status(asked(head(), route(allow=without))[0]) == (401, "no-credential")


@pytest.mark.parametrize("allow", [None, AllowRules(groups=frozenset({"admins"}))])
@pytest.mark.parametrize("public", [True, False])
def test_a_body_is_checked_after_the_caller(allow, public):
    """On public routes too; a stranger learns nothing of what the route takes."""
    where = route(public=public, allow=None if public else allow)
    body = b"Content-Length: 5"

    assert asked(head(GOOD, body, start=b"POST / HTTP/1.1"), where)[0] is None
    assert status(asked(head(GOOD, body), where)[0]) == (400, "body-not-allowed")
    assert asked(head(GOOD, b"Content-Length: 0"), where)[0] is None
    if not public:
        assert status(asked(head(body), where)[0]) == (401, "no-credential")


# ---------------------------------------------------------------------- the catalog that must be asked


def test_a_catalog_that_must_be_asked_is_waited_for():
    """The token that is asked about comes back; nobody has passed yet."""
    outcome, noted = asked(head(GOOD), route(Users(known=MISS)))

    assert isinstance(outcome, Token)
    assert noted.allow is None
    assert noted.route is not None


@pytest.mark.parametrize(
    ("lines", "start", "found", "changes", "expected"),
    [
        ((), b"GET / HTTP/1.1", RECORD, {}, None),
        ((), b"GET / HTTP/1.1", None, {}, (401, "unknown-user")),
        ((), b"GET / HTTP/1.1", replace(RECORD, disabled=True), {}, (401, "user-disabled")),
        ((), b"GET / HTTP/1.1", RECORD, {"allow": AllowRules(groups=frozenset({"x"}))}, (403, "not-allowed")),
        ((b"Content-Length: 5",), b"GET / HTTP/1.1", RECORD, {}, (400, "body-not-allowed")),
        ((b"Content-Length: 5",), b"POST / HTTP/1.1", RECORD, {}, None),
        ((b"Content-Length: 5",), b"POST / HTTP/1.1", RECORD, {"max_body": 4}, (413, "body-too-large")),
    ],
)
async def test_what_it_says_is_judged_as_ever(lines, start, found, changes, expected):
    """By the zone, then by the route."""
    where = route(Users(known=MISS, found=found), **changes)
    noted = facts(head(GOOD, *lines, start=start), listener((ANY, where)))
    token = decide(services(), noted)
    assert isinstance(token, Token)

    outcome = await fetch_and_judge(services(), noted, token)

    assert (None if outcome is None else status(outcome)) == expected
    assert (noted.allow is not None) is (expected is None or expected[0] != 401)


async def test_a_catalog_that_cannot_tell_is_503():
    """Never a pass, never a 401; why is for the log."""
    users = Users(known=MISS, found=RECORD)
    users.is_away = True
    noted = facts(head(GOOD), listener((ANY, route(users))))
    token = decide(services(), noted)
    assert isinstance(token, Token)

    outcome = await fetch_and_judge(services(), noted, token)

    assert isinstance(outcome, Refusal)
    assert status(outcome) == (503, "catalog-unavailable")
    assert (outcome.detail, outcome.lines) == ("nobody is there", b"Retry-After: 1\r\n")
    assert noted.allow is None


@pytest.mark.parametrize("away", [False, True])
async def test_waiting_for_the_catalog_is_timed(away):
    """From the head to the verdict, whatever that is; what is known at once is not timed."""
    users = Users(known=MISS, found=RECORD)
    users.is_away = away
    counted = RouteStats()
    noted = facts(head(GOOD), listener((ANY, route(users, stats=counted))))
    noted.started = 0.125
    token = decide(services(), noted)
    assert isinstance(token, Token)
    assert sum(counted.authentication.counts) == 0

    await fetch_and_judge(services(lambda: 0.5), noted, token)

    assert (sum(counted.authentication.counts), counted.authentication.total) == (1, 0.375)
    assert decide(services(), facts(head(GOOD), listener((ANY, route(stats=counted))))) is None
    assert sum(counted.authentication.counts) == 1


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize(("grace", "expected"), [(timedelta(seconds=1), (1, True)), (timedelta(0), (0, False))])
async def test_whoever_passes_in_grace_is_counted(waits, grace, expected):
    """So that an operator sees who still has the old token; a grace that is over lets nobody pass."""
    rotated = replace(
        RECORD, rotation_version=4, hash=bytes(64), previous_hash=RECORD.hash, grace_expires_at=NOW + grace
    )
    counted = RouteStats()
    where = route(Users(known=MISS if waits else rotated, found=rotated), stats=counted)
    noted = facts(head(GOOD), listener((ANY, where)))
    outcome = decide(services(), noted)
    if waits:
        assert isinstance(outcome, Token)
        outcome = await fetch_and_judge(services(), noted, outcome)

    assert (counted.graced, outcome is None) == expected
    assert decide(services(), facts(head(GOOD), listener((ANY, route(stats=counted))))) is None
    assert counted.graced == expected[0]


async def test_nothing_passes_that_was_never_routed():
    """Whoever asks in the wrong order gets a refusal."""
    token = Token(b"svc", 3, RECORD.user_id, b"s" * 32)
    lost = facts(head(GOOD), listener((ANY, route())))
    public = facts(head(GOOD), listener((ANY, route(public=True))))
    public.route = route(public=True)

    for noted in (lost, public):
        outcome = await fetch_and_judge(services(), noted, token)
        assert outcome is not None
        assert status(outcome) == (503, "crashed")


# ---------------------------------------------------------------------- too many


def test_too_many_bad_credentials_of_a_source_are_429():
    """The third of two; whoever shows a good one passes all the same, and other sources are not counted together."""
    shared = services()
    where = listener((ANY, route()))

    def ask(*lines):
        return decide(shared, facts(head(*lines), where, runtime(failures_per_minute=2)))

    assert [status(ask(WRONG))[0] for _ in range(3)] == [401, 401, 429]
    refusal = ask(b"Authorization: Bearer nonsense")
    assert refusal == Refusal(
        status=429, reason="too-many-failures", detail="malformed-token",
        lines=b"Retry-After: 60\r\nVary: Authorization\r\n",
    )  # fmt: skip
    assert status(ask())[0] == 401
    assert ask(GOOD) is None
    assert ask(WRONG).user == USER_TEXT


def test_without_a_limit_nobody_is_counted():
    """As many 401 as are asked for; and nothing shown is no failure."""
    shared = services()
    where = listener((ANY, route()))

    for _ in range(5):
        assert status(decide(shared, facts(head(WRONG), where)))[0] == 401
    assert len(shared.failures) == 0
    for _ in range(5):
        assert status(decide(shared, facts(head(), where, runtime(failures_per_minute=1))))[0] == 401
    assert len(shared.failures) == 0


async def test_a_bad_credential_is_counted_when_the_catalog_was_waited_for():
    """It makes no difference when the verdict came."""
    shared = services()
    where = listener((ANY, route(Users(known=MISS))))

    outcomes = []
    for _ in range(2):
        noted = facts(head(GOOD), where, runtime(failures_per_minute=1))
        token = decide(shared, noted)
        assert isinstance(token, Token)
        outcomes.append(status(await fetch_and_judge(shared, noted, token)))

    assert outcomes == [(401, "unknown-user"), (429, "too-many-failures")]


@pytest.mark.parametrize(("limit", "refused"), [(None, False), (2, True), (3, False), (1, True)])
def test_a_user_has_so_many_tunnels(limit, refused):
    """Two are open; as many as allowed are allowed."""
    shared = services()
    noted = facts(head(GOOD, *UPGRADE), listener((ANY, route())), runtime(tunnels_per_user=limit))
    assert not has_too_many_tunnels(shared, noted)
    first = facts(head(GOOD), listener((ANY, route())))
    assert decide(shared, first) is None
    assert isinstance(first.allow, Allow)
    for _ in range(2):
        shared.tunnels.add(owner_of(first.allow))

    outcome = decide(shared, noted)

    assert outcome is (TOO_MANY_TUNNELS if refused else None)
    assert has_too_many_tunnels(shared, noted) is refused


def test_only_upgrades_that_would_come_about_are_counted():
    """An ordinary request, or one for a protocol that the route does not know, takes no tunnel's place."""
    shared = services()
    where = listener((ANY, route()))
    first = facts(head(GOOD), where)
    assert decide(shared, first) is None
    assert first.allow is not None
    shared.tunnels.add(owner_of(first.allow))

    def ask(*lines):
        return decide(shared, facts(head(GOOD, *lines), where, runtime(tunnels_per_user=1)))

    assert ask(*UPGRADE) is TOO_MANY_TUNNELS
    assert ask() is None
    assert ask(b"Connection: upgrade", b"Upgrade: other") is None
    assert ask(b"Upgrade: websocket") is None


def test_reasons_are_words_of_the_log():
    """The reason of a refusal is that of the decision."""
    assert status(asked(head(WRONG), route())[0])[1] == Reason.TOKEN_MISMATCH.value
    assert isinstance(listener().reader, RequestReader)


# ---------------------------------------------------------------------- the wall clock


def test_a_record_ends_when_the_wall_clock_says_so():
    """The clock is read once a millisecond: the request after that meets the new time, and none an older one."""
    wall = [NOW]
    shared = replace(services(), now=lambda: wall[0])
    where = listener((ANY, route(Users(known=replace(RECORD, expires_at=NOW + timedelta(seconds=1))))))

    def ask(started):
        noted = facts(head(GOOD), where)
        noted.started = started
        return decide(shared, noted)

    assert ask(5.0) is None
    wall[0] += timedelta(seconds=1)
    until = shared.clock.until
    assert ask(until - 0.0001) is None
    assert status(ask(until)) == (401, "token-expired")
    assert status(ask(until + 0.0001)) == (401, "token-expired")


# ---------------------------------------------------------------------- zones that know certificates


class Card(Shown):
    """A certificate whose verdict is known."""

    def __init__(self, verdict: UserId | Deny) -> None:
        super().__init__(b"", None)
        self._verdict = verdict

    @override
    def user(self, rules: CertificateRules, now: datetime) -> UserId | Deny:
        return self._verdict


STRANGER = UserId(bytes(16))
UNNAMED = Deny(Reason.CERTIFICATE_UNNAMED, presented=True, detail="no name")


def certified(card, *lines, **how):
    """The outcome of a request with this card to a zone that takes cards in this way."""
    rules = CertificateRules(
        demand=Demand(is_required=False, trust=Truststore(name="t", certificates=(), source="t.pem")),
        sources=(),
        users=None,
        **how,
    )
    where = route()
    assert where.zone is not None
    where = replace(where, zone=replace(where.zone, certificates=rules))
    noted = facts(head(*lines), listener((ANY, where)), origin=Origin("192.0.2.7", b"", None, card))
    return decide(services(), noted), noted


def test_a_certificate_says_who_calls():
    """A token is not even looked at; without a certificate nobody comes in."""
    for lines in ((), (WRONG,), (GOOD,)):
        outcome, noted = certified(Card(RECORD.user_id), *lines)
        assert outcome is None
        assert noted.allow is not None
        assert noted.allow.method == "certificate"
    assert status(certified(None, GOOD)[0]) == (401, "no-certificate")
    assert status(certified(Card(STRANGER), GOOD)[0]) == (401, "unknown-user")


def test_a_certificate_that_cannot_help_is_403():
    """No other credential would make it right; why is for the log."""
    assert certified(Card(UNNAMED))[0] == Refusal(status=403, reason="certificate-unnamed", detail="no name")
    assert certified(Card(UNNAMED), GOOD, and_token=True)[0] == Refusal(
        status=403, reason="certificate-unnamed", detail="no name"
    )


def test_a_token_outranks_a_certificate_where_either_will_do():
    """And a bad one never falls back to it."""
    outcome, noted = certified(Card(STRANGER), GOOD, or_token=True)
    assert outcome is None
    assert noted.allow is not None
    assert noted.allow.method == "token"
    assert status(certified(Card(RECORD.user_id), WRONG, or_token=True)[0]) == (401, "token-mismatch")
    assert certified(Card(RECORD.user_id), or_token=True)[0] is None
    assert status(certified(None, or_token=True)[0]) == (401, "no-credential")


def test_both_are_of_one_user_where_both_are_needed():
    """From outside a token of somebody else is a bad token."""
    assert certified(Card(RECORD.user_id), GOOD, and_token=True)[0] is None
    assert status(certified(Card(STRANGER), GOOD, and_token=True)[0]) == (401, "user-mismatch")
    assert status(certified(Card(RECORD.user_id), and_token=True)[0]) == (401, "no-credential")
    assert status(certified(Card(RECORD.user_id), WRONG, and_token=True)[0]) == (401, "token-mismatch")
    assert status(certified(None, GOOD, and_token=True)[0]) == (401, "no-certificate")
