"""Builds the head that goes to the client: the upstream's fields less hop-by-hop, our own framing and id."""

from http import HTTPStatus
from typing import Final

from authproxy.core.decision import Allow
from authproxy.edge.forward import apply_rules
from authproxy.http1.answer import BODILESS, SWITCHING, AnswerHead
from authproxy.http1.request import RequestHead
from authproxy.runtime import Listener, Route

# The upstream's own reason phrase is not passed on: it means nothing (RFC 9112, 4) and has carried attacks.
_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus
}
# No upstream may set or clear the cookies of this proxy.
_OWN_COOKIE: Final = b"__host-authproxy"


def status_line(status: int) -> bytes:
    """Return the status line, with the standard's phrase or none."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def has_no_body(request: RequestHead, status: int) -> bool:
    """Tell whether an answer has no body whatever its fields say (RFC 9112, 6.3)."""
    return request.method == b"HEAD" or status in BODILESS


def is_chunked_out(request: RequestHead, head: AnswerHead) -> bool:
    """Tell whether the body goes to this client in chunks: its length is not known and the client reads HTTP/1.1."""
    return head.content_length < 0 and not request.http10 and not has_no_body(request, head.status)


def answer_head(  # noqa: PLR0913  # the six things a head is made of
    listener: Listener, route: Route, request: RequestHead, head: AnswerHead, request_id: bytes, *, close: bool
) -> list[bytes]:
    """Return the parts of the head for the client, with the empty line at its end."""
    lines = head.lines if route.response is None else apply_rules(route.response, head.lines)
    parts = [status_line(head.status)]
    add = parts.append
    if lines:
        add(b"\r\n".join(lines))
        add(b"\r\n")
    if head.cookies is not None and not (route.response and b"set-cookie" in route.response.dropped):
        parts += [line + b"\r\n" for line in head.cookies if not _is_own_cookie(line)]
    if route.response is not None:
        add(route.response.set_lines)
    if listener.hsts is not None and not head.hsts:
        add(listener.hsts)
    add(_framing(request, head, close=close))
    add(b"X-Request-Id: %b\r\n\r\n" % request_id)
    return parts


def _framing(request: RequestHead, head: AnswerHead, *, close: bool) -> bytes:
    if head.status == SWITCHING:
        return b"Connection: Upgrade\r\nUpgrade: %b\r\n" % (head.upgrade or b"")
    lines = b""
    if is_chunked_out(request, head):
        lines = b"Transfer-Encoding: chunked\r\n"
    elif head.content_length >= 0 and head.status != HTTPStatus.NO_CONTENT:
        lines = b"Content-Length: %d\r\n" % head.content_length
    return lines + b"Connection: close\r\n" if close else lines


def _is_own_cookie(line: bytes) -> bool:
    return line.partition(b":")[2].strip().lower().startswith(_OWN_COOKIE)


def interim_head(head: AnswerHead) -> bytes:
    """Return a 100 or 103 for the client."""
    return b"".join((status_line(head.status), *(line + b"\r\n" for line in head.lines), b"\r\n"))


def allow_lines(allow: Allow | None) -> bytes:
    """Return what the decision adds to the answer, such as a refreshed cookie."""
    return b"".join(allow.answer_lines) if allow is not None else b""
