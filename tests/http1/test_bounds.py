"""What is learned of heads is bounded, and what is refused is refused for its own reason."""

import pytest

from authproxy.core.names import RequestNames
from authproxy.core.route import NoRoute, Pattern, RouteTable
from authproxy.http1 import answer, request
from authproxy.http1.answer import AnswerHead, AnswerReader
from authproxy.http1.chunked import BadChunk, ChunkedReader
from authproxy.http1.lines import Shapes
from authproxy.http1.request import HeadLimits, Malformed, RequestHead, RequestReader

READER = RequestReader(RequestNames(["X-Authproxy-User"]), HeadLimits())


def read(*fields: bytes, start: bytes = b"POST / HTTP/1.1") -> RequestHead | Malformed:
    return READER.read(b"\r\n".join([start, b"Host: a", *fields]))


@pytest.mark.parametrize(
    ("fields", "start", "status"),
    [
        ((b"Content-Length: 1", b"Transfer-Encoding: chunked"), b"POST / HTTP/1.1", 400),
        ((b"Transfer-Encoding: chunked",), b"POST / HTTP/1.0", 400),
        ((b"Transfer-Encoding: gzip",), b"POST / HTTP/1.1", 501),
        ((b"Transfer-Encoding: gzip, chunked",), b"POST / HTTP/1.1", 501),
        ((b"Expect: 200-ok",), b"POST / HTTP/1.1", 417),
        ((b"Connection: x-authproxy-user",), b"POST / HTTP/1.1", 400),
        ((b"Connection: host",), b"POST / HTTP/1.1", 400),
        ((b"Connection: a b",), b"POST / HTTP/1.1", 400),
        ((b"Connection: " + b",".join(b"a%d" % n for n in range(21)),), b"POST / HTTP/1.1", 400),
    ],
)
def test_framing_and_options_are_refused_for_what_they_are(fields, start, status):
    """One status for each, whatever else is right about the request."""
    problem = read(*fields, start=start)

    assert isinstance(problem, Malformed)
    assert problem.status == status


def test_an_unusual_method_needs_only_to_be_a_token():
    """RFC 9110, 9.1: the set is open."""
    head = read(start=b"PROPFIND / HTTP/1.1")

    assert isinstance(head, RequestHead)
    assert head.method == b"PROPFIND"


def test_shapes_forget_the_oldest_and_never_learn_a_long_one():
    """Made-up sequences cannot keep the real ones out, nor fill the memory."""
    learned: list[tuple[bytes, ...]] = []

    def learn(names: tuple[bytes, ...]) -> int:
        learned.append(names)
        return len(learned)

    shapes: Shapes[int] = Shapes(learn)
    for number in range(511):
        shapes[(b"a%d" % number,)]
    longest, longer = (b"x" * 1024, b"y" * 1024), (b"x" * 1024, b"y" * 1025)
    shapes[longest]
    assert len(shapes) == 512
    assert longest in shapes
    assert shapes[b"a0",] == 1
    assert shapes[longer] == len(learned) == 513

    assert len(shapes) == 512
    assert longer not in shapes
    assert shapes[b"one more",] == 514
    assert len(shapes) == 512
    assert (b"a0",) not in shapes
    assert (b"a1",) in shapes


def test_hosts_are_remembered_up_to_a_number(monkeypatch):
    """Beyond it they are read each time, with the same outcome."""
    monkeypatch.setattr(request, "_GOOD_HOSTS", set())
    monkeypatch.setattr(request, "_MAX_GOOD_HOSTS", 1)
    heads = [READER.read(b"GET / HTTP/1.1\r\nHost: h%d" % number) for number in range(3)]

    assert all(isinstance(head, RequestHead) for head in heads)
    assert {b"h0"} == request._GOOD_HOSTS


def test_status_lines_are_remembered_up_to_a_number(monkeypatch):
    """A reason phrase can be anything."""
    monkeypatch.setattr(answer, "_KNOWN_LINES", {})
    monkeypatch.setattr(answer, "_MAX_KNOWN_LINES", 1)
    heads = [AnswerReader().read(b"HTTP/1.1 200 %d" % number) for number in range(3)]

    assert all(isinstance(head, AnswerHead) and head.status == 200 for head in heads)
    assert len(answer._KNOWN_LINES) == 1


def test_a_chunk_longer_than_its_size_is_refused():
    """What follows its data is CRLF and nothing else."""
    with pytest.raises(BadChunk, match="longer"):
        ChunkedReader().feed(b"1\r\nab\r\n")


def test_a_cr_alone_in_a_line_that_has_not_ended_is_refused_at_once():
    """Nobody waits for the rest of it."""
    with pytest.raises(BadChunk, match="CR"):
        ChunkedReader().feed(b"1\rx")


def test_an_exact_path_wins_over_the_prefix_of_the_same_host():
    """And over everything under it stands the prefix."""
    routes = RouteTable([(Pattern("a", "/x", exact=True), "exact"), (Pattern("a", "/x"), "prefix")])

    assert routes.find("a", b"/x") == "exact"
    assert routes.find("a", b"/x/y") == "prefix"
    assert routes.find("b", b"/x") is NoRoute.UNKNOWN_HOST
