"""What a check says, and what it may know."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from authproxy.settings.tree import Path


class Finding(NamedTuple):
    """One thing that is wrong at `path`; with `key`, at the key rather than at its value."""

    path: Path
    text: str
    key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The names that the file defines, right or wrong otherwise, so that no error causes a second one."""

    names: Mapping[str, frozenset[str] | None]
    """By section; None: the section cannot be read, so any name may be right."""

    def may_hold(self, section: str, name: str) -> bool:
        """Return whether `name` may be defined in `section`."""
        names = self.names[section]
        return names is None or name in names

    def is_empty(self, section: str) -> bool:
        """Return whether the file surely defines nothing in `section`."""
        return self.names[section] == frozenset()
