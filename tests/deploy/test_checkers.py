"""What the usual checkers say of the files for images and compose."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILES = ["Dockerfile", "tests/deploy/stand_ins/Dockerfile"]
COMPOSE = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("deploy/compose*.yaml"))
YAML = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("deploy/**/*.y*ml"))
# The default rules but for looks: lines as long as elsewhere here, columns of comments, one document a file.
YAMLLINT = """{extends: default, rules: {line-length: {max: 160}, document-start: disable, comments: {min-spaces-from-content: 1},
commas: {max-spaces-after: -1}, colons: {max-spaces-after: -1}, comments-indentation: disable}}"""


def test_there_are_files():
    """The searches above find what is known to be there."""
    assert "deploy/compose.yaml" in COMPOSE
    assert "deploy/proxy/authproxy.yaml" in YAML


def complaints(*command):
    """What a checker has to say of these files; nothing, if all is well."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr) if done.returncode else ""


@pytest.mark.parametrize("path", DOCKERFILES)
def test_hadolint(tool, path):
    """No habit that makes an image larger, less certain or less safe than it need be."""
    assert complaints(tool("hadolint"), "--failure-threshold", "style", path) == ""


@pytest.mark.parametrize("path", COMPOSE)
def test_compose_can_read_it(tool, path):
    """The program itself takes it, and warns of nothing."""
    done = subprocess.run(
        [tool("docker-compose"), "-f", path, "config", "--quiet"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("path", COMPOSE)
def test_the_schema_of_compose(tool, path):
    """Every key is one of the Compose specification."""
    assert complaints(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", path) == ""


@pytest.mark.parametrize("path", YAML)
def test_yamllint(tool, path):
    """No key twice, no text that YAML reads as something else, no trailing blanks."""
    assert complaints(tool("yamllint"), "--strict", "-d", YAMLLINT, path) == ""
