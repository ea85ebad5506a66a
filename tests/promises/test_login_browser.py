"""Somebody signs in with a real browser, over TLS, works, and is signed out; the browser complains about nothing.

One browser for all: every page has a profile of its own. Hours pass by being taken off what browser and store have.
"""

import asyncio
import base64
import contextlib
import hashlib
import secrets
import sqlite3
import time

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typing_extensions import override

from tests.patience import PATIENCE, SOON
from tests.promises.chromium import Tab, chromium, opened
from tests.promises.conftest import Handler
from tests.promises.test_demo import running as running_demo
from tests.promises.test_sessions import Browser
from tests.promises.two import twin_of

pytestmark = [pytest.mark.promise, pytest.mark.timeout(240)]

COOKIE = "__Host-authproxy-api"
HOUR, MINUTE = 3600, 60
APP = b"""<!doctype html><html lang=en><title>The service</title><link rel=icon href=data:,>
<form method=post action=/auth/logout><button id=out>Sign out</button></form>
<script>
const said = [];
const talk = new WebSocket("wss://" + location.host + "/ws/");
const closed = new Promise(done => { talk.onclose = event => done(event.code); });
talk.onmessage = event => said.push(event.data);
talk.onopen = () => talk.send("hello");
const save = () => fetch("/save", {method: "POST", body: "x"}).then(
  async answer => answer.status + " " + (answer.ok ? await answer.text() : (await answer.json()).error));
</script>"""
ADMIN = b"""<!doctype html><html lang=en><title>The admin page</title><link rel=icon href=data:,>
<form method=post action=/out><button id=out>Sign out</button></form>"""
_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Portal(Handler):
    """A portal: a page that saves by fetch and talks by WebSocket, and another one for another zone."""

    def on_report(self, _: str) -> None:
        """The page."""
        self.answer(APP, Content_Type="text/html")

    def on_admin(self, rest: str) -> None:
        """The other page, and who asks for it."""
        if rest == "who":
            self.on_save(rest)
        else:
            self.answer(ADMIN, Content_Type="text/html")

    def on_save(self, _: str) -> None:
        """Say who has saved."""
        b"".join(self.body())
        self.answer(self.headers["X-Authproxy-User"].encode(), Content_Type="text/plain")

    @override
    def send_header(self, keyword: str, value: str) -> None:
        """Accept a WebSocket as browsers want it."""
        if keyword == "X-Accept":
            digest = hashlib.sha1(f"{self.headers['Sec-WebSocket-Key']}{_MAGIC}".encode()).digest()
            keyword, value = "Sec-WebSocket-Accept", base64.b64encode(digest).decode()
        super().send_header(keyword, value)


@pytest.fixture
def service(serve, pki):
    return serve(pki.server(), handler=Portal)


@pytest.fixture(scope="module")
def leaf(pki):
    """What the proxies of all these tests show."""
    return pki.server()


@pytest.fixture(scope="module")
def browser(leaf, tool, tmp_path_factory):
    """The browser, which is told to believe that very key."""
    public = leaf.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key = base64.b64encode(hashlib.sha256(public).digest()).decode()
    with chromium(tool("chromium"), tmp_path_factory.mktemp("chromium"), key) as address:
        yield address


@pytest.fixture
def house(house, leaf):
    """One that people sign in to."""
    house.put_pair("server", leaf)
    house.config["sessions"] = {"browser": {"kind": "sqlite", "file": "sessions.db"}}
    house.config["zones"]["api"] |= {
        "accepts": ["session", "token"],
        "session": {"idle": f"{HOUR}s", "absolute": f"{2 * HOUR}s"},
    }
    return house


async def sign_in(tab: Tab, user) -> None:
    """Do what a person does: fill in both fields, press the button."""
    await tab.submit(
        f"document.getElementById('user-id').value = {user.user_id!r};"
        f"document.getElementById('token').value = {user.token!r}"
    )


