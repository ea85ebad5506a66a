"""From a head to a verdict: finds the route, asks, fetches, judges. The only await is a catalog that must be asked."""

from authproxy.catalogs.interface import MISS
from authproxy.core.decision import Allow, Deny, admit, ask, judge
from authproxy.core.record import TokenRecord, user_id_text
from authproxy.core.token import Token
from authproxy.edge.facts import Facts
from authproxy.edge.gate import check_body, find_route
from authproxy.edge.refusal import NO_CONTENT, Refusal, refuse_access, refuse_credential, refuse_unavailable
from authproxy.edge.services import Services
from authproxy.errors import CatalogUnavailable
from authproxy.runtime import Route, Zone


def decide(services: Services, facts: Facts) -> Refusal | Token | None:
    """Decide at once when the catalog knows at once: None is a pass, noted in `facts`.

    A token is returned when the catalog must be waited for; then `await fetch_and_judge`.
    """
    head = facts.request
    if head.target == b"*":
        return NO_CONTENT
    route = find_route(facts.listener, head)
    if isinstance(route, Refusal):
        return route
    facts.route = route
    zone = route.zone
    if zone is None:
        return check_body(route, head) if head.has_body else None
    token = ask(zone.rules, head.authorization)
    if isinstance(token, Deny):
        return refuse_credential(zone.name, token)
    known = zone.catalog.peek(zone.name, token.user_id)
    if known is MISS:
        return token
    return _verdict(services, facts, (route, zone), token, known)


async def fetch_and_judge(services: Services, facts: Facts, token: Token) -> Refusal | None:
    """Wait for the catalog, then judge. A catalog that cannot tell is 503: never a pass, never a 401."""
    route = facts.route
    if route is None or route.zone is None:
        return refuse_unavailable("crashed")
    try:
        known = await route.zone.catalog.look_up(route.zone.name, token.user_id)
    except CatalogUnavailable as error:
        return refuse_unavailable("catalog-unavailable", str(error))
    return _verdict(services, facts, (route, route.zone), token, known)


def _verdict(
    services: Services, facts: Facts, where: tuple[Route, Zone], token: Token, known: TokenRecord | None
) -> Refusal | None:
    route, zone = where
    verdict = judge(zone.rules, token, known, services.now())
    if not isinstance(verdict, Allow):
        return refuse_credential(zone.name, verdict, "" if verdict.user_id is None else user_id_text(verdict.user_id))
    facts.allow = verdict
    if route.allow is not None:
        reason = admit(route.allow, verdict.record, facts.origin.address)
        if reason is not None:
            return refuse_access(reason)
    return check_body(route, facts.request) if facts.request.has_body else None
