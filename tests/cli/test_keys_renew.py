"""`authproxy keys renew`: the same names under the same root, or nothing at all."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from authproxy.cli.keys import command
from authproxy.cli.keys_options import PASSWORD_VARIABLE
from authproxy.errors import MaterialError
from authproxy.keystore import Role, check, load_file, load_truststore
from authproxy.keystore.lineage import issued_by
from authproxy.keystore.model import alternative_names

pytestmark = pytest.mark.timeout(120)

WORD = {PASSWORD_VARIABLE: "sesame"}


def call(*args: object, env: Mapping[str, str | None] | None = None):
    return CliRunner().invoke(command, [str(arg) for arg in args], env={PASSWORD_VARIABLE: None, **(env or {})})


@pytest.fixture
def family(tmp_path):
    """`family(*args)` generates into `tmp_path/certs`, the root's key kept in `tmp_path/root.pem`."""

    def run(*args: object) -> Path:
        made = call("generate", "--out", tmp_path / "certs", "--keep-ca", tmp_path / "root.pem", *args, env=WORD)
        assert made.exit_code == 0, made.output
        return tmp_path / "certs"

    return run


@pytest.mark.parametrize("algorithm", ["ec-p256", "ec-p384", "rsa", "ed25519"])
def test_names_stay_and_keys_change(algorithm, family, tmp_path):
    """Same subject, alternative names, usages, root and kind of key; new key, serial and end; modes stay closed."""
    certs = family("--alg", algorithm, "--san", "a.example", "--uri", "spiffe://e.org/{name}", "--days", 10)
    names = ("server.pem", "server.keys", "client.keys")
    before = {name: load_file(name, certs / name) for name in names}

    result = call(
        "renew", *[certs / name for name in names], "--keep-ca", tmp_path / "root.pem", "--days", 90, env=WORD
    )

    assert result.exit_code == 0, result.output
    now = datetime.now(UTC)
    for name, old in before.items():
        new = load_file(name, certs / name)
        assert new.leaf.subject == old.leaf.subject
        assert alternative_names(new.leaf) == alternative_names(old.leaf)
        assert new.root == old.root
        assert type(new.key) is type(old.key)
        assert new.leaf.public_key() != old.leaf.public_key()
        assert new.leaf.serial_number != old.leaf.serial_number
        assert timedelta(days=89) < new.remaining(now) <= timedelta(days=90)
        assert {each.oid for each in new.leaf.extensions} == {each.oid for each in old.leaf.extensions}
        check(new, Role.CLIENT if "client" in name else Role.SERVER, now)
        assert (certs / name).stat().st_mode & 0o777 == 0o400
    assert load_file("s", certs / "server.pem").leaf == load_file("s", certs / "server.keys").leaf
    root = before["server.keys"].root
    assert root is not None
    assert issued_by(load_file("s", certs / "server.pem").leaf, root)


def test_lost_root_key_is_told(family, tmp_path):
    """Where nothing was kept, nothing can be renewed; what to do instead is said, and nothing changes."""
    certs = family()
    before = (certs / "server.keys").read_bytes()

    unnamed = call("renew", certs / "server.keys", env=WORD)
    absent = call("renew", certs / "server.keys", "--keep-ca", tmp_path / "gone.pem", env=WORD)

    assert unnamed.exit_code == 2
    assert isinstance(absent.exception, MaterialError)
    for said in (unnamed.output.replace("\n", " "), str(absent.exception)):
        assert "the root's key was discarded" in said
        assert "`authproxy keys generate --force --out" in said
    assert (certs / "server.keys").read_bytes() == before


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda certs, root: ([certs / "server.keys"], certs / "server.pem"), "is no authority"),
        (lambda certs, root: ([certs / "server.keys"], certs / "ca.pem"), "no PRIVATE KEY block|everybody may read"),
        (lambda certs, root: ([certs / "gone.keys"], root), "there is no such file"),
        (lambda certs, root: ([root], root), "is encrypted and no password is given"),
        (lambda certs, root: ([certs / "server.keys", certs / "ca.pem"], root), "ca.pem: no PRIVATE KEY block"),
    ],
)
def test_all_or_nothing(spoil, problem, family, tmp_path):
    """Whatever is wrong with one file, none is changed."""
    certs = family()
    before = {path: path.read_bytes() for path in certs.iterdir()}
    files, root = spoil(certs, tmp_path / "root.pem")

    result = call("renew", *files, "--keep-ca", root, env=WORD)

    assert result.exit_code != 0
    with pytest.raises(type(result.exception), match=problem):
        raise result.exception
    assert {path: path.read_bytes() for path in certs.iterdir()} == before


