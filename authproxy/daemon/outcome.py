"""How a reload ended, part by part: for whoever asked for it, for the log, for `/status`."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, unique


@unique
class Result(Enum):
    """What became of one transaction."""

    APPLIED = "applied"
    """Something new is at work."""
    UNCHANGED = "unchanged"
    """It was read again and means the same."""
    REJECTED = "rejected"
    """It cannot be used; the old state stays at work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one transaction ended."""

    part: str
    """`config`, `trust`, or `catalog:<name>`; `listener:<name>`, `ops` and `control` only where an address cannot be had."""
    result: Result
    error: str = ""
    """Why it was rejected, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One run down the reload road."""

    material_only: bool = False
    """Keys, certificates, trust and secrets of the settings at work; the configuration and catalogs are not read."""
    again: bool = False
    """The second run, because the first met something that may have been half-written."""

    @property
    def tells_failures(self) -> bool:
        """Whether a failure is told by this run: by the first if somebody asked for it, by the last if nobody did."""
        return self.material_only is self.again

    @property
    def tells_everything(self) -> bool:
        """Whether what means the same as before is told too, and a failure that is known already."""
        return not self.material_only and not self.again


def is_rejected(outcomes: Iterable[Outcome], *parts: str) -> bool:
    """Say whether any transaction was rejected: of these parts, if any are named."""
    return any(one.result is Result.REJECTED and (not parts or one.part in parts) for one in outcomes)


def merged(first: Iterable[Outcome], second: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Return how two runs ended together: the second decides, but what the first has applied counts as applied."""
    last = {one.part: one for one in second}
    both = {one.part: _joined(one, last.get(one.part)) for one in first}
    return tuple({**last, **both}.values())


def _joined(first: Outcome, second: Outcome | None) -> Outcome:
    if second is None:
        return first
    return first if first.result is Result.APPLIED and second.result is Result.UNCHANGED else second
