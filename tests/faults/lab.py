"""All that an experiment needs: service, the real proxy, checker, attackers, and an eye on the proxy's process."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from authproxy.settings.service import Limits
from tests.bench import material as bench_material
from tests.bench.processes import Cores, Crew, StartError
from tests.faults.actors import FIRST, NICE, Attack, nice
from tests.faults.ops import is_ready, read_metrics
from tests.faults.sampler import EVERY, Sampler, stolen
from tests.faults.verdict import Report, Sample, Window, quantile, summarize
from tests.ports import free_ports

HERE: Final = Path(__file__).parent
MIB: Final = 1 << 20
PHASE: Final = 4.0
"""Seconds of the phases before and after an attack."""
_PATIENCE: Final = 20.0
# An upstream connection may be on its way in or out at the moment of a look.
_FD_SLACK: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of everything."""

    quick: bool = False
    rate: int = 200

    def of(self, quick: int, full: int) -> int:
        """Choose."""
        return quick if self.quick else full

    @property
    def phase(self) -> float:
        """Seconds of the phases before and after."""
        return 1.5 if self.quick else PHASE


@dataclass
class Phases:
    """When what began and ended, on the monotonic clock."""

    spans: dict[str, tuple[float, float]] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Everything inside belongs to this phase."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.spans[name] = (begin, time.monotonic())


