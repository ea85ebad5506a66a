"""The load: one process with a number of TLS connections, each with one request under way."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from tests.bench import hey
from tests.bench.material import PROXY_NAMES, Material
from tests.bench.processes import Crew, version_of
from tests.bench.templates import PEERS

_LONG: Final = "600s"
_PATIENCE: Final = 15.0
_LINES: Final = 60
"""As many as a summary of hey has, kinds of errors included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What the load generator saw, from its start to its end."""

    answers: int
    refused: int
    """Answers with another status than 200 (wrk: 2xx and 3xx)."""
    broken: int
    """Connections that were lost or could not be made."""
    p50: float
    """Milliseconds until half of the requests were answered; until 99 % were in `p99`."""
    p99: float


class Style(Enum):
    """How requests come."""

    KEPT = "as fast as they are answered, on kept connections"
    FRESH = "each on a connection of its own, full handshakes only"
    PACED = "so many a second on kept connections"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Starts and stops the generator."""

    crew: Crew
    material: Material
    core: int
    connections: int
    style: Style = Style.KEPT
    rate: int = 0
    """Requests a second, if they are paced."""

    @property
    def description(self) -> str:
        """Return who makes the load."""
        how = f", {self.rate} requests/s" if self.style is Style.PACED else ""
        return (
            f"{self._who}, {self.connections} {'new ' if self.style is Style.FRESH else ''}connections at a time{how}"
        )

    def start(self, name: str, port: int, requests: Path | None = None) -> subprocess.Popen[bytes]:
        """Send requests to `port` until it is stopped; other `requests` than the material's, where a target has its own."""
        return self.crew.start(name, self._command(port, requests or self.material.requests), self.core)

    def stop(self, name: str, process: subprocess.Popen[bytes]) -> Tally:
        """End the load; return what came of it."""
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_PATIENCE)
        finally:
            self.crew.stop(process)
        said = self.crew.said(name, _LINES)
        lines = [line for line in said.splitlines() if line.startswith("{")]
        found = hey.tally(said) if self._is_hey else json.loads(lines[-1]) if lines else None
        if found is None:
            raise RuntimeError(f"the load generator did not report: {said}")
        return Tally(**found)

    @property
    def _who(self) -> str:
        if self._is_wrk:
            return f"wrk {version_of(['wrk', '-v'])}"
        return hey.NAME if self._is_hey else "the bench's own client"

    @property
    def _is_wrk(self) -> bool:
        return self.style is Style.KEPT and shutil.which("wrk") is not None

    @property
    def _is_hey(self) -> bool:
        return self.style is Style.FRESH and shutil.which(hey.NAME) is not None

    def _command(self, port: int, requests: Path) -> list[str | Path]:
        material, number = self.material, str(self.connections)
        if self._is_wrk:
            options: list[str | Path] = [
                "-t",
                "1",
                "-c",
                number,
                "-d",
                _LONG,
                "--timeout",
                "10s",
                "-s",
                PEERS / "wrk.lua",
            ]
            return ["wrk", *options, f"https://127.0.0.1:{port}/", "--", requests]
        if self._is_hey:
            return [*hey.command(port, self.connections, requests, host=PROXY_NAMES[0], seconds=_LONG)]
        if self.style is Style.FRESH:
            return [sys.executable, PEERS / "connect.py", str(port), number, requests]
        own: list[str | Path] = [sys.executable, PEERS / "client.py", str(port), number]
        return [*own, material.authority, requests, str(self.rate)]
