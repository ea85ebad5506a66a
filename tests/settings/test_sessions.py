"""Where people may sign in, and what would keep them from it, or lead one zone's people into another."""

from collections.abc import Callable
from typing import Literal

import pytest

from authproxy.errors import ConfigError
from authproxy.options import LocalPath, Options
from authproxy.settings import Loaded, load
from tests.settings.conftest import KINDS

BASE = """\
version: 1
keystores: {main: {file: server.pem}}
listeners: {public: {bind: 0.0.0.0:8443}}
catalogs: {users: {kind: file, file: tokens.yaml}}
sessions: {browser: {kind: sqlite, file: sessions.db}}
upstreams: {legacy: https://legacy.internal:9443}
"""
ROUTE = "routes: [{path: /, zone: web, upstream: legacy}]\n"
WEB = "prefix: web, peppers: [{file: pepper}], catalog: users"


class SqliteKind(Options):
    """A file."""

    kind: Literal["sqlite"]
    """Where the sessions are."""
    file: LocalPath
    """The file."""


@pytest.fixture
def loaded(tmp_path) -> Callable[[str], Loaded]:
    """`loaded(text)` loads it with one kind of session store."""

    def read(text: str) -> Loaded:
        path = tmp_path / "authproxy.yaml"
        path.write_text(text)
        return load(path, catalog_kinds=KINDS, session_kinds={"sqlite": SqliteKind}, environ={})

    return read


@pytest.fixture
def told(loaded):
    """`told(zones)` is what is wrong, without places."""

    def problems(zones: str, route: str = ROUTE, base: str = BASE) -> list[str]:
        try:
            loaded(base + f"zones: {zones}\n" + route)
        except ConfigError as error:
            return [line.split(": ", 1)[1] for line in error.problems]
        return []

    return problems


def test_saying_session_is_enough(loaded):
    """The only store is the zone's, and all the rest has its default."""
    zone = loaded(BASE + f"zones: {{web: {{accepts: [session, token], {WEB}}}}}\n" + ROUTE).settings.zones["web"]

    assert zone.sessions == "browser"
    assert zone.session is not None
    assert (zone.session.idle.total_seconds(), zone.session.absolute.total_seconds()) == (4 * 3600, 12 * 3600)
    assert (zone.session.cookie, zone.session.same_site, zone.session.per_user) == (None, "lax", 10)
    assert zone.login is not None
    assert (zone.login.path, zone.login.after, zone.login.title) == ("/auth/login", "/", "Sign in")
    assert (zone.login.logout_path, zone.login.after_logout) == ("/auth/logout", "/auth/logout/success")