class Lab:
    """Starts everything and ends it; `with Lab(size) as lab`."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self._temporary = tempfile.TemporaryDirectory(prefix="authproxy-faults-")
        self.folder = Path(self._temporary.name)
        self.crew = Crew(self.folder)
        self.cores = Cores.here()
        self.material = bench_material.make(self.folder)
        self.port, self.ops_port, self.service_port, self.bulk_port = free_ports(4)
        self.phases = Phases()
        self.began = 0.0
        """When the attack began, on the monotonic clock."""
        self.rss_before = self.rss_peak = 0.0
        self._standing = self._leaked = self._stolen = 0.0
        self._attacks = 0
        self._proxy: subprocess.Popen[bytes] | None = None
        self._checker: subprocess.Popen[bytes] | None = None
        self._sampler: Sampler | None = None
        self._samples: list[Sample] = []
        self._lags: list[tuple[float, float]] = []
        self._before: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sampler is not None:
            self._sampler.stop()
        self.crew.__exit__(kind, error, trace)
        self._temporary.cleanup()

    # ------------------------------------------------------------------ who takes part

    @property
    def sampler(self) -> Sampler:
        """The eye on the proxy."""
        assert self._sampler is not None, "there is no proxy yet"
        return self._sampler

    @property
    def pid(self) -> int:
        """The proxy's process."""
        assert self._proxy is not None, "there is no proxy yet"
        return self._proxy.pid

    def start_services(self) -> None:
        """Start what the usual configuration leads to: one service for good clients, one for whatever attackers move."""
        self.start_service("service", ("127.0.0.1", self.service_port), rank=FIRST)
        self.start_service("bulk", ("127.0.0.1", self.bulk_port))

    def start_service(self, name: str, *binds: tuple[str, int], rank: int = NICE) -> "subprocess.Popen[bytes]":
        """Start a service behind, on these addresses."""
        options = {"binds": binds, "certificate": str(self.folder / "upstream.pem"), "name": name}
        command = [*nice(rank), sys.executable, HERE / "service.py", json.dumps(options)]
        process = self.crew.start(name, command, self.cores.others)
        self._wait_for(name, process, lambda: "ready" in self.crew.said(name))
        return process

    def config(self, **sections: Any) -> dict[str, Any]:
        """Return the usual configuration, with these sections in place of its own."""
        return {
            "version": 1,
            "keystores": {"main": {"file": "server.pem"}},
            "truststores": {"internal": {"file": "ca.pem"}},
            "listeners": {"public": {"bind": f"127.0.0.1:{self.port}", "keystore": "main"}},
            "catalogs": {"users": {"kind": "file", "file": "tokens.yaml"}},
            "zones": {"api": {"prefix": "svc", "peppers": [{"file": "pepper"}], "catalog": "users"}},
            "upstreams": {"service": self.upstream(), "bulk": self.upstream(self.bulk_port)},
            "routes": [
                {"path": "/", "zone": "api", "upstream": "bulk"},
                {"path": "/check/", "zone": "api", "upstream": "service"},
            ],
            "identity": {"headers": {"X-User-Id": "id"}},
            "ops": {"bind": f"127.0.0.1:{self.ops_port}"},
            "logging": {"access": "./access.log"},
        } | sections

    def upstream(self, port: int = 0, **more: Any) -> dict[str, Any]:
        """Return an upstream section."""
        url = f"https://127.0.0.1:{port or self.service_port}"
        return {"urls": [url], "trust": "internal", "server_name": bench_material.UPSTREAM_NAME} | more

    @staticmethod
    def limits(**wanted: object) -> dict[str, dict[str, object]]:
        """Return section `limits` with those of the wanted keys that this version knows."""
        known = {name: value for name, value in wanted.items() if name in Limits.model_fields}
        return {"limits": known} if known else {}

    def start_proxy(self, config: Mapping[str, Any], before: Sequence[str] = ()) -> None:
        """Start authproxy (one worker) and wait until it is ready; `before` is a command that runs a command."""
        path = self.folder / "authproxy.yaml"
        path.write_text(json.dumps(config))
        command = [*nice(FIRST), *before, sys.executable, "-m", "authproxy", "run", "-c", str(path)]
        process = self.crew.start("authproxy", command, self.cores.proxy)
        self._proxy = process
        self._wait_for("authproxy", process, lambda: is_ready(self.ops_port))
        self._sampler = Sampler(process.pid, self.folder / "authproxy.log")
        self._sampler.start()

    def start_checker(self, *, fresh: float = 0.1, kept: int = 64, rate: int = 0, client: Path | None = None) -> None:
        """Begin to send good requests; `fresh` is the share of those on connections of their own.

        `client` is a certificate with its key, shown where the proxy asks for one.

        Enough connections are kept that none is waited for as long as answers take less than 0.3 s.
        """
        options = {
            "port": self.port,
            "authority": str(self.material.authority),
            "rate": rate or self.size.rate,
            "fresh": fresh,
            "kept": kept,
            "users": [{"id": user.id, "token": user.token} for user in self.material.users[:8]],
            "out": str(self.folder / "samples.json"),
            "client": None if client is None else str(client),
        }
        command = [*nice(FIRST), sys.executable, HERE / "checker.py", json.dumps(options)]
        self._checker = self.crew.start("checker", command, self.cores.others)
        self._wait_for("checker", self._checker, lambda: "ready" in self.crew.said("checker"))

    def attack(self, work: Callable[..., Any], **options: Any) -> Attack:
        """Start a coroutine function of a module in a process of its own, with the lab's facts."""
        self._attacks += 1
        name = f"attack-{self._attacks}"
        facts = {
            "port": self.port,
            "authority": str(self.material.authority),
            "token": self.material.users[9].token,
        }
        command = [*nice(NICE), sys.executable, "-m", "tests.faults.attack", work.__module__, work.__name__]
        process = self.crew.start(name, [*command, json.dumps(facts | options)], self.cores.others)
        return Attack(process=process, log=self.folder / f"{name}.log")

    # ------------------------------------------------------------------ what happens

    @contextmanager
    def experiment(self) -> Iterator[None]:
        """Warm up, then the start phase, then the inside is the attack, then the recovery phase."""
        time.sleep(1.0)
        with self.phases.phase("start"):
            time.sleep(self.size.phase)
        self._before = self.metrics()
        self._standing = self._standing_fds()
        self._stolen = stolen()
        self.rss_before = self.sampler.rss()
        self.sampler.forget_peak()
        self.began = time.monotonic()
        with self.phases.phase("attack"):
            yield
        self.rss_peak = self.sampler.peak()
        time.sleep(1.0)
        with self.phases.phase("recovery"):
            time.sleep(self.size.phase)
        self._leaked = min(self._standing_fds() - self._standing for _ in self._patience(2.0))
        self._stop_checker()

    def window(self, phase: str) -> Window:
        """Return what the checker saw in a phase."""
        begin, end = self.phases.spans[phase]
        return summarize(self._samples, begin, end)

    def first_ok_fresh(self, since: float) -> float:
        """Return how many seconds after `since` a fresh connection was served for good."""
        bad = [one.at for one in self._samples if one.fresh and one.at >= since and one.outcome != "ok"]
        good = [
            one.at for one in self._samples if one.fresh and one.outcome == "ok" and one.at > max(bad, default=since)
        ]
        return (good[0] if good else float("inf")) - since

    def recovered(self, report: Report, *, noisy_floor: float = 0.010) -> None:
        """Add the figures of the recovery phase: it must equal the start phase."""
        start, end = self.window("start"), self.window("recovery")
        report.exactly("failed before the attack", start.failed, 0)
        report.exactly("failed after recovery", end.failed, 0)
        limit = max(2 * start.p99, start.p99 + noisy_floor)
        report.at_most("p99 after recovery", end.p99 * 1000, limit * 1000, "ms", noisy=True)
        report.at_most("descriptors more than before", self._leaked, _FD_SLACK)
        begin, stop = self.phases.spans["attack"]
        busy = (stolen() - self._stolen) / max(1e-9, time.monotonic() - begin)
        lags = sorted(lag for due, lag in self._lags if begin <= due < stop)
        report.notes.append(
            f"start p50 {start.p50 * 1000:.1f} p99 {start.p99 * 1000:.1f} ms, recovery p99 {end.p99 * 1000:.1f} ms, "
            f"the checker itself late p99 {quantile(lags, 0.99) * 1000:.1f} ms, load {os.getloadavg()[0]:.1f}, "
            f"{busy:.0%} of a core stolen by other machines"
        )

    def others(self, report: Report, milliseconds: float = 0) -> None:
        """Add the figures of the good clients during the attack; with a limit for their p99, if there is one."""
        window = self.window("attack")
        report.exactly("others' failed requests", window.failed, 0)
        report.at_most("others' requests over 2 s", window.slow, 0, noisy=True)
        if milliseconds:
            report.at_most("others' p99", window.p99 * 1000, milliseconds, "ms", noisy=True)
        if window.failed:
            report.notes.append(f"others' outcomes {window.outcomes}")

    def metrics(self) -> dict[str, float]:
        """Return every sample of the metrics."""
        return read_metrics(self.ops_port)

    def delta(self, name: str) -> float:
        """Return by how much a metric, all its labels together, has grown since the attack began."""
        return sum(
            value - self._before.get(one, 0.0) for one, value in self.metrics().items() if one.partition("{")[0] == name
        )

    def delta_of(self, name: str, **labels: str) -> float:
        """Return by how much the samples of a metric with these labels have grown since the attack began."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            value - self._before.get(one, 0.0)
            for one, value in self.metrics().items()
            if one.startswith(name + "{") and all(label in one for label in wanted)
        )

    def new_events(self) -> dict[str, int]:
        """Return the events in the proxy's log, counted by name and reason."""
        found: dict[str, int] = {}
        for line in (self.folder / "authproxy.log").read_text(errors="replace").splitlines():
            if line.startswith("{"):
                facts = json.loads(line)
                name = f"{facts['event']} {facts.get('reason', '')}".strip()
                found[name] = found.get(name, 0) + 1
        return found

    # ------------------------------------------------------------------ inside

    def _wait_for(self, name: str, process: "subprocess.Popen[bytes]", is_ready: Callable[[], bool]) -> None:
        ends = time.monotonic() + _PATIENCE
        while not is_ready():
            if process.poll() is not None or time.monotonic() > ends:
                raise StartError(f"{name} does not start: {self.crew.said(name)}")
            time.sleep(0.02)

    def _patience(self, seconds: float) -> Iterator[None]:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            yield
            time.sleep(EVERY)

    def _standing_fds(self) -> float:
        """Descriptors without the upstream connections that wait for work: their pool has a life of its own."""
        idle = sum(v for n, v in self.metrics().items() if n.startswith("authproxy_upstream_idle_connections"))
        return self.sampler.fds() - idle

    def _stop_checker(self) -> None:
        if self._checker is None:
            return
        self._checker.send_signal(signal.SIGINT)
        self._checker.wait(_PATIENCE)
        told = json.loads((self.folder / "samples.json").read_text())
        self._samples = [Sample(at=at, seconds=s, fresh=fresh, outcome=how) for at, s, fresh, how in told["samples"]]
        self._lags = [(due, lag) for due, lag in told["lags"]]
