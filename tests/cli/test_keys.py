"""`authproxy keys generate`, through the real command line's objects and once through the real process."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from authproxy.cli.keys import command
from authproxy.cli.keys_options import PASSWORD_VARIABLE
from authproxy.errors import MaterialError, SecretError
from authproxy.keystore import Role, check, load_file, load_truststore
from authproxy.keystore.model import alternative_names


@pytest.fixture
def generate(tmp_path):
    """`generate(*args)` runs the command into `tmp_path/certs`."""

    def run(*args: object, env: dict[str, str] | None = None):
        arguments = ["generate", "--out", str(tmp_path / "certs"), *map(str, args)]
        return CliRunner().invoke(command, arguments, env={PASSWORD_VARIABLE: None, **(env or {})})

    return run


@pytest.fixture
def certs(tmp_path) -> Path:
    return tmp_path / "certs"


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def test_folder_is_filled(generate, certs):
    """Root, server and client, keys closed, root's key nowhere."""
    result = generate()

    assert result.exit_code == 0, result.output
    assert modes(certs) == {
        "ca.pem": 0o644, "server.pem": 0o400, "server.keys": 0o400, "client.pem": 0o400, "client.keys": 0o400,
    }  # fmt: skip


def test_files_can_be_used(generate, certs):
    """Each file is accepted for what it is for, for a year, on this very machine."""
    now = datetime.now(UTC)

    generate()

    server = load_file("main", certs / "server.pem", None)
    nrepl = load_file("nrepl", certs / "server.keys", None)
    client = load_file("me", certs / "client.keys", None)
    check(server, Role.SERVER, now, ["localhost", "127.0.0.1", "::1"])
    check(client, Role.CLIENT, now)
    assert server.leaf == nrepl.leaf
    assert (nrepl.root,) == (client.root,) == load_truststore("ca", certs / "ca.pem").certificates
    assert timedelta(days=364) < server.remaining(now) <= timedelta(days=365, minutes=1)


def test_wishes_are_met(generate, certs):
    """Names, clients, days, prefix and kind of key."""
    result = generate(
        "--prefix", "stage", "--san", "a.example", "--san", "*.b.example", "--client", "alice", "--client", "bob",
        "--days", 1, "--alg", "ec-p384")  # fmt: skip

    assert result.exit_code == 0, result.output
    assert set(modes(certs)) == {
        f"stage-{name}" for name in ("ca.pem", "server.pem", "server.keys", "alice.pem", "alice.keys", "bob.pem", "bob.keys")
    }  # fmt: skip
    server = load_file("main", certs / "stage-server.pem", None)
    alice = load_file("alice", certs / "stage-alice.keys", None)
    assert server.covers("a.example")
    assert server.covers("x.b.example")
    assert not server.covers("localhost")
    assert server.days_left(datetime.now(UTC)) == 0
    assert alice.leaf.subject.rfc4514_string() == "CN=alice"


def test_clients_get_uris_and_the_server_its_name(generate, certs):
    """{name} stands for each client; the server has the wished common name and no URI."""
    result = generate("--client", "alice", "--client", "bob", "--uri", "spiffe://e.org/{name}", "--cn", "the server")

    assert result.exit_code == 0, result.output
    for name in ("alice", "bob"):
        names = alternative_names(load_file(name, certs / f"{name}.pem").leaf)
        assert names is not None
        assert [entry.value for entry in names] == [f"spiffe://e.org/{name}"]
    server = load_file("main", certs / "server.pem")
    assert server.leaf.subject.rfc4514_string() == "CN=the server"
    assert server.covers("localhost")


@pytest.mark.parametrize(
    ("args", "days"),
    [
        ([], 365),
        (["--days", 9], 9),
        (["--ca-days", 700], 700),
        (["--keep-ca", "k"], 3650),
        (["--keep-ca", "k", "--ca-days", 365], 365),
    ],
)
def test_root_lasts_as_long_as_it_can_be_of_use(args, days, generate, certs, tmp_path):
    """Without its key no longer than what it signed; with it long enough to sign again."""
    args = [str(tmp_path / each) if each == "k" else each for each in args]

    result = generate(*args, env={PASSWORD_VARIABLE: "sesame"})

    assert result.exit_code == 0, result.output
    root = load_truststore("ca", certs / "ca.pem").certificates[0]
    assert timedelta(days=days) <= root.not_valid_after_utc - root.not_valid_before_utc <= timedelta(days=days, hours=1)


def test_json_lists_what_was_written(generate, certs):
    """Every file with its mode and contents, and the root's fingerprint; no key."""
    result = generate("--json")

    facts = json.loads(result.stdout)
    assert {entry["file"]: entry["mode"] for entry in facts["files"]} == {
        str(certs / name): f"{mode:04o}" for name, mode in modes(certs).items()
    }
    assert len(facts["root_sha256"]) == 64
    assert "PRIVATE" not in result.output


def test_text_says_what_to_do_next(generate, certs):
    """The lines to paste name the files just written."""
    output = generate().output

    assert f"keystores: {{main: {{file: {certs}/server.pem}}}}" in output
    assert f"truststores: {{clients: {{file: {certs}/ca.pem}}}}" in output
    assert "PRIVATE" not in output


