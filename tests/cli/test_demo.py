"""The parts of `authproxy demo`; that the whole does what it says stands in tests/promises."""

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner

from authproxy.cli import demo
from authproxy.cli.common import load_settings
from authproxy.cli.demo_admin import Admin
from authproxy.cli.demo_asks import ASKS, Answer, Ask
from authproxy.cli.demo_files import Guest, Place, furnish
from authproxy.cli.demo_legacy import legacy_service, tell, wait_for
from authproxy.cli.demo_screen import program, screen, show
from authproxy.core.secret import Secret
from authproxy.errors import DependencyError, MaterialError
from tests.patience import PATIENCE
from tests.ports import free_port, usual_ports

NOW = datetime(2026, 1, 1, tzinfo=UTC)
USER = "550e8400-e29b-41d4-a716-446655440000"
TOKEN, WITHOUT, FORGED = ASKS
GUEST = Guest(user_id=USER, token=Secret("web_020001_" + "a" * 84))


@pytest.fixture
def place(tmp_path):
    return Place(root=tmp_path, port=8443, ops_port=9901, legacy_port=9443)


@pytest.fixture(autouse=True)
def no_web_proxy(monkeypatch):
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def answer(status=200, **headers):
    body = json.dumps({"hello": "alice", "headers": {"X-Authproxy-User": USER, "Remote-User": "alice"} | headers})
    return Answer(status=status, reason="", body=body)


# ---------------------------------------------------------------- files
def test_the_configuration_is_good(place, run_authproxy):
    """What a newcomer copies is accepted with everything it names, and the token too."""
    furnish(place, datetime.now(UTC))

    checked = run_authproxy("check", "--strict", "-c", place.config)
    verified = run_authproxy("token", "verify", "-c", place.config, "--zone", "api", "--file", place.token)

    assert checked.returncode == 0, checked.stderr
    assert verified.returncode == 0, verified.stderr


def test_every_line_of_the_configuration_is_explained(place):
    """Each section has a word beside it, and no line is wider than a page."""
    furnish(place, NOW)

    lines = place.config.read_text().splitlines()

    sections = [line for line in lines if line and not line.startswith((" ", "#", "version"))]
    assert [line for line in sections if "#" not in line] == []
    assert max(map(len, lines)) <= 100


def test_secrets_are_for_the_owner(place):
    """Keys, pepper and token can be read by nobody else; what is public, by everybody."""
    furnish(place, NOW)

    modes = {path.name: path.stat().st_mode & 0o777 for path in place.root.iterdir()}
    assert modes == {
        "ca.pem": 0o644, "authproxy.yaml": 0o644, "tokens.yaml": 0o644, "server.pem": 0o400, "legacy.pem": 0o400,
        "pepper": 0o600, "token": 0o600, "bearer": 0o600, "people.yaml": 0o644, "web.pepper": 0o600,
    }  # fmt: skip


def test_the_ports_are_those_of_the_place(place):
    """The configuration listens where the screen says."""
    furnish(place, NOW)

    settings = load_settings(place.config).settings

    assert [str(bind) for bind in settings.listeners["public"].bind] == ["127.0.0.1:8443"]
    assert settings.ops is not None
    assert str(settings.ops.bind) == "127.0.0.1:9901"
    assert "localhost:9443" in str(settings.upstreams["legacy"].urls[0])


# ---------------------------------------------------------------- requests
@pytest.mark.parametrize("ask", ASKS, ids=["token", "without", "forged"])
def test_no_command_holds_the_token(ask, place):
    """The token is read from a file: arguments can be read by every user of the machine."""
    furnish(place, NOW)

    assert place.token.read_text().strip() not in ask.curl(place)
    assert "svc_" not in ask.curl(place)


