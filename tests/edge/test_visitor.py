"""Deciding by session: what the cookie is worth, what outranks it, and what happens while store or catalog are asked."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
from typing_extensions import override

from authproxy.catalogs.interface import MISS
from authproxy.core.cookie import CookieRules
from authproxy.core.decision import AllowRules
from authproxy.core.record import TokenRecord
from authproxy.core.route import Pattern
from authproxy.core.secret import Secret
from authproxy.core.session import Session, SessionRules, begin, store_keys
from authproxy.core.session_key import SessionKey
from authproxy.core.stats import RouteStats, StoreStats
from authproxy.edge.decide import decide, fetch_and_judge
from authproxy.edge.facts import Facts
from authproxy.edge.line import Line
from authproxy.edge.own_answer import send_refusal
from authproxy.edge.refusal import Refusal
from authproxy.edge.visitor import Visitor, goes_on, goes_on_now
from authproxy.errors import SessionStoreUnavailable
from authproxy.sessions.bounded import BoundedSessions
from authproxy.sessions.interface import UNREAD, SessionStore, Unread
from authproxy.sessions.means import Login, LoginPage, SessionMeans
from authproxy.sessions.memory import MemorySessions
from tests.edge.made import (
    GOOD,
    NOW,
    RECORD,
    WRONG,
    Users,
    facts,
    head,
    listener,
    route,
    services,
    zone,
)  # fmt: skip

ID = b"A" * 43
COOKIE = b"Cookie: a=b; __Host-authproxy-api=" + ID
RULES = SessionRules(
    zone="api", keys=(SessionKey(Secret(b"p" * 32), "id", "api"),), idle=3_600_000, absolute=7_200_000, per_user=2
)
BROWSER = (b"Accept: text/html", b"Sec-Fetch-Mode: navigate")
HOUR = timedelta(hours=1)


class Far(MemorySessions):  # type: ignore[misc]  # the same, but for what is known without waiting
    """A store that must be asked, or cannot be."""

    is_away = False

    @override
    def peek(self, key: bytes) -> Unread:  # type: ignore[override]
        return UNREAD

    @override
    async def get(self, key: bytes) -> Session | None:
        if self.is_away:
            raise SessionStoreUnavailable("nobody is there")
        return await super().get(key)


class Slow(Far):  # type: ignore[misc]  # as above
    """A store that takes a turn of the loop, and counts how many wait."""

    waiting = most = 0

    @override
    async def get(self, key: bytes) -> Session | None:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await asyncio.sleep(0)
        self.waiting -= 1
        return await super().get(key)


def signed_in(
    store: MemorySessions, record: TokenRecord = RECORD, *, ago: timedelta = timedelta(0), session_id: bytes = ID
) -> Session:
    """Somebody signed in, a while ago."""
    made = begin(RULES, session_id, record, record.rotation_version, NOW - ago)
    store._sessions[made.key] = made
    store._of_user.setdefault((made.zone, made.user_id), set()).add(made.key)
    return made


def asked(
    *lines: bytes, store: SessionStore, users: Users | None = None, or_token: bool = True, start: bytes = b"GET /x?y=1 HTTP/1.1",
    **changes: Any,
) -> Facts:  # fmt: skip
    """A request to a route of a zone whose people sign in."""
    login = Login(path="/auth/login", after="/", logout="/auth/logout", after_logout="/", title="Sign in")
    means = SessionMeans(
        rules=RULES, store=store, cookie=CookieRules(b"__Host-authproxy-api", b"Lax"), login=login, or_token=or_token
    )
    own = route(**changes)
    own = replace(own, zone=replace(zone(users or Users(RECORD, RECORD)), sessions=means))
    return facts(head(*lines, start=start), listener((Pattern(None, "/"), own)))


def means_in(request: Facts) -> SessionMeans:
    """The means of the zone to which a request goes."""
    own = request.route.zone if request.route is not None else None
    assert own is not None
    assert own.sessions is not None
    return own.sessions


async def outcome(request: Facts) -> Refusal | LoginPage | None:
    """What is decided, at once or after waiting."""
    decided = decide(services(), request)
    if decided is None or isinstance(decided, Refusal | LoginPage):
        return decided
    return await fetch_and_judge(services(), request, decided)


def lines_of(request: Facts) -> bytes:
    """What the answer to somebody who was let in carries."""
    assert request.allow is not None
    return b"".join(request.allow.answer_lines)


@pytest.mark.parametrize("store", [MemorySessions(), Far()], ids=["near", "far"])
@pytest.mark.parametrize("known", [RECORD, MISS], ids=["known", "asked"])
async def test_a_session_lets_in(store, known):
    """Whether store and catalog know at once or not; the identity is the record's."""
    signed_in(store)
    request = asked(COOKIE, store=store, users=Users(known, RECORD))

    assert await outcome(request) is None

    assert request.allow is not None
    assert (request.allow.record, request.allow.method, request.allow.version) == (RECORD, "session", 3)
    assert request.allow.pepper == "id"
    assert lines_of(request) == b""


