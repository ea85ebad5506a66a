"""What an experiment saw, and whether that is good enough. Pure: figures in, verdict out."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

RELAXED: Final = 5.0
"""By how much `--relaxed` stretches the limits of figures that depend on how busy the machine is."""
SLOW_SECONDS: Final = 2.0
"""A request that takes longer has failed, if the machine had time for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Something that was measured, and its limit."""

    name: str
    value: float
    limit: float
    unit: str = ""
    sense: str = "<="
    """`<=`, `>=` or `=`."""
    noisy: bool = False
    """Depends on how busy the machine is."""

    def holds(self, *, relaxed: bool = False) -> bool:
        """Tell whether the limit is kept; what was not measured (NaN) keeps none."""
        stretch = RELAXED if relaxed and self.noisy else 1.0
        if self.sense == "<=":
            return self.value <= self.limit * stretch
        return self.value >= self.limit / stretch if self.sense == ">=" else self.value == self.limit


@dataclass(slots=True, kw_only=True)
class Report:
    """One experiment."""

    fault: str
    title: str
    done: str = ""
    """What was done, in numbers."""
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: str = ""
    """Why it could not be done on this machine."""

    def at_most(self, name: str, value: float, limit: float, unit: str = "", *, noisy: bool = False) -> None:
        """Add a figure that must not be larger."""
        self.figures.append(Figure(name=name, value=value, limit=limit, unit=unit, noisy=noisy))

    def at_least(self, name: str, value: float, limit: float, unit: str = "", *, noisy: bool = False) -> None:
        """Add a figure that must not be smaller."""
        self.figures.append(Figure(name=name, value=value, limit=limit, unit=unit, sense=">=", noisy=noisy))

    def exactly(self, name: str, value: float, limit: float, unit: str = "") -> None:
        """Add a figure that must be this."""
        self.figures.append(Figure(name=name, value=value, limit=limit, unit=unit, sense="="))

    def broken(self, *, relaxed: bool = False) -> list[Figure]:
        """Return the figures that do not hold."""
        return [one for one in self.figures if not one.holds(relaxed=relaxed)]

    def verdict(self, *, relaxed: bool = False) -> str:
        """Return PASS, FAIL or SKIP; an experiment without figures has shown nothing."""
        if self.skipped:
            return "SKIP"
        return "PASS" if self.figures and not self.broken(relaxed=relaxed) else "FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One request of the checker."""

    at: float
    """When it was due, on the monotonic clock."""
    seconds: float
    """From when it was sent until its answer was whole and verified, or until it failed."""
    fresh: bool
    """On a connection of its own."""
    outcome: str
    """`ok`, or what was wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What the checker saw during one phase."""

    sent: int
    ok: int
    failed: int
    """Another status or body, a cut connection, no answer at all."""
    failed_kept: int
    """Of these, on kept-alive connections."""
    slow: int
    """Right, but later than 2 s."""
    outcomes: dict[str, int]
    p50: float
    p99: float
    worst: float
    worst_kept: float


def quantile(sorted_values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lie (nearest rank), NaN of nothing."""
    if not sorted_values:
        return math.nan
    return sorted_values[max(0, math.ceil(share * len(sorted_values)) - 1)]


def summarize(samples: Iterable[Sample], begin: float, end: float) -> Window:
    """Summarize the samples that were due in [begin, end)."""
    inside = [one for one in samples if begin <= one.at < end]
    good = sorted(one.seconds for one in inside if one.outcome == "ok")
    bad = [one for one in inside if one.outcome != "ok"]
    return Window(
        sent=len(inside),
        ok=len(good),
        failed=len(bad),
        failed_kept=sum(not one.fresh for one in bad),
        slow=sum(seconds > SLOW_SECONDS for seconds in good),
        outcomes=dict(Counter(one.outcome for one in inside)),
        p50=quantile(good, 0.5),
        p99=quantile(good, 0.99),
        worst=good[-1] if good else math.nan,
        worst_kept=max((one.seconds for one in inside if not one.fresh and one.outcome == "ok"), default=math.nan),
    )


def table(reports: Iterable[Report], *, relaxed: bool) -> str:
    """Return the reports as a table: a line for each fault, one for each of its figures."""
    lines = []
    for report in reports:
        lines.append(f"{report.fault}  {report.title}: {report.skipped or report.done}")
        for one in report.figures:
            mark = "ok" if one.holds(relaxed=relaxed) else "TOO BAD"
            value, limit = f"{one.value:,.1f}".removesuffix(".0"), f"{one.limit:,.1f}".removesuffix(".0")
            lines.append(f"     {one.name:<52} {value:>12} {one.unit:<4} {one.sense:>2} {limit:>9}  {mark}")
        lines += [f"     ({note})" for note in report.notes]
        lines.append(f"     {report.verdict(relaxed=relaxed)}")
    return "\n".join(lines)
