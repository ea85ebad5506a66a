"""The Autobahn test cases (as kosoku runs them), straight to an echo server and through the proxy."""

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import kosoku

from tests.bench.material import UPSTREAM_NAME
from tests.faults.actors import NICE, nice
from tests.faults.lab import Lab, Size
from tests.ports import free_ports

HERE: Final = Path(__file__).parent
SHORT: Final = (
    "1.1.1", "1.1.6", "1.2.8", "2.1", "2.4", "2.5", "2.10", "3.1", "3.5", "4.1.1", "4.2.3", "5.1", "5.3", "5.15", "5.18",
    "6.1.2", "6.2.3", "6.3.1", "6.12.1", "6.20.1", "7.1.1", "7.1.5", "7.3.1", "7.3.5", "7.7.1", "7.9.1", "7.9.3",
    "9.1.1", "9.3.1", "9.5.1", "10.1.1", "12.1.1", "12.2.2", "13.1.1", "13.6.1",
)  # fmt: skip
"""Some of every group, for every run of the tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a case found."""

    behavior: str
    close: str
    code: int | None
    clean: bool
    frames: tuple[tuple[str, int], ...]
    """How many frames of which opcode came back."""

    @classmethod
    def of(cls, result: Any) -> Self:
        """Take what can be compared: no times, no sizes of reads."""
        return cls(
            behavior=result.behavior.value,
            close=result.behavior_close.value,
            code=result.remote_close_code,
            clean=result.was_clean,
            frames=tuple(sorted((str(opcode), count) for opcode, count in result.rx_frame_stats.items())),
        )


Outcomes = dict[str, Outcome]


async def outcomes(port: int, cases: Sequence[str] | None, at_once: int) -> Outcomes:
    """Run the cases against what listens on `port`."""
    try:
        results = await kosoku.run_fuzzingclient(
            f"ws://127.0.0.1:{port}", list(cases) if cases else None, None, at_once
        )
    except kosoku.FailureError as error:
        results = error.results
    return {result.case_id: Outcome.of(result) for result in results}


def differences(straight: Outcomes, through: Outcomes) -> list[str]:
    """Return a line for every case with another outcome behind the proxy, or without one."""
    return [
        f"{case}: straight {straight.get(case)}, through the proxy {through.get(case)}"
        for case in sorted({*straight, *through})
        if straight.get(case) != through.get(case)
    ]


class Range:
    """Echo server, proxy, and a clear port to each way: `straight` and `through`."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack:
            lab = self._stack.enter_context(Lab(Size(quick=True)))
            self.straight, self.through = free_ports(2)
            command: list[str | Path] = [
                sys.executable,
                HERE / "echo.py",
                str(lab.service_port),
                lab.folder / "upstream.pem",
            ]
            lab.crew.wait_for("echo", lab.crew.start("echo", command, lab.cores.others), lab.service_port)
            routes = [{"path": "/", "zone": "api", "upstream": "service"}]
            lab.start_proxy(lab.config(upstreams={"service": lab.upstream()}, routes=routes))
            line = f"Authorization: Bearer {lab.material.users[0].token}"
            for port, target, name in (
                (self.straight, lab.service_port, UPSTREAM_NAME),
                (self.through, lab.port, "proxy.test"),
            ):
                # Both ways have one, so that it is no difference.
                options = {
                    "port": port, "target": target, "name": name, "line": line,
                    "authority": str(lab.material.authority),
                }  # fmt: skip
                adapter: list[str | Path] = [*nice(NICE), sys.executable, HERE / "adapter.py", json.dumps(options)]
                lab.crew.wait_for(name, lab.crew.start(name, adapter, lab.cores.others), port)
            self.lab = lab
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
