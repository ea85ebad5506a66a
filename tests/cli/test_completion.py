"""`authproxy completion`."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from authproxy.cli import cli


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell):
    """The script asks `authproxy` itself, through the variable that it listens to."""
    done = CliRunner().invoke(cli, ["completion", shell])

    assert done.exit_code == 0
    assert f"_AUTHPROXY_COMPLETE={shell}_complete" in done.output


def test_another_shell_is_wrong_usage():
    """A shell that we have no script for is refused with the list of those we have."""
    done = CliRunner().invoke(cli, ["completion", "tcsh"])

    assert done.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in done.output


def test_bash_completes_a_command(tool, tmp_path):
    """A real bash that has read the script finishes `health` and nothing else."""
    program = tmp_path / "authproxy"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m authproxy "$@"\n')
    program.chmod(0o755)
    script = """
eval "$(authproxy completion bash)"
COMP_WORDS=(authproxy health) COMP_CWORD=1
_authproxy_completion authproxy
echo "${COMPREPLY[@]}"
"""

    done = subprocess.run(
        [tool("bash"), "--norc", "-c", script],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=20,
    )

    assert done.stdout.strip() == "healthcheck"
