"""People sign in with a token and stay signed in by a cookie: over TLS, through restarts, and not a moment longer."""

import contextlib
import http.client
import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from authproxy.core.cookie import FAMILY
from tests.patience import PATIENCE, SOON

pytestmark = [pytest.mark.promise, pytest.mark.timeout(120)]
COOKIE = "__Host-authproxy-api"
PAGE = {"Accept": "text/html,application/xhtml+xml;q=0.9", "Sec-Fetch-Mode": "navigate"}
OWN = {"Sec-Fetch-Site": "same-origin"}


class Browser:
    """Keeps cookies and the connection, follows nothing by itself."""

    def __init__(self, house, port: int = 0) -> None:
        self.client = house.client(port=port)
        self.cookies: dict[str, str] = {}
        self.set_cookie: list[str] = []

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **fields: Any) -> Any:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self.client.request(method, path, body=body, headers=headers)
        with self.client.getresponse() as response:
            response.text = response.read().decode()
            self._keep(response)
            return response

    def _keep(self, response: http.client.HTTPResponse) -> None:
        self.set_cookie = response.headers.get_all("Set-Cookie") or []
        for line in self.set_cookie:
            name, _, rest = line.partition("=")
            value = rest.partition(";")[0]
            assert all(word in line for word in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax")), line
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value

    def go(self, path: str, **fields: Any):
        """Follow a link."""
        return self.ask(path, **(PAGE | fields))

    def sign_in(self, user, *, token: str = "", to: str = "", patient: bool = True, **fields: Any):
        """Send the form. Who is told to come again in a moment does so, unless `patient` is False."""
        form = {"user-id": user.user_id, "token": token or user.token} | ({"next": to} if to else {})
        headers = OWN | {"Content-Type": "application/x-www-form-urlencoded"} | fields
        return self._write("/auth/login", urlencode(form).encode(), headers, patient=patient)

    def sign_out(self, *, patient: bool = True, **fields: Any):
        """Send that form, in the same way."""
        return self._write("/auth/logout", b"", OWN | fields, patient=patient)

    def _write(self, path: str, body: bytes, headers: dict[str, Any], *, patient: bool):
        # A disk that is busy with others may take longer to write than a login waits.
        ends = time.monotonic() + PATIENCE
        while (answer := self.ask(path, "POST", body, **headers)).status == 503 and patient:
            assert time.monotonic() < ends
            time.sleep(float(answer.headers["Retry-After"]))
        return answer


def prepare(house, kind: str = "sqlite") -> None:
    store = {"kind": "memory"} if kind == "memory" else {"kind": "sqlite", "file": "sessions.db"}
    house.config["sessions"] = {"browser": store}
    house.config["zones"]["api"] |= {"accepts": ["session", "token"]}


@pytest.fixture(params=["sqlite", "memory"])
def running(house, request):
    """The real process, with a store of each kind."""
    prepare(house, request.param)
    return house.start()


@pytest.fixture
def browser(house):
    made = Browser(house)
    yield made
    made.client.close()


def test_a_browser_signs_in_and_is_sent_where_it_wanted_to_go(house, service, running, browser):
    """302 to the page, 303 back, then the service, which sees who it is and no cookie of ours."""
    led = browser.go("/report?year=2026&q=a+b")
    assert (led.status, led.headers["Location"]) == (302, "/auth/login?next=%2Freport%3Fyear%3D2026%26q%3Da%2Bb")
    page = browser.go(led.headers["Location"])
    assert page.status == 200
    assert 'value="/report?year=2026&amp;q=a+b"' in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]

    back = browser.sign_in(house.user, to="/report?year=2026&q=a+b")
    assert (back.status, back.headers["Location"]) == (303, "/report?year=2026&q=a+b")
    browser.cookies["theme"] = "dark"
    assert browser.go(back.headers["Location"]).status == 200

    seen = service.seen[-1].headers
    assert seen["X-Authproxy-User"] == house.user.user_id
    assert seen["Cookie"] == "theme=dark"
    assert browser.ask("/", Authorization="Basic YTpi").status == 200
    assert service.seen[-1].headers["Authorization"] == "Basic YTpi"
    assert FAMILY not in str(service.seen).lower().encode()
    assert browser.go("/auth/login?next=%2Fx").headers["Location"] == "/x"
    assert len(browser.cookies[COOKIE]) == 43
    log = str(running.access_lines()) + running.stderr()
    assert browser.cookies[COOKIE] not in log
    assert house.user.token not in log


