"""Which of several things is meant by the name that a client asks for: its own, that of its domain, or the default."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerNames(Generic[T]):
    """What stands behind each name."""

    default: T
    names: Mapping[str, T] = field(default_factory=dict)
    """Exact lower-case names and `*.suffix` patterns (one label)."""

    def of(self, name: str | None) -> T:
        """Return what stands behind a name; the default for none or an unknown one."""
        if name is None:
            return self.default
        exact = self.names.get(name)
        if exact is not None:
            return exact
        _, dot, parent = name.partition(".")
        return self.names.get("*." + parent, self.default) if dot else self.default
