"""The load: one process with a number of kept-alive TLS connections, each with one request under way."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.material import Material
from tests.bench.processes import Crew, version_of
from tests.bench.templates import PEERS

_LONG: Final = "600s"
_PATIENCE: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What the load generator saw, from its start to its end."""

    answers: int
    refused: int
    """Answers with another status than 200 (wrk: 2xx and 3xx)."""
    broken: int
    """Connections that were lost or could not be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Starts and stops the generator."""

    crew: Crew
    material: Material
    core: int
    connections: int

    @property
    def description(self) -> str:
        """Return who makes the load."""
        if _has_wrk():
            return f"wrk {version_of(['wrk', '-v'])}, {self.connections} connections"
        return f"the bench's own client, {self.connections} connections"

    def start(self, name: str, port: int) -> subprocess.Popen[bytes]:
        """Send requests to `port` until it is stopped."""
        return self.crew.start(name, self._command(port), self.core)

    def stop(self, name: str, process: subprocess.Popen[bytes]) -> Tally:
        """End the load; return what came of it."""
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_PATIENCE)
        finally:
            self.crew.stop(process)
        lines = [line for line in self.crew.said(name).splitlines() if line.startswith("{")]
        if not lines:
            raise RuntimeError(f"the load generator did not report: {self.crew.said(name)}")
        return Tally(**json.loads(lines[-1]))

    def _command(self, port: int) -> list[str | Path]:
        if not _has_wrk():
            material = self.material
            own: list[str | Path] = [sys.executable, PEERS / "client.py", str(port), str(self.connections)]
            return [*own, material.authority, material.requests]
        number = str(self.connections)
        options: list[str | Path] = ["-t", "1", "-c", number, "-d", _LONG, "--timeout", "10s", "-s", PEERS / "wrk.lua"]
        return ["wrk", *options, f"https://127.0.0.1:{port}/", "--", self.material.requests]


def _has_wrk() -> bool:
    return shutil.which("wrk") is not None