@pytest.mark.parametrize("store", [MemorySessions(), Far()], ids=["near", "far"])
@pytest.mark.parametrize("is_usual", [False, True])
async def test_a_session_of_a_token_in_grace_is_counted(store, is_usual):
    """However its head was read: 0 means that nobody needs the old token any more, to sign in or to stay so."""
    rotated = replace(
        RECORD, rotation_version=4, hash=bytes(64), previous_hash=RECORD.hash, grace_expires_at=NOW + HOUR
    )
    counted = RouteStats()
    for version, expected in ((3, 1), (4, 1)):
        made = begin(RULES, ID, rotated, version, NOW)
        store._sessions[made.key] = made
        request = asked(COOKIE, store=store, users=Users(rotated, rotated), stats=counted)
        request.request.is_usual = is_usual

        assert await outcome(request) is None
        assert counted.graced == expected


async def test_what_is_known_at_once_is_decided_at_once():
    """No await for a store in memory."""
    store = MemorySessions()
    signed_in(store)

    assert decide(services(), asked(COOKIE, store=store)) is None
    assert isinstance(decide(services(), asked(COOKIE, store=Far())), Visitor)


async def test_half_of_the_idle_time_refreshes_cookie_and_store():
    """Exactly at half, and not a moment before."""
    store = MemorySessions()
    made = signed_in(store, ago=HOUR / 2 - timedelta(milliseconds=1))
    before = asked(COOKIE, store=store)
    assert await outcome(before) is None
    assert lines_of(before) == b""
    assert store.peek(made.key) == made

    made = signed_in(store, ago=HOUR / 2)
    after = asked(COOKIE, store=store)
    assert await outcome(after) is None

    touched = store.peek(made.key)
    assert touched is not None
    assert touched.idle_ends == made.idle_ends + 1_800_000
    assert lines_of(after) == (
        b"Set-Cookie: __Host-authproxy-api=" + ID + b"; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=3600\r\n"
        b"Vary: Cookie\r\n"
    )


async def test_signing_out_while_it_is_refreshed_wins():
    """What is gone when the store is told is refused."""
    store = MemorySessions()
    made = signed_in(store, ago=HOUR / 2)
    request = asked(COOKIE, store=store)
    decided = decide(services(), request)
    assert isinstance(decided, Visitor)

    class Gone(MemorySessions):  # type: ignore[misc]
        async def touch(self, key: bytes, idle_ends: int) -> None:  # type: ignore[explicit-override]
            return None

    gone = Gone()
    gone._sessions[made.key] = made
    request = asked(COOKIE, store=gone)
    refusal = await outcome(request)

    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.reason) == (401, "unknown-session")
    assert request.allow is None


