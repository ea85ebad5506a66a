"""Builds the head that goes to the client: the upstream's fields less hop-by-hop, our own framing and id."""

from http import HTTPStatus
from typing import Final

from authproxy.core.cookie import is_own
from authproxy.edge.facts import Facts
from authproxy.edge.forward import without
from authproxy.http1.answer import BODILESS, SWITCHING, AnswerHead
from authproxy.http1.lines import CRLF, joined, value_of
from authproxy.http1.request import RequestHead
from authproxy.runtime import Route

# The upstream's own reason phrase is not passed on: it means nothing (RFC 9112, 4) and has carried attacks.
_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b" % (status.value, status.phrase.encode()) for status in HTTPStatus
}
_CLOSE: Final = b"Connection: close\r\n"
# No Content-Length may stand in these (RFC 9110, 8.6).
_LENGTHLESS: Final = frozenset({101, 204})


def status_line(status: int) -> bytes:
    """Return the status line without its CRLF, with the standard's phrase or none."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status


def has_no_body(request: RequestHead, status: int) -> bool:
    """Tell whether an answer has no body whatever its fields say (RFC 9112, 6.3)."""
    return request.method == b"HEAD" or status in BODILESS


def answer_head(  # noqa: C901  # one field after the other
    facts: Facts, route: Route, head: AnswerHead, *, chunked: bool, close: bool
) -> bytes:
    """Return the head for the client, with the empty line at its end.

    `chunked`: the body follows in chunks; `close`: the connection ends after this answer.
    """
    status = _STATUS_LINES.get(head.status) or status_line(head.status)
    if head.is_usual and route.response is None:
        extra = facts.listener.hsts or b""
        if facts.allow is not None and facts.allow.answer_lines:
            extra += b"".join(facts.allow.answer_lines)
        if close:
            extra += _CLOSE
        return b"%b%b\r\n%bX-Request-Id: %b\r\n\r\n" % (status, head.passed, extra, facts.request_id)
    passed = head.passed if route.response is None else without(route.response, head.lines)
    if head.status in _LENGTHLESS:
        passed = joined(line for line in passed.split(CRLF)[1:] if line[:15].lower() != b"content-length:")
    extra = b"" if head.cookies is None else _cookies(facts, route, head.cookies)
    if route.response is not None:
        extra += route.response.set_lines
    if facts.listener.hsts is not None and not head.hsts and not _decides_hsts(route):
        extra += facts.listener.hsts
    if facts.allow is not None and facts.allow.answer_lines:
        extra += b"".join(facts.allow.answer_lines)
    if head.status == SWITCHING:
        extra += b"Connection: Upgrade\r\nUpgrade: %b\r\n" % (head.upgrade or b"")
    if chunked:
        extra += b"Transfer-Encoding: chunked\r\n"
    if close:
        extra += _CLOSE
    return b"%b%b\r\n%bX-Request-Id: %b\r\n\r\n" % (status, passed, extra, facts.request_id)


def _decides_hsts(route: Route) -> bool:
    return route.response is not None and b"STRICT_TRANSPORT_SECURITY" in route.response.dropped


def _cookies(facts: Facts, route: Route, lines: list[bytes]) -> bytes:
    """Return the Set-Cookie lines that pass: no upstream sets or clears a cookie of this proxy."""
    if route.response is not None and b"SET_COOKIE" in route.response.dropped:
        return b""
    passed = [line for line in lines if not is_own(_cookie_name(line), facts.runtime.own_cookies)]
    return b"".join([line + b"\r\n" for line in passed])


def _cookie_name(line: bytes) -> bytes:
    # Of a cookie without a name a browser sends the value alone, and that may read like a name and a value.
    return value_of(line).partition(b";")[0].lstrip(b" \t=").partition(b"=")[0]


def interim_head(route: Route, head: AnswerHead) -> bytes:
    """Return a 100 or 103 for the client."""
    passed = head.passed if route.response is None else without(route.response, head.lines)
    lines = [line for line in passed.split(CRLF)[1:] if line[:15].lower() != b"content-length:"]
    return b"%b%b\r\n\r\n" % (status_line(head.status), joined(lines))
