"""The base of every section, and bounds for its numbers."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator

from authproxy.options import Duration, Options, duration_text


class Section(Options):
    """A settings model that also knows which keys have a default outside of it, and which will come."""

    FILLED: ClassVar[frozenset[str]] = frozenset()
    """Required here, and filled in before validation (`authproxy.settings.defaults`) where there is one answer."""
    LATER: ClassVar[frozenset[str]] = frozenset()
    """Keys that the next versions will know; they are refused as such, not as misspelt."""


_SHORTEST: Final = timedelta(milliseconds=1)
_LONGEST: Final = timedelta(days=1)


def _lasting(value: timedelta) -> timedelta:
    if not _SHORTEST <= value <= _LONGEST:
        least, most = duration_text(_SHORTEST), duration_text(_LONGEST)
        raise ValueError(f"must be between {least} and {most}, is {duration_text(value)}")
    return value


def bounded(low: int, high: int, text: Callable[[int], str] = str) -> AfterValidator:
    """Require a number of at least `low` and at most `high`; `text` spells it in the message."""

    def check(value: int) -> int:
        if not low <= value <= high:
            raise ValueError(f"must be between {text(low)} and {text(high)}, is {text(value)}")
        return value

    return AfterValidator(check)


Wait = Annotated[Duration, AfterValidator(_lasting)]
"""A duration that something is waited for: never nothing, at most a day."""
