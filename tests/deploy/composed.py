"""An installation as docker compose makes it of the shipped files, and somebody who uses it."""

import http.client
import json
import os
import re
import secrets
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from tests.deploy.box import DOCKER
from tests.patience import PATIENCE as SHORTLY
from tests.ports import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
PATIENCE = 200
CURE = re.compile(r"`(chmod -R go\+rX [a-z ]+)`")
STRANGER = 1000
PAGE = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}


@dataclass(kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def seen(self) -> dict[str, Any]:
        """Return what the service says it saw."""
        told: dict[str, Any] = json.loads(self.text)
        return told


@dataclass(kw_only=True)
class Client:
    """Who uses it, over a connection of its own for each request."""

    authority: Path
    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    shown: set[bytes] = field(default_factory=set)
    """Every certificate that was shown to it."""

    def connect(self, timeout: float = 30) -> http.client.HTTPSConnection:
        """Return a connection on which hands are shaken."""
        context = ssl.create_default_context(cafile=str(self.authority))
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=timeout, context=context)
        connection.connect()
        assert isinstance(connection.sock, ssl.SSLSocket)
        self.shown.add(connection.sock.getpeercert(binary_form=True) or b"")
        return connection

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        """Send one request; header names are written with _ for -."""
        connection = self.connect()
        try:
            return self.ask_on(connection, path, method, body, {n.replace("_", "-"): v for n, v in headers.items()})
        finally:
            connection.close()

    def ask_on(
        self,
        connection: http.client.HTTPSConnection,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request on this connection, with the cookies that there are, and keep those that come."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection.request(method, path, body, (headers or {}) | ({"Cookie": cookies} if cookies else {}))
        response = connection.getresponse()
        text = response.read().decode()
        for line in response.headers.get_all("Set-Cookie") or []:
            name, _, rest = line.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        return Answer(status=response.status, headers=response.headers, text=text)

    def sign_in(self, user_id: str, token: str) -> Answer:
        """Send the form of the login page; again, where the answer is to come again."""
        form = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
        body = urlencode({"user-id": user_id, "token": token, "next": "/page"}).encode()
        # A disk that is busy with others may take longer to write than a login waits.
        ends = time.monotonic() + PATIENCE
        while (answer := self.ask("/auth/login", "POST", body, **form)).status == 503:
            assert time.monotonic() < ends
            time.sleep(float(answer.headers["Retry-After"]))
        return answer


@dataclass(frozen=True, kw_only=True)
class Composed:
    """A running installation."""

    program: str
    folder: Path
    files: tuple[str, ...]
    name: str
    port: int

    def compose(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `docker compose words...` for it."""
        files = (word for file in self.files for word in ("-f", file))
        done = subprocess.run(
            [self.program, "-p", self.name, "--progress", "quiet", *files, *words],
            cwd=self.folder,
            env=os.environ | {"AUTHPROXY_PORT": str(self.port)},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if check and done.returncode != 0:
            told = subprocess.run(
                [self.program, "-p", self.name, "logs"], cwd=self.folder, capture_output=True, text=True, check=False
            )
            raise AssertionError(f"compose {' '.join(words)}: {done.stdout}{done.stderr}\n{told.stdout[-5000:]}")
        return done

    def up(self) -> None:
        """Start what does not run, and return when all is healthy."""
        self.compose("up", "--detach", "--wait", "--no-build")

    def container(self, service: str) -> str:
        """Return the id of the container of `service`, also of one that has ended."""
        return self.compose("ps", "--all", "--quiet", service).stdout.strip()

    def state(self, service: str) -> dict[str, Any]:
        """Return what the engine says of the container of `service`."""
        done = subprocess.run([DOCKER, "inspect", self.container(service)], capture_output=True, text=True, check=True)
        told: dict[str, Any] = json.loads(done.stdout)[0]
        return told

    def inside(self, service: str, program: str) -> str:
        """Run a Python program in the container of `service`, and return what it printed."""
        return self.compose("exec", "-T", service, "python3", "-c", program).stdout

    @property
    def token(self) -> str:
        """Return the token of the first start."""
        return (self.folder / "secrets" / "client" / "token").read_text().strip()

    @property
    def bearer(self) -> str:
        """Return the value of Authorization, from the file that is there for curl."""
        return (self.folder / "secrets" / "client" / "bearer").read_text().strip().removeprefix("Authorization: ")

    def client(self) -> Client:
        """Return somebody who trusts whom the first start says."""
        return Client(authority=self.folder / "secrets" / "client" / "ca.pem", port=self.port)

    def user_id(self) -> str:
        """Return the id of the first user, as the service is told."""
        told: str = self.client().ask("/who", Authorization=self.bearer).seen["headers"]["X-Authproxy-User"]
        return told


@contextmanager
def composed(program: str, folder: Path, file: str) -> Iterator[Composed]:
    """Start the shipped `file` from a copy in `folder` that is somebody's, and take everything away at the end."""
    copy_deploy(folder)
    # What a run that was killed has left in the engine keeps its name.
    name = f"authproxy-test-{secrets.token_hex(4)}"
    house = Composed(program=program, folder=folder, files=(file,), name=name, port=free_port())
    try:
        house.up()
        yield house
    finally:
        house.compose("down", "--volumes", "--timeout", "2", check=False)


def copy_deploy(folder: Path) -> None:
    """Make `folder` what a stranger has after a clone: theirs, and with no keys made yet.

    It was cloned with umask 077, and then what the README says of that was done; that does for any other umask too.
    """
    shutil.copytree(DEPLOY, folder, ignore=_made)
    for path in folder.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
    cure = CURE.search((folder / "README.md").read_text())
    assert cure is not None
    subprocess.run(cure[1].split(), cwd=folder, check=True)
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, STRANGER, STRANGER)


def _made(directory: str, names: list[str]) -> list[str]:
    # What somebody has made here by following the README stays here.
    return [name for name in names if name != ".gitignore"] if Path(directory).parent.name == "secrets" else []


class Load:
    """Requests without a pause, on new connections and on kept ones, until it is stopped."""

    def __init__(self, house: Composed) -> None:
        self.clients = [house.client() for _ in range(4)]
        self.bearer = house.bearer
        self.stopped = threading.Event()
        self.failed: list[str] = []
        self.parted: list[str] = []
        """Kept connections that were closed between two requests, just as the next was on its way."""
        self.answered = 0
        self.threads = [
            threading.Thread(target=self.run, args=(client, kept))
            for client, kept in zip(self.clients, (True, False) * 2, strict=True)
        ]

    def run(self, client: Client, kept: bool) -> None:
        """Ask until it is stopped, on one connection or on a new one each time."""
        connection: http.client.HTTPSConnection | None = None
        while not self.stopped.is_set():
            used = connection is not None
            try:
                connection = connection or client.connect()
                answer = client.ask_on(connection, "/load", headers={"Authorization": self.bearer})
            except (OSError, http.client.HTTPException) as error:
                # No answer at all on a connection that was used before: every client asks once more then (RFC 9112, 9.3.1).
                (self.parted if used and isinstance(error, ConnectionError) else self.failed).append(repr(error))
                if connection is not None:
                    connection.close()
                connection = None
                continue
            if answer.status != 200:
                self.failed.append(f"{answer.status} {answer.text}")
            self.answered += 1
            if answer.headers.get("Connection") == "close" or not kept:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def until(happened: Callable[[], bool], what: str) -> None:
    """Return when it is so; fails when it takes too long."""
    ends = time.monotonic() + 2 * SHORTLY
    while not happened():
        assert time.monotonic() < ends, f"not within {2 * SHORTLY:g} s: {what}"
        time.sleep(0.05)