def test_a_zone_without_sessions_has_nothing_of_them(loaded):
    """Not even the only store."""
    zone = loaded(BASE + f"zones: {{web: {{{WEB}}}}}\n" + ROUTE).settings.zones["web"]

    assert (zone.sessions, zone.session, zone.login) == (None, None, None)


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ("session: {idle: 59s}", "zones.web.session.idle: must be between 1m and 90d, is 59s"),
        ("session: {absolute: 91d}", "zones.web.session.absolute: must be between 1m and 90d, is 91d"),
        ("session: {idle: 13h}", "zones.web.session: idle is longer than absolute, which is 12h: shorten it"),
        ("session: {per_user: 0}", "zones.web.session.per_user: must be between 1 and 1000, is 0"),
        ("session: {same_site: none}", "zones.web.session.same_site: must be one of lax, strict"),
        ("session: {cookie: web}", "zones.web.session.cookie: must begin with __Host- and go on with 1 to 64 letters, digits, - or _"),
        ("session: {cookie: __Host-}", "zones.web.session.cookie: must begin with __Host- and go on with 1 to 64 letters, digits, - or _"),
        ('session: {cookie: "__Host-a;b"}', "zones.web.session.cookie: must begin with __Host- and go on with 1 to 64 letters, digits, - or _"),
        ("login: {after: https://evil.example/}", "zones.web.login.after: must be a path of this very host, such as / or /app?from=login"),
        ("login: {after_logout: //evil.example}", "zones.web.login.after_logout: must be a path of this very host, such as / or /app?from=login"),
        ("login: {after: /auth/login}", "zones.web.login.after: is a path of the login itself, and leads nowhere: choose a page"),
        ("login: {path: /in/, after: /in?x=1}", "zones.web.login.after: is a path of the login itself, and leads nowhere: choose a page"),
        ("login: {after: /auth/%6cogout/}", "zones.web.login.after: is a path of the login itself, and leads nowhere: choose a page"),
        ("login: {after_logout: /auth/logout}", "zones.web.login.after_logout: is the path of the logout itself, where only forms are posted to: choose a page"),
        ('login: {title: " "}', "zones.web.login.title: must be 1 to 100 characters that can be seen"),
        ("login: {path: /}", "zones.web.login.path: would take the place of the service's own start page: choose another"),
        ("login: {path: /in, logout_path: /in/}", "zones.web.login.logout_path: is the path of the login too: choose another"),
        ("sessions: browsers", 'zones.web.sessions: unknown session store (did you mean "browser"?)'),
        ("require: [token]", "zones.web.require: sessions cannot count beside it: take session out of `accepts`"),
        ("require: [session]", "zones.web.require[0]: session is not available in this version: token or certificate is"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_login(told, more, line):
    """One line for each mistake."""
    assert line in told(f"{{web: {{accepts: [session, token], {WEB}, {more}}}}}")


@pytest.mark.parametrize("after", ["/auth/login/x", "/auth/logins", "/a?x=/auth/login", "/auth/logout/success"])
def test_signing_in_may_lead_to_any_other_page(told, after):
    """What only looks like the login is none."""
    assert told(f"{{web: {{accepts: [session, token], {WEB}, login: {{after: {after}}}}}}}") == []


@pytest.mark.parametrize(
    ("zone", "line"),
    [
        ("session: {absolute: 59s}", "zones.web.session.absolute: must be between 1m and 90d, is 59s"),
        (
            "session: {absolute: 1x}",
            "zones.web.session.absolute: the units of a duration are ms, s, m, h and d, such as 10s",
        ),
        ("login: {logout_path: out}", "zones.web.login.logout_path: must begin with /"),
    ],
)
def test_a_mistake_is_told_where_it_is(told, zone, line):
    """And not once more at a key that takes its default from that one."""
    assert told(f"{{web: {{accepts: [session, token], {WEB}, {zone}}}}}") == [line]


def test_signing_out_may_lead_to_the_login(told):
    """Nobody is signed in there, so nobody is led on."""
    assert told(f"{{web: {{accepts: [session, token], {WEB}, login: {{after_logout: /auth/login}}}}}}") == []


@pytest.mark.parametrize(
    ("login", "after"),
    [
        ("logout_path: /out", "/out/success"),
        ("logout_path: /out/", "/out/success"),
        ("logout_path: /out, after_logout: /bye", "/bye"),
        ("path: /in", "/auth/logout/success"),
    ],
)
def test_the_page_after_the_logout_goes_with_it(loaded, login, after):
    """Else whoever moves the logout would lead people to a page that there is none of."""
    zone = loaded(BASE + f"zones: {{web: {{accepts: [session], {WEB}, login: {{{login}}}}}}}\n" + ROUTE).settings.zones[
        "web"
    ]

    assert zone.login is not None
    assert zone.login.after_logout == after


@pytest.mark.parametrize(
    ("session", "idle"),
    [("absolute: 1m", 60), ("absolute: 239m", 14_340), ("absolute: 5h", 14_400), ("absolute: 1h, idle: 2m", 120)],
)
def test_a_short_absolute_end_alone_shortens_the_idle_one(loaded, session, idle):
    """Its default of four hours could not be meant then."""
    zone = loaded(
        BASE + f"zones: {{web: {{accepts: [session], {WEB}, session: {{{session}}}}}}}\n" + ROUTE
    ).settings.zones["web"]

    assert zone.session is not None
    assert zone.session.idle.total_seconds() == idle


@pytest.mark.parametrize(
    ("session", "idle"), [("idle: 1m", "1m"), ("idle: 12h", "12h"), ("idle: 1m, absolute: 90d", "1m")]
)
def test_bounds_of_a_session_are_within(told, session, idle):
    """The very ends of what is allowed."""
    assert idle in session
    assert told(f"{{web: {{accepts: [session, token], {WEB}, session: {{{session}}}}}}}") == []


def test_sessions_need_a_store(told):
    """With none there is none to take, with two it must be said which."""
    zone = f"{{web: {{accepts: [session], {WEB}}}}}"
    line = "zones.web: takes sessions, and nothing says where they are kept: add `sessions: NAME`"
    two = BASE.replace("file: sessions.db}", "file: sessions.db}, other: {kind: sqlite, file: b.db}")

    assert told(zone) == []
    assert told(zone, base=BASE.replace("sessions: {browser", "#")) == [line]
    assert told(zone, base=two) == [line]


@pytest.mark.parametrize("key", ["sessions: browser", "session: {idle: 1h}", "login: {title: Hello}"])
def test_a_key_without_effect_is_told(told, key):
    """Whoever forgot `accepts` learns of it."""
    name = key.partition(":")[0]
    line = f"zones.web.{name}: has no effect: add session to `accepts`, or take this away"

    assert told(f"{{web: {{{WEB}, {key}}}}}") == [line]


def test_people_sign_in_with_a_token(told):
    """So a zone of sessions alone needs what tokens need."""
    lines = told("{web: {accepts: [session], catalog: users}}")

    assert "zones.web.prefix: is needed where people sign in, which they do with a token" in lines
    assert "zones.web.peppers: is needed where people sign in, which they do with a token" in lines


TWO = """{{web: {{accepts: [session], prefix: web, peppers: [{{file: a}}], catalog: users{web}}},
          adm: {{accepts: [session], prefix: adm, peppers: [{{file: b}}], catalog: users{adm}}}}}"""


def test_two_zones_have_their_own_cookies_and_places(told):
    """On one host; on two they may sign in at the same path."""
    one_host = "routes: [{path: /, zone: web, upstream: legacy}, {path: /adm, zone: adm, upstream: legacy}]\n"
    two_hosts = one_host.replace("path: /adm,", "path: /adm, host: adm.example.org,")
    place = "zones.adm.login: zone web has this path on the same host and listener: choose another"
    said = ", login: {path: /auth/login, logout_path: /out}"

    assert told(TWO.format(web="", adm=""), one_host) == [place]
    assert told(TWO.format(web="", adm=said), one_host) == [place.replace("login:", "login.path:")]
    assert told(TWO.format(web="", adm=""), two_hosts) == []
    own = ", login: {path: /adm/login, logout_path: /adm/logout}"
    assert told(TWO.format(web="", adm=own), one_host) == []
    same = ", session: {cookie: __Host-authproxy-web}"
    assert told(TWO.format(web="", adm=same), two_hosts) == [
        "zones.adm.session.cookie: zone web has this cookie: every zone has its own"
    ]


def test_no_route_says_what_happens_at_a_login(told):
    """One for the path alone would never be reached; one above it is no matter."""
    exact = ROUTE.replace("]", ", {path: /auth/login, exact: true, public: true, upstream: legacy}]")
    below = ROUTE.replace("]", ", {path: /auth, public: true, upstream: legacy}]")
    zone = f"{{web: {{accepts: [session], {WEB}}}}}"

    assert told(zone, exact) == [
        "zones.web.login: routes[1] has this path on the same host and listener: choose another"
    ]
    assert told(zone, below) == []


def test_kinds_of_stores_are_told_apart(loaded):
    """From one another, and from kinds of catalogs."""
    for kind, text in (
        ("sqlit", 'unknown kind (did you mean "sqlite"?)'),
        ("file", "unknown kind (known: sqlite)"),
    ):
        with pytest.raises(ConfigError) as refusal:
            loaded(BASE.replace("kind: sqlite", f"kind: {kind}") + f"zones: {{web: {{{WEB}}}}}\n" + ROUTE)
        assert [line.split(": ", 1)[1] for line in refusal.value.problems] == [f"sessions.browser.kind: {text}"]
