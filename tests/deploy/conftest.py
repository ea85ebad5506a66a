"""What the tests of shipped files may rely on: the checkers of `.venv-deploy`, and that `make test` leaves them out."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

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
