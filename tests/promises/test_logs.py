"""What the process writes down can be read by machines, and holds nothing that opens a door."""

import base64
import json
import os
import re
import socket
from pathlib import Path

import pytest

from tests.patience import PATIENCE

pytestmark = [pytest.mark.promise, pytest.mark.timeout(120)]

PATHS = [
    rb'/"quoted"',
    rb"/back\slash",
    rb'/a"b,"status":200,"x":"',
    b"/%0a%0d%00%1b[31m",
    b"/%22%5c",
    b"/%c3%28%ff%fe",
    b"/%e2%80%ae",
    b"/" + b"x" * 3000,
    b"/../../etc/passwd",
    b"/a//b;c",
    b"/%",
    b"/\xff\xfe",
    b"/a#b",
    b"//evil.test/x",
    b"http://evil.test/",
    b'/?token=in-the-query&x="',
    b"*",
]
HOSTS = [
    b"localhost",
    b'a"b',
    b"a\\b",
    b"evil.test\x1b[31m",
    b"[::1]",
    b"[::1]:8443",
    b"x" * 300,
    b"",
    b"a b",
    b"user@host",
    b"\xff",
    b"localhost:99999999",
]
METHODS = [b"GET", b"HEAD", b"TRACE", b"CONNECT", b"BREW", b'"X"', b"a'b`c|d", b"\x1b", b'G"T']


def send(house, context, raw):
    """Send bytes on a connection of their own; return what comes back."""
    with (
        socket.create_connection(("127.0.0.1", house.port)) as wire,
        context.wrap_socket(wire, server_hostname="localhost") as tls,
    ):
        tls.settimeout(PATIENCE)
        tls.sendall(raw)
        data = b""
        try:
            while more := tls.recv(65536):
                data += more
        except OSError:
            return data
        return data


