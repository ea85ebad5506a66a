"""Does whoever asks want a page, or data? By the Accept field alone.

Source: RFC 9110, 12.5.1.
"""

import re
from typing import Final

_quality: Final = re.compile(rb"[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*", re.IGNORECASE).fullmatch
_HTML: Final = b"text/html"
_JSON: Final = b"application/json"
# Browsers name five to ten; whoever sends thousands shall not be read to the end.
_MOST: Final = 64


def prefers_html(accept: bytes) -> bool:
    """Tell whether HTML is named, and is wanted no less than JSON; a browser's navigation always does so.

    A wildcard is no wish for a page: programs send `*/*`. What is not read as the standard says wants none. What stands
    behind the 64th is not looked at.
    """
    wanted = {_HTML: 0.0, _JSON: 0.0}
    for part in accept.split(b",", _MOST)[:_MOST]:
        kind, *parameters = part.split(b";")
        kind = kind.strip(b" \t").lower()
        if kind in wanted:
            wanted[kind] = max(wanted[kind], _weight(parameters))
    return 0 < wanted[_HTML] >= wanted[_JSON]


def _weight(parameters: list[bytes]) -> float:
    for parameter in parameters:
        if parameter.strip(b" \t")[:2].lower() == b"q=":
            found = _quality(parameter)
            return 0.0 if found is None else float(found[1])
    return 1.0
