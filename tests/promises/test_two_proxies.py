"""Two proxies on one store of sessions are one to those who sign in: an SQLite file, or a real Redis."""

import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from tests.patience import PATIENCE, SOON
from tests.promises.conftest import House
from tests.promises.test_sessions import COOKIE, Browser
from tests.promises.two import twin_of

pytestmark = [pytest.mark.promise, pytest.mark.timeout(120)]


class Pair:
    """Both proxies, and what is behind them."""

    def __init__(self, house: House, redis: Any) -> None:
        self.houses = [house, twin_of(house)]
        self._redis = redis
        self._browsers: list[Browser] = []

    def start(self) -> list[Any]:
        return [house.start() for house in self.houses]

    def browser(self, number: int, like: Browser | None = None) -> Browser:
        """A browser that is led to this proxy; `like` another one, it has its cookies."""
        made = Browser(self.houses[number])
        made.cookies = dict(like.cookies) if like is not None else {}
        self._browsers.append(made)
        return made

    def signed_in(self) -> tuple[Browser, Browser]:
        """Somebody who has signed in at the first, in a browser at each."""
        first = self.browser(0)
        assert first.sign_in(self.houses[0].user).status == 303
        return first, self.browser(1, first)

    def grow_old(self) -> None:
        """Let every session be in its second half, so that its next request refreshes it."""
        soon = int(time.time() * 1000) + 10_000
        if self._redis is None:
            with closing(sqlite3.connect(self.houses[0].directory / "sessions.db", timeout=5)) as base, base:
                base.execute("UPDATE sessions_1 SET idle_ends = ?", (soon,))
            return
        for key in self._redis.names():
            if ":s:" in key:
                self._redis.ask("HSET", key, "idle_ends", str(soon))

    def sessions(self) -> str:
        """What `authproxy session list` says."""
        return self.command("list")

    def command(self, *words: str) -> str:
        path = self.houses[0].directory / "authproxy.yaml"
        done = subprocess.run(
            [sys.executable, "-m", "authproxy", "session", *words, "-c", str(path)],
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        for browser in self._browsers:
            browser.client.close()
        self.houses[1].aclose()


@pytest.fixture(params=["sqlite", "redis"])
def pair(house, request):
    redis = request.getfixturevalue("redis_server") if request.param == "redis" else None
    store = (
        {"kind": "sqlite", "file": "sessions.db"}
        if redis is None
        else {"kind": "redis", "url": redis.url, "timeout": "2s"}
    )
    house.config["sessions"] = {"browser": store}
    house.config["zones"]["api"] |= {"accepts": ["session", "token"]}
    made = Pair(house, redis)
    yield made
    made.close()


def ends_within_a_second(browser: Browser, since: float) -> None:
    """Nothing that is asked later than a second after `since` is answered; looks until nothing is."""
    while True:
        asked = time.monotonic()
        answer = browser.go("/")
        if answer.status == 302:
            return
        assert answer.status == 200
        assert asked - since < 1.0


def open_socket(browser: Browser, house: House) -> Any:
    """Open a WebSocket with the browser's cookie."""
    other = Browser(house)
    other.client.connect()
    wire = other.client.wire
    wire.sendall(
        f"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Origin: https://localhost:{house.port}\r\nSec-Fetch-Site: same-origin\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: x\r\nCookie: {COOKIE}={browser.cookies[COOKIE]}\r\n\r\n".encode()
    )
    assert wire.recv(65536).startswith(b"HTTP/1.1 101 ")
    wire.settimeout(PATIENCE)
    return other.client


def told_goodbye(client: Any, since: float) -> None:
    """The WebSocket is told 1008, soon after `since`."""
    assert b"\x03\xf0" in client.wire.recv(65536)
    assert time.monotonic() - since < SOON
    client.close()


def test_what_happens_at_one_has_happened_at_the_other(pair):
    """Signing in at once; signing out, a revocation and a rotated token within a second, for open WebSockets too."""
    house, other = pair.houses
    running = pair.start()
    for end in ("sign out", "revoke", "rotate"):
        first, second = pair.signed_in()
        pair.grow_old()
        assert (first.go("/").status, second.go("/").status) == (200, 200)
        assert any(COOKIE in line for line in first.set_cookie), "the first to ask refreshes"
        socket = open_socket(second, other)
        if end == "sign out":
            assert first.sign_out().status == 303
        elif end == "revoke":
            assert pair.command("revoke", "--user", house.user.user_id) == "1 ended\n"
        else:
            house.put_users(replace(house.user, row=house.user.row | {"rotation_version": 2}))
            marks = [one.hup() for one in running]
            for one, mark in zip(running, marks, strict=True):
                one.told("reload.applied", mark, part="catalog:users")
        ended = time.monotonic()
        told_goodbye(socket, ended)
        first = pair.browser(0, second)
        for browser in (first, second):
            ends_within_a_second(browser, ended)
    assert pair.sessions() == "nobody is signed in\n"


def test_a_restart_keeps_everybody_signed_in(pair):
    """Of one proxy, while the other serves, and of both."""
    running = pair.start()
    first, second = pair.signed_in()
    for one, left in zip(running, (second, None), strict=True):
        one.term()
        assert one.wait() == 0
        if left is not None:
            assert left.go("/").status == 200
    pair.start()

    assert [pair.browser(number, first).go("/").status for number in (0, 1)] == [200, 200]


def test_a_refresh_at_one_never_outlives_the_end_at_the_other(pair):
    """Both at once, again and again; whichever comes first, everybody is signed out."""
    pair.start()
    refreshed = 0
    with ThreadPoolExecutor(8) as pool:
        for number in range(25):
            # Five rounds, one of each kind; more only where no refresh has come first by then.
            if number >= 5 and refreshed:
                break
            first, second = pair.signed_in()
            tabs = [pair.browser(tab % 2, first) for tab in range(4)]
            for tab in tabs:
                tab.client.connect()
            pair.grow_old()
            revoked = (
                pool.submit(pair.command, "revoke", "--user", pair.houses[0].user.user_id) if number % 5 > 3 else None
            )
            asked = [pool.submit(tab.go, "/") for tab in tabs]
            time.sleep(0.004 * (number % 5))
            if revoked is None:
                assert second.sign_out().status == 303
            else:
                assert revoked.result().endswith(" ended\n")
            ended = time.monotonic()
            assert {one.result().status for one in asked} <= {200, 302}
            refreshed += sum(bool(tab.set_cookie) and COOKIE in tab.cookies for tab in tabs)
            for tab in tabs:
                tab.cookies = dict(first.cookies)
                ends_within_a_second(tab, ended)
    assert refreshed, "no refresh ever came first: nothing was shown"
    assert pair.sessions() == "nobody is signed in\n"