def test_signing_out_ends_the_session(house, running, browser):
    """In the store, too: the old cookie is good for nothing any more."""
    browser.sign_in(house.user)
    old = browser.cookies[COOKIE]
    out = browser.sign_out()
    assert (out.status, out.headers["Location"]) == (303, "/auth/logout/success")
    assert COOKIE not in browser.cookies
    assert "signed out" in browser.go(out.headers["Location"]).text.lower()

    browser.cookies[COOKIE] = old
    led = browser.go("/")
    assert led.status == 302
    assert COOKIE not in browser.cookies


def test_the_log_says_who_signed_in_and_out(house, running, browser):
    """By user id, at once and for the one request; nobody is named where nobody was signed in."""
    came, went, nobody = browser.sign_in(house.user), browser.sign_out(), browser.sign_out()

    said = [running.access(answer) for answer in (came, went, nobody)]
    assert [(one["event"], one["path"], one["status"]) for one in said] == [
        ("request.answered", "/auth/login", 303),
        ("request.answered", "/auth/logout", 303),
        ("request.answered", "/auth/logout", 303),
    ]
    assert [one["user_id"] for one in said] == [house.user.user_id, house.user.user_id, ""]


def test_a_good_login_mints_a_new_session_and_a_bad_one_ends_the_old(house, running, browser):
    """A planted session id becomes nobody's, and whoever fails to sign in is signed in no more."""
    browser.sign_in(house.user)
    first = browser.cookies[COOKIE]
    browser.sign_in(house.user)
    second = browser.cookies[COOKIE]
    assert first != second
    browser.cookies[COOKIE] = first
    assert browser.go("/").status == 302
    browser.cookies[COOKIE] = second
    assert browser.go("/").status == 200

    failed = browser.sign_in(house.user, token="nonsense", to="/x")
    assert (failed.status, failed.headers["Location"]) == (303, "/auth/login?error=bad_credentials&next=%2Fx")
    assert "That did not work" in browser.go(failed.headers["Location"]).text
    browser.cookies[COOKIE] = second
    assert browser.go("/").status == 302


def test_every_failure_to_sign_in_looks_the_same(house, running, browser):
    """Unknown user, wrong token, another one's token, another prefix."""
    other = house.new_user()
    house.put_users(house.user)
    answers = set()
    for user, token in ((house.user, "x"), (other, ""), (house.user, other.token), (other, house.user.token)):
        answer = browser.sign_in(user, token=token)
        answers.add((answer.status, answer.headers["Location"], answer.text, tuple(browser.set_cookie)))

    assert len(answers) == 1


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://localhost"}, 403),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
def test_only_the_own_form_signs_in(house, running, browser, fields, status):
    """No page of another origin signs anybody in or out."""
    assert browser.sign_in(house.user, **fields).status == status
    assert browser.cookies == {}
    browser.sign_in(house.user)
    if status == 403:
        assert browser.sign_out(**fields).status == 403
    assert browser.go("/").status == 200


def test_a_token_in_the_address_is_never_read(house, running, browser):
    """Nor a login that is no POST, nor a logout that is none."""
    query = urlencode({"user-id": house.user.user_id, "token": house.user.token})
    assert browser.go(f"/auth/login?{query}").status == 200
    assert browser.cookies == {}
    assert browser.ask(f"/auth/login?{query}", "POST", b"", **OWN).status == 415
    browser.sign_in(house.user)
    assert browser.go("/auth/logout").status == 405
    assert browser.go("/").status == 200


def test_programs_get_a_401_and_tokens_outrank_cookies(house, running, browser):
    """A bad token never falls back to a good session."""
    plain = browser.ask("/", Accept="application/json")
    assert plain.status == 401
    assert plain.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    assert json.loads(plain.text)["login"] == "/auth/login"
    assert browser.ask("/", "POST", b"", **PAGE).status == 401
    assert json.loads(browser.go("/", Sec_Fetch_Mode="cors").text)["login"] == "/auth/login"
    browser.sign_in(house.user)
    assert browser.ask("/").status == 200
    assert browser.ask("/", Authorization=f"Bearer {house.user.token}").status == 200
    wrong = browser.go("/", Authorization="Bearer nonsense")
    assert wrong.status == 401
    assert set(json.loads(wrong.text)) == {"error", "message", "request_id"}


