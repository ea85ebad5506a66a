"""What the daemon needs of any open connection of a client: to keep its time, and to end it."""

from typing import Protocol


class KeptLine(Protocol):
    """Its wire."""

    deadline: float
    """Monotonic."""

    def cut(self) -> None:
        """Break it off, so that the peer can see that something is missing."""


class Kept(Protocol):
    """A connection that stands."""

    @property
    def line(self) -> KeptLine:
        """Its wire."""
        ...

    @property
    def is_busy(self) -> bool:
        """Whether somebody still waits for something of it."""
        ...

    def on_deadline(self) -> None:
        """Something took too long."""

    def recheck(self) -> None:
        """End what would no longer be let in."""

    def watch(self, now: float) -> None:
        """Look at what the client does; `now` is monotonic."""

    def drain(self) -> None:
        """End as soon as nothing is in progress."""

    def crash(self, error: BaseException) -> None:
        """Something in this program went wrong with it."""
