"""A value that prints as nothing."""

from typing import Generic, TypeVar, final

from typing_extensions import override

T = TypeVar("T")


@final
class Secret(Generic[T]):
    """Holds `value` where it cannot reach a log, an exception text or a `repr` by accident.

    Python cannot promise to wipe memory; this only makes the leak explicit: every read says `reveal`.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """Return the value; the caller answers for where it goes."""
        return self._value

    @override
    def __repr__(self) -> str:
        return "Secret(...)"

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and bool(self._value == other._value)

    @override
    def __hash__(self) -> int:
        return hash(self._value)