async def go_to_work(tab: Tab, house, address: str = "/report") -> None:
    """Ask for the page, be led to the form, and from there to the page."""
    await tab.go(f"https://localhost:{house.port}{address}")
    assert await tab.js("location.pathname") == "/auth/login"
    await sign_in(tab, house.user)
    await tab.until("document.title === 'The service'")
    assert await tab.js("location.href.slice(location.origin.length)") == address


async def saves(tab: Tab, wanted: str) -> None:
    """Save until that is what is said: what another process did is known within a second."""
    ends = time.monotonic() + PATIENCE
    while (said := await tab.js("save()")) != wanted:
        assert time.monotonic() < ends, said
        await asyncio.sleep(0.05)


async def pass_time(tab: Tab, house, seconds: int) -> None:
    """Let so much time pass without a request, for the browser and for the store."""
    origin = f"https://localhost:{house.port}"
    known = (await tab.cookies())[COOKIE]
    await tab.set_cookie(origin, COOKIE, known["value"], expires=known["expires"] - seconds)
    with contextlib.closing(sqlite3.connect(house.directory / "sessions.db", timeout=10)) as base, base:
        base.execute("UPDATE sessions_1 SET idle_ends = idle_ends - ?", (seconds * 1000,))


async def lifetime(tab: Tab) -> float:
    """For how many seconds the browser will keep the cookie."""
    return float((await tab.cookies())[COOKIE]["expires"]) - time.time()


async def test_a_person_signs_in_works_and_is_signed_out(house, browser):
    """Led to the form and back, fetch and WebSocket pass; disabled elsewhere, both end; signing out takes the cookie."""
    running = house.start()
    origin = f"https://localhost:{house.port}"

    async with opened(browser) as tab:
        await tab.go(f"{origin}/report?year=2026&q=a+b#part")
        assert await tab.js("location.pathname") == "/auth/login"
        assert await tab.js("document.title") == "Sign in"
        assert await tab.js("document.activeElement.id") == "user-id"

        await sign_in(tab, house.new_user())
        await tab.until("document.getElementById('problem').innerText.startsWith('That did not work')")
        await sign_in(tab, house.user)
        await tab.until("document.title === 'The service'")
        assert await tab.js("location.pathname + location.search") == "/report?year=2026&q=a+b"

        assert await tab.js("save()") == f"200 {house.user.user_id}"
        assert await tab.until("said[0]") == "hello"
        cookie = (await tab.cookies())[COOKIE]
        assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Lax")
        assert await tab.js("document.cookie") == ""
        assert tab.complaints == []

        house.put_users()
        running.reload()
        assert await tab.js("closed") == 1008
        assert await tab.js("save()") == "401 Unauthorized"
        assert [told for told in tab.complaints if "401" not in told] == []
        house.put_users(house.user)
        running.reload()
        tab.complaints.clear()

        await go_to_work(tab, house)
        await tab.click("#out")
        await tab.until("document.title === 'Signed out'")
        assert COOKIE not in await tab.cookies()
        await tab.go(f"{origin}/report")
        assert await tab.js("location.pathname") == "/auth/login"
        assert tab.complaints == []


async def test_who_is_revoked_elsewhere_signs_in_again_and_is_where_he_was(house, browser, run_authproxy):
    """The next fetch says 401, the WebSocket 1008, the next page is the form, and from there the page with its query."""
    house.start()
    wanted = "/report?q=a+b&back=%2Fx%3Fy"

    async with opened(browser) as tab:
        await go_to_work(tab, house)
        assert await tab.js("save()") == f"200 {house.user.user_id}"
        assert await tab.until("said[0]") == "hello"
        config = house.directory / "authproxy.yaml"
        done = await asyncio.to_thread(run_authproxy, "session", "revoke", "-c", config, "--user", house.user.user_id)
        assert done.stdout == "1 ended\n"
        assert tab.complaints == []

        await saves(tab, "401 Unauthorized")
        assert await tab.js("closed") == 1008
        assert [told for told in tab.complaints if "401" not in told] == []
        tab.complaints.clear()
        assert COOKIE not in await tab.cookies()
        await go_to_work(tab, house, wanted)
        assert await tab.js("save()") == f"200 {house.user.user_id}"
        assert tab.complaints == []


