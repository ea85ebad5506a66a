"""What both readers of heads share: how lines are cut, and what a sequence of field names means.

Heads come in few shapes: one client's requests, or one upstream's answers, carry the same field names in the same
order. What the names say is worked out once for a shape and kept (`Shapes`); what is read anew for every head are
its bytes and its values.

A head is cut by three calls that the readers make in place, since they are the most-run code of the proxy:

    lines = block.split(CRLF)
    block.translate(None, PLAIN) == ENDS[len(lines) - 1]     no lone CR or LF, no control byte: what is left of a
                                                             head without its plain bytes is one CRLF for every cut
    all(map(starts_with, lines, shape.prefixes))             the same names again as in the head before; else
    names = tuple(find_names(block))                         what stands before the first colon of every field line
"""

import re
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

CRLF: Final = b"\r\n"
_DEL: Final = 0x7F
# RFC 9110, 5.5: visible characters, obs-text, blank and tab.
PLAIN: Final = bytes(c for c in range(256) if (c >= ord(" ") and c != _DEL) or c == ord("\t"))
MOST_FIELDS: Final = 1100
ENDS: Final = tuple(CRLF * count for count in range(MOST_FIELDS))

find_names: Final = re.compile(rb"\r\n([^:\r\n]*):").findall
"""Returns the names of all field lines; lines without a colon are missing."""

starts_with: Final = bytes.startswith

_MAX_SHAPES: Final = 512
_MAX_NAMES_BYTES: Final = 2048

S = TypeVar("S")


class Shapes(dict[tuple[bytes, ...], S], Generic[S]):
    """Maps a sequence of field names to what it means; learns. Bounded, since a client can make up any number."""

    def __init__(self, learn: Callable[[tuple[bytes, ...]], S]) -> None:
        super().__init__()
        self._learn = learn

    def __missing__(self, names: tuple[bytes, ...]) -> S:
        """Work out what these names mean."""
        shape = self._learn(names)
        if sum(map(len, names)) <= _MAX_NAMES_BYTES:
            if len(self) >= _MAX_SHAPES:
                # The oldest goes, so that made-up sequences do not keep the real ones out for good.
                del self[next(iter(self))]
            self[names] = shape
        return shape


def prefixes_of(names: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return what the lines of a head with these names begin with; the first line with anything."""
    return (b"", *(name + b":" for name in names))


def value_of(line: bytes) -> bytes:
    """Return a field line's value without the blanks around it."""
    return line.partition(b":")[2].strip(b" \t")


def joined(lines: Iterable[bytes]) -> bytes:
    """Return lines as one piece, each with CRLF before it."""
    return b"".join([CRLF + line for line in lines])
