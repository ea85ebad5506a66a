"""Builds the head that goes to the client: the upstream's fields less hop-by-hop, our own framing and id."""

from http import HTTPStatus
from typing import Final

from authproxy.edge.facts import Facts
from authproxy.edge.forward import without
from authproxy.http1.answer import BODILESS, SWITCHING, AnswerHead
from authproxy.http1.request import RequestHead
from authproxy.runtime import Route

# The upstream's own reason phrase is not passed on: it means nothing (RFC 9112, 4) and has carried attacks.
_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus
}
# No upstream may set or clear the cookies of this proxy.
_OWN_COOKIE: Final = b"__host-authproxy"
_NO_CONTENT: Final = 204


def status_line(status: int) -> bytes:
    """Return the status line, with the standard's phrase or none."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def has_no_body(request: RequestHead, status: int) -> bool:
    """Tell whether an answer has no body whatever its fields say (RFC 9112, 6.3)."""
    return request.method == b"HEAD" or status in BODILESS


def answer_head(facts: Facts, route: Route, head: AnswerHead, *, chunked: bool, close: bool) -> list[bytes]:
    """Return the parts of the head for the client, with the empty line at its end.

    `chunked`: the body follows in chunks; `close`: the connection ends after this answer.
    """
    lines = head.lines if route.response is None else without(route.response, head.lines)
    parts = [status_line(head.status)]
    if lines:
        parts += (b"\r\n".join(lines), b"\r\n")
    if head.cookies is not None and not (route.response and b"set-cookie" in route.response.dropped):
        parts += [line + b"\r\n" for line in head.cookies if not _is_own_cookie(line)]
    if route.response is not None:
        parts.append(route.response.set_lines)
    if facts.listener.hsts is not None and not head.hsts:
        parts.append(facts.listener.hsts)
    if facts.allow is not None and facts.allow.answer_lines:
        parts += facts.allow.answer_lines
    if head.status == SWITCHING:
        parts.append(b"Connection: Upgrade\r\nUpgrade: %b\r\n" % (head.upgrade or b""))
    elif chunked:
        parts.append(b"Transfer-Encoding: chunked\r\n")
    elif head.content_length >= 0 and head.status != _NO_CONTENT:
        parts.append(b"Content-Length: %d\r\n" % head.content_length)
    if close:
        parts.append(b"Connection: close\r\n")
    parts += (b"X-Request-Id: ", facts.request_id, b"\r\n\r\n")
    return parts


def _is_own_cookie(line: bytes) -> bool:
    return line.partition(b":")[2].strip().lower().startswith(_OWN_COOKIE)


def interim_head(head: AnswerHead) -> bytes:
    """Return a 100 or 103 for the client."""
    return b"".join((status_line(head.status), *(line + b"\r\n" for line in head.lines), b"\r\n"))