@pytest.mark.parametrize("store", [MemorySessions, Far], ids=["near", "far"])
@pytest.mark.parametrize(
    ("ago", "record", "reason"),
    [
        (HOUR, RECORD, "session-expired"),
        (timedelta(0), None, "session-user-unknown"),
        (timedelta(0), replace(RECORD, disabled=True), "session-user-disabled"),
        (timedelta(0), replace(RECORD, rotation_version=4), "session-rotated"),
        (timedelta(0), replace(RECORD, hash=bytes(64)), "session-forged"),
        (timedelta(0), replace(RECORD, expires_at=NOW), "session-token-expired"),
    ],
)
async def test_what_has_ended_is_refused_and_the_cookie_taken_away(store, ago, record, reason):
    """And from the store: neither a clock that is set back nor an older catalog brings it back. That is counted once."""
    kept = store()
    made = signed_in(kept, ago=ago)
    request = asked(COOKIE, store=kept, users=Users(record, record))
    refusal = await outcome(request)

    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.reason) == (401, reason)
    assert b"Set-Cookie: __Host-authproxy-api=; " in refusal.lines
    assert b"Max-Age=0" in refusal.lines
    assert b'WWW-Authenticate: Bearer realm="api"\r\n' in refusal.lines
    assert made.key not in kept._sessions
    again = await outcome(request)
    assert isinstance(again, Refusal)
    assert again.reason == "unknown-session"
    assert means_in(request).stats.ended == {reason: 1}


async def test_a_store_that_takes_no_writes_signs_nobody_out():
    """What is good passes until its end, with nothing told to the browser that the store does not know."""

    class ReadOnly(Far):  # type: ignore[misc]  # a store whose lock somebody else holds
        @override
        async def touch(self, key: bytes, idle_ends: int) -> Session | None:
            raise SessionStoreUnavailable("locked")

    store = ReadOnly()
    made = signed_in(store, ago=HOUR * 3 / 4)
    request = asked(COOKIE, store=store, users=Users(RECORD, RECORD))

    assert await outcome(request) is None
    assert lines_of(request) == b""
    assert store._sessions[made.key] == made
    assert means_in(request).stats.refreshes == 0


async def test_what_has_ended_is_refused_though_it_cannot_be_removed():
    """A store that takes no writes gives nobody more than he is due."""

    class ReadOnly(Far):  # type: ignore[misc]  # a store as it is on a full disk
        @override
        async def delete(self, key: bytes) -> bool:
            raise SessionStoreUnavailable("read-only")

    store = ReadOnly()
    signed_in(store)
    request = asked(COOKIE, store=store, users=Users(None, None))
    refusal = await outcome(request)

    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.reason) == (401, "session-user-unknown")
    assert means_in(request).stats.ended == {}


@pytest.mark.parametrize(
    ("cookie", "reason"),
    [
        (COOKIE, "unknown-session"),
        (COOKIE + b"; __Host-authproxy-api=" + ID, "malformed-session"),
        (b"Cookie: __Host-authproxy-api=short", "malformed-session"),
        (b"Cookie: __Host-authproxy-web=" + ID, "no-credential"),
        (b"Accept: */*", "no-credential"),
    ],
)
async def test_what_is_no_session_is_refused(cookie, reason):
    """A cookie that is good for nothing is taken away; without one there is nothing to take."""
    refusal = await outcome(asked(cookie, store=MemorySessions()))

    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.reason) == (401, reason)
    assert (b"Max-Age=0" in refusal.lines) is (reason != "no-credential")


@pytest.mark.parametrize(
    ("lines", "start", "status"),
    [
        (BROWSER, b"GET /x?y=1 HTTP/1.1", 302),
        ((b"Accept: text/html",), b"HEAD /x?y=1 HTTP/1.1", 302),
        (BROWSER, b"POST /x?y=1 HTTP/1.1", 401),
        ((b"Accept: application/json",), b"GET /x?y=1 HTTP/1.1", 401),
        ((b"Accept: */*",), b"GET /x?y=1 HTTP/1.1", 401),
        ((b"Accept: text/html", b"Sec-Fetch-Mode: cors"), b"GET /x?y=1 HTTP/1.1", 401),
        ((*BROWSER, WRONG), b"GET /x?y=1 HTTP/1.1", 401),
        ((*BROWSER, b"Authorization: Basic abc"), b"GET /x?y=1 HTTP/1.1", 302),
    ],
)
async def test_only_a_browser_on_its_way_is_led_to_the_login(lines, start, status):
    """Everybody else is told 401; nobody who has shown a token is led anywhere."""
    refusal = await outcome(asked(*lines, store=MemorySessions(), start=start))

    assert isinstance(refusal, Refusal)
    assert refusal.status == status
    led = b"Location: /auth/login?next=%2Fx%3Fy%3D1\r\n" in refusal.lines
    assert led is (status == 302)
    assert (b"WWW-Authenticate" in refusal.lines) is (status == 401)
    assert b"Vary: Cookie\r\n" in refusal.lines


