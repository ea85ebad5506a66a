"""Rows in memory, found by zone and user."""

from collections.abc import Iterable
from typing import final

from authproxy.core.record import TokenRecord, UserId


def refused(user_id: UserId, zone: str | None) -> TokenRecord:
    """Return a record that no token meets: a user whose row cannot be used is known, and disabled.

    Not simply absent, because then a row for every zone, or the next member of a composite, would let the user in
    whom the unusable row perhaps was to keep out.
    """
    return TokenRecord(user_id=user_id, rotation_version=0, hash=bytes(64), zone=zone, disabled=True, rejected=True)


@final
class Index:
    """An immutable set of rows."""

    __slots__ = ("_everywhere", "_zoned")

    def __init__(self, records: Iterable[TokenRecord] = ()) -> None:
        """Index `records`; of two for one zone and user the first counts."""
        self._everywhere: dict[UserId, TokenRecord] = {}
        self._zoned: dict[tuple[str, UserId], TokenRecord] = {}
        for record in records:
            if record.zone is None:
                self._everywhere.setdefault(record.user_id, record)
            else:
                self._zoned.setdefault((record.zone, record.user_id), record)

    def find(self, zone: str, user_id: UserId) -> TokenRecord | None:
        """Return the row of `user_id` for this very zone, else the one for every zone, else None."""
        if self._zoned:
            record = self._zoned.get((zone, user_id))
            if record is not None:
                return record
        return self._everywhere.get(user_id)
