"""The cookies of this proxy: read from what a browser sends, kept from upstreams, and set.

Every cookie of ours has the prefix `__Host-` (RFC 6265bis, 4.1.3.2): a browser takes it over TLS only, from this very host
and for all of its paths, so that no neighbouring domain can plant one.
"""

import re
from collections.abc import Callable, Collection
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple, final

from authproxy.core.session import ID

FAMILY: Final = b"__host-authproxy"
"""What the names of our cookies begin with by default, in lower case: browsers heed the prefix in any letter case."""

_SECOND: Final = 1000
# What stands between two cookies as browsers write them (RFC 6265, 4.2.1).
_NEXT: Final = b"; "


@final
class Unfit(Enum):
    """The type of `UNFIT`."""

    UNFIT = "unfit"


UNFIT: Final = Unfit.UNFIT
"""There is a cookie, but it says no session for sure: two of the name, or a value that no session id can be."""


class CookieRules(NamedTuple):
    """The session cookie of a zone."""

    name: bytes
    same_site: bytes
    """`Lax` or `Strict`."""


def read_session_id(cookies: bytes | None, name: bytes) -> bytes | Unfit | None:
    """Return the session id in a Cookie field, `UNFIT`, or None when there is no cookie of that name.

    Which of two a browser sends first is no matter of trust (RFC 6265, 4.2.2), so two are none.
    """
    if cookies is None:
        return None
    alone = _alone(name)(cookies)
    if alone is not None:
        return alone[1]
    begin = cookies.find(name)
    if begin < 0:
        return None
    behind = begin + len(name)
    # As browsers write it, and the name is nowhere else: no more need be read.
    if (
        (begin == 0 or cookies[begin - 2 : begin] == _NEXT)
        and cookies.startswith(b"=", behind)
        and cookies.find(name, behind) < 0
    ):
        end = cookies.find(b";", behind)
        value = cookies[behind + 1 : end if end > 0 else None]
        return value if ID(value) is not None else UNFIT
    found = [value for own, mark, value in _pairs(cookies) if own == name and mark]
    if not found:
        return None
    return found[0] if len(found) == 1 and ID(found[0]) is not None else UNFIT


@lru_cache(maxsize=64)
def _alone(name: bytes) -> Callable[[bytes], re.Match[bytes] | None]:
    """Return what matches a field with a session of this name and nothing else."""
    return re.compile(rb"%b=([A-Za-z0-9_-]{43})" % re.escape(name)).fullmatch


def without_own(cookies: bytes, own: Collection[bytes] = ()) -> bytes:
    """Return a Cookie field without the cookies of this proxy, in whatever letter case; empty when none is left.

    `own` are the names of all zones' cookies, in lower case, that do not begin with `FAMILY`. All other bytes stay.
    """
    lowered = cookies.lower()
    begin = lowered.find(FAMILY)
    if not own:
        if begin < 0:
            return cookies
        if begin == 0 and b";" not in cookies:
            return b""
        # As browsers write it, and only one.
        if (begin == 0 or cookies[begin - 2 : begin] == _NEXT) and lowered.find(FAMILY, begin + 1) < 0:
            end = cookies.find(b";", begin)
            before, behind = cookies[: max(0, begin - 2)], b"" if end < 0 else cookies[end:]
            return (before + behind if before else behind[1:]).strip(b" \t")
    elif begin < 0 and not any(name in lowered for name in own):
        return cookies
    kept = [pair for pair in cookies.split(b";") if not is_own(pair.partition(b"=")[0], own)]
    return b";".join(kept).strip(b" \t")


def is_own(name: bytes, own: Collection[bytes] = ()) -> bool:
    """Tell whether a cookie's name, with blanks around it or not, is one of this proxy's."""
    name = name.strip(b" \t").lower()
    return name.startswith(FAMILY) or name in own


def set_line(rules: CookieRules, session_id: bytes, left: int) -> bytes:
    """Return the Set-Cookie line that gives a browser its session for `left` milliseconds, rounded up."""
    return b"Set-Cookie: %b=%b; Path=/; Secure; HttpOnly; SameSite=%b; Max-Age=%d\r\n" % (
        rules.name, session_id, rules.same_site, -(-left // _SECOND),
    )  # fmt: skip


def clear_line(rules: CookieRules) -> bytes:
    """Return the Set-Cookie line that takes the cookie away; it repeats what the cookie was set with."""
    return (
        b"Set-Cookie: %b=; Path=/; Secure; HttpOnly; SameSite=%b; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        % (rules.name, rules.same_site)
    )


def _pairs(cookies: bytes) -> list[tuple[bytes, bytes, bytes]]:
    split = (pair.strip(b" \t").partition(b"=") for pair in cookies.split(b";"))
    return [(name.rstrip(b" \t"), mark, value.lstrip(b" \t")) for name, mark, value in split]
