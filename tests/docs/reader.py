"""A reader who types what a page shows, in a folder of his own, and looks whether it says what the page says.

How a page tells what is to be done:

- a block with a title that is no terminal and not `prints` is a file of that name;
- a block of `sh` is typed, one command after another; a comment behind a command (two blanks and `#`) that begins with three
  digits is the status of the HTTP answer, `exits 78` (or `exits 52 or 56`) an exit code, and anything else is for people;
- with a title that begins with `another terminal` it begins in the first folder and goes on until the page ends; `cd` at the end of a command is followed;
- a block titled `prints` is what the last block printed: each line, where `...` stands for anything.

Ports are exchanged for free ones, since others may have those of the page. Nothing else is.
"""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.docs.shown import ROOT, Block
from tests.ports import free_port

TERMINAL: Final = "another terminal"
PRINTS: Final = "prints"
_PORT: Final = re.compile(r"(?<![\w.-])(?:4001|7888|8000|8443|8444|9901)(?![\w.-])")
_PATIENCE: Final = 20.0
_IS_OURS: Final = re.compile(r"(\S*/)?authproxy ")
_COMMENT: Final = re.compile(r"  +#(.*)$")


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a block, its lines joined, with the comment behind it."""
    for line in re.sub(r" *\\\n *", " ", text).splitlines():
        comment = _COMMENT.search(line)
        command = _COMMENT.sub("", line).strip()
        if command and not command.startswith("#"):
            yield command, comment[1].strip() if comment else ""


class Reader:
    """Follows one page; what is not as it says fails."""

    def __init__(self, folder: Path, curl: str) -> None:
        self._start = self._folder = folder / "here"
        self._folder.mkdir()
        # Where `make` puts it in a checkout.
        programs = self._folder / ".venv/bin"
        programs.mkdir(parents=True)
        _program(programs / "authproxy", f'exec {shlex.quote(sys.executable)} -m authproxy "$@"')
        # The last line of what curl complains is the status.
        _program(
            programs / "curl",
            f"exec {shlex.quote(curl)} --silent --show-error --max-time 20 -w '%{{stderr}}\\nHTTP %{{http_code}}\\n' \"$@\"",
        )
        inherited = {
            key: value for key, value in os.environ.items() if not re.match(r"AUTHPROXY_|COV|.*_(proxy|PROXY)$", key)
        }
        self._environ = inherited | {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
        }
        self._ports: dict[str, str] = {}
        # As in a checkout.
        (self._folder / "config").mkdir()
        for shipped in (ROOT / "config").glob("*.yaml"):
            (self._folder / "config" / shipped.name).write_text(self._here(shipped.read_text()))
        self._printed = ""
        self._terminals: list[tuple[str, subprocess.Popen[bytes], Path]] = []

    def follow(self, block: Block) -> None:
        """Do what a block says."""
        if block.language == "sh" and block.title.startswith(TERMINAL):
            self._open_terminal(self._here(block.text))
        elif block.language == "sh":
            self._printed = ""
            for command, comment in commands(self._here(block.text)):
                self._type(command, comment)
        elif block.title == PRINTS:
            self._compare(self._here(block.text))
        elif block.title:
            path = self._folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._here(block.text))

    def close(self) -> None:
        """End what runs in other terminals, as Ctrl-C does; the proxy must end well."""
        for _, process, _ in self._terminals:
            os.killpg(process.pid, signal.SIGINT)
        for command, process, said in self._terminals:
            try:
                code = process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
            assert not _IS_OURS.match(command) or code == 0, said.read_text()

    def _here(self, text: str) -> str:
        return _PORT.sub(lambda found: self._ports.setdefault(found[0], str(free_port())), text)

    def _type(self, command: str, comment: str) -> None:
        done = self._run(command)
        # A hand is slower than the writer of logs, which comes by four times a second.
        end = time.monotonic() + _PATIENCE
        while command.startswith("grep ") and done.returncode and time.monotonic() < end:
            time.sleep(0.1)
            done = self._run(command)
        told = f"$ {command}\n{done.stdout}{done.stderr}[exit code {done.returncode}]"
        wanted = re.match(r"exits (\d+)(?: or (\d+))?", comment)
        assert done.returncode in ({int(one) for one in wanted.groups() if one} if wanted else {0}), told
        if there := re.search(r"(?:^|&& )cd (\S+)$", command):
            self._folder = (self._folder / there[1]).resolve()
        if status := re.match(r"(\d{3})\b", comment):
            assert re.findall(r"^HTTP (\d{3})$", done.stderr, re.MULTILINE)[-1:] == [status[1]], told
        self._printed += done.stdout + done.stderr

    def _run(self, command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["sh", "-c", command], cwd=self._folder, env=self._environ, capture_output=True, text=True, timeout=60, check=False
        )  # fmt: skip

    def _compare(self, text: str) -> None:
        for line in text.splitlines():
            pattern = ".*".join(r"\s+".join(map(re.escape, part.split())) for part in line.strip().split("..."))
            assert re.search(pattern, self._printed), f"not printed: {line}\n{self._printed}"

    def _open_terminal(self, text: str) -> None:
        before_last, self._folder = self._folder, self._start
        *before, (command, _) = commands(text)
        for one, comment in before:
            self._type(one, comment)
        said = self._start.parent / f"terminal-{len(self._terminals)}"
        with said.open("wb") as out:
            process = subprocess.Popen(
                ["sh", "-c", f"exec {command}"], cwd=self._folder, env=self._environ, stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._folder = before_last
        self._terminals.append((command, process, said))
        if _IS_OURS.match(command):
            self._wait(process, said, "lets us in" if " connect " in command else "proxy.started")
        else:
            ports = [int(port) for port in self._ports.values() if re.search(rf"\b{port}\b", command)]
            self._wait(process, said, ports=ports)

    def _wait(self, process: "subprocess.Popen[bytes]", said: Path, word: str = "", ports: Sequence[int] = ()) -> None:
        """Wait until it has said `word`, or somebody listens on its ports."""
        end = time.monotonic() + _PATIENCE
        while not (word in said.read_text() if word else ports and all(map(_is_open, ports))):
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < end, said.read_text()
            time.sleep(0.02)


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o700)
