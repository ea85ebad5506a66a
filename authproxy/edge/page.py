"""What a person in a browser is shown in place of a program's JSON: one plain page, no script, nothing from elsewhere."""

from typing import Final

from authproxy.http1.request import RequestHead

# Refusals that a person may meet while following a link.
PAGES: Final = frozenset({403, 404, 421, 502, 503, 504})

LINES: Final = (
    b"Content-Type: text/html; charset=utf-8\r\n"
    b"Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'\r\n"
    b"Referrer-Policy: same-origin\r\n"
)

_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 15vh auto; max-width: 34rem; padding: 0 1.5rem }}
h1 {{ font-size: 1.4rem; margin: 0 0 .5rem }}
small {{ opacity: .75 }}
code {{ font-size: .95em; overflow-wrap: anywhere }}
</style>
<main>
<h1>{title}</h1>
<p>{message}</p>
<p><small>Status {status}. If you ask for help, give this number: <code>{request_id}</code></small></p>
</main>
</html>
"""


def wants_page(head: RequestHead) -> bool:
    """Tell whether a person's browser asks: a GET or HEAD that accepts HTML."""
    if head.method not in {b"GET", b"HEAD"}:
        return False
    return any(line[:7].lower() == b"accept:" and b"text/html" in line.lower() for line in head.lines)


def page(status: int, title: str, message: str, request_id: str) -> bytes:
    """Return the page. All four come from this program: nothing of the request is repeated in it."""
    return _PAGE.format(status=status, title=title, message=message, request_id=request_id).encode()
