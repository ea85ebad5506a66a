"""`authproxy token`: new, inspect, verify."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from authproxy.catalogs.append import row_text
from authproxy.catalogs.yaml_rows import read_yaml
from authproxy.cli.token import command
from authproxy.core.match import Match, match
from authproxy.core.pepper import Pepper
from authproxy.core.record import TokenRecord, UserId
from authproxy.core.secret import Secret
from authproxy.core.token import Token, generate, parse
from authproxy.errors import ConfigError, MaterialError, SecretError

USER = UserId(UUID("550e8400-e29b-41d4-a716-446655440000").bytes)
SECRET = bytes(range(32))
API, WEB = b"\x2a" * 32, b"\x2b" * 32
TOKEN = generate("svc", 1, USER, SECRET)
CONFIG = """\
version: 1
keystores: {main: {file: server.pem}}
listeners: {public: {bind: 127.0.0.1:8443, keystore: main}}
catalogs: {users: {kind: file, file: tokens.yaml}}
zones:
  api: {prefix: svc, peppers: [{file: pepper}], catalog: users}
upstreams: {legacy: https://legacy.internal:9443}
routes: [{path: /, zone: api, upstream: legacy}]
"""
TWO_ZONES = CONFIG.replace(
    "upstreams:", "  web: {prefix: web, peppers: [{env: WEB_PEPPER}], catalog: users}\nupstreams:"
)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A configuration with one zone `api`, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTHPROXY_CONFIG", str(tmp_path / "authproxy.yaml"))
    (tmp_path / "authproxy.yaml").write_text(CONFIG)
    (tmp_path / "tokens.yaml").write_text("# people\n[]\n")
    (tmp_path / "pepper").write_bytes(API)
    (tmp_path / "pepper").chmod(0o600)
    return tmp_path


@pytest.fixture
def token(folder) -> Callable[..., Result]:
    """`token(*args, stdin=...)` runs the command there."""

    def run(*args: object, stdin: str = "", env: dict[str, str] | None = None) -> Result:
        return CliRunner().invoke(command, [str(arg) for arg in args], input=stdin, env=env)

    return run


def made(result: Result) -> Token:
    assert result.exit_code == 0, result.output
    parsed = parse(result.stdout.rstrip("\n").encode())
    assert parsed is not None
    return parsed


def only_row(text: str) -> TokenRecord:
    sheet = read_yaml(text.encode(), "row")
    assert sheet.problems == ()
    return sheet.records[0]


def accepts(record: TokenRecord, shown: Token, key: bytes = API) -> bool:
    found = match((Pepper(Secret(key)),), shown, record, datetime.now(UTC))
    return found is not None and found[0] is Match.PRIMARY


# ---------------------------------------------------------------- new
def test_a_new_token_is_met_by_its_row(token):
    """The token alone on standard output, the row, which does not tell the secret, on standard error."""
    result = token("new", "--name", "billing job", "--group", "jobs", "--group", "admins")

    shown, row = made(result), only_row(result.stderr)
    assert shown.prefix == b"svc"
    assert shown.rotation_version == 1
    assert (row.name, row.groups, row.zone, row.expires_at) == ("billing job", ("admins", "jobs"), None, None)
    assert accepts(row, shown)
    assert result.stdout.strip() not in result.stderr
    assert shown.secret.hex() not in result.stderr


def test_every_token_is_another(token):
    """User id and secret are random; the user id is a UUID of version 4."""
    one, other = made(token("new")), made(token("new"))

    assert one.user_id != other.user_id
    assert one.secret != other.secret
    assert UUID(bytes=one.user_id).version == 4


def test_into_a_file(token, folder):
    """The row is added, comments stay, and the proxy's own check accepts the token at once."""
    result = token("new", "--into", "tokens.yaml", "--user-id", UUID(bytes=USER), "--expires", "90d")

    shown = made(result)
    text = (folder / "tokens.yaml").read_text()
    assert text.startswith("# people\n")
    assert only_row(text).user_id == shown.user_id == USER
    assert "user 550e8400-e29b-41d4-a716-446655440000 added" in result.stderr
    assert token("verify", stdin=result.stdout).exit_code == 0


def test_a_second_token_for_a_user_is_refused(token, folder):
    """No token is shown, and the file is as it was."""
    made(token("new", "--into", "tokens.yaml", "--user-id", UUID(bytes=USER)))
    before = (folder / "tokens.yaml").read_text()

    result = token("new", "--into", "tokens.yaml", "--user-id", UUID(bytes=USER))

    assert isinstance(result.exception, MaterialError)
    assert "has a row already" in str(result.exception)
    assert result.stdout == ""
    assert (folder / "tokens.yaml").read_text() == before


def test_expiry_as_a_duration_or_a_time(token):
    """From now on, or at that instant."""
    begun = datetime.now(UTC)
    after = only_row(token("new", "--expires", "2h").stderr).expires_at
    at = only_row(token("new", "--expires", "2999-01-01T00:00:00+01:00").stderr).expires_at

    assert after is not None
    assert timedelta(minutes=119) < after - begun <= timedelta(minutes=121)
    assert at == datetime(2998, 12, 31, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    "when", ["0", "0s", "2020-01-01T00:00:00Z", "2999-01-01", "2999-01-01T00:00:00", "soon", "-5m", "9999999999d"]
)
def test_an_expiry_that_makes_no_sense_is_refused(token, when):
    """Past, naive, or no time at all: wrong usage, and no token."""
    result = token("new", f"--expires={when}")

    assert result.exit_code == 2
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["--group", "a b"], "--group: a group is text"),
        (["--name", "a\nb"], "--name: must not contain control characters"),
        (["--name", "x" * 257], "--name: must have at most 256"),
        (["--zone", "nowhere"], "there is no zone nowhere (known: api)"),
        (["--prefix", "my_svc", "--pepper-file", "pepper"], "no underscore"),
        (["--prefix", "svc"], "--prefix needs --pepper-file or --pepper-env"),
        (["--pepper-file", "pepper", "--pepper-env", "PEPPER"], "give one of them"),
        (["--pepper-env", "hex:00"], "the name of an environment variable, not the pepper"),
        (["--user-id", "somebody"], "user-id"),
    ],
)  # fmt: skip
def test_wrong_wishes_are_wrong_usage(token, args, problem):
    """2, with a line that names the option, and no token."""
    result = token("new", *args)

    assert result.exit_code == 2
    assert problem in result.stderr
    assert result.stdout == ""