async def test_who_sends_a_form_too_late_is_told_how_to_go_on():
    """401 as ever, with the form to sign in; a program's POST, or a bad token, gets what it always got."""
    form = (*BROWSER, b"Content-Length: 3")
    start = b"POST /x?y=1 HTTP/1.1"
    ended = await outcome(asked(*form, COOKIE, store=MemorySessions(), start=start))
    never = await outcome(asked(*form, store=MemorySessions(), start=start))
    token = await outcome(asked(*form, WRONG, store=MemorySessions(), start=start))
    script = await outcome(asked(b"Accept: text/html", b"Sec-Fetch-Mode: cors", store=MemorySessions(), start=start))

    for refusal, says in (
        (ended, b"Your session has ended."),
        (never, b'<p class="problem" id="problem" role="alert"></p>'),
    ):
        assert isinstance(refusal, Refusal)
        assert refusal.status == 401
        assert refusal.body is not None
        assert says in refusal.body
        assert b'action="/auth/login"' in refusal.body
        assert b'name="next" value=""' in refusal.body
        assert b"Content-Security-Policy: default-src 'none'" in refusal.lines
        assert b"WWW-Authenticate: Bearer" in refusal.lines
    for refusal in (token, script):
        assert isinstance(refusal, Refusal)
        assert (refusal.status, refusal.body) == (401, None)


async def test_a_token_outranks_the_cookie():
    """A good one decides, and a bad one never falls back to a good session."""
    store = MemorySessions()
    signed_in(store)
    request = asked(COOKIE, GOOD, store=store)
    assert await outcome(request) is None
    assert request.allow is not None
    assert request.allow.method == "token"

    refusal = await outcome(asked(COOKIE, WRONG, store=store))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.reason) == (401, "token-mismatch")
    assert b"Set-Cookie" not in refusal.lines


async def test_where_people_sign_in_nobody_is_asked_for_a_certificate():
    """Not where tokens count at the login only, either."""
    request = asked(store=MemorySessions(), or_token=False)

    refusal = await outcome(request)

    assert isinstance(refusal, Refusal)
    assert request.route is not None
    assert request.route.zone is not None
    assert not request.route.zone.takes_tokens
    assert (refusal.status, b"ClientCertificate" in refusal.lines, b"Bearer" in refusal.lines) == (401, False, True)


@pytest.mark.parametrize("line", [GOOD, WRONG])
async def test_where_tokens_do_not_count_none_is_read(line):
    """Beside a good session, too: what was shown decides, and is worth nothing here."""
    store = MemorySessions()
    signed_in(store)

    refusal = await outcome(asked(COOKIE, line, store=store, or_token=False))
    assert isinstance(refusal, Refusal)
    assert refusal.status == 401
    assert await outcome(asked(COOKIE, store=store, or_token=False)) is None


