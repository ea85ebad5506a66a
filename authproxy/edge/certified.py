"""Zones where a client certificate says who is calling, alone, in a token's place, or together with one."""

from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from authproxy.core.bearer import offers_token
from authproxy.core.decision import Allow, Deny, Reason, ask, judge, judge_certified
from authproxy.core.match import still_holds
from authproxy.core.record import TokenRecord, UserId
from authproxy.core.token import Token
from authproxy.edge.facts import Facts
from authproxy.runtime import CertificateRules, Zone

UNFIT: Final = frozenset({Reason.CERTIFICATE_UNNAMED, Reason.CERTIFICATE_AMBIGUOUS, Reason.CERTIFICATE_NAME_REFUSED})
"""What is wrong with a certificate itself: 403, for no other credential would make it right."""


class Certified(NamedTuple):
    """A user whom a certificate names; what the catalog knows of him is still to be asked."""

    user_id: UserId


Question: TypeAlias = Token | Certified


def ask_certified(zone: Zone, rules: CertificateRules, facts: Facts, now: datetime) -> Question | Deny:
    """Return whom the catalog must be asked for, or the refusal that needs no question.

    A token outranks a certificate, and a bad one never falls back to it. Where both are needed the certificate is
    judged first, so that its refusals tell nothing about a token.
    """
    head = facts.request
    if rules.or_token and head.authorization is not None and offers_token(head.authorization):
        return ask(zone.rules, head.authorization, head.token)
    shown = facts.origin.shown
    if shown is None:
        return Deny(Reason.NO_CREDENTIAL if rules.or_token else Reason.NO_CERTIFICATE, presented=False)
    user = shown.user(rules, now)
    if isinstance(user, Deny):
        return user
    return ask(zone.rules, head.authorization, head.token) if rules.and_token else Certified(user)


def judge_question(
    zone: Zone, question: Question, record: TokenRecord | None, facts: Facts, now: datetime
) -> Allow | Deny:
    """Return the verdict, given what the catalog knows of the user in question."""
    if isinstance(question, Certified):
        return judge_certified(zone.name, question.user_id, record)
    verdict = judge(zone.rules, question, record, now)
    rules = zone.certificates
    if isinstance(verdict, Deny) or rules is None or not rules.and_token:
        return verdict
    if _names(rules, facts, question.user_id, now):
        return verdict
    # From outside like any bad token: whoever found one must not learn here that it is good.
    return Deny(Reason.USER_MISMATCH, presented=True, user_id=question.user_id)


def still_admitted(zone: Zone, facts: Facts, record: TokenRecord | None, now: datetime) -> bool:
    """Tell whether what opened a stream would open it now; `record` is what the catalog knows now."""
    allow, rules = facts.allow, zone.certificates
    if allow is None or record is None or record.disabled:
        return False
    if allow.version is None:
        return rules is not None and not rules.and_token and _names(rules, facts, record.user_id, now)
    if not still_holds(allow.record, allow.version, record, now):
        return False
    return rules is None or rules.or_token or (rules.and_token and _names(rules, facts, record.user_id, now))


def _names(rules: CertificateRules, facts: Facts, user_id: UserId, now: datetime) -> bool:
    shown = facts.origin.shown
    return shown is not None and shown.user(rules, now) == user_id
