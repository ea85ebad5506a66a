"""An eye on the proxy's process: memory, descriptors, CPU, log; and on the machine."""

import os
import threading
import time
from pathlib import Path
from typing import Final

EVERY: Final = 0.2


def stolen() -> float:
    """Return the CPU seconds that the machine below has given to others, over all cores."""
    first, *_ = Path("/proc/stat").read_text().splitlines()
    return int(first.split()[8]) / os.sysconf("SC_CLK_TCK")


class Sampler:
    """Reads a process's memory, descriptors and log every 200 ms."""

    def __init__(self, pid: int, log: Path) -> None:
        self._pid = pid
        self._log = log
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.fds_most = 0
        self.lines: list[tuple[float, int]] = []
        """When, and how many lines the log had."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._over.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._over.wait(EVERY):
            try:
                self.fds_most = max(self.fds_most, self.fds())
            except OSError:
                return
            self.lines.append((time.monotonic(), self.log_lines()))

    def fds(self) -> int:
        """Return how many descriptors are open."""
        return len(os.listdir(f"/proc/{self._pid}/fd"))  # noqa: PTH208  # a count

    def rss(self) -> float:
        """Return resident memory in MiB."""
        return self._status("VmRSS")

    def peak(self) -> float:
        """Return the most resident memory since `forget_peak`, in MiB: no sample misses it."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Begin a new peak now."""
        Path(f"/proc/{self._pid}/clear_refs").write_text("5")

    def cpu(self) -> float:
        """Return the CPU seconds used."""
        values = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")

    def log_lines(self) -> int:
        """Return how many events were logged."""
        return self._log.read_bytes().count(b"\n")

    def lines_per_second(self, begin: float, end: float) -> float:
        """Return the most lines that were logged within one second."""
        inside = [(at, count) for at, count in self.lines if begin - 1 <= at <= end]
        most = 0
        for at, count in inside:
            before = [earlier for moment, earlier in inside if moment <= at - 1]
            if before:
                most = max(most, count - before[-1])
        return float(most)

    def _status(self, name: str) -> float:
        for line in Path(f"/proc/{self._pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) / 1024
        return 0.0
