"""aiohttp's C parser (llhttp) as oracle: whatever is accepted here, it reads with the same meaning."""

import asyncio
from http import HTTPMethod
from unittest import mock

import pytest
from aiohttp import hdrs, http_exceptions
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.names import RequestNames
from authproxy.http1.request import HeadLimits, RequestHead, RequestReader

READER = RequestReader(RequestNames(), HeadLimits())

METHODS = st.sampled_from(
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"get", b"PROPFIND", b"PURGE"]
)
TARGETS = st.sampled_from(
    [b"/", b"/a", b"/a?b=c", b"/%61//b;c", b"*", b"http://a/", b"/?#", b"/\xff", b"a", b"//a/b", b"/a\\b", b'/{}|"^`']
)
VERSIONS = st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"http/1.1", b"HTTP/2.0"])
NAMES = st.sampled_from(
    [b"Accept", b"X-A", b"x-a", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Upgrade", b"Cookie", b"Expect",
     b"Content-Type", b"X_A", b"X.A", b"Host", b"Authorization", b"!#$%&'*+-.^_`|~1", b"X A", b"", b" X", b"X "]
)  # fmt: skip
VALUES = st.sampled_from(
    [b"", b"1", b"5", b"chunked", b"close", b"keep-alive", b"a, b", b"  a\t", b"\xe9", b"100-continue", b"a:b", b"x" * 50, b"Chunked",
     b"gzip, chunked", b"05", b"+5", b"5, 5", b"\x00", b"\x0b", b"\x7f", b'"q"', b"a\rb", b"a\nb", b"a\r\n b", b"x-a"]
)  # fmt: skip
BLANKS = st.sampled_from([b"", b" ", b"  ", b"\t"])
LINES = st.lists(
    st.tuples(NAMES, st.sampled_from([b":", b" :", b"", b"::"]), BLANKS, VALUES, BLANKS).map(b"".join), max_size=5
)
SPACES = st.sampled_from([b" ", b" ", b" ", b" ", b"  ", b"\t"])


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Heads that are mostly right, with mistakes here and there."""
    start = draw(METHODS) + draw(SPACES) + draw(TARGETS) + draw(SPACES) + draw(VERSIONS)
    head = b"\r\n".join([start, b"Host: a", *draw(LINES)])
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(head)))
        head = head[:at] + draw(st.sampled_from([b"\r", b"\n", b" ", b"\x00", b":", b"\r\n", b"\x80"])) + head[at:]
    return head


def llhttp(block: bytes):
    """What aiohttp's C parser makes of it; None when it refuses."""
    loop = mock.Mock(spec=asyncio.AbstractEventLoop)
    protocol = mock.Mock(spec=BaseProtocol)
    parser = HttpRequestParser(protocol, loop, 2**16, max_line_size=8190, max_field_size=8190)
    try:
        messages, _, _ = parser.feed_data(block + b"\r\n\r\n")
    except http_exceptions.HttpProcessingError:
        return None
    return messages


def test_the_oracle_is_the_c_parser():
    """The Python parser is another one."""
    assert HttpRequestParser is not HttpRequestParserPy


@given(heads())
def test_what_is_accepted_has_the_same_meaning_for_llhttp(block):
    """One message, with the same method, path, version and fields."""
    head = READER.read(block)
    if not isinstance(head, RequestHead) or head.method.decode() not in {
        *HTTPMethod,
        *hdrs.METH_ALL,
        "PROPFIND",
        "PURGE",
    }:
        return
    messages = llhttp(block)

    assert messages is not None, block
    assert len(messages) == 1
    message = messages[0][0]
    assert message.method == head.method.decode()
    assert message.path == head.target.decode()
    assert message.version.minor == (0 if head.http10 else 1)
    assert message.chunked == head.chunked
    ours = [line.partition(b":") for line in block.split(b"\r\n")[1:]]
    assert list(message.raw_headers) == [(name, value.strip(b" \t")) for name, _, value in ours]
    passed = [(name, value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in head.lines)]
    assert [pair for pair in message.raw_headers if pair in passed] == passed or set(passed) <= set(message.raw_headers)


@pytest.mark.parametrize(
    "line",
    [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: close", b"X-A: \xe9", b"!#$%&'*+-.^_`|~1: x"],
)
def test_the_oracle_reads_what_is_accepted(line):
    """The comparison above does compare something."""
    block = b"POST /a?b HTTP/1.1\r\nHost: a\r\n" + line
    head = READER.read(block)

    assert isinstance(head, RequestHead)
    messages = llhttp(block)
    assert messages is not None
    assert messages[0][0].path == "/a?b"
