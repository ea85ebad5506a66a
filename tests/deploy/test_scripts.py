"""The shell scripts of the project."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHELL = re.compile(rb"#!\S+[ /](ba|da)?sh\b")


def scripts():
    """Every file that git keeps or would keep, and whose first line names a shell."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [ROOT / line for line in listed.stdout.splitlines()]
    return [path for path in paths if path.is_file() and SHELL.match(path.read_bytes()[:64])]


def test_there_are_scripts():
    """The search below finds the one that is known to be there."""
    assert ROOT / ".ci" / "run" in scripts()


@pytest.mark.parametrize("script", scripts(), ids=lambda path: str(path.relative_to(ROOT)))
def test_shellcheck_finds_nothing(tool, script):
    """No script has a habit that breaks on an odd name or a failed command."""
    checked = subprocess.run([tool("shellcheck"), script], capture_output=True, text=True, check=False)

    assert (checked.returncode, checked.stdout) == (0, "")