def test_without_a_configuration(token, folder):
    """Prefix and pepper on the command line are enough; the pepper comes by file or environment."""
    (folder / "authproxy.yaml").unlink()
    by_file = token("new", "--prefix", "Demo", "--pepper-file", "pepper")
    by_environment = token("new", "--prefix", "demo", "--zone", "x", "--pepper-env", "P", env={"P": f"hex:{WEB.hex()}"})

    assert made(by_file).prefix == b"demo"
    assert by_file.stdout.startswith("Demo_")
    assert accepts(only_row(by_file.stderr), made(by_file))
    assert accepts(only_row(by_environment.stderr), made(by_environment), WEB)
    assert only_row(by_environment.stderr).zone == "x"


def test_a_zone_must_be_named_where_there_are_two(token, folder):
    """Its prefix and newest pepper are taken, and the row counts there only: one hash fits one pepper."""
    (folder / "authproxy.yaml").write_text(TWO_ZONES)
    unnamed = token("new")

    result = token("new", "--zone", "web", env={"WEB_PEPPER": "base64:KysrKysrKysrKysrKysrKysrKysrKysrKysrKysrKys="})

    assert unnamed.exit_code == 2
    assert "--zone is needed: api, web" in unnamed.stderr
    assert made(result).prefix == b"web"
    assert only_row(result.stderr).zone == "web"
    assert accepts(only_row(result.stderr), made(result), WEB)