@pytest.mark.parametrize("ask", ASKS, ids=["token", "without", "forged"])
def test_commands_survive_odd_directories(ask, place):
    """A blank and a quote in the path reach curl as they are."""
    odd = Place(root=Path("/tmp/it's a place"), port=1, ops_port=2, legacy_port=3)

    words = shlex.split(ask.curl(odd).replace("\\\n", ""))

    assert words[words.index("--cacert") + 1] == "/tmp/it's a place/ca.pem"
    assert ("@/tmp/it's a place/bearer" in words) == ask.token


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, []),
        ({"https_proxy": "http://proxy:3128"}, ["--noproxy", "localhost"]),
        ({"all_proxy": "http://proxy:3128"}, ["--noproxy", "localhost"]),
        ({"https_proxy": "http://proxy:3128", "no_proxy": "localhost"}, []),
    ],
)
def test_a_web_proxy_is_not_asked(environ, words, place, monkeypatch):
    """Where the environment sends curl to a web proxy, the command says otherwise for localhost."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert shlex.split(WITHOUT.curl(place))[1:-4] == words


@pytest.mark.parametrize(
    ("ask", "came", "problem"),
    [
        (TOKEN, answer(), ""),
        (FORGED, answer(), ""),
        (WITHOUT, answer(401), ""),
        (WITHOUT, answer(200), "should be 401"),
        (TOKEN, answer(401), "should be 200"),
        (FORGED, answer(**{"X-Authproxy-User": "admin"}), f"the service should be told alice, {USER}"),
        (FORGED, answer(**{"Remote-User": "admin, alice"}), f"the service should be told alice, {USER}"),
        (TOKEN, answer(Authorization="Bearer x"), "the service should not see the token"),
    ],
)
def test_answers_are_judged(ask, came, problem):
    """Status, identity, and that the token went no further."""
    assert came.problem(ask, USER) == problem


def test_once_fails_when_an_answer_is_wrong(place, monkeypatch, capsys):
    """One answer that is not as it should be is shown as such, and is the outcome."""
    monkeypatch.setattr(Ask, "answer", lambda ask, place: answer(200))

    right = demo._ask_all(place, USER)

    assert not right
    assert capsys.readouterr().out.count("no: should be 401") == 1


def test_once_fails_when_nobody_answers(place):
    """A proxy that is not there is a failure with a sentence, not a traceback."""
    furnish(place, NOW)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        gone = Place(root=place.root, port=taken.getsockname()[1], ops_port=2, legacy_port=3)

    with pytest.raises(DependencyError, match=r"https://localhost:.* does not answer"):
        demo._ask_all(gone, USER)


# ---------------------------------------------------------------- the service
async def test_the_service_shows_all_that_came(aiohttp_client):
    """Method, path and every field; one that came twice shows both."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", tell)
    client = await aiohttp_client(application)

    response = await client.post("/a/b?c=d", headers=[("X-Twice", "1"), ("X-Twice", "2"), ("Remote-User", "bob")])

    seen = await response.json()
    assert (seen["hello"], seen["request"], seen["headers"]["X-Twice"]) == ("bob", "POST /a/b?c=d", "1, 2")


async def test_the_admin_page_shows_what_came_and_nothing_as_html(aiohttp_client):
    """Whoever calls is named, the note is kept, and neither can bring an element or a script along."""
    application = web.Application()
    Admin().add_to(application.router)
    client = await aiohttp_client(application)
    bob = {"Remote-User": "<b>bob</b>", "X-Authproxy-User": USER}

    changed = await client.post("/admin/note", data={"text": "<script>"}, headers=bob, allow_redirects=False)
    page = await client.get("/admin", headers=bob)

    text = await page.text()
    assert (changed.status, changed.headers["Location"]) == (303, "/admin")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'; script-src 'self'")
    assert "<dt>X-Authproxy-User</dt><dd>550e8400-" in text
    assert "<dt>Cookie</dt><dd>(nothing came)</dd>" in text
    assert "&lt;b&gt;bob" in text
    assert "&lt;script&gt;</q> (&lt;b&gt;" in text
    assert "<b>" not in text
    assert "<script>" not in text


async def test_the_admin_page_has_its_parts(aiohttp_client):
    """Style and script are of this origin and of the right type, the fetch counts, the WebSocket says it back."""
    application = web.Application()
    Admin().add_to(application.router)
    client = await aiohttp_client(application)
    bob = {"Remote-User": "bob"}

    for name, kind in (("admin.css", "text/css"), ("admin.js", "text/javascript")):
        part = await client.get(f"/admin/{name}")
        assert (part.status, part.content_type) == (200, kind)
    assert (await client.get("/admin/other.css")).status == 404
    for count in (1, 2):
        told = await client.get("/admin/whoami", headers=bob)
        assert await told.json() == {"name": "bob", "count": count}
    async with client.ws_connect("/admin/echo", headers=bob) as wire:
        await wire.send_str("hello")
        assert await wire.receive_str() == "bob: hello"


