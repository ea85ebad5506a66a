"""What families of kinds share: which kinds this installation knows, the built-in ones and those of plug-ins."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from authproxy.errors import ConfigError

K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family(Generic[K]):
    """Things of many kinds, one of which the operator chooses by its word after `kind:`."""

    group: str
    """The group of entry points under which plug-ins register further kinds."""
    member: str
    """What one of the family is called in messages."""
    kind: type[K]
    """What an entry point must name."""
    built_in: Mapping[str, K]

    def kinds(self) -> Mapping[str, K]:
        """Return every kind under its word after `kind:`.

        Raises:
            ConfigError: An installed plug-in cannot be used, with one problem for each.
        """
        found = dict(self.built_in)
        problems: list[str] = []
        for point in entry_points(group=self.group):
            if point.name in found:
                problems.append(f"{self._named(point)}: the name is taken: two plug-ins, or one and a built-in kind")
                continue
            try:
                found[point.name] = self._load(point)
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(*problems)
        return found

    def _load(self, point: EntryPoint) -> K:
        try:
            kind: object = point.load()
        except Exception as error:
            raise ConfigError(f"{self._named(point)}: cannot be imported: {type(error).__name__}: {error}") from error
        if not isinstance(kind, self.kind):
            raise ConfigError(f"{self._named(point)}: names no {self.kind.__name__} but {type(kind).__name__}")
        return kind

    def _named(self, point: EntryPoint) -> str:
        package = f" of {point.dist.name}" if point.dist is not None else ""
        return f"{self.member} plug-in {point.name}{package} ({point.value})"
