"""The login's form, byte by byte: what does not end, what is too large, what is of another type, who may send it."""

import json
import socket
import sqlite3
import time
from html import escape
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode

import pytest

from tests.patience import PATIENCE, SOON
from tests.promises.conftest import until

pytestmark = [pytest.mark.promise, pytest.mark.timeout(120)]
COOKIE = "__Host-authproxy-api"
TYPE = "Content-Type: application/x-www-form-urlencoded"
OWN = "Sec-Fetch-Site: same-origin"
BROWSER = "Accept: text/html,*/*;q=0.8"
NAVIGATE = "Sec-Fetch-Mode: navigate"
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "turvata-v2-web.json").read_text())["next"]["values"]
NO_LOGIN = [
    ((TYPE, OWN), b"x", 100_000_000, 413),
    ((TYPE, OWN), b"x" * 16_385, -1, 413),
    ((TYPE, OWN, "Expect: 100-continue"), b"", 16_385, 413),
    ((TYPE, OWN, "Transfer-Encoding: chunked"), b"4000\r\n%b\r\n1\r\nx\r\n" % (b"x" * 0x4000), None, 413),
    ((TYPE, OWN), b"&" * 16, -1, 413),
    ((TYPE, OWN, "Transfer-Encoding: chunked"), b"zz\r\n", None, 400),
    ((TYPE, OWN), b"user-id=%zz&token=x", -1, 400),
    (("Content-Type: multipart/form-data; boundary=x", OWN), b"--x--", -1, 415),
    (("Content-Type: application/json", OWN), b"{}", -1, 415),
    ((OWN,), b"x", -1, 415),
]
METHODS = [
    ("PUT", "/auth/login", "GET, HEAD, POST"),
    ("OPTIONS", "/auth/login", "GET, HEAD, POST"),
    ("HEAD", "/auth/logout", "POST"),
    ("GET", "/auth/logout", "POST"),
    ("POST", "/auth/logout/success", "GET, HEAD"),
]
LEADS = [
    ("", "/"),
    ("/a+b?c=d%20e#f", "/a+b?c=d%20e#f"),
    ("/%zz", "/%25zz"),
    ("//evil.example", ""),
    ("/%2fevil.example", ""),
    ("/\\evil.example", ""),
    ("/a/../b", ""),
    ("https://evil.example", ""),
    ("/auth/%6cogin/", ""),
    ("/a b", ""),
    ("/%0d%0aSet-Cookie:x", ""),
]
ORIGINS = [
    (("Origin: https://localhost",), True),
    (("Origin: http://localhost",), False),
    (("Origin: null",), False),
    ((), False),
    (("Sec-Fetch-Site: none",), False),
    (("Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"), False),
    (("Sec-Fetch-Site: cross-site", "Origin: https://localhost"), False),
]


@pytest.fixture
def running(house):
    house.config["sessions"] = {"browser": {"kind": "sqlite", "file": "sessions.db"}}
    house.config["zones"]["api"] |= {"accepts": ["session", "token"]}
    house.config["timeouts"]["body_idle"] = "300ms"
    return house.start()


@pytest.fixture
def send(house, running):
    """`send("POST /x", *lines, body=...)` returns status, head and body of the answer; `patient`: one that is not 503."""

    def send(start: str, *lines: str, body: bytes = b"", length: int | None = -1, patient: bool = True):
        # A disk that is busy with others may take longer to write than a login waits; it says to come again then.
        ends = time.monotonic() + PATIENCE
        while (answer := ask(start, *lines, body=body, length=length))[0] == 503 and patient:
            assert time.monotonic() < ends
            time.sleep(float(answer[1]["Retry-After"]))
        return answer

    def ask(start: str, *lines: str, body: bytes, length: int | None):
        if length is not None and (body or length >= 0):
            lines = (*lines, f"Content-Length: {len(body) if length < 0 else length}")
        head = "".join(f"{line}\r\n" for line in (f"{start} HTTP/1.1", "Host: localhost", *lines, ""))
        wire = socket.create_connection(("127.0.0.1", house.port), 10)
        with house.trusting().wrap_socket(wire, server_hostname="localhost") as tls:
            tls.sendall(head.encode() + body)
            said = b""
            while b"\r\n\r\n" not in said:
                said += tls.recv(65536)
            head_said, _, rest = said.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head_said.decode().split("\r\n")[1:])
            while len(rest) < int(fields.get("Content-Length", "0")) and not start.startswith("HEAD"):
                rest += tls.recv(65536)
            return int(head_said.split()[1]), fields, rest

    return send


@pytest.fixture
def form(house):
    return urlencode({"user-id": house.user.user_id, "token": house.user.token}).encode()


def test_a_form_that_does_not_end_is_408(send, running, house):
    """After `timeouts.body_idle` for all of it; the connection closes, and others are served meanwhile."""
    for framing, body in (("Content-Length: 100", b"user-id="), ("Transfer-Encoding: chunked", b"8\r\nuser-id=\r\n")):
        begun = time.monotonic()
        status, fields, _ = send("POST /auth/login", TYPE, OWN, framing, body=body, length=None)

        assert (status, fields["Connection"]) == (408, "close")
        assert 0.3 <= time.monotonic() - begun < SOON
        assert house.ask("/", house.user).status == 200
    until(lambda: [line["reason"] for line in running.access_lines() if line["status"] == 408] == ["body-timeout"] * 2)


