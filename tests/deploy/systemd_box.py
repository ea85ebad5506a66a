"""A real systemd with the unit installed as its README says."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
SYSTEMD = ROOT / "deploy" / "systemd"
_GROUPS = [Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup")]
_SERVICE = """
import http.server, json, ssl

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = json.dumps(dict(self.headers)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 9443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/root/legacy.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def steps() -> list[str]:
    """The README's blocks of commands, in order."""
    return re.findall(r"^```sh\n(.*?)^```$", (SYSTEMD / "README.md").read_text(), re.MULTILINE | re.DOTALL)


class Box:
    """systemd as process 1 of namespaces of its own; `run` is a command inside."""

    def __init__(self, work: Path) -> None:
        environ = os.environ | {
            "PREFIX": sys.base_prefix,
            "SITE": sysconfig.get_paths()["purelib"],
            "SOURCE": str(ROOT),
        }
        self._log = work / "boot.log"
        with self._log.open("wb") as log:
            self._outer = subprocess.Popen(
                [Path(__file__).with_suffix(".sh"), work], env=environ, stdout=log, stderr=log, start_new_session=True
            )
        self._first = 0

    def boot(self) -> None:
        """Wait until systemd answers."""
        self.until(
            lambda: self._find_first() and self.run("systemctl", "is-system-running", check=False).stdout.strip()
        )

    def _find_first(self) -> bool:
        assert self._outer.poll() is None, f"the box did not come up: {self._log.read_text()}"
        with contextlib.suppress(OSError, ValueError):
            self._first = int(Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text())
            # Before, it is the shell that makes the box ready.
            return b"systemd" in Path(f"/proc/{self._first}/cmdline").read_bytes().split(b"\0")[0]
        return False

    def until(self, look, seconds=PATIENCE):
        """Return the first true value of `look()`."""
        ends = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < ends, f"not within {seconds:g}s: {self._log.read_text()}"
            time.sleep(0.05)
        return found

    def command(self, *words: str) -> list[str]:
        return ["nsenter", "-t", str(self._first), "-a", "--root", "--wd", *words]

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0 or not check, (
            f"{words}: {done.stdout}{done.stderr}{self.said()}{self._log.read_text()}"
        )
        return done

    def sh(self, script: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("bash", "-euc", script, check=check)

    def put(self, path: str, text: str, mode: str = "640") -> None:
        """Write a file inside, for root and the service's group."""
        script = 'install -m "$2" -g authproxy /dev/stdin "$1"'
        command = self.command("bash", "-euc", script, "bash", path, mode)
        subprocess.run(command, input=text, text=True, check=True, timeout=20)

    def get(self, path: str) -> str:
        return self.run("cat", path).stdout

    def said(self) -> str:
        """What systemd knows, and the service wrote on standard error."""
        return self.sh(
            "systemctl status --no-pager authproxy || true; tail -n 20 /run/said || true", check=False
        ).stdout

    def show(self, *names: str) -> list[str]:
        """Properties of the unit, in the order asked for."""
        told = self.run("systemctl", "show", "authproxy", *(f"--property={name}" for name in names)).stdout
        found = dict(line.split("=", 1) for line in told.splitlines())
        return [found[name] for name in names]

    def curl(self, *words: str, port: int = 8443) -> int:
        """Return the status of an answer, 0 if there was none."""
        asked = self.run(
            "curl", "-sS", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", "/etc/authproxy/tls/ca.pem",
            "--resolve", f"proxy.example.org:{port}:127.0.0.1", *words, f"https://proxy.example.org:{port}/", check=False,
        )  # fmt: skip
        return int(asked.stdout)

    def close(self) -> None:
        if self._first:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._first, signal.SIGKILL)
        else:
            self._outer.kill()
        self._outer.wait(PATIENCE)
        for top in _GROUPS:
            group = top / f"authproxy-box-{self._outer.pid}"
            for directory in sorted(group.rglob("*/"), reverse=True):
                directory.rmdir()
            if group.exists():
                group.rmdir()


@contextlib.contextmanager
def installed(work: Path, pki_files: dict[str, bytes]) -> Iterator[Box]:
    """A box with the unit installed and started; the service behind it shows `legacy.pem`."""
    box = Box(work)
    legacy = None
    try:
        box.boot()
        box.sh("mkdir -p -m 700 /root; echo 127.0.0.1 legacy.internal >> /etc/hosts")
        for name, data in pki_files.items():
            box.sh(f"cat > /root/{name} <<'END'\n{data.decode()}END\n")
        box.sh(f"cat > /root/legacy.py <<'END'\n{_SERVICE}END\n")
        python = ["env", "LD_LIBRARY_PATH=/opt/authproxy/python/lib", "/opt/authproxy/python/bin/python3"]
        legacy = subprocess.Popen(box.command(*python, "/root/legacy.py"), stderr=subprocess.DEVNULL)
        # No journal in the box.
        box.sh(
            "mkdir -p /etc/systemd/system/authproxy.service.d; printf '[Service]\\nStandardOutput=null\\n"
            "StandardError=append:/run/said\\n' > /etc/systemd/system/authproxy.service.d/said.conf"
        )
        # What the first step makes is there already.
        box.sh("cd /srv/authproxy\n" + "\n".join(steps()[1:]))
        yield box
    finally:
        box.close()
        if legacy is not None:
            legacy.wait(PATIENCE)
