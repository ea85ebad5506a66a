"""Whether an endpoint is worth choosing, as far as one knows: what failed there, and what its health checks say.

Pure: the clock is an argument, and whoever chooses decides what to make of it (`authproxy.upstream.pool`).
"""

from typing import Final

# A refused connection says enough. A request may fail by its own fault, and three in a row hardly.
_FAULTS: Final = 3
# Seconds for which an endpoint is left alone: twice as long every time that its trial fails.
_FIRST: Final = 1.0
_LONGEST: Final = 30.0
# Checks in a row that change what is thought of an endpoint's health. One lost packet must not.
_CHECKS: Final = 2


class Standing:
    """Good at first. After an ejection one request at a time tries it, until one succeeds."""

    __slots__ = ("_is_on_trial", "_is_unreachable", "_streak", "faults", "is_healthy", "penalty", "until")

    def __init__(self) -> None:
        self.is_healthy = True
        """What health checks say."""
        self.faults = 0
        """Failures since the last success."""
        self.penalty = 0.0
        """How long it was ejected for, in seconds; 0: it is not."""
        self.until = 0.0
        """Monotonic; when its next trial may begin."""
        self._is_on_trial = False
        self._is_unreachable = False
        self._streak = 0

    @property
    def is_good(self) -> bool:
        """Whether nothing at all speaks against it."""
        return self.is_healthy and not self.faults and not self.penalty

    def is_open(self, now: float) -> bool:
        """Whether a request may be sent there rather than elsewhere."""
        return self.is_healthy and self.until <= now

    def note_use(self, now: float) -> None:
        """Note that a request is sent there; if it was ejected, that is its trial, and others wait for the outcome."""
        if self.penalty:
            self.until = now + self.penalty
            self._is_on_trial = True

    def note_fault(self, *, unreachable: bool) -> bool:
        """Note a failure; return whether it is a reason to eject.

        While it is ejected, what fails is what began before; only a trial counts.
        """
        self.faults += 1
        if self.penalty:
            return self._is_on_trial
        return unreachable or self.faults >= _FAULTS

    def eject(self, now: float, *, unreachable: bool) -> float:
        """Leave it alone for a while; return for how many seconds."""
        self.penalty = min(self.penalty * 2, _LONGEST) if self.penalty else _FIRST
        self.until = now + self.penalty
        self._is_on_trial = False
        self._is_unreachable = unreachable
        return self.penalty

    def note_connection(self) -> bool:
        """Note that a connection was made; return whether that ends an ejection: it does if there was none to be had."""
        return self._is_unreachable and self.note_success()

    def note_success(self) -> bool:
        """Note that an answer came whole; return whether that ends an ejection."""
        was_ejected = self.penalty > 0
        self.faults = 0
        self.penalty = self.until = 0.0
        self._is_on_trial = self._is_unreachable = False
        return was_ejected

    def note_check(self, *, passed: bool) -> bool:
        """Note a health check; return whether it has changed what is thought of its health."""
        if passed is self.is_healthy:
            self._streak = 0
            return False
        self._streak += 1
        if self._streak < _CHECKS:
            return False
        self._streak = 0
        self.is_healthy = passed
        return True
