"""From a head to a verdict: finds the route, asks, fetches, judges. The only await is a catalog that must be asked."""

from typing import Final

from authproxy.catalogs.interface import MISS
from authproxy.core.decision import Allow, Deny, Reason, admit, ask, judge
from authproxy.core.match import Match
from authproxy.core.origin import SAFE_METHODS
from authproxy.core.record import user_id_text
from authproxy.core.tally import owner_of
from authproxy.edge.certified import UNFIT, Question, ask_certified, judge_question
from authproxy.edge.facts import Facts
from authproxy.edge.forward import wanted_upgrade
from authproxy.edge.gate import check_body, find_route
from authproxy.edge.preflight import answer_preflight
from authproxy.edge.refusal import (
    NO_CONTENT,
    TOO_MANY_TUNNELS,
    Refusal,
    refuse_access,
    refuse_credential,
    refuse_failures,
    refuse_unavailable,
)
from authproxy.edge.services import Services
from authproxy.edge.visitor import Visitor, fetch_visitor, judge_now, read_visitor, refuse_origin, refuse_visitor
from authproxy.errors import CatalogUnavailable, SessionStoreUnavailable
from authproxy.http1.request import RequestHead
from authproxy.runtime import Route, Zone
from authproxy.sessions.means import LoginPage, SessionMeans

# Bound once: reaching a member through its class costs a call on Python 3.11.
_GRACE: Final = Match.GRACE


def decide(services: Services, facts: Facts) -> Refusal | Question | Visitor | LoginPage | None:  # noqa: C901, PLR0911  # every step may refuse
    """Decide at once when the catalog knows at once: None is a pass, noted in `facts`.

    A question is returned when the catalog must be waited for; then `await fetch_and_judge`.
    """
    head = facts.request
    is_usual = head.is_usual
    if not is_usual and head.target == b"*":
        return NO_CONTENT
    # One route for everything, and nothing odd in the path: there is nothing to find.
    route = facts.listener.whole if is_usual else None
    if route is None:
        found = find_route(facts.listener, head)
        if isinstance(found, Refusal):
            return found
        route = found
    facts.route = route
    if not route.is_plain and (answer := _answer_itself(route, head)) is not None:
        return answer
    zone = route.zone
    if zone is None:
        return check_body(route, head) if head.has_body else None
    if zone.sessions is not None and (visitor := read_visitor(zone.sessions, head)) is not None:
        return _decide_visitor(services, facts, zone.sessions, visitor)
    rules = zone.certificates
    question: Question | Deny = (
        ask(zone.rules, head.authorization, head.token)
        if rules is None
        else ask_certified(zone, rules, facts, services.now())
    )
    if isinstance(question, Deny):
        return _denied(services, facts, zone, question)
    known = zone.catalog.peek(zone.name, question.user_id)
    if known is MISS:
        return question
    clock = services.clock
    now = clock.moment if facts.started < clock.until else clock.look(facts.started)
    verdict = (
        judge(zone.rules, question, known, now)  # type: ignore[arg-type]  # a token: no other counts
        if rules is None
        else judge_question(zone, question, known, facts, now)
    )
    if isinstance(verdict, Deny):
        return _denied(services, facts, zone, verdict)
    facts.allow = verdict
    if is_usual and route.allow is None and not head.has_body and verdict.matched is not _GRACE:
        return None
    return _admitted(services, facts, route, verdict)


def _answer_itself(route: Route, head: RequestHead) -> Refusal | LoginPage | None:
    """Return what the proxy answers itself on a route, whoever asks."""
    if route.place is not None:
        return route.place
    return None if route.preflight is None else answer_preflight(route.preflight, head)


