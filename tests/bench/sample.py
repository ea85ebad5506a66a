"""What one turn of one target came to, and how it is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One turn of one target."""

    target: str
    round: int
    figures: Mapping[str, float]
    """By the keys of the trial's columns."""
    failed: int
    """Requests and connections that came to nothing good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One figure."""

    key: str
    title: str
    digits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is measured of every target; its first column is the one that targets are compared by."""

    about: str
    columns: tuple[Column, ...]
    targets: tuple[str, ...] = ()
    """Who takes part, if not all do."""
    legend: str


_BUSY: Final = Column(key="busy", title="busy", digits=2)
_P50: Final = Column(key="p50_ms", title="p50 ms", digits=2)
_P99: Final = Column(key="p99_ms", title="p99 ms", digits=2)
_RATE: Final = Column(key="rate", title="requests/s", digits=0)
_PROXIES: Final = ("authproxy", "nginx-map", "haproxy-hmac", "go", "naive")

TRIALS: Final[Mapping[str, Trial]] = {
    "requests": Trial(
        about="CPU time per authenticated request",
        columns=(Column(key="cpu_us", title="us/request", digits=1), _RATE, _BUSY),
        legend="us/request  CPU time of all of a target's processes for one request",
    ),
    "handshakes": Trial(
        about="CPU time per new TLS connection with one request, no resumption",
        columns=(
            Column(key="cpu_us", title="us/connection", digits=0),
            Column(key="per_cpu", title="per CPU s", digits=0),
            Column(key="rate", title="connections/s", digits=0),
            _BUSY,
        ),
        targets=_PROXIES,
        legend="us/connection  CPU time for a full handshake, one request and the end; per CPU s: how many in a second of it",
    ),
    "latency": Trial(
        about="time to the answer, under all the load that is taken",
        columns=(_P99, _P50, _RATE, _BUSY),
        targets=(*_PROXIES, "nginx-auth-request"),
        legend="p99 ms  99 % were answered by then; the rate differs from target to target",
    ),
    "paced": Trial(
        about="time to the answer at a low, even rate",
        columns=(_P99, _P50, _RATE, _BUSY),
        targets=(*_PROXIES, "nginx-auth-request"),
        legend="p99 ms  99 % were answered by then, timed from when each request was due",
    ),
    "memory": Trial(
        about="memory per idle TLS connection, and time to the answer meanwhile",
        columns=(
            Column(key="kib", title="KiB/connection", digits=1),
            Column(key="base_mib", title="MiB before", digits=1),
            Column(key="held", title="held", digits=0),
            _P50,
            _P99,
            Column(key="rate", title="requests/s", digits=0),
        ),
        targets=_PROXIES,
        legend="KiB/connection  growth of resident memory by connections that made one request each\n"
        "held  how many of them were still open after others had been served, which is what p50 and p99 are of",
    ),
    "bodies": Trial(
        about="CPU time per MiB of an answer",
        columns=(
            Column(key="large_ms", title="ms/MiB of 100", digits=2),
            Column(key="small_ms", title="ms/MiB of 1", digits=2),
            Column(key="speed", title="MiB/s of 100", digits=0),
        ),
        targets=_PROXIES,
        legend="ms/MiB  CPU time, for a download of 100 MiB and for downloads of 1 MiB each",
    ),
}