@pytest.mark.blocks
def test_a_service_that_does_not_start_is_told(tmp_path):
    """Its end is noticed at once; it blocks, as it does in the demo's thread."""
    with (
        (tmp_path / "events.log").open("w") as complaints,
        legacy_service(socket.create_server(("127.0.0.1", 0)), tmp_path / "no-keys.pem", complaints) as service,
        pytest.raises(DependencyError, match="did not start"),
    ):
        wait_for(service)

    assert "FileNotFoundError" in (tmp_path / "events.log").read_text()
    assert service.returncode == 1


# ---------------------------------------------------------------- the screen
def test_the_screen_fits(capsys):
    """On a terminal of 100 columns no line is broken, for a directory as `mktemp` names it."""
    place = Place(root=Path("/tmp/authproxy-demo-abcd1234"), port=8443, ops_port=9901, legacy_port=9443)

    show(screen(place, GUEST, kept=False))

    lines = [line for line in capsys.readouterr().out.splitlines() if " -c " not in line]
    assert max(map(len, lines)) <= 100
    assert len(lines) <= 50


@pytest.mark.parametrize(
    ("terminal", "environ", "coloured"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
        (False, {"TERM": "xterm"}, False),
    ],
)
def test_colours_are_for_terminals(terminal, environ, coloured, *, place, monkeypatch, capsys):
    """Only where somebody watches who did not say NO_COLOR."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)

    show(screen(place, GUEST, kept=True))

    assert ("\x1b[" in capsys.readouterr().out) == coloured


def test_the_program_is_called_as_it_can_be(tmp_path, monkeypatch):
    """By name where the shell finds it, else by its path; as a module where it was started so."""
    script = tmp_path / "authproxy"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "argv", [str(script)])

    monkeypatch.setenv("PATH", "/nowhere")
    elsewhere = program()
    monkeypatch.setenv("PATH", str(tmp_path))
    found = program()
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "__main__.py")])
    module = program()

    assert (elsewhere, found, module) == (str(script), "authproxy", f"{sys.executable} -m authproxy")


# ---------------------------------------------------------------- places and ports
def test_a_directory_in_use_is_refused(tmp_path):
    """Nothing is put among somebody's files."""
    (tmp_path / "mine").touch()

    result = CliRunner().invoke(demo.command, ["--dir", str(tmp_path)])

    assert isinstance(result.exception, MaterialError)
    assert "is not empty" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(("mode", "accepted"), [(0o700, True), (0o710, False), (0o701, False)])
def test_an_open_directory_is_refused(mode, accepted, tmp_path):
    """Secrets are not put where others may look."""
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir").chmod(mode)

    refusal = contextlib.nullcontext() if accepted else pytest.raises(MaterialError, match="is open to others")

    with refusal:
        assert demo._named_directory(tmp_path / "dir") == tmp_path / "dir"


@pytest.mark.parametrize("wish", ["file", "no/parent"])
def test_a_directory_that_cannot_be_is_refused(wish, tmp_path):
    """With a sentence."""
    (tmp_path / "file").touch()

    with pytest.raises(MaterialError, match="cannot be used"):
        demo._named_directory(tmp_path / wish)


def test_a_taken_port_is_refused():
    """Somebody who names a port gets that one or none."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = CliRunner().invoke(demo.command, ["--port", str(taken.getsockname()[1])])

    assert isinstance(result.exception, MaterialError)
    assert "cannot listen there" in str(result.exception)


def test_a_free_port_is_found():
    """The usual one where it is free, else another."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        assert demo._free(port) != port

    assert demo._free(port) == port


def test_handlers_are_as_before():
    """Called from another program, the command leaves its signals alone."""
    before = signal.getsignal(signal.SIGTERM)

    with demo._ended_by_signals():
        signal.raise_signal(signal.SIGTERM)

    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.slow
def test_it_ends_with_its_terminal(tmp_path, tool):
    """A closed terminal ends the demo, although SIGHUP means reload to the proxy; nothing is left."""
    master, slave = os.openpty()
    with usual_ports(), subprocess.Popen(
        [sys.executable, "-m", "authproxy", "demo"],
        stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:  # fmt: skip
        os.close(slave)
        shown = b""
        while b"ends the demo" not in shown:
            shown += os.read(master, 4096)
        os.close(master)

        process.wait(PATIENCE)

    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []
