"""Reads the head of a request: one reading, or a refusal with its status.

Source: RFC 9112 (message syntax), RFC 9110 (semantics), RFC 7239 and the de-facto X-Forwarded fields.
"""

import re
from ipaddress import IPv6Address
from typing import Final

from authproxy.core.names import RequestNames, is_token
from authproxy.http1.fields import read_connection, read_framing
from authproxy.http1.head import HeadLimits, Malformed, RequestHead, request_head
from authproxy.http1.lines import CRLF, ENDS, PLAIN, Shapes, find_names, joined, starts_with, value_of
from authproxy.http1.shape import RequestShape, learn_request
from authproxy.http1.usual import NAME, PORT, Habits, request_grammar

__all__ = ["HeadLimits", "Malformed", "RequestHead", "RequestReader", "request_head"]

_END: Final = b"\r\n\r\n"
_TARGET_BYTES: Final = bytes(c for c in range(0x21, 0x7F) if c != ord("#"))

# uri-host with an optional port, without userinfo (RFC 9110, 4.2.4 and 7.2).
_HOST: Final = re.compile(rb"(?:" + NAME + rb"|\[(?P<address>[0-9A-Fa-f:.]{2,45})\])" + PORT).fullmatch


# Hosts that passed before: most requests name one of a few. Bounded, since a client can write any number.
_GOOD_HOSTS: Final[set[bytes]] = set()
_MAX_GOOD_HOSTS: Final = 1024


class RequestReader:
    """Reads the heads that come in on one listener.

    `reported`: what clients say of request ids and origins is wanted, since some of them are trusted proxies.
    """

    __slots__ = ("_fields", "_habits", "_last", "_limits", "_line", "_names", "_shapes", "_small", "_usual", "end")

    def __init__(self, names: RequestNames, limits: HeadLimits, *, reported: bool = True) -> None:
        self._names = names
        self._limits = limits
        self._line = limits.line
        self._fields = limits.fields
        # What is no longer than this has no line that is too long, and is no head that is too large.
        self._small = min(limits.line, limits.head) + len(_END)
        self.end = 0
        """Where the head that was taken last ends, with its empty line."""
        self._last: RequestShape | None = None
        self._shapes: Shapes[RequestShape | str] = Shapes(lambda sequence: learn_request(sequence, names))
        self._habits = Habits(request_grammar(reported=reported))
        self._usual = self._habits.usual

    def read(self, block: bytes) -> RequestHead | Malformed:
        """Return the head in `block` (all bytes before the empty line, without its CRLFs), or why it is refused."""
        head = self.take(block + _END)
        return self.read_carefully(block) if head is None or self.end != len(block) + len(_END) else head

    def take(self, data: bytes) -> RequestHead | None:  # noqa: C901, PLR0912, PLR0915  # calls less for every request
        """Return the head at the beginning of `data` when it is a usual one; `end` is where it ends."""
        place = 0
        for usual in self._usual:
            match = usual.match
            found = match(data)
            if found is not None:
                break
            place += 1  # cheaper than enumerate, and mostly never reached
        else:
            return None
        if place:
            self._habits.prefer(place)
        self.end = end = found.end()
        if end > self._small:
            return None
        # As `request_head` makes it, with a call less.
        head = RequestHead()
        pick = usual.pick
        head.method, head.target, path, plain, head.host, authorization, prefix, version, payload, passed = pick(found)
        head.path = path
        head.passed = passed if usual.is_one_run else b"".join([found[run] for run in usual.runs])
        head.close = head.has_body = False
        if authorization:
            head.authorization = authorization
            head.token = prefix, version, payload
        else:
            head.authorization = head.token = None
        head.cookies = None
        head.is_usual = plain == path and not usual.has_length
        if usual.has_more:
            length, cookie, close, _ = usual.pick_more(found)
            if close:
                head.close = True
            if length:
                head.content_length = int(length)
                head.has_body = head.content_length > 0
            if usual.has_cookie:
                head.cookies = cookie.strip(b" \t")
        return head

    def read_carefully(self, block: bytes) -> RequestHead | Malformed:  # noqa: C901, PLR0911, PLR0912, PLR0915  # one reading
        """Return the head in `block`, whatever its shape, or why it is refused.

        Sizes of single lines and the number of fields are checked here; the total is the caller's, who collects bytes.
        """
        lines = block.split(CRLF)
        fields = len(lines) - 1
        if fields > self._fields or len(block) > self._line:
            problem = _problem_of_size(lines, self._limits)
            if problem is not None:
                return problem
        if block.translate(None, PLAIN) != ENDS[fields]:
            return Malformed(400, "a bare CR or LF, or a control byte")
        try:
            method, target, version = lines[0].split(b" ")
        except ValueError:
            return Malformed(400, "request line is not three words")
        if target[:1] != b"/" or target.translate(None, _TARGET_BYTES) or method not in _USUAL_METHODS:
            problem = _problem_of_start(method, target)
            if problem is not None:
                return problem
        shape = self._last
        if shape is None or fields != shape.fields or not all(map(starts_with, lines, shape.prefixes)):
            names = tuple(find_names(block))
            known = self._shapes[names]
            if isinstance(known, str) or len(names) != fields:
                return Malformed(400, known if isinstance(known, str) else "field line is not name, colon, value")
            self._last = shape = known
        host = value_of(lines[shape.host])
        if host not in _GOOD_HOSTS and not _is_host(host):
            return Malformed(400, "Host is missing or malformed")
        head = request_head(method, target, target.partition(b"?")[0], host, joined(shape.passed(lines)))
        if shape.is_reported:
            head.keep(lines, shape)
        if shape.authorization:
            head.authorization = value_of(lines[shape.authorization])
        if version != b"HTTP/1.1":
            if version != b"HTTP/1.0":
                return Malformed(400, "not HTTP/1.1 or HTTP/1.0")
            head.http10 = head.close = True
        problem = None if shape.is_plain else self._read_rest(head, lines, shape)
        if problem is None:
            self._habits.note(shape.names, shape.kinds)
        return problem or head

    def _read_rest(self, head: RequestHead, lines: list[bytes], shape: RequestShape) -> Malformed | None:
        """Read the fields that most requests do not have."""
        if shape.cookie:
            head.cookies = value_of(lines[shape.cookie])
        head.trailers = any(value_of(lines[index]).lower() == b"trailers" for index in shape.te)
        problem = read_framing(head, lines, shape)
        if problem is not None or not shape.connection:
            return problem
        options = b",".join([value_of(lines[index]).lower() for index in shape.connection]).split(b",")
        return read_connection(head, options, value_of(lines[shape.upgrade]) if shape.upgrade else None, self._names)


