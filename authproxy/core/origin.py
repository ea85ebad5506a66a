"""Does a request come from a page of the very origin it goes to? Asked where the browser adds the credential by itself.

How it is used: the login and the logout take a POST only when `is_same_origin`; a request that only a session cookie
authenticates, with a method outside `SAFE_METHODS` or an Upgrade, passes only when `may_act` (unless its route says
`cross_origin: allow`); else 403. The values are the whole fields; of a field that came twice, both, joined by a comma,
which no rule here accepts. `host` is the Host as the browser sent it, with its port: behind trusted proxies theirs.

Sources: Fetch Metadata Request Headers (W3C), 2.3; RFC 6454, 7; spec/http.md, 3.

Why Sec-Fetch-Site decides alone where there is one: no page can set it, and pages that send no Referrer send
`Origin: null` with their forms. Why nothing is refused without a look at the method: a GET changes nothing, or the
application is wrong.
"""

from typing import Final

SAFE_METHODS: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})
"""RFC 9110, 9.2.1."""

_DEFAULT_PORT: Final = b":443"


def is_same_origin(site: bytes | None, origin: bytes | None, host: bytes) -> bool:
    """Tell whether a page of this origin made the request: by Sec-Fetch-Site (`site`), without one by Origin.

    Neither of them is a refusal: every browser sends an Origin with a POST.
    """
    if site is not None:
        return site == b"same-origin"
    return origin == own_origin(host)


def may_act(site: bytes | None, origin: bytes | None, host: bytes) -> bool:
    """Tell whether a request that a cookie authenticates may change something: as above, or typed by the person."""
    return site == b"none" or is_same_origin(site, origin, host)


def own_origin(host: bytes) -> bytes:
    """Return the origin of the pages at `host`, as browsers write it: https always, the default port left away."""
    return b"https://" + host.lower().removesuffix(_DEFAULT_PORT)