def test_an_exposed_pepper_is_not_used(token, folder):
    """Neither the zone's nor one that is named."""
    (folder / "pepper").chmod(0o644)

    for args in ([], ["--prefix", "svc", "--pepper-file", "pepper"]):
        result = token("new", *args)
        assert isinstance(result.exception, SecretError)
        assert result.stdout == ""


def test_json_holds_it_all(token):
    """Token, whose, and the row as YAML."""
    shown = json.loads(token("new", "--json", "--user-id", UUID(bytes=USER)).stdout)

    parsed = parse(shown["token"].encode())
    assert parsed is not None
    assert {key: shown[key] for key in ("prefix", "rotation_version", "user_id", "pepper")} == {
        "prefix": "svc", "rotation_version": 1, "user_id": str(UUID(bytes=USER)), "pepper": Pepper(Secret(API)).id,
    }  # fmt: skip
    assert accepts(only_row(shown["row"]), parsed)


# ---------------------------------------------------------------- inspect
@pytest.mark.parametrize("text", [TOKEN, TOKEN.upper(), f"  {TOKEN}\r\n"])
def test_inspect_shows_what_a_token_says(token, text):
    """Prefix, version and user id; never the secret."""
    result = token("inspect", stdin=text)

    assert result.exit_code == 0
    assert result.output == "prefix: svc\nrotation_version: 1\nuser_id: 550e8400-e29b-41d4-a716-446655440000\n"


def test_inspect_reads_a_file_and_writes_json(token, folder):
    """The same facts."""
    (folder / "token").write_text(TOKEN)

    result = token("inspect", "--file", "token", "--json")

    assert json.loads(result.output) == {"prefix": "svc", "rotation_version": 1, "user_id": str(UUID(bytes=USER))}


@pytest.mark.parametrize("text", ["", "Bearer " + TOKEN, TOKEN[:-1], TOKEN + "\n" + TOKEN, "x" * 100_000])
def test_inspect_of_no_token_fails(token, text):
    """1, and what was read is not repeated."""
    result = token("inspect", stdin=text)

    assert isinstance(result.exception, MaterialError)
    assert str(result.exception) == "standard input: is not a token: it is mistyped, cut off, or of another kind"


def test_a_file_that_is_not_there(token):
    """One clause with its name, and 77 as for every secret that cannot be read: 1 is a token that is not accepted."""
    for name in ("inspect", "verify"):
        told = token(name, "--file", "nowhere").exception

        assert str(told) == "nowhere: cannot be read: no such file or directory"
        assert (type(told), told.exit_code) == (SecretError, 77)


# ---------------------------------------------------------------- verify
def record(version: int = 1, secret: bytes = SECRET, **more) -> TokenRecord:
    digest = Pepper(Secret(API)).digest(USER, version, secret)
    return TokenRecord(user_id=USER, rotation_version=version, hash=digest, **more)


def rotated(grace: timedelta, **more) -> TokenRecord:
    previous = Pepper(Secret(API)).digest(USER, 1, SECRET)
    ends = datetime.now(UTC) + grace
    return record(2, bytes(32), previous_hash=previous, grace_expires_at=ends, **more)


