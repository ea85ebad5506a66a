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
    """Tell whether a person's browser asks: a GET or HEAD that wants HTML."""
    return head.method in {b"GET", b"HEAD"} and prefers_html(field_of(head, b"accept") or b"")


def is_navigation(head: RequestHead) -> bool:
    """Tell whether a browser is on its way to a page, so that it may be led to a login.

    A `fetch` or an image could make nothing of a form. Sec-Fetch-Mode says so where there is one; browsers without it are told by what they accept.
    """
    return wants_page(head) and field_of(head, b"sec-fetch-mode") in {None, b"navigate"}


def pages_of(runtime: Runtime) -> Pages:
    """Return the set of pages that is at work."""
    return runtime.pages or BUILT_IN