@pytest.mark.parametrize(
    ("start", "lines", "passes"),
    [
        (b"POST / HTTP/1.1", (b"Sec-Fetch-Site: same-origin",), True),
        (b"DELETE / HTTP/1.1", (b"Sec-Fetch-Site: none",), True),
        (b"POST / HTTP/1.1", (b"Sec-Fetch-Site: same-site",), False),
        (b"POST / HTTP/1.1", (b"Sec-Fetch-Site: cross-site", b"Origin: https://proxy.test"), False),
        (b"POST / HTTP/1.1", (b"Origin: https://proxy.test",), True),
        (b"POST / HTTP/1.1", (b"Origin: https://other.test",), False),
        (b"POST / HTTP/1.1", (), False),
        (b"GET / HTTP/1.1", (b"Sec-Fetch-Site: cross-site",), True),
        (b"GET / HTTP/1.1", (b"Sec-Fetch-Site: cross-site", b"Connection: Upgrade", b"Upgrade: websocket"), False),
        (b"GET / HTTP/1.1", (b"Origin: https://proxy.test", b"Connection: Upgrade", b"Upgrade: websocket"), True),
    ],
)
async def test_pages_of_other_origins_change_nothing(start, lines, passes):
    """With a session; a token was added on purpose, and a route may allow it."""
    for store in (MemorySessions(), Far()):
        signed_in(store)
        refusal = await outcome(asked(COOKIE, *lines, store=store, start=start))
        assert (refusal is None) is passes
        if isinstance(refusal, Refusal):
            assert (refusal.status, refusal.reason) == (403, "cross-origin")
        assert await outcome(asked(COOKIE, *lines, store=store, start=start, guards_origin=False)) is None
        assert await outcome(asked(GOOD, *lines, store=store, start=start)) is None


async def test_a_route_admits_whom_it_names():
    """A session is no way around `allow`."""
    store = MemorySessions()
    signed_in(store)

    refusal = await outcome(asked(COOKIE, store=store, allow=AllowRules(groups=frozenset({"nobody"}))))

    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.reason) == (403, "not-allowed")


def quick(request: Facts) -> Facts:
    """The same request, its head as read by a pattern."""
    request.request.is_usual = True
    return request


def test_the_quick_way_asks_whom_the_route_admits():
    """A head that is usual is no way around `allow`."""
    store = MemorySessions()
    signed_in(store)
    for groups, expected in ((RECORD.groups, None), (("nobody",), "not-allowed")):
        refusal = decide(services(), quick(asked(COOKIE, store=store, allow=AllowRules(groups=frozenset(groups)))))

        assert (refusal.reason if isinstance(refusal, Refusal) else refusal) == expected


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"PATCH"])
def test_the_quick_way_is_for_methods_that_change_nothing(method):
    """A form of another page with an empty body has a usual head, too."""
    store = MemorySessions()
    signed_in(store)
    refusal = decide(services(), quick(asked(COOKIE, store=store, start=method + b" / HTTP/1.1")))

    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.reason) == (403, "cross-origin")


def test_a_session_ends_when_the_wall_clock_says_so():
    """The clock is read once a millisecond: the request after that meets the new time."""
    store, wall = MemorySessions(), [NOW]
    signed_in(store)
    shared = replace(services(), now=lambda: wall[0])

    def ask(started: float) -> object:
        request = asked(COOKIE, store=store)
        request.started = started
        return decide(shared, request)

    assert ask(5.0) is None
    wall[0] += HOUR
    # Past the end, the store must be told: that takes an await.
    assert isinstance(ask(shared.clock.until), Visitor)


async def test_where_nobody_signs_in_no_session_counts():
    """Whoever asks for one all the same has shown nothing."""
    store = MemorySessions()
    signed_in(store)
    request = asked(COOKIE, store=store)
    visitor = decide(services(), asked(COOKIE, store=Far()))
    assert isinstance(visitor, Visitor)
    request.route = route()

    refusal = await fetch_and_judge(services(), request, visitor)

    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.reason) == (401, "no-credential")
    assert refusal.lines == b'WWW-Authenticate: Bearer realm="api"\r\nVary: Authorization\r\n'


async def test_a_dependency_that_is_away_is_503():
    """Never a pass, never a 401, and nobody is led to a login that could not work either."""
    store = Far()
    store.is_away = True
    refusal = await outcome(asked(COOKIE, *BROWSER, store=store))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.reason, refusal.detail) == (503, "sessions-unavailable", "nobody is there")
    assert b"Set-Cookie" not in refusal.lines

    store.is_away = False
    signed_in(store)
    users = Users(MISS)
    users.is_away = True
    refusal = await outcome(asked(COOKIE, store=store, users=users))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.reason) == (503, "catalog-unavailable")


