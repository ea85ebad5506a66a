"""One reading of a request's path: the decision is made on the once-decoded form of the very bytes that are forwarded.

Whatever two readers could read differently is refused, plain or encoded: dot segments, encoded separators,
backslashes, broken escapes. A route may ask for three of the unusual forms; the rest is never forwarded.

Source: RFC 3986, 3.3 and 6.2.2; the path confusions published of other proxies (encoded separators, `..;/`).
"""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

SEMICOLON: Final = "semicolon"
DOUBLE_SLASH: Final = "double_slash"
ENCODED_SLASH: Final = "encoded_slash"
UNUSUAL: Final = frozenset({SEMICOLON, DOUBLE_SLASH, ENCODED_SLASH})

worth_a_look: Final = re.compile(rb"[%;\\]|//|/\.").search
"""Finds what makes a path unusual; one without any of it is its own decoded form and has one reading."""

_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})").search
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]").search
# UTF-8 that spells a short character long: some readers see `.` and `/` in it (RFC 3629, 10).
_OVERLONG: Final = re.compile(rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]").search
# `.` and `..` as a whole segment, also with parameters behind (`..;x`), as some servers cut those off first.
dot_segment: Final = re.compile(rb"(?:^|[/\\])\.{1,2}(?:[/\\;]|$)").search
"""Finds a dot segment in a decoded path."""

_NONE: Final[frozenset[str]] = frozenset()


class Path(NamedTuple):
    """A path that has one reading."""

    decoded: bytes
    """What routes are matched on."""
    unusual: frozenset[str]
    """Which of `UNUSUAL` it needs; empty for nearly every path."""


def read_path(raw: bytes) -> Path | None:
    """Return the reading of a path (no query), or None when it has more than one and must be refused.

    `raw` starts with `/` and holds only bytes 21 to 7E without `#` (checked by `http1`).
    """
    if worth_a_look(raw) is None:
        return Path(raw, _NONE)
    if _BROKEN_ESCAPE(raw) is not None:
        return None
    decoded = unquote_to_bytes(raw)
    twice = unquote_to_bytes(decoded)
    # A backslash or a dot segment that is there already stays one at the second decoding.
    if _CONTROL(decoded) or _OVERLONG(decoded) or b"\x00" in twice or b"\\" in twice or dot_segment(twice):
        return None
    # A slash that appears only at the second decoding is never wanted by anybody honest.
    if twice.count(b"/") != decoded.count(b"/"):
        return None
    unusual = set()
    if b";" in raw:
        unusual.add(SEMICOLON)
    if b"//" in decoded:
        unusual.add(DOUBLE_SLASH)
    if decoded.count(b"/") != raw.count(b"/"):
        unusual.add(ENCODED_SLASH)
    return Path(decoded, frozenset(unusual))