def test_what_is_no_login_signs_nobody_in(send):
    """Too large by its length, by what comes, or in pieces; broken; of another type."""
    for lines, body, length, status in NO_LOGIN:
        got, fields, _ = send("POST /auth/login", *lines, body=body, length=length)

        assert got == status, (lines, body[:20])
        assert "Set-Cookie" not in fields


def test_other_methods_are_405(send):
    """With those that there are."""
    for method, path, allowed in METHODS:
        status, fields, _ = send(f"{method} {path}", BROWSER, OWN)

        assert (status, fields["Allow"]) == (405, allowed)


def test_head_of_the_login_is_that_of_the_page(send):
    """The length of the page, and no page; whoever is led there by HEAD comes back too."""
    page, head = send("GET /auth/login", BROWSER), send("HEAD /auth/login", BROWSER)
    led = send("HEAD /x?y", BROWSER)

    assert head[:1] + head[2:] == (200, b"")
    assert head[1]["Content-Length"] == page[1]["Content-Length"] == str(len(page[2]))
    assert (led[0], led[1]["Location"]) == (302, "/auth/login?next=%2Fx%3Fy")


def test_a_websocket_is_never_led_to_a_page(send):
    """Whatever it says that it accepts."""
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13")
    status, fields, body = send("GET /ws", BROWSER, *upgrade)

    assert status == 401
    assert "Location" not in fields
    assert json.loads(body)["error"] == "Unauthorized"


def test_a_form_that_comes_too_late_is_answered_by_the_login(send, house, form):
    """Still 401; and a sign-out that cannot be done is told on a page."""
    cookie = f"Cookie: {COOKIE}={'A' * 43}"
    status, fields, page = send("POST /save", BROWSER, NAVIGATE, TYPE, OWN, cookie, body=b"text=long")
    assert (status, fields["Content-Type"]) == (401, "text/html; charset=utf-8")
    assert b"Your session has ended." in page
    assert send("POST /save", TYPE, OWN, cookie, body=b"text=long")[1]["Content-Type"] == "application/json"

    _, fields, _ = send("POST /auth/login", TYPE, OWN, body=form)
    cookie = "Cookie: " + fields["Set-Cookie"].partition(";")[0]
    other = sqlite3.connect(house.directory / "sessions.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    status, fields, page = send("POST /auth/logout", BROWSER, NAVIGATE, TYPE, OWN, cookie, patient=False)
    other.execute("ROLLBACK")
    other.close()
    assert (status, fields["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert b'<a class="again" href=""></a>' in page
    assert send("POST /auth/logout", BROWSER, NAVIGATE, TYPE, OWN, cookie)[0] == 303


def test_a_login_leads_nowhere_else(send, form):
    """To a place of this very origin, or it is refused before anybody is signed in."""
    for wanted, location in LEADS:
        body = form + f"&next={quote(wanted, safe='')}".encode()
        status, fields, _ = send("POST /auth/login", TYPE, OWN, body=body)

        assert (status, fields.get("Location", "")) == ((303, location) if location else (400, ""))
        assert ("Set-Cookie" in fields) is bool(location)


def test_a_failed_login_leads_back_with_what_turvata_says(send, form, house):
    """Byte for byte, for every value of `next` that is accepted; without one it is where a login leads."""
    wrong = urlencode({"user-id": house.user.user_id, "token": "wrong"}).encode()
    back = "/auth/login?error=bad_credentials&next="
    assert send("POST /auth/login", TYPE, OWN, body=wrong)[1]["Location"] == back + "%2F"
    assert send("POST /auth/login", TYPE, OWN, body=wrong + b"&next=")[1]["Location"] == back + "%2F"
    accepted = 0
    for vector in VECTORS:
        body = b"&next=" + quote(vector["next"], safe="").encode()
        status, fields, _ = send("POST /auth/login", TYPE, OWN, body=wrong + body)
        if status != 303 or not vector["next"]:
            continue
        accepted += 1
        assert fields["Location"] == vector["bad_credentials"]["location"]
        page = send(f"GET {fields['Location']}", BROWSER)[2].decode()
        good = send("POST /auth/login", TYPE, OWN, body=form + body)[1]["Location"]
        assert f'name="next" value="{escape(good)}"' in page
        assert parse_qs(fields["Location"].partition("?")[2])["next"] == [vector["next"]]

    assert accepted == 17


def test_only_pages_of_this_origin_sign_in_and_out(send, form):
    """By Sec-Fetch-Site; by Origin where a browser sends no such field."""
    for fields, passes in ORIGINS:
        assert send("POST /auth/login", TYPE, *fields, body=form)[0] == (303 if passes else 403), fields
        assert send("POST /auth/logout", TYPE, *fields)[0] == (303 if passes else 403), fields


def test_who_fails_too_often_waits_and_who_is_right_does_not(send, form, house):
    """429 with a page and a time after `limits.failures_per_minute`; a login that is right passes all the same."""
    wrong = urlencode({"user-id": house.user.user_id, "token": "wrong"}).encode()
    seen = [send("POST /auth/login", TYPE, OWN, body=wrong) for _ in range(21)]

    assert [status for status, _, _ in seen] == [303] * 20 + [429]
    assert int(seen[-1][1]["Retry-After"]) > 0
    assert b"too many attempts" in seen[-1][2]
    assert send("POST /auth/login", TYPE, OWN, body=form)[0] == 303