# The usual methods, without a look at their letters.
_USUAL_METHODS: Final = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
_TARGET_TOO_LONG: Final = Malformed(414, "request line too long")
_TOO_LARGE: Final = Malformed(431, "too many fields, or a line too long")


def _problem_of_size(lines: list[bytes], limits: HeadLimits) -> Malformed | None:
    """Return what is too large: the target counts without the words around it."""
    if len(lines[0]) > limits.line and len(max(lines[0].split(b" "), key=len)) > limits.line:
        return _TARGET_TOO_LONG
    if len(lines) - 1 > limits.fields or (len(lines) > 1 and max(map(len, lines[1:])) > limits.line):
        return _TOO_LARGE
    return None


def _problem_of_start(method: bytes, target: bytes) -> Malformed | None:
    """Return why a request line is refused (RFC 9112, 3): every target that is not in origin form, but `OPTIONS *`."""
    if not is_token(method):
        return Malformed(400, "method is not a token")
    if target[:1] == b"/" and not target.translate(None, _TARGET_BYTES):
        return None
    if method in {b"CONNECT", b"TRACE"}:
        return Malformed(405, "method never allowed")
    if target == b"*" and method == b"OPTIONS":
        return None
    return Malformed(400, "target is not in origin form")


def _is_host(host: bytes) -> bool:
    """Tell whether this is a host with an optional port: what stands in brackets must be an IPv6 address."""
    found = _HOST(host)
    if found is None:
        return False
    if found["address"]:
        try:
            IPv6Address(found["address"].decode("ascii"))
        except ValueError:
            return False
    if len(_GOOD_HOSTS) < _MAX_GOOD_HOSTS:
        _GOOD_HOSTS.add(host)
    return True
