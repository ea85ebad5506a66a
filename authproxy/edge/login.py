"""The proxy's own pages about a login: the form, signing in, signing out. Nothing here reads a credential from a URL."""

import secrets
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, quote

from authproxy.core.cookie import clear_line, read_session_id, set_line
from authproxy.core.decision import Allow, Deny, Reason, judge
from authproxy.core.login import FormProblem, LoginForm, read_login
from authproxy.core.origin import is_same_origin
from authproxy.core.pages import Page, SignInProblem
from authproxy.core.record import user_id_text
from authproxy.core.redirect import login_location, safe_next
from authproxy.core.session import begin, store_keys
from authproxy.core.token import parse
from authproxy.edge.facts import Facts
from authproxy.edge.page import field_of, pages_of
from authproxy.edge.refusal import Refusal
from authproxy.edge.services import Services
from authproxy.edge.visitor import Visitor, fetch_visitor, read_visitor
from authproxy.errors import CatalogUnavailable, SessionStoreUnavailable
from authproxy.runtime import Zone
from authproxy.sessions.means import LoginPage, SessionMeans

_ID_BYTES: Final = 32
_FIELDS: Final = 16
_ERROR: Final = "bad_credentials"
_OK: Final = "ok"
_READ: Final = frozenset({b"GET", b"HEAD"})


async def answer_place(services: Services, facts: Facts, form: bytes) -> Refusal:
    """Return the answer to a request for one of these pages; `form` is the request's whole body."""
    route = facts.route
    if route is None or route.zone is None or route.zone.sessions is None:
        return Refusal(status=404, reason="no-route")
    zone, means, method = route.zone, route.zone.sessions, facts.request.method
    if route.place is LoginPage.LOGOUT:
        if method != b"POST":
            return _wrong_method(b"POST")
        return await _sign_out(means, facts)
    if method in _READ:
        return (
            _signed_out(means, facts)
            if route.place is LoginPage.SIGNED_OUT
            else await _show(services, facts, zone, means)
        )
    if method == b"POST" and route.place is LoginPage.LOGIN:
        answer = await _sign_in(services, facts, zone, means, form)
        means.stats.logins[answer.reason or _OK] += 1
        return answer
    return _wrong_method(b"GET, HEAD, POST" if route.place is LoginPage.LOGIN else b"GET, HEAD")


def _wrong_method(allowed: bytes) -> Refusal:
    return Refusal(status=405, reason="method-not-allowed", lines=b"Allow: %b\r\n" % allowed)


# ---------------------------------------------------------------- the pages


async def _show(services: Services, facts: Facts, zone: Zone, means: SessionMeans) -> Refusal:
    """Show the form; whoever is signed in already is sent onward."""
    wanted, code = _asked(facts, means)
    visitor = read_visitor(means, facts.request)
    if isinstance(visitor, Visitor):
        try:
            verdict = await fetch_visitor(zone, means, visitor, services.now())
        except (CatalogUnavailable, SessionStoreUnavailable) as error:
            return _unavailable(facts, means, wanted, error)
        if isinstance(verdict, Allow):
            return _lead(wanted or means.login.after, b"".join(verdict.answer_lines))
    problem = SignInProblem.REFUSED if code == _ERROR else SignInProblem.NONE
    return _form(facts, means, HTTPStatus.OK, wanted=wanted, problem=problem)


