"""What `make deploy-test` says to a machine that cannot run containers."""

import os

import pytest

from tests.deploy import box


def test_missing_programs_are_named_by_their_packages(monkeypatch):
    """Whoever lacks the engine is told what to install, all at once."""
    monkeypatch.setattr("shutil.which", lambda name: None if name in {"/usr/sbin/dockerd", "mmdebstrap"} else name)

    with pytest.raises(box.CannotRun, match=r"^missing here: apt-get install docker\.io mmdebstrap$"):
        box.check_machine()


def test_who_is_not_root_is_told_what_else_there_is(monkeypatch):
    """An engine that one may use is the other way."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(box.CannotRun, match="needs root; or set DOCKER_HOST"):
        box.check_machine()


def test_a_daemon_that_ends_shows_its_reason(tmp_path, monkeypatch):
    """What dockerd said last is what one needs to know, and DOCKER_HOST leads where it led before."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///elsewhere")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    unshare = tmp_path / "unshare"
    unshare.write_text("#!/bin/sh\necho failed to start daemon: no space left\nexit 1\n")
    unshare.chmod(0o755)

    with (
        pytest.raises(box.CannotRun, match="dockerd does not start here:\nfailed to start daemon: no space left"),
        box.engine(tmp_path, reaches_registries=False),
    ):
        pytest.fail("it started")

    assert os.environ["DOCKER_HOST"] == "unix:///elsewhere"


def test_a_base_is_made_again_when_what_it_carries_changes(tmp_path, monkeypatch):
    """A certificate that the package index needs is in the base; with another one it is another base."""
    carried, programs = tmp_path / "ca.crt", tmp_path / "bin"
    monkeypatch.setattr(box, "CARRIED", (str(carried),))
    programs.mkdir()
    (programs / "mmdebstrap").write_text('#!/bin/sh\nfor last; do :; done\necho made > "$last"\n')
    (programs / "mmdebstrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")

    carried.write_text("one")
    first, again = box.base_tar(tmp_path), box.base_tar(tmp_path)
    carried.write_text("two")
    second = box.base_tar(tmp_path)

    assert first == again != second
    assert list(tmp_path.glob("base-*")) == [second]


@pytest.mark.parametrize("failures", [0, 2, 3])
def test_a_build_that_fails_is_tried_again(tmp_path, monkeypatch, failures):
    """What it loads comes over a network; what fails each time is told."""
    docker, tries = tmp_path / "docker", tmp_path / "tries"
    docker.write_text(
        f'#!/bin/sh\necho "$*" >> {tries}\n[ "$(wc -l < {tries})" -gt {failures} ] || {{ echo gone >&2; exit 1; }}\n'
    )
    docker.chmod(0o755)
    monkeypatch.setattr(box, "DOCKER", str(docker))
    if failures < box.TRIES:
        box.build("--tag", "x", tmp_path)
    else:
        with pytest.raises(box.CannotRun, match="failed:\ngone"):
            box.build("--tag", "x", tmp_path)

    assert tries.read_text().splitlines() == [f"build --network host --tag x {tmp_path}"] * min(failures + 1, box.TRIES)