async def test_a_stream_goes_on_with_its_session():
    """It ends with it, and not because the store cannot be asked just now."""
    store = Far()
    signed_in(store)
    request = asked(COOKIE, store=store, users=Users(RECORD, RECORD))
    assert await outcome(request) is None
    assert request.route is not None
    own = request.route.zone
    assert own is not None

    assert await goes_on(own, request, NOW)
    store.is_away = True
    assert await goes_on(own, request, NOW)
    store.is_away = False
    assert not await goes_on(own, request, NOW + HOUR)
    assert not await goes_on(replace(own, catalog=Users(RECORD, None)), request, NOW)
    assert not await goes_on(replace(own, sessions=None), request, NOW)
    assert own.sessions is not None
    await own.sessions.store.delete(store_keys(RULES, ID)[0])
    assert not await goes_on(own, request, NOW)


async def test_no_stream_is_forgotten_however_many_are_open():
    """All are asked for, in turn, and the store has room for requests meanwhile."""
    ids, inner, stats = [b"%043d" % number for number in range(200)], Slow(), StoreStats()
    for session_id in ids:
        signed_in(inner, session_id=session_id)
    store = BoundedSessions(inner, name="far", clock=monotonic, stats=stats)
    streams = [asked(b"Cookie: __Host-authproxy-api=" + session_id, store=store) for session_id in ids]
    assert await outcome(streams[0]) is None
    own = streams[0].route.zone if streams[0].route is not None else None
    assert own is not None

    assert all(await asyncio.gather(*(goes_on(own, stream, NOW) for stream in streams)))
    for session_id in ids:
        await store.delete(store_keys(RULES, session_id)[0])
    assert not any(await asyncio.gather(*(goes_on(own, stream, NOW) for stream in streams)))

    assert not stats.failures
    assert inner.most <= 8


async def test_what_is_known_without_waiting_ends_a_stream_at_once():
    """And what is not is no answer."""
    store = MemorySessions()
    signed_in(store)
    request = asked(COOKIE, store=store, users=Users(RECORD, RECORD))
    assert await outcome(request) is None
    assert request.route is not None
    own = request.route.zone
    assert own is not None

    assert goes_on_now(own, request, NOW) is True
    assert goes_on_now(own, request, NOW + HOUR) is False
    assert goes_on_now(replace(own, catalog=Users(MISS)), request, NOW) is None
    assert goes_on_now(replace(own, catalog=Users(None)), request, NOW) is False
    assert goes_on_now(replace(own, sessions=None), request, NOW) is False
    assert own.sessions is not None
    far = replace(own, sessions=replace(own.sessions, store=Far()))
    assert goes_on_now(far, request, NOW) is None
    await store.delete(store_keys(RULES, ID)[0])
    assert goes_on_now(own, request, NOW) is False


def test_the_logins_own_pages_are_for_the_proxy():
    """Whatever credential comes along."""
    assert decide(services(), asked(GOOD, store=MemorySessions(), place=LoginPage.LOGIN)) is LoginPage.LOGIN


async def test_a_refreshed_cookie_comes_with_a_refusal_too():
    """The store goes by the new end, so the browser must, whatever became of the request."""
    store = MemorySessions()
    signed_in(store, ago=HOUR / 2)
    request = asked(COOKIE, store=store, allow=AllowRules(groups=frozenset({"nobody"})))
    refusal = await outcome(request)
    assert isinstance(refusal, Refusal)
    line, sent = Line(lambda: 0.0), list[bytes]()
    line.send = sent.append

    assert not send_refusal(services(), line, request, refusal, None)

    assert sent[0].startswith(b"HTTP/1.1 403 ")
    assert b"\r\nSet-Cookie: __Host-authproxy-api=" + ID + b"; " in sent[0]
