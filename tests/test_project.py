"""The project keeps its own house rules."""

import asyncio
import re
import subprocess
import time
import tomllib
from pathlib import Path

import click
import pytest
from blockbuster import BlockingError
from click.testing import CliRunner
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from authproxy.cli import COMMANDS, cli, healthcheck

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TOP_LEVEL = {
    *("pyproject.toml", "README.md", "Makefile", "LICENSE", "CHANGELOG.md", "Dockerfile"),
    *("authproxy", "config", "certs", "tests", "deploy", "docs"),
}
LOCKED_GROUPS = ("dev", "build", "scan", "deploy", "docs")
LOCKS = [ROOT / ".ci" / f"requirements{suffix}.txt" for suffix in ("", *(f"-{group}" for group in LOCKED_GROUPS))]
MAX_LINES = 300


@pytest.fixture(scope="module")
def shipped():
    """Every file that git keeps or would keep; outside of a repository, every file but the hidden and the built."""
    git = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if git.returncode == 0:
        found = (Path(line) for line in git.stdout.splitlines())
        return [path for path in found if (ROOT / path).is_file()]
    every = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    made = re.compile(r"\..*|__pycache__|build|dist|.*\.egg-info")
    return [path for path in every if not made.fullmatch(path.parts[0]) and "__pycache__" not in path.parts]


def test_the_top_level_is_small(shipped):
    """A newcomer finds the few well-known names at the top, and nothing else."""
    names = {path.parts[0] for path in shipped}

    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL


def test_modules_fit_a_few_screens(shipped):
    """No module of the program is longer than one can hold in mind."""
    modules = [path for path in shipped if path.parts[0] == "authproxy" and path.suffix == ".py"]

    long = {str(path): lines for path in modules if (lines := len((ROOT / path).read_text().splitlines())) > MAX_LINES}

    assert modules
    assert long == {}


def test_no_key_material_is_shipped(shipped):
    """certs/ holds its README only, and no private key stands anywhere."""
    key = re.compile(rb"^-----BEGIN [A-Z ]*PRIVATE KEY-----$", re.MULTILINE)

    assert {str(path) for path in shipped if path.parts[0] == "certs"} <= {"certs/README.md"}
    assert [str(path) for path in shipped if key.search((ROOT / path).read_bytes())] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_locks_name_no_place(lock):
    """A lock holds names, versions, hashes and conditions: no registry, no path, no option."""
    allowed = re.compile(r"[a-z0-9.-]+==[A-Za-z0-9.+!]+( ; [^/@]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?|    #.*")
    lines = lock.read_text().splitlines()

    assert [line for line in lines if not allowed.fullmatch(line)] == []
    assert not re.search(r"://|/", lock.read_text())


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        (LOCKS[0], PROJECT["project"]["dependencies"]),
        (LOCKS[1], PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]),
        *zip(LOCKS[2:], (PROJECT["dependency-groups"][group] for group in LOCKED_GROUPS[1:]), strict=True),
    ],
    ids=["runtime", *LOCKED_GROUPS],
)
def test_locks_satisfy_the_project(lock, wanted):
    """Every requirement of pyproject.toml is locked at a version that it allows; else `make lock` was forgotten."""
    locked = dict(re.findall(r"^([a-z0-9.-]+)==([^ ]+)", lock.read_text(), re.MULTILINE))

    unmet = [
        need
        for need in map(Requirement, wanted)
        if not need.specifier.contains(locked.get(canonicalize_name(need.name), "0"))
    ]

    assert unmet == []


def test_both_locks_agree():
    """Tests run against the very versions that are shipped."""
    runtime, dev = (set(re.findall(r"^[a-z0-9.-]+==[^ ]+", lock.read_text(), re.MULTILINE)) for lock in LOCKS[:2])

    assert runtime <= dev


def test_the_changelog_keeps_its_order():
    """Sections of a release follow one another as operators need them."""
    order = ["Security", "Removed", "Deprecated", "Added", "Changed", "Fixed"]

    releases = (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1:]
    sections = [re.findall(r"^### (.+)$", release, re.MULTILINE) for release in releases]

    assert sections
    assert all(found == [name for name in order if name in found] for found in sections)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example(name):
    """`--help` of every command, and of every command below it, shows how it is called."""
    missing = []

    def look(command, path):
        if isinstance(command, click.Group):
            for below, subcommand in command.commands.items():
                look(subcommand, [*path, below])
            return
        shown = CliRunner().invoke(cli, [*path, "--help"]).output
        if not re.search(rf"^ *(\$ )?(.* )?authproxy {' '.join(path)}\b", shown.partition("\n")[2], re.MULTILINE):
            missing.append(" ".join(path))

    look(cli.get_command(click.Context(cli), name), [name])

    assert missing == []


async def test_a_blocked_loop_fails_the_test(tmp_path):
    """Code of authproxy that blocks the event loop raises in every test."""
    (tmp_path / "authproxy.yaml").write_text("ops: {bind: 127.0.0.1:9901}")

    with pytest.raises(BlockingError):
        healthcheck.from_config(tmp_path / "authproxy.yaml")


@pytest.mark.blocks
async def test_the_mark_lets_a_test_block(tmp_path):
    """It blocks to read a file, which is what is tested here."""
    (tmp_path / "authproxy.yaml").write_text("ops: {bind: 127.0.0.1:9901}")

    assert healthcheck.from_config(tmp_path / "authproxy.yaml").text == "http://127.0.0.1:9901"


async def test_tests_themselves_may_block(tmp_path):
    """A test reads its files as it likes, loop or not."""
    (tmp_path / "x").write_text("y")
    time.sleep(0)
    await asyncio.sleep(0)

    assert (tmp_path / "x").read_text() == "y"


def test_a_missing_tool_skips_here(tool, monkeypatch):
    """On a developer's machine a test without its tool is skipped, and says which one."""
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match="no-such-tool is not installed"):
        tool("no-such-tool")


def test_a_missing_tool_fails_in_ci(tool, monkeypatch):
    """In CI nothing is left out silently."""
    monkeypatch.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match=r"no-such-tool is not installed.*\.ci/run"):
        tool("no-such-tool")
