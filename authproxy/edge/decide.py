"""From a route to a verdict: asks, fetches, judges. The only await is a catalog that does not know at once."""

from authproxy.catalogs.interface import MISS
from authproxy.core.decision import Allow, Deny, Question, admit, ask, judge
from authproxy.core.record import TokenRecord, user_id_text
from authproxy.edge.facts import Facts
from authproxy.edge.refusal import Refusal, refuse_access, refuse_credential, refuse_unavailable
from authproxy.edge.services import Services
from authproxy.errors import CatalogUnavailable
from authproxy.runtime import Route, Zone


def decide(services: Services, facts: Facts, route: Route, zone: Zone) -> Refusal | Question | None:
    """Judge at once when the catalog knows at once: None is a pass, noted in `facts.allow`.

    A `Question` is returned when the catalog must be waited for; then `await fetch_and_judge`.
    """
    question = ask(zone.rules, facts.request.authorization)
    if isinstance(question, Deny):
        return refuse_credential(zone.name, question)
    record = zone.catalog.peek(zone.name, question.token.user_id)
    if record is MISS:
        return question
    return _verdict(services, facts, route, (zone, question, record))


async def fetch_and_judge(
    services: Services, facts: Facts, route: Route, asked: tuple[Zone, Question]
) -> Refusal | None:
    """Wait for the catalog, then judge. A catalog that cannot tell is 503: never a pass, never a 401."""
    zone, question = asked
    try:
        record = await zone.catalog.look_up(zone.name, question.token.user_id)
    except CatalogUnavailable as error:
        return refuse_unavailable("catalog-unavailable", str(error))
    return _verdict(services, facts, route, (zone, question, record))


def _verdict(
    services: Services, facts: Facts, route: Route, answered: tuple[Zone, Question, TokenRecord | None]
) -> Refusal | None:
    zone, question, record = answered
    verdict = judge(zone.rules, question, record, services.now())
    if not isinstance(verdict, Allow):
        return refuse_credential(zone.name, verdict, "" if verdict.user_id is None else user_id_text(verdict.user_id))
    facts.allow = verdict
    if route.allow is not None:
        reason = admit(route.allow, verdict.identity, facts.address)
        if reason is not None:
            return refuse_access(reason)
    return None
