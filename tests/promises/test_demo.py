"""The demo does what its screen says: the real process, the real curl, a POSIX shell."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from tests.patience import PATIENCE, SOON
from tests.ports import usual_ports

pytestmark = pytest.mark.promise


@dataclass(frozen=True)
class Demo:
    """A demo at work."""

    process: subprocess.Popen
    screen: str

    @property
    def commands(self) -> list[str]:
        """The three commands, as somebody would copy them."""
        return re.findall(r"^ +(curl (?:[^\n]*\\\n)*[^\n]*https://localhost:[^\n]*)$", self.screen, re.MULTILINE)

    @property
    def directory(self) -> Path:
        """Where it says that everything lies."""
        return Path(self.find(r"Look around in (\S+)"))

    def find(self, line: str) -> str:
        """The one line of the screen that looks so, without its indent, or the part of it in brackets."""
        (found,) = re.findall(rf"^ *{line}$", self.screen, re.MULTILINE)
        return str(found)

    @property
    def service(self) -> int:
        """The process id of its service."""
        pid = self.process.pid
        (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(child)

    def end(self, number: int) -> float:
        """Send a signal, wait for the end, and return how many seconds that took."""
        before = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(PATIENCE)
        return time.monotonic() - before


def read_screen(stdout: IO[str] | None) -> str:
    lines = []
    for line in stdout or ():
        lines.append(line)
        if line.startswith("Ctrl-C"):
            break
    return "".join(lines)


@contextmanager
def running(tmp_path, *args):
    command = [sys.executable, "-m", "authproxy", "demo", *map(str, args)]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    with (
        usual_ports(),
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ) as process,
    ):
        try:
            yield Demo(process, read_screen(process.stdout))
        finally:
            process.kill()


@pytest.fixture
def demo(tmp_path):
    """A demo that shows its screen; everything it makes is under `tmp_path`.

    Others take ports too, perhaps the very one that was free when the demo looked: then it starts again.
    """
    for last in (False, False, True):
        with running(tmp_path) as one:
            if one.screen or last:
                yield one
                return


def paste(command: str) -> subprocess.CompletedProcess:
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30)


def ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(PATIENCE * 1000))


def test_its_commands_work_as_pasted(demo, tool):
    """With the token 200, without 401, with a forged identity 200 and the service is told the real one."""
    tool("curl")
    token, without, forged = map(paste, demo.commands)

    told, told_again = json.loads(token.stdout), json.loads(forged.stdout)
    (user_id,) = re.findall(r"user_id: (\S+)", (demo.directory / "tokens.yaml").read_text())
    assert (told["hello"], told["headers"]["X-Authproxy-User"]) == ("alice", user_id)
    assert (told_again["hello"], told_again["headers"]["X-Authproxy-User"]) == ("alice", user_id)
    assert "-H 'X-Authproxy-User: admin'" in demo.commands[2]
    assert without.stdout.startswith("HTTP/1.1 401 ")
    assert "Authorization" not in told["headers"]


def test_its_access_log_tells_them(demo, tool):
    """The file that the screen names holds a line for each request, with the status and why."""
    tool("curl")
    for command in demo.commands:
        paste(command)
    with (demo.directory / "access.log").open() as log:
        # The lines are written within a fraction of a second, and certainly when the proxy ends.
        demo.end(signal.SIGTERM)
        lines = [json.loads(line) for line in log]

    assert [line["status"] for line in lines] == [200, 401, 200]
    assert lines[1]["reason"] == "no-credential"


def test_its_further_commands_work(demo, tool):
    """The check says good, the metrics answer, and SIGHUP leaves the proxy at work."""
    tool("curl")
    check = demo.find(r"(\S.* check -c .*)")
    metrics = demo.find(r"(curl -s .*)")
    reload = demo.find(r"(kill -HUP .*)")

    assert paste(check).returncode == 0
    assert paste(reload).returncode == 0
    assert json.loads(paste(demo.commands[0]).stdout)["hello"] == "alice"
    assert "authproxy_requests_total" in paste(metrics).stdout


def test_alice_can_be_put_out(demo, tool):
    """The line that the screen gives takes away her access."""
    tool("curl")
    disable = demo.find(r"(echo .*)")
    first = demo.commands[0].replace("curl ", "curl -s -o /dev/null -w '%{http_code}' ")
    paste(disable)

    deadline = time.monotonic() + PATIENCE
    while (status := paste(first).stdout) == "200" and time.monotonic() < deadline:
        pass

    assert status == "401"


def test_somebody_signs_in_and_is_signed_out(demo, tool):
    """With what the screen says, by a form as browsers send it; the last command of the screen ends it."""
    tool("curl")
    page = demo.find(r"Page +(\S+)")
    origin = page.removesuffix("/admin")
    # Whoever is told to come again in a moment does so: a disk that is busy may take its time.
    curl = f"curl -s --retry 5 --cacert {demo.directory}/ca.pem -b {demo.directory}/jar -c {demo.directory}/jar"
    as_browser = f"{curl} -H 'Accept: text/html' -H 'Sec-Fetch-Site: same-origin' -H 'Sec-Fetch-Mode: navigate'"
    sign_in = (
        f"{as_browser} -L -d user-id={demo.find(r'User id +(.*)')} -d token={demo.find(r'(web_[0-9a-z_]+)')}"
        f" {origin}/auth/login"
    )
    assert "Sign in to the demo" in paste(f"{as_browser} -L {page}").stdout

    assert "Signed in as <strong>alice</strong>" in paste(sign_in).stdout
    saved = paste(f"{as_browser} -L --data-urlencode 'text=Mind the gap' {origin}/admin/note").stdout
    assert '<q id="note">Mind the gap</q> (alice)' in saved
    assert json.loads(paste(f"{curl} {origin}/admin/whoami").stdout) == {"name": "alice", "count": 1}
    assert paste(demo.find(r"(\S.* session list -c .*)")).stdout.count("\n") == 1
    assert paste(demo.find(r"(\S.* session revoke -c .*)")).stdout == "1 ended\n"
    deadline = time.monotonic() + PATIENCE
    while paste(f"{curl} -o {os.devnull} -w '%{{http_code}}' {origin}/admin/whoami").stdout != "401":
        assert time.monotonic() < deadline

    paste(sign_in)
    out = paste(f"{as_browser} -L -d '' {origin}/auth/logout").stdout
    assert "You are signed out" in out
    assert "Sign in to the demo" in paste(f"{as_browser} -L {page}").stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly(demo, number):
    """Ctrl-C and SIGTERM end it soon, exit code 0; the directory and the service are gone."""
    directory, service = demo.directory, os.pidfd_open(demo.service)
    assert directory.stat().st_mode & 0o777 == 0o700

    seconds = demo.end(number)

    assert demo.process.returncode == 0
    assert seconds < SOON
    assert not directory.exists()
    assert ended(service)
    assert demo.process.stderr.read() == ""


def test_the_service_dies_with_it(demo):
    """Killed without a chance to tidy up, the demo leaves no process behind."""
    service = os.pidfd_open(demo.service)

    demo.end(signal.SIGKILL)

    assert ended(service)


def test_a_named_directory_stays(tmp_path):
    """With --dir everything is left there: for the owner alone, secrets closed, the configuration good."""
    with running(tmp_path, "--dir", tmp_path / "kept here") as demo:
        demo.end(signal.SIGINT)

    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "kept here").iterdir()}
    assert (tmp_path / "kept here").stat().st_mode & 0o777 == 0o700
    assert all(
        modes[name] & 0o077 == 0 for name in ("token", "bearer", "pepper", "web.pepper", "server.pem", "legacy.pem")
    )
    assert {"authproxy.yaml", "tokens.yaml", "people.yaml", "ca.pem", "access.log", "events.log"} <= modes.keys()


def test_once_is_for_machines(tmp_path, run_authproxy):
    """With --once the three requests are sent and judged, and nothing is left; the exit code says how it went."""
    (tmp_path / "tmp").mkdir()
    with usual_ports():
        result = run_authproxy("demo", "--once", env={"TMPDIR": str(tmp_path / "tmp")}, timeout=PATIENCE)

    assert result.returncode == 0, result.stderr
    assert re.findall(r"(\d{3}) \w+, as it should be", result.stdout) == ["200", "401", "200"]
    assert "\x1b" not in result.stdout
    assert list((tmp_path / "tmp").iterdir()) == []
