"""What a head says before anything is read into it, and what is read of it only when somebody asks."""

from authproxy.core.names import RequestNames
from authproxy.http1.head import HeadLimits, request_head
from authproxy.http1.shape import RequestShape, learn_request


def shape(*sequence: bytes) -> RequestShape:
    """The shape of a request with these names."""
    found = learn_request(sequence, RequestNames())
    assert isinstance(found, RequestShape)
    return found


def test_a_new_head_says_nothing():
    """But for what it was made of."""
    head = request_head(b"GET", b"/a?b", b"/a")

    assert (head.method, head.target, head.path, head.host, head.passed) == (b"GET", b"/a?b", b"/a", b"", b"")
    assert (head.is_usual, head.has_body, head.close, head.chunked, head.http10) == (False,) * 5
    assert (head.expect_continue, head.trailers, head.content_length) == (False, False, -1)
    assert (head.authorization, head.token, head.cookies, head.upgrade, head.request_id) == (None,) * 5
    assert head.lines == []
    assert head.forwarded == []


def test_a_head_keeps_what_it_was_made_of():
    """In this order."""
    head = request_head(b"PUT", b"/", b"/", b"a:1", b"\r\nX: 1\r\nY:", True)

    assert (head.host, head.passed, head.is_usual) == (b"a:1", b"\r\nX: 1\r\nY:", True)
    assert head.lines == [b"X: 1", b"Y:"]


def test_reports_are_read_of_lines_that_are_kept():
    """Without the blanks around them; a field that is not there is None, or nothing."""
    head = request_head(b"GET", b"/", b"/")
    lines = [b"GET / HTTP/1.1", b"Host: a", b"x-Request-ID:\t abc ", b"X-Real-IP: 1.2.3.4\t", b"Forwarded:for=a"]
    head.keep(lines, shape(b"Host", b"x-Request-ID", b"X-Real-IP", b"Forwarded"))
    assert head.request_id == b"abc"
    assert head.forwarded == [(b"x-real-ip", b"1.2.3.4"), (b"forwarded", b"for=a")]

    plain = request_head(b"GET", b"/", b"/")
    plain.keep(lines[:2], shape(b"Host"))
    assert plain.request_id is None
    assert plain.forwarded == []


def test_limits_are_those_of_usual_servers():
    """32 KiB in all, 8190 bytes a line, 100 fields."""
    limits = HeadLimits()

    assert (limits.head, limits.line, limits.fields) == (32_768, 8190, 100)
