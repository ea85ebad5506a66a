"""Somebody signs in with a real browser, over TLS, works, and is signed out; the browser complains about nothing."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typing_extensions import override

from tests.promises.chromium import Tab, chromium
from tests.promises.conftest import Handler

pytestmark = [pytest.mark.promise, pytest.mark.timeout(240)]

COOKIE = "__Host-authproxy-api"
APP = b"""<!doctype html><html lang=en><title>The service</title><link rel=icon href=data:,>
<form method=post action=/auth/logout><button id=out>Sign out</button></form>
<script>
const said = [];
const talk = new WebSocket("wss://" + location.host + "/ws/");
const closed = new Promise(done => { talk.onclose = event => done(event.code); });
talk.onmessage = event => said.push(event.data);
talk.onopen = () => talk.send("hello");
const save = () => fetch("/save", {method: "POST", body: "x"}).then(
  async answer => answer.status + " " + (answer.ok ? await answer.text() : ""));
</script>"""
_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Portal(Handler):
    """An admin portal: a page that saves by fetch and talks by WebSocket."""

    def on_report(self, _: str) -> None:
        """The page."""
        self.answer(APP, Content_Type="text/html")

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


@pytest.fixture
def key(house):
    """What the browser is told to believe: the proxy's own key."""
    public = house.leaf.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(public).digest()).decode()


async def sign_in(tab: Tab, user) -> None:
    """Do what a person does: fill in both fields, press the button."""
    await tab.js(f"document.getElementById('user-id').value = {user.user_id!r}")
    await tab.js(f"document.getElementById('token').value = {user.token!r}")
    await tab.js("document.getElementById('submit').click()")


async def test_a_person_signs_in_works_and_is_signed_out(house, key, tool, tmp_path):
    """Led to the form and back, fetch and WebSocket pass; disabled elsewhere, both end; signing out takes the cookie."""
    house.config["sessions"] = {"browser": {"kind": "memory"}}
    house.config["zones"]["api"] |= {"accepts": ["session", "token"]}
    running = house.start()
    origin = f"https://localhost:{house.port}"

    async with chromium(tool("chromium"), tmp_path / "chromium", key) as tab:
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
        assert await tab.js("save()") == "401 "
        assert any("401" in told for told in tab.complaints)
        house.put_users(house.user)
        running.reload()

        await tab.go(f"{origin}/report")
        if await tab.js("location.pathname") == "/auth/login":
            await sign_in(tab, house.user)
        await tab.until("document.title === 'The service'")
        tab.complaints.clear()
        await tab.js("document.getElementById('out').click()")
        await tab.until("document.title === 'Signed out'")
        assert COOKIE not in await tab.cookies()
        await tab.go(f"{origin}/report")
        assert await tab.js("location.pathname") == "/auth/login"
        assert tab.complaints == []
