"""What the tests of shipped files may rely on: the checkers of `.venv-deploy`, and that `make test` leaves them out."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from tests.deploy.box import DOCKER

ROOT = Path(__file__).parents[2]
CHECKERS = ROOT / ".venv-deploy" / "bin"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this directory is of `make deploy-test`, without having to say so."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.deploy)


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """`tool("hadolint")` is the program of `.venv-deploy`, else of this machine; without it the test fails."""

    def find(name: str) -> str:
        path = shutil.which(name, path=os.pathsep.join([str(CHECKERS), os.environ.get("PATH", os.defpath)]))
        if path is None:
            pytest.fail(
                f"{name} is not installed (`make deploy-test` installs checkers, .ci/run names packages)", False
            )
        return path

    return find


class Docker(Protocol):
    """Runs `docker` with these words, and returns what came of it."""

    def __call__(self, *words: str | Path) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture(scope="session")
def docker() -> Docker:
    """`docker(...)` asks the engine that `make deploy-test` has started, where the image of this tree is."""
    if "DOCKER_HOST" not in os.environ:
        missing = "no container engine is named by DOCKER_HOST (`make deploy-test` starts one)"
        if os.environ.get("CI"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([DOCKER, *words], capture_output=True, text=True, check=False, timeout=100)

    return run
