"""Gives memory back to the system when a crowd has gone: the C library keeps what OpenSSL had for each connection."""

import ctypes
from collections.abc import Callable
from typing import Final

# Below this many connections there is little to give back.
_CROWD: Final = 1000


class Trimmer:
    """Told now and then how many connections there are, calls `trim` once after most of a crowd has gone.

    `trim` takes milliseconds for each hundred megabytes and is not to be called on the loop.
    """

    def __init__(self, trim: Callable[[], object]) -> None:
        self._trim = trim
        self._most = 0
        self._last = 0

    def look(self, connections: int) -> None:
        """Look at how many there are; called at regular times."""
        self._most = max(self._most, connections)
        if self._most >= _CROWD and connections < self._most // 2 and connections >= self._last:
            # They no longer go: whoever wanted to has gone.
            self._most = connections
            self._trim()
        self._last = connections


def trim() -> None:
    """Give back what is free (malloc_trim(3)); a C library without it keeps its own counsel."""
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if give_back is not None:
        give_back(0)
