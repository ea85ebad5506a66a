"""How many of something each user has open."""

from typing import TypeAlias

from authproxy.core.decision import Allow
from authproxy.core.record import UserId

Owner: TypeAlias = tuple[str, UserId]
"""A user of a zone: zones are isolated, so that the same id in another zone is somebody else."""


def owner_of(allow: Allow) -> Owner:
    """Return whose account something opened by this credential goes to."""
    return allow.zone, allow.record.user_id


class Tally:
    """Counts by owner; who has none takes no room."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[Owner, int] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def of(self, owner: Owner) -> int:
        """Return how many an owner has."""
        return self._counts.get(owner, 0)

    def add(self, owner: Owner) -> None:
        """One more."""
        self._counts[owner] = self.of(owner) + 1

    def remove(self, owner: Owner) -> None:
        """One less."""
        left = self.of(owner) - 1
        if left > 0:
            self._counts[owner] = left
        else:
            self._counts.pop(owner, None)
