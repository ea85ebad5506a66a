"""Cuts a head into lines; the checks that both readers share.

Heads come in few shapes: one client's requests, or one upstream's answers, carry the same field names in the same
order. What the names say is worked out once for a shape and kept (`Shapes`); what is read anew for every head are
its bytes and its values.
"""

import re
from collections.abc import Callable
from typing import Final, Generic, TypeVar

# RFC 9110, 5.5: visible characters, obs-text, blank and tab.
_PLAIN: Final = bytes(c for c in range(256) if (c >= 0x20 and c != 0x7F) or c == ord("\t"))  # noqa: PLR2004  # DEL
_MOST_LINES: Final = 1100
_ENDS: Final = tuple(b"\r\n" * count for count in range(_MOST_LINES))
_NAMES: Final = re.compile(rb"\r\n([^:\r\n]*):").findall
_MAX_SHAPES: Final = 1024

S = TypeVar("S")


def cut(block: bytes) -> list[bytes] | None:
    """Return the lines of a head, or None when a CR or LF stands alone or a control byte anywhere.

    What is left of the bytes without all plain ones must be exactly one CRLF for every cut.
    """
    lines = block.split(b"\r\n")
    fields = len(lines) - 1
    if fields >= _MOST_LINES or block.translate(None, _PLAIN) != _ENDS[fields]:
        return None
    return lines


def field_names(block: bytes) -> tuple[bytes, ...]:
    """Return what stands before the first colon of every field line; lines without one are missing."""
    return tuple(_NAMES(block))


class Shapes(Generic[S]):
    """Keeps what a sequence of field names means. Bounded, since a client can make up sequences without end."""

    __slots__ = ("_known", "_learn")

    def __init__(self, learn: Callable[[tuple[bytes, ...]], S]) -> None:
        self._known: dict[tuple[bytes, ...], S] = {}
        self._learn = learn

    def of(self, names: tuple[bytes, ...]) -> S:
        """Return the shape of heads with these field names in this order."""
        shape = self._known.get(names)
        if shape is None:
            shape = self._learn(names)
            if len(self._known) < _MAX_SHAPES:
                self._known[names] = shape
        return shape