async def test_who_idles_past_half_of_the_time_is_given_all_of_it_again(house, browser):
    """Browser and store both learn of it; not before half of the time, and not when it is over."""
    house.start()

    async with opened(browser) as tab:
        await go_to_work(tab, house)
        await pass_time(tab, house, 29 * MINUTE)
        await saves(tab, f"200 {house.user.user_id}")
        assert 29 * MINUTE < await lifetime(tab) < 32 * MINUTE

        await pass_time(tab, house, 2 * MINUTE)
        ends = time.monotonic() + PATIENCE
        while await lifetime(tab) < 59 * MINUTE:
            assert time.monotonic() < ends
            await saves(tab, f"200 {house.user.user_id}")
        with contextlib.closing(sqlite3.connect(house.directory / "sessions.db", timeout=10)) as base:
            ((left,),) = base.execute("SELECT idle_ends FROM sessions_1").fetchall()
        assert 59 * MINUTE < left / 1000 - time.time() <= HOUR
        assert tab.complaints == []

        await pass_time(tab, house, HOUR - MINUTE // 2)
        with contextlib.closing(sqlite3.connect(house.directory / "sessions.db", timeout=10)) as base, base:
            base.execute("UPDATE sessions_1 SET idle_ends = idle_ends - ?", (MINUTE * 1000,))
        await saves(tab, "401 Unauthorized")
        assert COOKIE not in await tab.cookies()


async def test_who_sends_a_form_too_late_signs_in_on_the_spot(house, browser):
    """The login stands where the answer would, loads nothing that its policy forbids, and works."""
    house.start()

    async with opened(browser) as tab:
        await go_to_work(tab, house)
        await tab.set_cookie(f"https://localhost:{house.port}", COOKIE, "A" * 43)
        await tab.js(
            "document.body.append(Object.assign(document.createElement('form'), {id: 'late', method: 'post', action: '/save'}));"
            "setTimeout(() => document.getElementById('late').submit())"
        )
        await tab.until("document.getElementById('problem').innerText.startsWith('Your session has ended')")
        assert await tab.js("location.pathname") == "/save"
        assert await tab.js("getComputedStyle(document.querySelector('main')).maxWidth") != "none"
        await sign_in(tab, house.user)
        await tab.until("location.pathname === '/'")
        assert [told for told in tab.complaints if "401" not in told] == []


async def test_zones_of_one_host_do_not_see_each_others_sessions(house, browser):
    """Each has a cookie and people of its own; neither a cookie that is copied nor signing out crosses over."""
    own, house._pepper = house._pepper, secrets.token_bytes(32)
    admin = house.new_user("web")
    house.put("web.pepper", "hex:" + house._pepper.hex())
    house._pepper = own
    house.put_users(house.user)
    (house.directory / "tokens.yaml").rename(house.directory / "api.yaml")
    house.put_users(admin)
    house.config["catalogs"]["people"] = house.config["catalogs"]["users"]
    house.config["catalogs"]["users"] = {"kind": "file", "file": "api.yaml", "poll": "0s"}
    house.config["zones"]["web"] = {
        "accepts": ["session"], "prefix": "web", "peppers": [{"file": "web.pepper"}], "catalog": "people",
        "login": {"path": "/in", "logout_path": "/out", "after": "/admin", "after_logout": "/out/done"},
    }  # fmt: skip
    house.config["routes"].insert(0, {"name": "admin", "path": "/admin", "zone": "web", "upstream": "legacy"})
    house.start()
    origin = f"https://localhost:{house.port}"
    who = "fetch('/admin/who').then(async answer => answer.ok ? await answer.text() : String(answer.status))"

    async with opened(browser) as tab:
        await go_to_work(tab, house)
        assert await tab.js(who) == "401"
        value = (await tab.cookies())[COOKIE]["value"]
        await tab.set_cookie(origin, "__Host-authproxy-web", value)
        assert await tab.js(who) == "401"
        assert [told for told in tab.complaints if "401" not in told] == []
        tab.complaints.clear()

        await tab.go(f"{origin}/admin/things?a=b")
        assert await tab.js("location.pathname") == "/in"
        await sign_in(tab, admin)
        await tab.until("document.title === 'The admin page'")
        assert await tab.js("location.pathname + location.search") == "/admin/things?a=b"
        assert await tab.js(who) == admin.user_id
        await tab.go(f"{origin}/report")
        assert await tab.js("save()") == f"200 {house.user.user_id}"

        await tab.go(f"{origin}/admin")
        await tab.click("#out")
        await tab.until("document.title === 'Signed out'")
        await tab.go(f"{origin}/report")
        assert await tab.js("save()") == f"200 {house.user.user_id}"
        await tab.go(f"{origin}/admin")
        assert await tab.js("location.pathname") == "/in"
        assert tab.complaints == []


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_two_proxies_are_one_to_a_browser(house, browser, request, kind):
    """Signed in at one, at work at the other; signed out at the first, both have ended, the WebSocket within a second."""
    if kind == "redis":
        url = request.getfixturevalue("redis_server").url
        house.config["sessions"]["browser"] = {"kind": "redis", "url": url, "timeout": "2s"}
    twin = twin_of(house)
    house.start()
    twin.start()
    other = Browser(house)
    try:
        async with opened(browser) as tab:
            await go_to_work(tab, house)
            await tab.go(f"https://localhost:{twin.port}/report")
            assert await tab.js("document.title") == "The service"
            assert await tab.js("save()") == f"200 {house.user.user_id}"
            assert await tab.until("said[0]") == "hello"
            assert tab.complaints == []

            other.cookies = {COOKIE: (await tab.cookies())[COOKIE]["value"]}
            assert (await asyncio.to_thread(other.sign_out)).status == 303
            ended = time.monotonic()
            assert await tab.js("closed") == 1008
            assert time.monotonic() - ended < SOON
            await saves(tab, "401 Unauthorized")
            assert [told for told in tab.complaints if "401" not in told] == []
            for each in (twin, house):
                await tab.go(f"https://localhost:{each.port}/report")
                assert await tab.js("location.pathname") == "/auth/login"
    finally:
        other.client.close()
        twin.aclose()


async def test_the_admin_page_of_the_demo_works(browser, tmp_path):
    """All that it shows, under its own policy; a fetch after the end of the session offers the way to the login."""
    with running_demo(tmp_path) as demo:
        assert demo.screen, "no port was free"
        token, page = demo.find("(web_[0-9a-z_]+)"), demo.find(r"Page +(\S+)")
        async with opened(browser) as tab:
            await tab.call("Security.setIgnoreCertificateErrors", ignore=True)
            await tab.go(page)
            paste = f"""document.getElementById("token").dispatchEvent(new ClipboardEvent("paste", {{
                clipboardData: (data => (data.setData("text", {token!r}), data))(new DataTransfer()),
                bubbles: true, cancelable: true}}))"""
            await tab.js(paste)
            assert await tab.js("document.getElementById('user-id').value") == demo.find(r"User id +(\S+)")
            await tab.submit(paste)
            await tab.until("document.getElementById('state').innerText === 'open'")
            await tab.js("document.getElementById('text').value = '<i>mind</i> the gap'")
            await tab.click("[action='/admin/note'] button")
            await tab.until("document.getElementById('note').innerText === '<i>mind</i> the gap'")
            await tab.until("document.getElementById('state').innerText === 'open'")
            await tab.js("document.getElementById('message').value = 'hello'")
            await tab.click("#send button")
            await tab.until("document.getElementById('log').innerText === 'alice: hello'")
            await tab.click("#ask")
            await tab.until("document.getElementById('answer').innerText.startsWith('200: you are alice')")
            assert tab.complaints == []

            await tab.js("fetch('/auth/logout', {method: 'POST'}).then(answer => answer.status)")
            await tab.click("#ask")
            await tab.until("document.getElementById('answer').innerText.startsWith('401')")
            await tab.until("document.getElementById('state').innerText === 'closed: the session has ended'")
            await tab.click("#ended a")
            await tab.until("document.title === 'Sign in to the demo'")
            assert [told for told in tab.complaints if "401" not in told] == []
