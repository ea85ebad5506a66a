"""A real Redis of one's own: on a Unix socket and a free port of this machine, gone when the test is over."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.patience import PATIENCE
from tests.ports import free_port


class RedisServer:
    """Keeps nothing on the disk; `command` may be asked what it holds."""

    def __init__(self, program: str, folder: Path, *more: str, tls: Sequence[str] = ()) -> None:
        """`more` are further options; `tls` those of TLS, which then has a port of its own."""
        self.folder = folder
        self.port, self.tls_port = free_port(), free_port() if tls else 0
        # The path of a socket is short, and folders of tests are not.
        self.socket = Path(tempfile.gettempdir()) / f"authproxy-redis-{os.getpid()}-{self.port}.sock"
        self._arguments = [
            program, "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.socket), "--save", "",
            "--appendonly", "no", "--daemonize", "no", "--dir", str(folder), *more,
        ]  # fmt: skip
        if tls:
            self._arguments += ["--tls-port", str(self.tls_port), *tls]
        self._process: subprocess.Popen[bytes] | None = None
        self.password = ""
        """What the user `default` needs."""
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, empty; return when it answers."""
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(self._arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        ends = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError, EOFError):
                if b"PONG" in self._raw("PING") or b"NOAUTH" in self._raw("PING"):
                    return
            assert self._process.poll() is None, (self.folder / "redis.log").read_text()[-2000:]
            assert time.monotonic() < ends, "redis-server never answers"
            time.sleep(0.01)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait(PATIENCE)

    def stop(self) -> None:
        """End it, also one that was stopped."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)
        self.socket.unlink(missing_ok=True)

    def ask(self, *command: str) -> bytes:
        """Return the raw answer to a command."""
        answer = self._raw(*command)
        assert not answer.startswith(b"-"), answer
        return answer

    def names(self) -> list[str]:
        return [line.decode() for line in self.ask("KEYS", "*").split(b"\r\n")[2::2]]

    def number(self, *command: str) -> int:
        return int(self.ask(*command)[1:])

    def _raw(self, *command: str) -> bytes:
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(PATIENCE)
            wire.connect(str(self.socket))
            if self.password:
                wire.sendall(_packed("AUTH", self.password))
                assert wire.recv(1 << 16) == b"+OK\r\n"
            wire.sendall(_packed(*command) + _packed("QUIT"))
            answer = b""
            while piece := wire.recv(1 << 16):
                answer += piece
        if not answer:
            raise EOFError
        return answer.removesuffix(b"+OK\r\n") or answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _packed(*command: str) -> bytes:
    parts = (b"$%d\r\n%b\r\n" % (len(one), one) for one in map(str.encode, command))
    return b"*%d\r\n" % len(command) + b"".join(parts)
