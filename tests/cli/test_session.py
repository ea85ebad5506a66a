"""`authproxy session`: who is signed in, and the end of it."""

import asyncio
import json
import time

import pytest
from click.testing import CliRunner

from authproxy.cli import cli
from authproxy.cli.session import NoSession
from authproxy.core.record import user_id_text
from authproxy.errors import ConfigError
from authproxy.sessions.contract import ALICE, BOB, HOUR, session
from authproxy.sessions.sqlite import SqliteSessions

CONFIG = """\
version: 1
keystores: {main: {file: server.pem}}
listeners: {public: {bind: 127.0.0.1:8443}}
catalogs: {users: {kind: file, file: tokens.yaml}}
sessions: {browser: {kind: KIND}}
zones:
  web: {accepts: [session], prefix: web, peppers: [{env: WEB}], catalog: users}
  api: {prefix: svc, peppers: [{env: API}], catalog: users}
upstreams: {legacy: https://legacy.internal:9443}
routes: [{path: /, zone: web, upstream: legacy}]
"""
NOW = int(time.time() * 1000)
ONE = session(1, created=NOW - HOUR)
TWO = session(2, BOB, created=NOW)
OVER = session(3, BOB, created=NOW - 13 * HOUR)


@pytest.fixture
def config(tmp_path):
    """Three sessions in a file, one of which is over."""
    path = tmp_path / "authproxy.yaml"
    path.write_text(CONFIG.replace("KIND", "sqlite, file: sessions.db"))

    async def fill() -> None:
        store = SqliteSessions(tmp_path / "sessions.db")
        for one in (ONE, TWO):
            await store.put(one, 10)
        await store.put(OVER, 10)
        await store.aclose()

    asyncio.run(fill())
    return path


def call(*args: object, code: int = 0) -> str:
    """What the command prints."""
    result = CliRunner().invoke(cli, ["session", *map(str, args)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def test_those_who_are_signed_in_are_listed(config):
    """The oldest first, without those that are over, and without a key that could be a cookie."""
    listed = json.loads(call("list", "-c", config, "--json"))

    assert [one["session"] for one in listed] == ["010101010101", "020202020202"]
    assert listed[0]["user_id"] == user_id_text(ALICE)
    assert listed[0]["zone"] == "web"
    assert listed[0]["until"] < listed[0]["at_the_latest"]
    assert call("list", "-c", config).splitlines()[0].startswith("010101010101  web  550e8400-")


def test_one_users_sessions_are_listed(config):
    """And that there are none is said."""
    listed = json.loads(call("list", "-c", config, "--user", user_id_text(BOB), "--json"))

    assert [one["session"] for one in listed] == ["020202020202"]
    nobody = "00000000-0000-4000-8000-000000000001"
    assert call("list", "-c", config, "--user", nobody) == "nobody is signed in\n"


def test_one_is_shown_by_its_name(config):
    """Or by the beginning of it, as long as that is one."""
    assert json.loads(call("show", "-c", config, "--json", "0101"))["user_id"] == user_id_text(ALICE)
    assert "zone: web\n" in call("show", "-c", config, "010101010101")
    for name, problem in (("0", "several sessions begin so"), ("ff", "there is no such session")):
        with pytest.raises(NoSession, match=problem):
            call("show", "-c", config, name)


def test_sessions_are_ended(config):
    """By name or by user; nobody else's."""
    assert call("revoke", "-c", config, "010101010101") == "1 ended\n"
    assert json.loads(call("revoke", "-c", config, "--user", user_id_text(BOB), "--json")) == {"ended": 2}
    assert call("list", "-c", config) == "nobody is signed in\n"


@pytest.mark.parametrize("more", [[], ["0101", "--user", user_id_text(BOB)], ["--user", "bob"]])
def test_what_to_end_must_be_said(config, more):
    """Either names or a user, and a user by the id."""
    call("revoke", "-c", config, *more, code=2)

    assert len(json.loads(call("list", "-c", config, "--json"))) == 2


def test_a_zone_without_sessions_is_told(config):
    """With those that have some: it is the command that is wrong, as with `token verify --zone`."""
    for zone in ("api", "absent"):
        told = call("list", "-c", config, "--zone", zone, code=2)

        assert f"--zone: nobody signs in to a zone {zone} (zones with sessions: web)" in told


def test_sessions_in_memory_cannot_be_asked_for(config):
    """An empty list would be a lie."""
    config.write_text(CONFIG.replace("KIND", "memory"))

    with pytest.raises(ConfigError, match=r"sessions\.browser: is in the process alone"):
        call("list", "-c", config)


@pytest.mark.parametrize("more", [("list",), ("list", "--json"), ("revoke", "--user", user_id_text(ALICE))])
def test_asking_makes_no_file(tmp_path, more):
    """It would belong to whoever asks, often root, and the proxy could not use it."""
    path = tmp_path / "authproxy.yaml"
    path.write_text(CONFIG.replace("KIND", "sqlite, file: sessions.db"))

    assert call(*more, "-c", path) in {"nobody is signed in\n", "[]\n", "0 ended\n"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_that_is_not_there_is_told_all_the_same(tmp_path):
    """Nobody can ever sign in there."""
    path = tmp_path / "authproxy.yaml"
    path.write_text(CONFIG.replace("KIND", "sqlite, file: var/sessions.db"))

    with pytest.raises(ConfigError, match="there is no directory"):
        call("list", "-c", path)
