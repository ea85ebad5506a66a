"""What a file of rows comes to: records, and lines for a person about the rest."""

from dataclasses import dataclass
from typing import Final, final

from authproxy.catalogs.index import refused
from authproxy.core.record import TokenRecord, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One reading of one file."""

    records: tuple[TokenRecord, ...]
    """The good rows, and a disabled record for every user whose row is bad."""
    good: int
    """How many of `records` are good rows."""
    problems: tuple[str, ...]
    """`file:line: key: what is wrong`, for every bad row."""
    notes: tuple[str, ...]
    """The same form, for what counts all the same."""


@final
class SheetWriter:
    """Gathers the rows of one file in their order; what is settled between rows is settled here."""

    def __init__(self, source: str) -> None:
        """Name every line after `source`."""
        self._source: Final = source
        # None: a row that cannot be used.
        self._rows: dict[tuple[str | None, UserId], TokenRecord | None] = {}
        self._lines: dict[tuple[str | None, UserId], int] = {}
        self._barred: set[UserId] = set()
        self._problems: list[str] = []
        self._notes: list[str] = []

    def problem(self, line: int, key: str, text: str) -> None:
        """Say what is wrong with a row; whoever says it also refuses the row."""
        self._problems.append(self._told(line, key, text))

    def note(self, line: int, key: str, text: str) -> None:
        """Say what is odd about a row that counts."""
        self._notes.append(self._told(line, key, text))

    def _told(self, line: int, key: str, text: str) -> str:
        return f"{self._source}:{line}: {key}: {text}" if key else f"{self._source}:{line}: {text}"

    def add(self, record: TokenRecord, line: int, *, first_counts: bool = False) -> None:
        """Add a row. Of two for one user and zone neither counts, for nobody can tell which was meant.

        With `first_counts` the first does.
        """
        key = record.zone, record.user_id
        if self._claim(key, line):
            self._rows[key] = record
        elif first_counts:
            self.note(line, "user_id", f"has a row in line {self._lines[key]} already, and that one counts")
        else:
            self._rows[key] = None
            self.problem(line, "user_id", f"has a row in line {self._lines[key]} already: neither counts, keep one")

    def refuse(self, user_id: UserId, zone: str | None, line: int, *, first_counts: bool = False) -> None:
        """Disable the user in that zone (None: in those for which there is no row of their own)."""
        if self._claim((zone, user_id), line) or not first_counts:
            self._rows[zone, user_id] = None

    def bar(self, user_id: UserId) -> None:
        """Disable the user in every zone: the row is bad, and for which zone it was meant is not known."""
        self._barred.add(user_id)

    def _claim(self, key: tuple[str | None, UserId], line: int) -> bool:
        if key in self._lines:
            return False
        self._lines[key] = line
        return True

    def sheet(self) -> Sheet:
        """Return what was gathered."""
        rows = {key: row for key, row in self._rows.items() if key[1] not in self._barred}
        good = [row for row in rows.values() if row is not None]
        bad = [refused(user_id, zone) for (zone, user_id), row in rows.items() if row is None]
        return Sheet(
            records=(*good, *bad, *(refused(user_id, None) for user_id in sorted(self._barred))),
            good=len(good),
            problems=tuple(self._problems),
            notes=tuple(self._notes),
        )