PAST, FUTURE = timedelta(hours=-1), timedelta(hours=1)
NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("shown", "answer"),
    [
        ((record(), TOKEN), ("primary", 0)),
        ((record(expires_at=NOW + FUTURE), TOKEN.upper()), ("primary", 0)),
        ((rotated(FUTURE), TOKEN), ("grace", 0)),
        ((record(expires_at=NOW + PAST), TOKEN), ("expired", 1)),
        ((rotated(PAST), TOKEN), ("expired", 1)),
        ((rotated(FUTURE, expires_at=NOW + PAST), TOKEN), ("expired", 1)),
        ((record(secret=bytes(32)), TOKEN), ("mismatch", 1)),
        ((record(3), TOKEN), ("mismatch", 1)),
        ((record(disabled=True), TOKEN), ("disabled", 1)),
        ((record(zone="web"), TOKEN), ("unknown", 1)),
        ((None, TOKEN), ("unknown", 1)),
        ((record(), TOKEN.replace("svc", "web")), ("wrong-prefix", 1)),
        ((record(), TOKEN[:-1]), ("malformed", 1)),
    ],
)
def test_verify_says_what_the_proxy_would_do(token, folder, shown, answer):
    """The exit code is the answer, the word says why."""
    (row, text), (result, code) = shown, answer
    (folder / "tokens.yaml").write_text("[]" if row is None else row_text(row))

    told = token("verify", stdin=text)
    facts = json.loads(token("verify", "--json", stdin=text).stdout)

    assert told.exit_code == code
    assert told.stdout.startswith(f"{result}: ")
    assert (facts["accepted"], facts["result"], facts["zone"]) == (code == 0, result, "api")
    assert (facts["pepper"] == Pepper(Secret(API)).id) == (result in {"primary", "grace", "expired"})


def test_verify_tries_every_pepper(token, folder):
    """A token of the old pepper verifies, and which pepper it was is told."""
    (folder / "authproxy.yaml").write_text(CONFIG.replace("[{file: pepper}]", "[{env: NEW}, {file: pepper}]"))
    (folder / "tokens.yaml").write_text(row_text(record()))

    result = token("verify", "--json", stdin=TOKEN, env={"NEW": f"hex:{WEB.hex()}"})

    assert result.exit_code == 0
    assert json.loads(result.stdout)["pepper"] == Pepper(Secret(API)).id


def test_verify_needs_a_catalog_that_can_be_read(token, folder):
    """A garbled file is no answer, neither yes nor no."""
    (folder / "tokens.yaml").write_text("- {")

    assert isinstance(token("verify", stdin=TOKEN).exception, ConfigError)


# ---------------------------------------------------------------- never as an argument
@pytest.mark.parametrize(
    "args",
    [
        ["inspect", TOKEN],
        ["verify", TOKEN],
        ["new", TOKEN],
        ["inspect", "--json", TOKEN, "more"],
        ["inspect", "--file", TOKEN],
        ["verify", "--file", TOKEN],
        ["inspect", TOKEN[:-1]],
    ],
)  # fmt: skip
def test_a_token_is_never_taken_as_an_argument(token, args):
    """Wrong usage, with the reason and the cure, and without repeating what was given."""
    result = token(*args)

    assert result.exit_code == 2
    assert "a token is not taken as an argument" in result.stderr
    assert "--file" in result.stderr
    assert TOKEN[20:60] not in result.output


@pytest.mark.parametrize("name", ["new", "inspect", "verify"])
def test_help_has_an_example(token, name):
    """Every command shows how it is meant."""
    result = token(name, "--help")

    assert result.exit_code == 0
    assert f"  authproxy token {name} " in result.output.partition("Example")[2]


def test_the_real_command(run_authproxy, folder):
    """From a pepper to an accepted token, through processes; exit codes are those of the table."""
    (folder / "pepper").unlink()
    assert run_authproxy("pepper", "new", "--out", "pepper").returncode == 0
    new = run_authproxy("token", "new", "--into", "tokens.yaml", "--name", "me")

    good = run_authproxy("token", "verify", stdin=new.stdout)
    bad = run_authproxy("token", "verify", stdin=TOKEN)
    (folder / "pepper").chmod(0o644)
    exposed = run_authproxy("token", "verify", stdin=new.stdout)

    assert (new.returncode, good.returncode, bad.returncode, exposed.returncode) == (0, 0, 1, 77)
    assert good.stdout == "primary: the token is the current one\n"
    assert new.stdout.strip() not in new.stderr + good.stderr + bad.stderr + exposed.stderr
