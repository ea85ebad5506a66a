"""Reads the fields that most requests do not have: framing, expectations, and what Connection names."""

from typing import Final

from authproxy.core.names import RequestNames, is_token
from authproxy.http1.head import Malformed, RequestHead
from authproxy.http1.lines import joined, value_of
from authproxy.http1.shape import RequestShape

_DIGITS: Final = b"0123456789"
_MAX_LENGTH_DIGITS: Final = 18
_MAX_OPTIONS: Final = 20


def read_framing(  # noqa: C901  # three fields, each with its few rules
    head: RequestHead, lines: list[bytes], shape: RequestShape
) -> Malformed | None:
    """Read Content-Length, Transfer-Encoding and Expect (RFC 9112, 6; RFC 9110, 10.1.1)."""
    if shape.content_length:
        value = value_of(lines[shape.content_length])
        if not value or len(value) > _MAX_LENGTH_DIGITS or value.translate(None, _DIGITS):
            return Malformed(400, "Content-Length is not 1 to 18 digits")
        head.content_length = int(value)
        head.has_body = head.content_length > 0
    if shape.transfer_encoding:
        if shape.content_length:
            return Malformed(400, "both Content-Length and Transfer-Encoding")
        if head.http10:
            return Malformed(400, "Transfer-Encoding in HTTP/1.0")
        # Some readers, llhttp among them, take a tab beside the word for a part of it, and so see another body.
        coding = lines[shape.transfer_encoding]
        if value_of(coding).lower() != b"chunked" or b"\t" in coding:
            return Malformed(501, "transfer coding other than chunked")
        head.chunked = head.has_body = True
    if shape.expect:
        if value_of(lines[shape.expect]).lower() != b"100-continue":
            return Malformed(417, "expectation other than 100-continue")
        # An HTTP/1.0 client's expectation is ignored.
        head.expect_continue = not head.http10
    return None


def read_connection(
    head: RequestHead, options: list[bytes], upgrade: bytes | None, table: RequestNames
) -> Malformed | None:
    """Apply the Connection options (RFC 9110, 7.6.1): the fields that they name end here."""
    if len(options) > _MAX_OPTIONS:
        return Malformed(400, "too many Connection options")
    words = {option.strip(b" \t") for option in options} - {b""}
    if b"close" in words:
        head.close = True
    if b"upgrade" in words and not head.http10:
        head.upgrade = upgrade
    # HTTP/1.0 is answered with `Connection: close` whatever it asks for.
    for word in words:
        if not is_token(word) or table.is_relied_on(word):
            return Malformed(400, "Connection names a field that is not hop-by-hop")
    head.passed = joined(line for line in head.lines if line.partition(b":")[0].lower() not in words)
    return None
