"""What a person in a browser is shown in place of a program's JSON, and who is one.

How it is used: `wants_page` for refusals, `is_navigation` for whom to redirect to a login. The set of pages at work is
`pages_of(runtime)`; its bodies go out with the `lines` of their `Page` (`core.pages`).
"""

from importlib.resources import files
from typing import Final

from authproxy.core.accept import prefers_html
from authproxy.core.pages import FILES, Look, Pages, make_pages
from authproxy.http1.lines import value_of
from authproxy.http1.request import RequestHead
from authproxy.runtime import Runtime

_READ: Final = frozenset({b"GET", b"HEAD"})
_HTML: Final = files("authproxy.edge") / "html"
TEXTS: Final = {name: (_HTML / name).read_text("utf-8") for name in FILES}
"""The built-in templates, style and script, by name."""

BUILT_IN: Final[Pages] = make_pages(TEXTS, Look())


def field_of(head: RequestHead, name: bytes) -> bytes | None:
    """Return a field's value, or None; of one that came several times, all, joined by commas (RFC 9110, 5.3).

    `name` is lower case, and none of those that `http1` takes out (Host, Authorization, Cookie and framing).
    """
    values = [value_of(line) for line in head.lines if line.partition(b":")[0].lower() == name]
    return b", ".join(values) if values else None


def wants_page(head: RequestHead) -> bool:
    """Tell whether a person sees the answer: a GET or HEAD that wants HTML, or a form that a browser has sent."""
    if not prefers_html(field_of(head, b"accept") or b""):
        return False
    return head.method in _READ or is_submission(head)


def is_submission(head: RequestHead) -> bool:
    """Tell whether a browser has sent a form, and puts what comes back in the page's place."""
    is_told = head.method == b"POST" and field_of(head, b"sec-fetch-mode") == b"navigate"
    return is_told and prefers_html(field_of(head, b"accept") or b"")


def is_navigation(head: RequestHead) -> bool:
    """Tell whether a browser is on its way to a page, so that it may be led to a login.

    A `fetch`, an image or a WebSocket could make nothing of a form. Sec-Fetch-Mode says so where there is one; browsers without it are told by what they accept.
    """
    if head.method not in _READ or head.upgrade is not None:
        return False
    return wants_page(head) and field_of(head, b"sec-fetch-mode") in {None, b"navigate"}


def pages_of(runtime: Runtime) -> Pages:
    """Return the set of pages that is at work."""
    return runtime.pages or BUILT_IN
