"""Which files are watched, and when they count as changed."""

import os
from pathlib import Path

import pytest

from authproxy.daemon.watched import look_at, material_files


@pytest.fixture
def watched(site):
    """The names of the files that this configuration makes the watch look at."""

    def find(environ=None):
        site.save()
        return sorted(path.name for path in material_files(site.load().settings, environ or {}))

    return find


def test_keys_trust_and_secrets_are_watched(site, watched):
    """Wherever a configuration may name one."""
    site.config["keystores"]["pair"] = {"certificate": "a.pem", "key": "a.key", "password": {"file": "a.pw"}}
    site.config["routes"][0]["headers"] = {"request": {"X-Key": {"file": "api.key"}}}

    assert watched() == ["a.key", "a.pem", "a.pw", "api.key", "ca.pem", "pepper", "server.pem"]


def test_revocations_and_maps_of_names_are_watched(site, watched):
    """Who is believed, who no longer is, and who is who."""
    site.config["truststores"]["ca"] |= {"crls": ["a.crl", "b.crl"], "deny": "denied.txt"}
    site.config["listeners"]["public"]["client_certificates"] = {"mode": "optional", "trust": "ca"}
    site.config["zones"]["api"] |= {
        "accepts": ["token", "certificate"], "certificate": {"trust": "ca", "from": ["cn"], "users": "who.yaml"},
    }  # fmt: skip

    assert set(watched()) >= {"a.crl", "b.crl", "denied.txt", "who.yaml"}


def test_what_is_no_material_is_not_watched(site, watched):
    """Catalogs have their own poll, and the log grows by itself."""
    site.put("more.yaml", "{}\n")
    site.config |= {"include": ["more.yaml"], "state": "kept", "control": "unix:/c", "logging": {"access": "./a.log"}}
    site.config["catalogs"]["users"] = {"kind": "file", "file": "tokens.yaml"}

    assert watched() == ["ca.pem", "pepper", "server.pem"]


def test_a_credential_is_a_file_where_systemd_says(site, watched):
    """And none where it says nothing; a variable is none either."""
    site.config["zones"]["api"]["peppers"] = [{"credential": "api.pepper"}, {"env": "PEPPER"}]

    assert watched({"CREDENTIALS_DIRECTORY": "/run/c"}) == ["api.pepper", "ca.pem", "server.pem"]
    assert watched() == ["ca.pem", "server.pem"]


def test_each_file_is_looked_at_once(site, watched):
    """However many keys name it."""
    site.config["keystores"]["again"] = {"file": "server.pem"}

    assert watched().count("server.pem") == 1


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "f"
    path.write_text("one")
    path.chmod(0o600)
    return path


@pytest.fixture
def change(file):
    """`change(act)` says whether `act()` made the file another one."""

    def compare(act):
        before = look_at([file])
        act()
        return look_at([file]) != before

    return compare


def test_another_content_is_a_change(file, change):
    """Of the same length, and with the dates of the old one."""
    facts = file.stat()

    def rewrite():
        file.write_text("two")
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    assert change(rewrite)


def test_the_same_content_is_none(file, change):
    """Though it is another file with another date."""

    def replace():
        fresh = file.with_name("g")
        fresh.write_text("one")
        fresh.chmod(0o600)
        fresh.replace(file)
        os.utime(file, (1, 1))

    assert not change(replace)


def test_another_mode_is_a_change(file, change):
    """A key that was too open may be right now."""
    assert change(lambda: file.chmod(0o640))


def test_coming_and_going_are_changes(file, change):
    """Both."""
    assert change(file.unlink)
    assert change(lambda: file.write_text("one"))


def test_a_swapped_link_is_a_change(tmp_path):
    """As Kubernetes does it: file -> ..data/file, ..data -> a dated directory."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tls.crt").write_text(name)
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "tls.crt").symlink_to(Path("..data") / "tls.crt")
    before = look_at([tmp_path / "tls.crt"])
    (tmp_path / "..tmp").symlink_to("two")
    (tmp_path / "..tmp").replace(tmp_path / "..data")

    assert look_at([tmp_path / "tls.crt"]) != before


@pytest.mark.timeout(20)
def test_a_named_pipe_is_not_waited_for(tmp_path):
    """Nor anything else that is no file."""
    os.mkfifo(tmp_path / "pipe")

    assert all("is" in told for told in look_at([tmp_path / "pipe", tmp_path]).values())