def test_two_cookies_are_no_session(house, running, browser):
    """And both are taken away."""
    browser.sign_in(house.user)
    value = browser.cookies.pop(COOKIE)

    answer = browser.go("/", Cookie=f"{COOKIE}={value}; {COOKIE}={'A' * 43}")

    assert answer.status == 302
    assert "Max-Age=0" in browser.set_cookie[0]


def test_pages_of_other_origins_change_nothing(house, running, browser):
    """Unsafe methods and upgrades need the same origin, or a person at the address bar; GET does not."""
    browser.sign_in(house.user)
    for fields, status in (
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ):
        assert browser.ask("/", "POST", b"", **fields).status == status, fields
    assert browser.ask("/", **{"Sec-Fetch-Site": "cross-site"}).status == 200
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "x", "Sec-WebSocket-Version": "13"}
    assert browser.ask("/ws", Origin="https://evil.example", **upgrade).status == 403
    assert browser.ask("/", "POST", b"", Authorization=f"Bearer {house.user.token}").status == 200


def test_a_route_may_let_other_origins_act(house, browser):
    """`cross_origin: allow`."""
    prepare(house)
    house.config["routes"][0]["cross_origin"] = "allow"
    house.start()
    browser.sign_in(house.user)

    assert browser.ask("/", "POST", b"", Origin="https://evil.example").status == 200


def test_what_ends_the_token_ends_the_session(house, running, browser):
    """Disabled, rotated, replaced, removed: as soon as the catalog has been read again."""
    user = house.user
    for change in ({"disabled": True}, {"rotation_version": 2}, {"hash": "00" * 64}, None):
        house.put_users(user)
        running.hup()
        _until_signed_in(browser, user)
        rows = [] if change is None else [replace(user, row=user.row | change)]
        house.put_users(*rows)
        running.hup()
        _until(lambda: browser.go("/").status == 302)


def _until_signed_in(browser, user) -> None:
    def signed_in() -> bool:
        browser.sign_in(user)
        return COOKIE in browser.cookies

    _until(signed_in)


