"""A fuse before something that is asked over a wire: who is away is not asked by everybody, again and again."""

from collections.abc import Callable
from typing import Final, final

_FAILURES: Final = 3
_SECONDS: Final = 1.0


@final
class Circuit:
    """Opens after three failures in a row; then one question a second may try, and the first answer closes it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` counts seconds and never goes back (time.monotonic)."""
        self._clock: Final = clock
        self._failures = 0
        self._next = 0.0

    @property
    def is_open(self) -> bool:
        """Whether most questions are refused."""
        return self._failures >= _FAILURES

    def lets_through(self) -> bool:
        """Tell whether a question may be asked now; of those that may not, nobody must try."""
        if not self.is_open:
            return True
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + _SECONDS
        return True

    def answered(self) -> None:
        """Note that an answer came, whatever it says."""
        self._failures = 0

    def failed(self) -> None:
        """Note that none came."""
        if not self.is_open:
            self._failures += 1
            self._next = self._clock() + _SECONDS
