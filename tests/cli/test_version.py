"""`authproxy version`."""

import importlib.metadata
import json
import platform
import tomllib
from pathlib import Path

from click.testing import CliRunner

from authproxy.cli import version

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_one_line_each():
    """The program comes first, then what it stands on, one `name version` a line."""
    lines = CliRunner().invoke(version.command).output.splitlines()

    assert [line.split()[0] for line in lines] == ["authproxy", "Python", "OpenSSL", "aiohttp", "uvloop"]
    assert lines[1] == f"Python {platform.python_version()}"
    assert lines[3] == f"aiohttp {importlib.metadata.version('aiohttp')}"


def test_json_has_the_same_facts():
    """`--json` says the same under lower-case names."""
    said = json.loads(CliRunner().invoke(version.command, ["--json"]).output)

    assert said == {name.lower(): value for name, value in version.facts().items()}


def test_the_number_is_the_project_s():
    """The version is the one in pyproject.toml."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]

    assert project["name"] == version.DISTRIBUTION
    assert version.number() == project["version"]


def test_a_missing_library_is_told(monkeypatch):
    """A broken installation can still say what it has."""
    monkeypatch.setattr(version, "LIBRARIES", ("aiohttp", "no-such-library"))

    assert version.facts()["no-such-library"] == "not installed"