def _until(look: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_a_restart_keeps_everybody_signed_in_and_a_copy_shares(house, browser, free_port):
    """Two processes on one file: what one ends has ended for the other within a second."""
    prepare(house)
    first = house.start()
    browser.sign_in(house.user)
    first.process.terminate()
    first.process.wait(PATIENCE)
    browser.client.close()
    house.start()
    assert browser.go("/").status == 200

    with sqlite3.connect(house.directory / "sessions.db", timeout=5) as base:
        base.execute("DELETE FROM sessions_1")
    base.close()
    _until(lambda: browser.go("/").status == 302)


def test_the_command_ends_sessions_of_a_proxy_at_work(house, browser, run_authproxy):
    """Looking on changes nothing; whoever is revoked is led to the login, as often as that is done."""
    prepare(house)
    house.start()
    config = ("-c", house.directory / "authproxy.yaml")
    for _ in range(2):
        browser.sign_in(house.user)
        assert browser.go("/").status == 200
        listed = run_authproxy("session", "list", "--json", *config)
        assert [one["user_id"] for one in json.loads(listed.stdout)] == [house.user.user_id], listed.stderr
        assert browser.go("/").status == 200

        assert run_authproxy("session", "revoke", "--user", house.user.user_id, *config).stdout == "1 ended\n"
        _until(lambda: browser.go("/").status == 302)


def test_a_store_that_is_away_is_503_and_tokens_go_on(house, browser):
    """F08: within half a second, never 401 and never 200; and it recovers by itself."""
    prepare(house)
    house.config["zones"]["api"]["session"] = {"idle": "1m", "absolute": "1h"}
    running = house.start()

    def failures() -> float:
        told = [
            f'authproxy_session_store_failures_total{{reason="{why}",store="browser"}}' for why in ("error", "timeout")
        ]
        return sum(running.metric(one) or 0 for one in told)

    browser.sign_in(house.user)
    other = sqlite3.connect(house.directory / "sessions.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    begun = time.monotonic()
    answer = browser.sign_in(house.user, patient=False)
    assert time.monotonic() - begun < SOON
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert browser.sign_out(patient=False).status == 503
    assert COOKIE in browser.cookies
    assert browser.go("/").status == 200
    assert house.ask("/", house.user).status == 200
    other.execute("ROLLBACK")
    other.execute("UPDATE sessions_1 SET idle_ends = idle_ends - 31000")
    other.execute("BEGIN EXCLUSIVE")
    before = failures()

    def passes_in_vain() -> bool:
        assert browser.go("/").status == 200
        assert browser.set_cookie == []
        return failures() > before

    _until(passes_in_vain)
    other.execute("ROLLBACK")
    other.close()
    _until(lambda: browser.go("/").status == 200 and browser.set_cookie != [])

    assert browser.sign_out().status == 303


def test_what_becomes_of_people_is_counted(house, browser):
    """Logins by result, sessions by how they ended, refreshes, and how the store answers: a real scrape."""
    prepare(house)
    house.config["zones"]["api"]["session"] = {"idle": "1h", "absolute": "2h", "per_user": 1}
    running = house.start()

    def count(name: str, **labels: str) -> float | None:
        told = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
        return running.metric(f"authproxy_{name}{{{told}}}")

    assert count("session_refreshes_total", zone="api") == 0
    browser.sign_in(house.user, token="nonsense")
    browser.sign_in(house.user)
    browser.sign_in(house.user)
    first, browser.cookies = browser.cookies, {}
    browser.sign_in(house.user)
    second, browser.cookies = browser.cookies, first
    assert browser.go("/").status == 302
    browser.cookies = second
    assert count("logins_total", zone="api", result="malformed-token") == 1
    assert count("logins_total", zone="api", result="ok") == 3
    assert count("sessions_ended_total", zone="api", reason="signed-in-again") == 1
    assert count("sessions_ended_total", zone="api", reason="per-user-limit") == 1

    with contextlib.closing(sqlite3.connect(house.directory / "sessions.db", timeout=5)) as base, base:
        base.execute("UPDATE sessions_1 SET idle_ends = idle_ends - 1860000")
    _until(lambda: COOKIE in browser.go("/").headers.get("Set-Cookie", ""))
    assert count("session_refreshes_total", zone="api") == 1

    house.put_users(replace(house.user, row=house.user.row | {"disabled": True}))
    running.reload()
    assert browser.go("/").status == 302
    assert count("sessions_ended_total", zone="api", reason="session-user-disabled") == 1

    with contextlib.closing(sqlite3.connect(house.directory / "sessions.db", isolation_level=None)) as base:
        base.execute("BEGIN EXCLUSIVE")
        house.put_users(house.user)
        running.reload()
        before = count("logins_total", zone="api", result="sessions-unavailable") or 0
        assert browser.sign_in(house.user, patient=False).status == 503
    # SQLite says that it is locked, or the deadline comes first.
    assert any(count("session_store_failures_total", store="browser", reason=why) for why in ("error", "timeout"))
    assert count("logins_total", zone="api", result="sessions-unavailable") == before + 1
    assert (count("session_store_duration_seconds_count", store="browser") or 0) > 6
    browser.sign_in(house.user)
    browser.sign_out()
    assert count("sessions_ended_total", zone="api", reason="signed-out") == 1


def test_a_websocket_ends_with_its_session(house, service, running, browser):
    """Within seconds of signing out elsewhere."""
    browser.sign_in(house.user)
    other = Browser(house)
    other.cookies = dict(browser.cookies)
    other.client.connect()
    wire = other.client.wire
    wire.sendall(
        f"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: https://localhost:{house.port}"
        f"\r\nSec-Fetch-Site: same-origin\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n"
        f"Cookie: {COOKIE}={browser.cookies[COOKIE]}\r\n\r\n".encode()
    )
    assert wire.recv(65536).startswith(b"HTTP/1.1 101 ")

    browser.sign_out()

    wire.settimeout(PATIENCE)
    assert b"\x03\xf0" in wire.recv(65536)  # 1008
    other.client.close()