def _asked(facts: Facts, means: SessionMeans) -> tuple[str, str]:
    """Return where to go after the login, empty for nowhere that may be led to, and the code of what went wrong."""
    query = facts.request.target.partition(b"?")[2].decode("ascii")
    try:
        fields = parse_qsl(query, keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        return "", ""
    found = [value for name, value in fields if name == "next"]
    wanted = safe_next(found[0], means.login.own) if len(found) == 1 else None
    return wanted or "", next((value for name, value in fields if name == "error"), "")


def _signed_out(means: SessionMeans, facts: Facts) -> Refusal:
    pages = pages_of(facts.runtime)
    return _page(HTTPStatus.OK, "", pages.signed_out_page, pages.signed_out(action=means.login.path))


def _form(  # noqa: PLR0913  # all that the page depends on
    facts: Facts, means: SessionMeans, status: int, *, problem: SignInProblem, reason: str = "", wanted: str = ""
) -> Refusal:
    pages, login = pages_of(facts.runtime), means.login
    body = pages.sign_in(title=login.title, action=login.path, wanted=wanted, problem=problem)
    return _page(status, reason, pages.sign_in_page, body)


def _page(status: int, reason: str, page: Page, body: bytes) -> Refusal:
    return Refusal(status=status, reason=reason, lines=page.lines + b"Vary: Cookie\r\n", body=body)


def _unavailable(facts: Facts, means: SessionMeans, wanted: str, error: Exception) -> Refusal:
    is_store = isinstance(error, SessionStoreUnavailable)
    reason = "sessions-unavailable" if is_store else "catalog-unavailable"
    made = _form(facts, means, 503, reason=reason, wanted=wanted, problem=SignInProblem.UNAVAILABLE)
    return made.plus(b"Retry-After: 1\r\n").because(str(error))


def _lead(target: str, lines: bytes) -> Refusal:
    return Refusal(status=303, reason="", lines=b"Location: %b\r\nVary: Cookie\r\n" % target.encode("ascii") + lines)


# ---------------------------------------------------------------- signing in


async def _sign_in(services: Services, facts: Facts, zone: Zone, means: SessionMeans, form: bytes) -> Refusal:
    """Hold what was posted against the catalog. All that can be wrong with a credential looks the same from outside."""
    head = facts.request
    if not _is_own_page(facts):
        return _form(facts, means, 403, reason="login-cross-origin", problem=SignInProblem.ELSEWHERE)
    given = read_login(form, field_of(head, b"content-type"))
    if isinstance(given, FormProblem):
        return _form(facts, means, given.status, reason=given.value, problem=SignInProblem.INCOMPLETE)
    wanted = "" if given.next is None else safe_next(given.next, means.login.own)
    if wanted is None:
        return Refusal(status=400, reason="login-next-refused")
    try:
        verdict = await _judge(services, zone, given)
        await _end(means, facts, "signed-in-again")
        if isinstance(verdict, Deny):
            return _failed(services, facts, means, verdict, given.next or "")
        session_id = secrets.token_urlsafe(_ID_BYTES).encode("ascii")
        session = begin(means.rules, session_id, verdict.record, verdict.version or 0, services.now())
        surplus = await means.store.put(session, means.rules.per_user)
    except (CatalogUnavailable, SessionStoreUnavailable) as error:
        return _unavailable(facts, means, wanted, error)
    if surplus:
        means.stats.ended["per-user-limit"] += surplus
    line = set_line(means.cookie, session_id, session.idle_ends - session.created)
    return _lead(wanted or means.login.after, line).because("", user_id_text(session.user_id))


async def _judge(services: Services, zone: Zone, given: LoginForm) -> Allow | Deny:
    token = parse(given.token.reveal())
    if token is None:
        return Deny(Reason.MALFORMED_TOKEN, presented=True, user_id=given.user_id)
    if token.prefix != zone.rules.prefix:
        return Deny(Reason.WRONG_PREFIX, presented=True, user_id=given.user_id)
    record = await zone.catalog.look_up(zone.name, token.user_id)
    verdict = judge(zone.rules, token, record, services.now())
    if isinstance(verdict, Allow) and token.user_id != given.user_id:
        return Deny(Reason.USER_MISMATCH, presented=True, user_id=given.user_id)
    return verdict


def _failed(services: Services, facts: Facts, means: SessionMeans, deny: Deny, given: str) -> Refusal:
    """Lead back to the form; whoever has failed too often from here waits. `given` is the `next`, which was found good."""
    user = "" if deny.user_id is None else user_id_text(deny.user_id)
    clear = clear_line(means.cookie)
    limit = facts.runtime.failures_per_minute
    seconds = 0 if limit is None else services.failures.note(facts.origin.address, limit, services.monotonic())
    if seconds:
        wanted = safe_next(given) or ""
        made = _form(facts, means, 429, reason="too-many-failures", wanted=wanted, problem=SignInProblem.TOO_MANY)
        return made.plus(b"Retry-After: %d\r\n" % seconds + clear).because(deny.reason.value, user)
    # With nothing to lead back to it is the page's own address, encoded.
    page = login_location(means.login.path, b"").decode("ascii")
    location = f"{page}?error={_ERROR}&next={quote(given or means.login.after, safe='')}"
    return _lead(location, clear).because(deny.detail, user, deny.reason.value)


# ---------------------------------------------------------------- signing out


async def _sign_out(means: SessionMeans, facts: Facts) -> Refusal:
    if not _is_own_page(facts):
        return Refusal(status=403, reason="logout-cross-origin")
    try:
        user = await _end(means, facts, "signed-out")
    except SessionStoreUnavailable as error:
        # The cookie stays: who is still signed in must be able to try again.
        return Refusal(status=503, reason="sessions-unavailable", detail=str(error), lines=b"Retry-After: 1\r\n")
    return _lead(means.login.after_logout, clear_line(means.cookie)).because("", user)


async def _end(means: SessionMeans, facts: Facts, reason: str) -> str:
    """End the session that came with the request, if one did; return whose it was, for the log."""
    user, session_id = "", read_session_id(facts.request.cookies, means.cookie.name)
    if isinstance(session_id, bytes):
        for key in store_keys(means.rules, session_id):
            session = await means.store.get(key)
            if await means.store.delete(key):
                means.stats.ended[reason] += 1
                user = user if session is None else user_id_text(session.user_id)
    return user


def _is_own_page(facts: Facts) -> bool:
    head = facts.request
    host = facts.origin.host or head.host
    return is_same_origin(field_of(head, b"sec-fetch-site"), field_of(head, b"origin"), host)
