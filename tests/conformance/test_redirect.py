"""`mode: redirect`: plain HTTP is answered with https, and with nothing else; nothing is ever forwarded."""

import json
import signal
import socket
import ssl
from typing import cast

import pytest

from tests.conformance.conftest import _base
from tests.conformance.proxy import ALICE, GOOD, start, token
from tests.conformance.wire import Wire
from tests.patience import PATIENCE

pytestmark = pytest.mark.promise

HOSTS = [
    {"path": "/", "host": "app.example.org", "zone": "api", "upstream": "up"},
    {"path": "/deep", "host": "*.wild.example.org", "zone": "api", "upstream": "up"},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("redirect")


@pytest.fixture(scope="module")
def proxy(material, recorder, folder):
    """A listener for https, and one before it that knows its port, one that is told 443, one with short times."""
    running = start(
        folder,
        material,
        _base(recorder)
        | {
            "listeners": {
                "public": {"bind": "@public@", "hsts": "365d"},
                "plain": {"bind": "@plain@", "mode": "redirect", "health": "/healthz"},
                "mapped": {"bind": "@mapped@", "mode": "redirect", "redirect": {"to": "public", "port": 443}},
            },
            "routes": HOSTS,
            "timeouts": {"head": "1500ms", "keep_alive": "1500ms"},
            "limits": {"line": 1000},
        },
        ["public", "plain", "mapped"],
        recorder,
    )
    yield running
    running.stop()


@pytest.fixture
def call(proxy, upstream):
    """Opens a connection without TLS; at the end of the test nothing may have reached the upstream."""
    opened = []

    def call(listener="plain"):
        raw = socket.create_connection(("127.0.0.1", proxy.ports[listener]), PATIENCE)
        opened.append(Wire(sock=cast("ssl.SSLSocket", raw)))
        return opened[-1]

    yield call
    for wire in opened:
        wire.close()
    assert upstream.requests == []


def ask(line="GET / HTTP/1.1", *lines, host="app.example.org", body=b""):
    return "\r\n".join([line, f"Host: {host}", *lines, "", ""]).encode("latin-1") + body


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "PURGE"])
def test_every_method_is_sent_to_https(proxy, call, method):
    """308 keeps the method; the own answer says so, and is not kept by caches."""
    answer = call().ask(ask(f"{method} /a?b HTTP/1.1"))

    assert answer.status == 308
    assert answer.one("Location") == f"https://app.example.org:{proxy.ports['public']}/a?b".encode()
    assert answer.kind == "own-page"
    assert answer.one("Cache-Control") == b"no-store"
    assert answer.body == b""


def test_hsts_is_never_sent_over_plain_http(proxy, call):
    """RFC 6797, 7.2; the https listener has it."""
    assert call().ask(ask()).all("Strict-Transport-Security") == []
    wire = proxy.connect()
    assert wire.ask(ask()).all("Strict-Transport-Security") == [b"max-age=31536000"]
    wire.close()


@pytest.mark.parametrize(
    "target", ["/", "/?", "/%41%7e?x=%2e%2e&y=http://a/", "//evil.test/x", "/a;b", "/a%2fb", "/x?/../y", "/'\"<>{}|^`"]
)
def test_the_target_is_kept_byte_for_byte(proxy, call, target):
    """It stands behind a whole origin, so that no target can name another host."""
    answer = call().ask(ask(f"GET {target} HTTP/1.1"))

    assert answer.one("Location") == f"https://app.example.org:{proxy.ports['public']}{target}".encode()


def test_port_443_is_not_written(call):
    """`redirect.port` tells what clients know the listener by."""
    assert call("mapped").ask(ask("GET /x HTTP/1.1")).one("Location") == b"https://app.example.org/x"


@pytest.mark.parametrize(
    ("host", "known"),
    [("APP.example.org", "app.example.org"), ("app.example.org:80", "app.example.org"), ("app.example.org.", "app.example.org"),
     ("a.wild.example.org", "a.wild.example.org"), ("a.b.wild.example.org:8080", "a.b.wild.example.org")],
)  # fmt: skip
def test_a_host_that_a_route_names_is_redirected_to(call, host, known):
    """Folded, and without the port of plain HTTP."""
    assert call("mapped").ask(ask(host=host)).one("Location") == f"https://{known}/".encode()


@pytest.mark.parametrize(
    "host", ["evil.test", "wild.example.org", "app.example.org.evil.test", "xapp.example.org", "127.0.0.1", "[::1]"]
)
def test_any_other_host_is_421(call, host):
    """This server says nothing in the name of strangers."""
    answer = call().ask(ask(host=host))

    assert answer.status == 421
    assert answer.all("Location") == []


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nHost: app.example.org\r\nHost: app.example.org\r\n\r\n", 400),
        (ask(host="a@app.example.org"), 400), (ask(host="app.example.org/x"), 400), (ask("GET  / HTTP/1.1"), 400),
        (ask("GET http://app.example.org/ HTTP/1.1"), 400), (ask("GET /a/../b HTTP/1.1"), 400),
        (ask("GET /%2e%2e/b HTTP/1.1"), 400), (ask("GET /a%0d%0aX:y HTTP/1.1"), 400), (ask("GET /%5cevil HTTP/1.1"), 400),
        (ask("GET /a#b HTTP/1.1"), 400), (ask("GET / HTTP/1.1", " folded"), 400), (ask("GET / HTTP/2.0"), 400),
        (ask("GET /" + "a" * 1000 + " HTTP/1.1"), 414), (ask("TRACE / HTTP/1.1"), 405), (ask("CONNECT app.example.org:80 HTTP/1.1"), 405),
        (ask("POST / HTTP/1.1", "Content-Length: 1", "Transfer-Encoding: chunked"), 400), (ask("OPTIONS * HTTP/1.1"), 204),
    ],
)  # fmt: skip
def test_the_grammar_is_that_of_every_listener(call, raw, status):
    """What has no certain reading is not passed on as a link."""
    answer = call().ask(raw)

    assert answer.status == status
    assert answer.all("Location") == []