def request(method=b"GET", path=b"/", host=b"localhost", *fields):
    lines = [b"%b %b HTTP/1.1" % (method, path), b"Host: " + host, b"Connection: close", *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def everything(running):
    """All that the process has let anybody read."""
    access = (running.house.directory / "access.log").read_text()
    pages = [running.ops(path).body.decode() for path in ("/metrics", "/status", "/readyz?verbose", "/livez")]
    return "\n".join([running.stderr(), running.stdout(), access, *pages])


def pieces(text):
    """Every stretch of 16 characters of a secret."""
    return {text[at : at + 16] for at in range(0, len(text) - 15, 4)}


@pytest.mark.parametrize("level", ["debug", "info"])
def test_no_credential_is_written_anywhere(house, service, until, level):
    """Tokens good and bad, cookies, foreign Authorization values, peppers, keys: not one stretch of any of them."""
    house.config["logging"]["level"] = level
    house.config["routes"].append({"path": "/public", "public": True, "upstream": "legacy"})
    house.put("api.key", "an-upstream-key-that-is-secret")
    house.config["routes"][0]["headers"] = {"request": {"X-Api-Key": {"file": "api.key"}}}
    running = house.start()
    context = house.trusting()
    stranger, foreign, removed = house.new_user(), house.new_user("web"), house.new_user()
    basic = base64.b64encode(b"aladdin:open sesame, please").decode()
    cookie = "session-cookie-value-0123456789abcdef"
    query = "query-secret-0123456789abcdef"
    body = "body-secret-0123456789abcdef"
    tokens = [house.user.token, stranger.token, foreign.token, removed.token, house.user.token[:-1] + "z"]
    house.put_users(house.user, removed)
    running.reload()
    for number, token in enumerate([*tokens, house.user.token.upper(), house.user.token + "x" * 5000]):
        for scheme in ("Bearer", "Token", "Basic"):
            for path in ("/", "/public/x", f"/{number}?token={query}&next={token[:60]}"):
                fields = [f"Authorization: {scheme} {token}".encode(), f"Cookie: s={cookie}".encode()]
                send(house, context, request(b"GET", path.encode(), b"localhost", *fields))
    send(house, context, request(b"GET", b"/", b"localhost", f"Authorization: Basic {basic}".encode()))
    # Broken in every way that quotes what it complains about.
    for fields in (
        [f"Authorization: Bearer {house.user.token}".encode()] * 2,
        [f"Authorization : Bearer {house.user.token}".encode()],
        [f"Authorization: Bearer {house.user.token}\x01".encode()],
        [f"Cookie: s={cookie}\nX: y".encode()],
        [f" Authorization: {house.user.token}".encode()],
    ):
        send(house, context, request(b"GET", b"/", b"localhost", *fields))
    with house.client() as client:
        client.ask("/up", house.user, method="POST", body=body.encode(), Content_Length=str(len(body)))
    house.put("pepper", house.pepper_text[:20])
    running.reload()
    house.put("tokens.yaml", f"- {{user_id: {house.user.user_id}, hash: {house.user.token}, secret: {cookie}}}\n")
    running.reload()
    house.put("server.key", house.leaf.key_pem()[:150])
    running.reload()
    until(lambda: len(running.access_lines()) > 60, what="the access lines")
    text = everything(running).lower()

    key = house.leaf.key_pem().decode().splitlines()[1]
    secrets = {
        "token": [token.partition("_")[2].partition("_")[2] for token in tokens],
        "other": [basic, cookie, query, body, house.pepper_text[4:], key, "an-upstream-key-that-is-secret"],
    }
    leaked = [
        (kind, piece)
        for kind, some in secrets.items()
        for secret in some
        for piece in pieces(secret.lower())
        if piece in text
    ]
    assert leaked == []
    assert re.search(r"bearer [a-z0-9]", text) is None


def test_every_request_is_one_line_of_json(house, service, until):
    """Hostile paths, hosts and methods: each line parses by itself, says what it should, and has no control byte."""
    house.start()
    context = house.trusting()
    token = f"Authorization: Bearer {house.user.token}".encode()
    sent = 0
    for path in PATHS:
        sent += bool(send(house, context, request(b"GET", path, b"localhost", token)))
    for host in HOSTS:
        sent += bool(send(house, context, request(b"GET", b"/", host, token)))
    for method in METHODS:
        sent += bool(send(house, context, request(method, b"/", b"localhost", token)))
    for user_id in (b"", b'"', b"\xff\xfe"):
        sent += bool(send(house, context, request(b"GET", b"/", b"localhost", b"Authorization: Bearer " + user_id)))

    raw = b""

    def complete():
        nonlocal raw
        raw = (house.directory / "access.log").read_bytes()
        return raw.count(b"\n") >= sent

    until(complete, what=f"{sent} access lines")
    lines = raw.split(b"\n")[:-1]
    assert len(lines) == sent
    assert re.search(rb"[\x00-\x09\x0b-\x1f\x7f-\xff]", raw) is None
    for line in lines:
        told = json.loads(line, object_pairs_hook=once)
        assert {"time", "event", "request_id", "client", "method", "host", "path", "status", "duration_ms"} <= set(told)
        assert {"generation", "zone", "route", "upstream", "user_id"} <= set(told)
        assert isinstance(told["status"], int)
        assert told["event"] in {"request.forwarded", "request.refused", "request.failed"}
        assert "?" not in told["path"]
        assert len(told["path"]) <= 512


def once(pairs):
    """An object whose keys all differ: no client writes a second `status`."""
    assert len({name for name, _ in pairs}) == len(pairs), pairs
    return dict(pairs)


def test_hostile_paths_do_not_disturb_the_events(house, until):
    """Every line on standard error is one JSON object with an event's name."""
    running = house.start()
    context = house.trusting()
    for path in PATHS:
        send(house, context, request(b"GET", path, b"localhost"))
    running.reload()

    for line in running.stderr().splitlines():
        told = json.loads(line)
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+", told["event"])
        assert told["level"] in {"debug", "info", "warning", "error"}


@pytest.mark.parametrize("target", ["stdout", "stderr"])
def test_the_access_log_goes_where_it_is_told(house, until, target):
    """Lines arrive whole on the stream that was chosen."""
    house.config["logging"]["access"] = target
    running = house.start()
    answer = house.ask("/there", house.user)

    said = running.stdout if target == "stdout" else running.stderr
    until(lambda: answer.headers["X-Request-Id"] in said(), what="the line")
    [line] = [json.loads(line) for line in said().splitlines() if answer.headers["X-Request-Id"] in line]
    assert line["path"] == "/there"
    assert (house.directory / "access.log").exists() is False


def test_no_access_log_is_written_when_it_is_off(house):
    """`off` is off, and requests pass."""
    house.config["logging"]["access"] = "off"
    running = house.start()

    assert house.ask("/", house.user).status == 200
    running.term()
    assert running.wait() == 0
    assert running.stdout() == ""


def test_a_full_disk_costs_lines_not_requests(house, until):
    """When nothing can be written any more, traffic goes on and the metric counts what was lost."""
    (house.directory / "full.log").symlink_to("/dev/full")
    house.config["logging"]["access"] = "./full.log"
    running = house.start()
    for _ in range(5):
        assert house.ask("/", house.user).status == 200

    until(lambda: running.metric("authproxy_access_log_dropped_total") == 5, what="five lines are counted as lost")
    assert house.ask("/", house.user).status == 200


def test_a_reader_that_does_not_read_costs_lines_not_requests(house, until):
    """A pipe that nobody empties stops neither requests nor, for long, the end of the process."""
    pipe = house.directory / "stuck.log"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        house.config["logging"]["access"] = "./stuck.log"
        running = house.start()
        with house.client() as client:
            for number in range(400):
                assert client.ask(f"/{'x' * 500}/{number}", house.user).status == 200
        running.term()

        assert running.wait() == 0
    finally:
        os.close(reader)


def test_the_process_shows_no_secret_to_its_neighbours(house):
    """Neither its arguments tell one nor a core file, for there is none."""
    running = house.start()
    command = Path(f"/proc/{running.pid}/cmdline").read_text()
    limits = Path(f"/proc/{running.pid}/limits").read_text()

    assert house.pepper_text[4:20] not in command
    assert re.search(r"Max core file size\s+0\s+0", limits)