def _decide_visitor(
    services: Services, facts: Facts, means: SessionMeans, visitor: Visitor | Deny
) -> Refusal | Visitor | None:
    """Decide on a session at once when store and catalog know at once."""
    route = facts.route
    if route is None or route.zone is None:
        return refuse_unavailable("crashed")
    if isinstance(visitor, Deny):
        return _denied(services, facts, route.zone, visitor)
    clock = services.clock
    now = clock.moment if facts.started < clock.until else clock.look(facts.started)
    verdict = judge_now(route.zone, means, visitor, now)
    if verdict is None:
        return visitor
    if isinstance(verdict, Deny):
        return _denied(services, facts, route.zone, verdict)
    facts.allow = verdict
    head = facts.request
    if head.is_usual and head.method in SAFE_METHODS and route.allow is None and verdict.matched is not _GRACE:
        return None
    return _admitted(services, facts, route, verdict)


async def fetch_and_judge(services: Services, facts: Facts, question: Question | Visitor) -> Refusal | None:
    """Wait for catalog and store, then judge. One that cannot tell is 503: never a pass, never a 401."""
    route = facts.route
    if route is None or route.zone is None:
        return refuse_unavailable("crashed")
    try:
        verdict = await _fetch(services, facts, route.zone, question)
    except CatalogUnavailable as error:
        return refuse_unavailable("catalog-unavailable", str(error))
    except SessionStoreUnavailable as error:
        return refuse_unavailable("sessions-unavailable", str(error))
    finally:
        # Only here: a verdict that needs no waiting takes less time than counting it would.
        route.stats.authentication.add(services.monotonic() - facts.started)
    if isinstance(verdict, Deny):
        return _denied(services, facts, route.zone, verdict)
    facts.allow = verdict
    return _admitted(services, facts, route, verdict)


async def _fetch(services: Services, facts: Facts, zone: Zone, question: Question | Visitor) -> Allow | Deny:
    if not isinstance(question, Visitor):
        known = await zone.catalog.look_up(zone.name, question.user_id)
        return judge_question(zone, question, known, facts, services.now())
    if zone.sessions is None:
        return Deny(Reason.NO_CREDENTIAL, presented=False)
    return await fetch_visitor(zone, zone.sessions, question, services.now())


def _denied(services: Services, facts: Facts, zone: Zone, verdict: Deny) -> Refusal:
    """Refuse a credential. All of them are judged first: one that verifies never comes here, whoever shares its source."""
    user = "" if verdict.user_id is None else user_id_text(verdict.user_id)
    if verdict.reason in UNFIT:
        return refuse_access(verdict.reason, user, verdict.detail)
    limit = facts.runtime.failures_per_minute
    if verdict.presented and limit is not None:
        seconds = services.failures.note(facts.origin.address, limit, services.monotonic())
        if seconds:
            return refuse_failures(verdict, seconds, user)
    refusal = refuse_credential(zone.name, verdict, user, tokens=zone.takes_tokens or zone.sessions is not None)
    return refusal if zone.sessions is None else refuse_visitor(zone.sessions, facts, verdict, refusal)


def has_too_many_tunnels(services: Services, facts: Facts) -> bool:
    """Tell whether the user who asks has as many upgraded connections open as one may; nobody's are not counted."""
    limit, allow = facts.runtime.tunnels_per_user, facts.allow
    return limit is not None and allow is not None and services.tunnels.of(owner_of(allow)) >= limit


def _admitted(services: Services, facts: Facts, route: Route, verdict: Allow) -> Refusal | None:
    """Apply the route's own rules to somebody whom the zone knows."""
    if route.allow is not None:
        reason = admit(route.allow, verdict.record, facts.origin.address)
        if reason is not None:
            return refuse_access(reason)
    if verdict.matched is _GRACE:
        route.stats.graced += 1
    if verdict.method == "session" and (refusal := refuse_origin(route, facts)) is not None:
        return refusal
    head = facts.request
    if head.upgrade is not None and wanted_upgrade(route, head) is not None and has_too_many_tunnels(services, facts):
        return TOO_MANY_TUNNELS
    return check_body(route, head) if head.has_body else None