def test_a_connection_carries_several_requests(call):
    """Pipelined or not, with a small body or without; `Connection: close` and HTTP/1.0 end it."""
    wire = call()
    wire.send(ask() + ask("POST / HTTP/1.1", "Content-Length: 5", body=b"hello") + ask("GET /3 HTTP/1.1"))

    assert [wire.answer().status for _ in range(3)] == [308] * 3
    assert wire.ask(ask("GET /4 HTTP/1.1", "Connection: close")).one("Connection") == b"close"
    assert wire.rest() == b""
    wire = call()
    assert wire.ask(ask("GET / HTTP/1.0")).one("Connection") == b"close"
    assert wire.rest() == b""


@pytest.mark.parametrize("line", ["Content-Length: 5000000", "Transfer-Encoding: chunked"])
def test_a_large_body_does_not_lose_the_answer(call, line):
    """No reset overtakes it: what the client still sends is read away."""
    wire = call()
    wire.send(ask("POST / HTTP/1.1", line) + b"x" * 4_000_000)

    assert wire.answer("POST").status == 308
    assert wire.rest() == b""
    assert wire.end == "clean"


def test_health_is_answered_there_too(call):
    """Whatever the host; other methods are not."""
    wire = call()

    assert wire.ask(ask("GET /healthz HTTP/1.1", host="10.0.0.1")).body == b"ok\n"
    assert wire.ask(ask("POST /healthz HTTP/1.1")).status == 405
    assert wire.ask(ask()).status == 308


@pytest.mark.parametrize("part", [b"", b"GET / HT", ask()[:-2]])
def test_a_slow_client_is_let_go(call, part):
    """The deadlines of every listener: 408 within a head, a close without."""
    wire = call()
    wire.send(part)

    assert wire.rest().startswith(b"HTTP/1.1 408 " if part else b"")
    assert wire.end == "clean"


def test_a_tls_client_is_let_go(proxy, call):
    """It could read no answer of ours; the log says what it was."""
    wire = call()
    wire.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500)

    assert wire.rest() == b""
    assert proxy.wait_access_text("TLS handshake")["status"] == 400


def test_each_redirect_is_logged_and_a_credential_in_clear_is_told(proxy, call):
    """The client is sent on; the operator learns which token others could read."""
    quiet = proxy.wait_access(call().ask(ask("GET /x?secret HTTP/1.1")).one("X-Request-Id"))
    answer = call().ask(ask("GET / HTTP/1.1", GOOD.decode().strip()))
    told = proxy.wait_access(answer.one("X-Request-Id"))

    assert (quiet["event"], quiet["listener"], quiet["path"]) == ("request.redirected", "plain", "/x")
    assert "reason" not in quiet
    assert (answer.status, told["event"], told["reason"]) == (308, "request.redirected", "credential-in-clear")
    assert token("api", ALICE) not in str(proxy.access)


def test_a_listener_that_changes_its_mode_serves_nobody_without_tls(proxy, folder, call, upstream):
    """A reload swaps the modes of two listeners; a plain connection that stands is closed, not served."""
    before = call()
    assert before.ask(ask()).status == 308
    file = folder / "authproxy.yaml"
    text = file.read_text()
    changed = json.loads(text)
    listeners = changed["listeners"]
    listeners["plain"] = {"bind": listeners["plain"]["bind"]}
    listeners["public"] = {"bind": listeners["public"]["bind"], "mode": "redirect"}
    listeners["mapped"]["redirect"]["to"] = "plain"
    swapped = json.dumps(changed)
    try:
        reload(proxy, file, swapped)

        before.send(ask("GET / HTTP/1.1", GOOD.decode().strip()))
        assert before.rest() == b""
        assert status_over_tls(proxy, "plain") == 401
        assert call("public").ask(ask()).status == 308
    finally:
        reload(proxy, file, text)
    assert call("plain").ask(ask()).status == 308
    assert status_over_tls(proxy, "public") == 401


def status_over_tls(proxy, listener):
    """What a request over TLS gets there."""
    wire = proxy.connect(listener)
    try:
        return wire.ask(ask()).status
    finally:
        wire.close()


def reload(proxy, file, text):
    """Put a configuration to work."""
    count = sum('"part": "config"' in line for line in proxy.log)
    file.write_text(text)
    proxy.process.send_signal(signal.SIGHUP)
    proxy.wait_log_count('"part": "config"', count + 1)
