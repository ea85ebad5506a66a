"""A stranger who types what deploy/README.md says, in that order."""

import os
import re
import secrets
import subprocess

import pytest

from tests.deploy.composed import DEPLOY, copy_deploy
from tests.ports import free_port

pytestmark = pytest.mark.timeout(400)
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What the README calls `docker compose`: images are there, and other installations shall not be disturbed.
DOCKER = """#!/bin/bash
shift
words=() files=compose
for word; do
  case $word in --build) word=--no-build ;; compose.redis.yaml) files=redis ;; esac
  words+=("$word")
done
exec {program} --progress quiet -p "{name}-$files" "${{words[@]}}"
"""


@pytest.fixture
def stranger(docker, tool, tmp_path):
    """Runs lines of a shell in a fresh copy of deploy/, and returns what they printed."""
    folder, programs = tmp_path / "deploy", tmp_path / "bin"
    copy_deploy(folder)
    port = free_port()
    programs.mkdir()
    (programs / "docker").write_text(
        DOCKER.format(program=tool("docker-compose"), name=f"authproxy-test-{secrets.token_hex(4)}")
    )
    (programs / "docker").chmod(0o755)
    environ = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "AUTHPROXY_PORT": str(port)}

    def run(lines):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", lines.replace("localhost:8443", f"localhost:{port}")],
            cwd=folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    yield run
    for file in ("compose.yaml", "compose.redis.yaml"):
        run(f"docker compose -f {file} down --volumes --timeout 1")


def test_every_command_does_what_is_said_beside_it(tool, stranger):
    """From `up` to the end no command fails, and each answers as its comment says."""
    tool("curl")
    tool("openssl")

    told = [stranger(block) for block in BLOCK.findall((DEPLOY / "README.md").read_text())]
    asked, renewed = told[1], told[4]

    assert asked.count('"hello": "alice"') == 2
    assert asked.count("HTTP/1.1 401 Unauthorized") == 1
    assert '"Remote-User": "root"' not in asked
    assert told[2].startswith("web_")
    assert "serial=" in renewed
    assert "good: 1 listener" in told[5]
    assert re.search(r"^config +unchanged$", told[5], re.MULTILINE)
    assert told[6].startswith("web_")
    assert '"hello": "alice"' in told[7]
    assert '"hello": "alice"' in told[8]
