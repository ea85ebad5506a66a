"""The processes that take part: who goes first on a busy machine, and what attackers tell."""

import json
import os
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench.processes import StartError
from tests.faults.attack import TOLD

# Attackers, and what serves them, are less important than the proxy and the checker: that they take their time would be
# measured. Root can also put those before whatever else the machine is busy with.
FIRST: Final = -10 if os.geteuid() == 0 else 0
NICE: Final = FIRST // 2 if FIRST else 10


@dataclass
class Attack:
    """A process that attacks, or plays a client, and tells in the end."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def said(self) -> list[Any]:
        """Return what it has told so far, a JSON value per line."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line.removeprefix(TOLD)) for line in lines if line.startswith(TOLD)]

    def wait_for(self, count: int, seconds: float) -> Any:
        """Return the line of this number, once it is told."""
        ends = time.monotonic() + seconds
        while len(self.said()) < count:
            if self.process.poll() is not None and len(self.said()) < count:
                raise StartError(f"the attack ended: {self.log.read_text()[-2000:]}")
            if time.monotonic() > ends:
                raise StartError(f"the attack is silent: {self.log.read_text()[-2000:]}")
            time.sleep(0.02)
        return self.said()[count - 1]

    def result(self, seconds: float = 120) -> Any:
        """Wait for its end; return what it told last."""
        code = self.process.wait(seconds)
        if code or not self.said():
            raise StartError(f"the attack failed: {self.log.read_text()[-2000:]}")
        return self.said()[-1]


def nice(level: int) -> list[str | Path]:
    """Return a command that runs a command with this much consideration for others.

    Where sessions share the processor by session, a nice value counts only within its own: the session gets it as well.
    """
    script = 'echo "$0" 2>/dev/null >/proc/self/autogroup; exec nice -n "$0" "$@"'
    return ["sh", "-c", script, str(level)]


def descriptors() -> int:
    """Return how many descriptors a process that is started here may have at most."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]
