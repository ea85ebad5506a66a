"""Framing, expectations and Connection: what only some requests have, on both sides of every rule."""

import pytest

from authproxy.core.names import RequestNames
from authproxy.http1.request import HeadLimits, Malformed, RequestHead, RequestReader

READER = RequestReader(RequestNames(["X-Authproxy-User"]), HeadLimits())


def read(*lines: bytes, version: bytes = b"HTTP/1.1") -> RequestHead | Malformed:
    return READER.read(b"\r\n".join([b"POST / " + version, b"Host: a", *lines]))


def good(*lines: bytes, **more: bytes) -> RequestHead:
    head = read(*lines, **more)
    assert isinstance(head, RequestHead), head
    return head


def refused(*lines: bytes, **more: bytes) -> int:
    head = read(*lines, **more)
    assert isinstance(head, Malformed), vars(head)
    return head.status


@pytest.mark.parametrize("value", [b"chunked", b"Chunked", b"CHUNKED", b"  chunked "])
def test_chunked_is_spelt_in_any_letter_case(value):
    """RFC 9112, 7: names of codings have none."""
    head = good(b"Transfer-Encoding:" + value)

    assert (head.chunked, head.has_body, head.content_length) == (True, True, -1)


@pytest.mark.parametrize(
    "value", [b"\tchunked", b"chunked\t", b" \t chunked", b"x-chunked", b"chunke", b"", b"chunked,"]
)
def test_no_other_coding_is_taken_for_chunked(value):
    """Some readers take a tab beside the word for a part of it."""
    assert refused(b"Transfer-Encoding:" + value) == 501


@pytest.mark.parametrize("value", [b"100-continue", b"100-Continue", b"100-CONTINUE"])
def test_an_expectation_is_noted(value):
    """In any letter case; an HTTP/1.0 client's is ignored (RFC 9110, 10.1.1)."""
    assert good(b"Content-Length: 1", b"Expect: " + value).expect_continue
    assert not good(b"Content-Length: 1", b"Expect: " + value, version=b"HTTP/1.0").expect_continue
    assert not good(b"Content-Length: 1").expect_continue


@pytest.mark.parametrize("value", [b"100-continu", b"x100-continue", b"100-continue;", b""])
def test_other_expectations_are_417(value):
    """In HTTP/1.0 too."""
    assert refused(b"Expect: " + value) == 417
    assert refused(b"Expect: " + value, version=b"HTTP/1.0") == 417


@pytest.mark.parametrize(
    "value", [b"close", b"Close", b"x-a, close", b"close\t, x-a", b"\tclose", b" close\t", b",close,"]
)
def test_close_is_heard_among_options(value):
    """With any blanks around it."""
    assert good(b"Connection: " + value).close


@pytest.mark.parametrize("value", [b"x-a\t,x-b", b"\tx-a ,\tX-B\t", b"x-b , x-a"])
def test_what_options_name_ends_here(value):
    """Blanks are no part of a name."""
    assert good(b"Connection: " + value, b"X-A: 1", b"X-B: 2", b"X-C: 3").lines == [b"X-C: 3"]


def test_a_field_called_like_an_option_ends_here_too():
    """RFC 9110, 7.6.1: Connection names it, whatever else the word means."""
    assert good(b"Connection: close", b"Close: 1", b"X-A: 1").lines == [b"X-A: 1"]
    assert good(b"Connection: keep-alive", b"Close: 1", b"X-A: 1").lines == [b"Close: 1", b"X-A: 1"]


@pytest.mark.parametrize(
    ("option", "upgrade", "version", "expected"),
    [
        (b"upgrade", b"websocket", b"HTTP/1.1", b"websocket"), (b"UPGRADE", b"WebSocket", b"HTTP/1.1", b"WebSocket"),
        (b"upgrade", b"websocket", b"HTTP/1.0", None), (b"upgrades", b"websocket", b"HTTP/1.1", None),
        (b"upgrade", None, b"HTTP/1.1", None), (b"close", b"websocket", b"HTTP/1.1", None),
    ],
)  # fmt: skip
def test_an_upgrade_needs_both_fields(option, upgrade, version, expected):
    """And HTTP/1.1."""
    lines = [b"Connection: " + option, *([] if upgrade is None else [b"Upgrade: " + upgrade])]

    assert good(*lines, version=version).upgrade == expected


@pytest.mark.parametrize(
    ("value", "trailers"), [(b"trailers", True), (b"Trailers", True), (b"gzip", False), (b"", False)]
)
def test_te_trailers_is_noted(value, trailers):
    """In any TE field."""
    assert good(b"TE: " + value).trailers is trailers
    assert good(b"TE: gzip", b"TE: " + value).trailers is trailers
    assert not good().trailers