def test_existing_files_are_refused(generate, certs):
    """The second run changes nothing."""
    generate()
    before = (certs / "server.keys").read_bytes()

    result = generate()

    assert isinstance(result.exception, MaterialError)
    assert (certs / "server.keys").read_bytes() == before


def test_existing_files_are_replaced_by_force(generate, certs):
    """With --force all are made anew, as one family."""
    generate()
    before = (certs / "server.keys").read_bytes()

    result = generate("--force")

    assert result.exit_code == 0, result.output
    assert (certs / "server.keys").read_bytes() != before
    assert load_file("n", certs / "server.keys", None).root == load_file("n", certs / "client.keys", None).root


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["--days", 0], "0 is not in the range 1<=x<=3650"),
        (["--days", 3651], "3651 is not in the range"),
        (["--san", "not a name"], "is neither a host name nor an IP address"),
        (["--client", "../evil"], "letters, digits and"),
        (["--client", "x" * 65], "at most 64"),
        (["--client", ""], "letters, digits and"),
        (["--client", "server"], "is the name of another file"),
        (["--client", "CA"], "is the name of another file"),
        (["--prefix", "a/b"], "letters, digits and"),
        (["--alg", "rsa-1024"], "is not one of"),
        (["--keep-ca", "ca.key"], f"--keep-ca needs a password: --ca-password-file FILE or ${PASSWORD_VARIABLE}"),
        (["--ca-password-file", "pw"], "--ca-password-file is for --keep-ca"),
        (["--days", 30, "--ca-days", 29], "--ca-days must be at least --days"),
        (["--ca-days", 7301], "7301 is not in the range"),
        (["--cn", "x" * 65], "a common name has 1 to 64 printable characters"),
        (["--cn", "a\nb"], "a common name has 1 to 64 printable characters"),
        (["--uri", "no uri"], "is no URI, such as spiffe://"),
        (["--uri", "spiffe://x/" + "y" * 2048], "is no URI, such as spiffe://"),
        (["--client", "a", "--client", "b", "--uri", "spiffe://x/a"], "several clients must not share a URI"),
    ],
)
def test_wrong_wish_is_refused(args, problem, generate, certs):
    """Exit code 2, a reason, and nothing written."""
    result = generate(*args)

    assert result.exit_code == 2
    assert problem in result.output.replace("\n", " ")
    assert not certs.exists()


@pytest.mark.parametrize(
    "args",
    [
        ["--days", 1],
        ["--days", 3650],
        ["--days", 30, "--ca-days", 30],
        ["--client", "x" * 64],
        ["--cn", "x" * 64],
        ["--uri", "spiffe://x/" + "y" * 2037],
    ],
)
def test_wish_at_the_boundary_is_met(args, generate):
    """The ends of the ranges belong to them."""
    assert generate(*args).exit_code == 0


def test_root_key_is_kept_when_wished(generate, tmp_path):
    """Encrypted with the password from the environment, beside its certificate, closed."""
    kept = tmp_path / "ca.key"

    result = generate("--keep-ca", kept, env={PASSWORD_VARIABLE: "sesame"})

    assert result.exit_code == 0, result.output
    assert kept.stat().st_mode & 0o777 == 0o400
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in kept.read_bytes()
    assert b"BEGIN PRIVATE KEY" not in kept.read_bytes()
    assert "sesame" not in result.output
    assert load_pem_private_key(kept.read_bytes(), b"sesame") is not None


def test_password_comes_from_a_file(generate, tmp_path):
    """The file goes before the environment; one newline at its end does not count."""
    kept, password = tmp_path / "ca.key", tmp_path / "password"
    password.write_bytes(b"sesame\n")
    password.chmod(0o400)

    result = generate("--keep-ca", kept, "--ca-password-file", password, env={PASSWORD_VARIABLE: "other"})

    assert result.exit_code == 0, result.output
    assert load_pem_private_key(kept.read_bytes(), b"sesame") is not None


def test_open_password_file_is_refused(generate, tmp_path):
    """A password that everybody may read is none."""
    password = tmp_path / "password"
    password.write_bytes(b"sesame\n")
    password.chmod(0o644)

    result = generate("--keep-ca", tmp_path / "ca.key", "--ca-password-file", password)

    assert isinstance(result.exception, SecretError)
    assert "a password that everybody may read" in str(result.exception)


def test_kept_key_does_not_replace_the_root_certificate(generate, certs):
    """Naming ca.pem for the key is told, and nothing is written."""
    result = generate("--keep-ca", certs / "ca.pem", env={PASSWORD_VARIABLE: "sesame"})

    assert isinstance(result.exception, MaterialError)
    assert not list(certs.glob("*"))


def test_ed25519_comes_with_a_warning(generate):
    """Old nREPLs do not read it."""
    result = generate("--alg", "ed25519")

    assert result.exit_code == 0
    assert "nREPL reads Ed25519 keys from 1.8 on" in result.stderr


def test_whole_command_line(run_authproxy, tmp_path):
    """The real process fills a folder, and says in one line why it does not fill it twice."""
    first = run_authproxy("keys", "generate", "--out", "certs")
    second = run_authproxy("keys", "generate", "--out", "certs")

    assert first.returncode == 0, first.stderr
    assert (tmp_path / "certs" / "server.pem").exists()
    assert second.returncode == 1
    assert second.stderr == "authproxy: certs/ca.pem: exists already, nothing was written (--force replaces it)\n"