def test_file_of_another_root_is_refused(family, tmp_path):
    """A certificate that this root did not issue is not made its own."""
    certs = family()
    call("generate", "--out", tmp_path / "other", env=WORD)

    result = call(
        "renew", certs / "server.pem", tmp_path / "other" / "server.pem", "--keep-ca", tmp_path / "root.pem", env=WORD
    )

    assert isinstance(result.exception, MaterialError)
    assert "was not issued by CN=authproxy development CA" in str(result.exception)


def test_wrong_password_is_told(family, tmp_path):
    """And a missing one is a wrong use."""
    certs = family()
    arguments = ["renew", certs / "server.pem", "--keep-ca", tmp_path / "root.pem"]

    wrong = call(*arguments, env={PASSWORD_VARIABLE: "simsala"})
    none = call(*arguments)

    assert isinstance(wrong.exception, MaterialError)
    assert "the password is wrong" in str(wrong.exception)
    assert none.exit_code == 2
    assert "--keep-ca needs its password" in none.output


def test_nothing_outlives_the_root(family, tmp_path):
    """The end is the root's, and that is said."""
    certs = family("--days", 5, "--ca-days", 20)

    result = call("renew", certs / "server.keys", "--keep-ca", tmp_path / "root.pem", "--days", 30, env=WORD)

    new = load_file("s", certs / "server.keys")
    assert new.root is not None
    assert new.leaf.not_valid_after_utc == new.root.not_valid_after_utc
    assert "no certificate outlives its root" in result.stderr


def test_json_tells_what_replaced_what(family, tmp_path):
    """Fingerprints before and after; no key."""
    certs = family()
    old = load_file("s", certs / "server.keys").fingerprint

    result = call("renew", certs / "server.keys", "--keep-ca", tmp_path / "root.pem", "--json", env=WORD)

    (entry,) = json.loads(result.stdout)["files"]
    assert entry["replaces_sha256"] == old
    assert entry["sha256"] == load_file("s", certs / "server.keys").fingerprint != old
    assert "PRIVATE" not in result.output


def test_java_store_is_not_renewed(family, tmp_path):
    """It says what is."""
    certs = family()
    (certs / "s.p12").write_bytes(bytes.fromhex("3003020103"))

    result = call("renew", certs / "s.p12", "--keep-ca", tmp_path / "root.pem", env=WORD)

    assert "only PEM and keys files are renewed" in str(result.exception)


def test_a_new_root_beside_the_old_one(tmp_path):
    """Where the root's key was discarded: new certificates under a new root, and both roots in what others trust."""
    certs = tmp_path / "certs"
    assert call("generate", "--out", certs).exit_code == 0
    (old_root,) = load_truststore("old", certs / "ca.pem").certificates
    names = ("server.pem", "server.keys", "client.pem")
    before = {name: load_file(name, certs / name).leaf for name in names}
    done = call("renew", *[certs / name for name in names], "--overlap", certs / "ca.pem")

    assert done.exit_code == 0, done.output
    new_root, kept = load_truststore("new", certs / "ca.pem").certificates
    assert kept == old_root
    assert (certs / "ca.pem").stat().st_mode & 0o777 == 0o644
    for name in names:
        store = load_file(name, certs / name)
        assert issued_by(store.leaf, new_root)
        assert not issued_by(store.leaf, old_root)
        assert store.leaf.subject == before[name].subject
        assert store.leaf.public_key() != before[name].public_key()
    assert load_file("keys", certs / "server.keys").root == new_root
    assert "holds the new root and 1 before it" in done.output


def test_a_second_overlap_keeps_all_roots(tmp_path):
    """Until somebody takes the old ones out."""
    certs = tmp_path / "certs"
    assert call("generate", "--out", certs).exit_code == 0
    for _ in range(2):
        assert call("renew", certs / "server.pem", "--overlap", certs / "ca.pem").exit_code == 0

    assert len(load_truststore("all", certs / "ca.pem").certificates) == 3


def test_overlap_renews_only_what_a_root_of_the_bundle_has_issued(tmp_path):
    """And is no way to sign with the old root; nothing is written then."""
    for name in ("certs", "other"):
        assert call("generate", "--out", tmp_path / name).exit_code == 0
    bundle = tmp_path / "certs" / "ca.pem"
    before = bundle.read_bytes()
    foreign = call("renew", tmp_path / "certs" / "server.pem", tmp_path / "other" / "server.pem", "--overlap", bundle)
    both = call("renew", tmp_path / "certs" / "server.pem", "--overlap", bundle, "--keep-ca", tmp_path / "root.pem")

    assert isinstance(foreign.exception, MaterialError)
    assert f"was not issued by any root in {bundle}" in str(foreign.exception)
    assert both.exit_code == 2
    assert "choose one of them" in both.output
    assert bundle.read_bytes() == before
