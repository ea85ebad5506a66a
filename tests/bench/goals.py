"""What this proxy is to reach, and whether it did."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.bench.report import OWN, aligned, ratio
from tests.bench.results import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One figure of authproxy: at most so much, or at most so many times another target's."""

    trial: str
    key: str
    about: str
    most: float
    to: str = ""
    """The other target, if it is about one."""
    of: str = OWN
    """Whose figure it is."""
    is_least: bool = False
    """The figure is at least `most` instead."""

    def reached(self, results: Mapping[str, Result]) -> float | None:
        """Return the figure; None when it was not measured."""
        samples = results[self.trial].samples if self.trial in results else []
        own = [one for one in samples if one.target == self.of]
        if self.to:
            found = ratio(self.key, own, [one for one in samples if one.target == self.to])
            return None if found is None else found.median
        return statistics.median(one.figures[self.key] for one in own) if own else None

    def is_kept(self, figure: float) -> bool:
        """Tell whether `figure` is good enough."""
        return figure >= self.most if self.is_least else figure <= self.most


GOALS: Final = (
    Goal(trial="requests", key="cpu_us", to="go", most=0.9, about="CPU per request, times that of go"),
    Goal(
        trial="requests",
        key="cpu_us",
        to="nginx-auth-request",
        most=0.65,
        about="CPU per request, times that of nginx-auth-request",
    ),
    Goal(
        trial="requests",
        key="cpu_us",
        to="haproxy-hmac",
        most=1.65,
        about="CPU per request, times that of haproxy-hmac",
    ),
    Goal(trial="requests", key="cpu_us", to="naive", most=1 / 6, about="CPU per request, times that of naive"),
    Goal(
        trial="requests",
        key="cpu_us",
        of="authproxy-session",
        to=OWN,
        most=1.15,
        about="CPU per request with a session's cookie, times that with a token",
    ),
    Goal(
        trial="handshakes",
        key="per_cpu",
        to="nginx-map",
        most=0.75,
        is_least=True,
        about="new TLS connections per CPU second, times those of nginx-map",
    ),
    Goal(trial="latency", key="p99_ms", to="go", most=1.0, about="p99 at 64 connections, times that of go"),
    Goal(trial="memory", key="kib", most=50, about="KiB per idle TLS connection"),
    Goal(trial="memory", key="held", most=10_000, is_least=True, about="idle TLS connections held"),
    Goal(trial="memory", key="p99_ms", most=50, about="p99 ms of others' requests meanwhile"),
)


def verdicts(results: Mapping[str, Result]) -> list[tuple[str, str, str, str]]:
    """Return goal, wanted, reached, and whether it was kept, for all that was measured."""
    found = [(goal, goal.reached(results)) for goal in GOALS]
    return [
        (
            goal.about,
            f"{'at least' if goal.is_least else 'at most'} {_text(goal.most)}",
            _text(figure),
            "kept" if goal.is_kept(figure) else "MISSED",
        )
        for goal, figure in found
        if figure is not None
    ]


def goal_table(results: Mapping[str, Result]) -> str:
    """Return the verdicts, aligned; nothing when none of the goals was measured."""
    lines = verdicts(results)
    return aligned([("authproxy's goals", "wanted", "reached", ""), *lines]) if lines else ""


def _text(figure: float) -> str:
    return f"{figure:.0f}" if figure >= 1000 else f"{figure:.3g}"
