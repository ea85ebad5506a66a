"""Zones where people sign in: whose session a cookie names, whether it is good, and where who has none is led.

A token outranks the cookie, and a bad one never falls back to it; a cookie outranks a certificate in the same way.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

from authproxy.catalogs.interface import MISS
from authproxy.core.bearer import offers_token
from authproxy.core.cookie import UNFIT, clear_line, read_session_id, set_line
from authproxy.core.decision import Allow, Deny, Reason
from authproxy.core.origin import SAFE_METHODS, may_act
from authproxy.core.pages import SignInProblem
from authproxy.core.record import TokenRecord
from authproxy.core.redirect import login_location
from authproxy.core.session import Session, SessionMatch, SessionReason, judge, milliseconds, store_keys
from authproxy.edge.facts import Facts
from authproxy.edge.page import field_of, is_navigation, is_submission, pages_of
from authproxy.edge.refusal import Refusal
from authproxy.errors import CatalogUnavailable, SessionStoreUnavailable
from authproxy.http1.request import RequestHead
from authproxy.runtime import Route, Zone
from authproxy.sessions.interface import UNREAD
from authproxy.sessions.means import SessionMeans

# A named tuple's own constructor is Python code; this is the same without it.
_new: Final = tuple.__new__
# A turn takes so many seconds more than its answer: with `SessionMeans.turns`, a thousand questions a second at most.
_BREATH: Final = 0.004


class Visitor(NamedTuple):
    """Somebody whose cookie names a session; whether there is one is still to be asked."""

    session_id: bytes


def read_visitor(means: SessionMeans, head: RequestHead) -> Visitor | Deny | None:
    """Return whose session must be asked for, a refusal that needs no question, or None when no cookie decides here."""
    if head.authorization is not None and offers_token(head.authorization):
        return None if means.or_token else Deny(Reason.NO_CREDENTIAL, presented=True)
    shown = read_session_id(head.cookies, means.cookie.name)
    if shown is None:
        return None
    # Never `presented`: an old cookie comes with every request of a page, and nobody guesses 256 bits.
    return Deny(SessionReason.MALFORMED, presented=False) if shown is UNFIT else _new(Visitor, (shown,))


def judge_now(zone: Zone, means: SessionMeans, visitor: Visitor, now: datetime) -> Allow | Deny | None:
    """Return the verdict when all is known without waiting and the store need be told nothing, else None."""
    session: Session | None = None
    for key in store_keys(means.rules, visitor.session_id):
        known = means.store.peek(key)
        if known is UNREAD:
            return None
        if known is not None:
            session = known
            break
    if session is None:
        return Deny(SessionReason.UNKNOWN, presented=False)
    record = zone.catalog.peek(zone.name, session.user_id)
    if record is MISS:
        return None
    matched = judge(means.rules, session, record, now)
    if not isinstance(matched, SessionMatch) or matched.refresh is not None:
        # The store is to be told.
        return None
    return _allow(zone, matched, record)


async def fetch_visitor(zone: Zone, means: SessionMeans, visitor: Visitor, now: datetime) -> Allow | Deny:
    """Ask the store and the catalog, judge, and refresh what has half run out.

    Raises:
        SessionStoreUnavailable: nothing is decided; so does CatalogUnavailable.
    """
    session = await find_session(means, visitor)
    if session is None:
        return Deny(SessionReason.UNKNOWN, presented=False)
    record = await zone.catalog.look_up(zone.name, session.user_id)
    matched = judge(means.rules, session, record, now)
    if isinstance(matched, SessionReason):
        await _end(means, session, matched)
        return _deny(matched, session)
    if matched.refresh is None:
        return _allow(zone, matched, record)
    try:
        touched = await means.store.touch(session.key, matched.refresh)
    except SessionStoreUnavailable:
        # It can be read, not written: what is good is good until its end, which is put off another time.
        return _allow(zone, matched, record)
    if touched is None:
        # Signed out meanwhile.
        return _deny(SessionReason.UNKNOWN, session)
    means.stats.refreshes += 1
    line = set_line(means.cookie, visitor.session_id, touched.idle_ends - milliseconds(now))
    return _allow(zone, matched, record, (line, b"Vary: Cookie\r\n"))


async def _end(means: SessionMeans, session: Session, reason: SessionReason) -> None:
    """Remove what has ended: neither a clock set back nor an older catalog is to bring it back.

    A store that is away changes nothing: who shows it is refused all the same.
    """
    with suppress(SessionStoreUnavailable):
        if await means.store.delete(session.key):
            means.stats.ended[reason.value] += 1


async def find_session(means: SessionMeans, visitor: Visitor) -> Session | None:
    """Return what the store has of this id, under the newest pepper that it was made with."""
    for key in store_keys(means.rules, visitor.session_id):
        session = await means.store.get(key)
        if session is not None:
            return session
    return None


def goes_on_now(zone: Zone, facts: Facts, now: datetime) -> bool | None:
    """Tell what `goes_on` would, or None where that cannot be told without waiting."""
    means = zone.sessions
    visitor = None if means is None else read_visitor(means, facts.request)
    if means is None or not isinstance(visitor, Visitor):
        return False
    session: Session | None = None
    for key in store_keys(means.rules, visitor.session_id):
        known = means.store.peek(key)
        if known is UNREAD:
            return None
        session = session or known
    record = None if session is None else zone.catalog.peek(zone.name, session.user_id)
    if record is MISS:
        return None
    return session is not None and isinstance(judge(means.rules, session, record, now), SessionMatch)


async def goes_on(zone: Zone, facts: Facts, now: datetime) -> bool:
    """Tell whether the session that opened a stream would open it now; it does where that cannot be told just now.

    Streams wait for one another here, so that however many are open none is forgotten, and requests find the store free.
    """
    means = zone.sessions
    visitor = None if means is None else read_visitor(means, facts.request)
    if means is None or not isinstance(visitor, Visitor):
        return False
    async with means.turns:
        # Another stream of the session may just have asked.
        known = goes_on_now(zone, facts, now)
        if known is not None:
            return known
        try:
            session = await find_session(means, visitor)
            record = None if session is None else await zone.catalog.look_up(zone.name, session.user_id)
        except (CatalogUnavailable, SessionStoreUnavailable):
            return True
        finally:
            await asyncio.sleep(_BREATH)
    return session is not None and isinstance(judge(means.rules, session, record, now), SessionMatch)


def refuse_visitor(means: SessionMeans, facts: Facts, deny: Deny, refusal: Refusal) -> Refusal:
    """Return what becomes of a 401: a browser on its way to a page is led to the login, everybody else is told.

    A cookie that is good for nothing is taken away.
    """
    lines = b"Vary: Cookie\r\n"
    if isinstance(deny.reason, SessionReason):
        lines += clear_line(means.cookie)
    head = facts.request
    if deny.presented or not is_navigation(head):
        if deny.presented:
            return refusal.plus(lines)
        told = replace(refusal.plus(lines), login=means.login.path)
        return _with_form(means, facts, deny, told) if is_submission(head) else told
    location = login_location(means.login.path, head.target, means.login.own)
    return Refusal(
        status=302,
        reason=refusal.reason,
        detail=refusal.detail,
        lines=b"Location: %b\r\n" % location + lines,
        user=refusal.user,
    )


def _with_form(means: SessionMeans, facts: Facts, deny: Deny, refusal: Refusal) -> Refusal:
    """Return a 401 that shows a person who has sent a form the way back in.

    It leads nowhere afterwards: a GET of where the form went need not be a page.
    """
    pages = pages_of(facts.runtime)
    problem = SignInProblem.ENDED if isinstance(deny.reason, SessionReason) else SignInProblem.NONE
    body = pages.sign_in(title=means.login.title, action=means.login.path, problem=problem)
    return replace(refusal.plus(pages.sign_in_page.lines), body=body)


def refuse_origin(route: Route, facts: Facts) -> Refusal | None:
    """Return the 403 for a page of another origin that would change something with somebody's session, or None.

    This proxy brought the cookie that browsers add by themselves, so it guards it.
    """
    head = facts.request
    if not route.guards_origin or (head.method in SAFE_METHODS and head.upgrade is None):
        return None
    if may_act(field_of(head, b"sec-fetch-site"), field_of(head, b"origin"), facts.origin.host or head.host):
        return None
    return Refusal(status=403, reason=Reason.CROSS_ORIGIN.value, lines=b"Vary: Cookie\r\n")


def _deny(reason: SessionReason, session: Session) -> Deny:
    return Deny(reason, presented=False, user_id=session.user_id)


def _allow(
    zone: Zone, matched: SessionMatch, record: TokenRecord | None, lines: tuple[bytes, ...] = ()
) -> Allow | Deny:
    if record is None:
        return _deny(SessionReason.UNKNOWN_USER, matched.session)
    session, credential, pepper, _ = matched
    return _new(Allow, (record, zone.name, "session", session.version, credential, pepper, lines))
