"""Reads the head of a request: one reading, or a refusal with its status.

Source: RFC 9112 (message syntax), RFC 9110 (semantics), RFC 7239 and the de-facto X-Forwarded fields.
"""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from authproxy.core.names import RequestNames, is_token
from authproxy.http1.lines import CRLF, ENDS, PLAIN, Shapes, find_names, joined, starts_with, value_of
from authproxy.http1.shape import RequestShape, learn_request
from authproxy.http1.usual import HOST, Habits, request_grammar

_TARGET_BYTES: Final = bytes(c for c in range(0x21, 0x7F) if c != ord("#"))
_DIGITS: Final = b"0123456789"
_MAX_LENGTH_DIGITS: Final = 18
_MAX_OPTIONS: Final = 20

_HOST: Final = re.compile(HOST).fullmatch


# Hosts that passed before: most requests name one of a few. Bounded, since a client can write any number.
_GOOD_HOSTS: Final[set[bytes]] = set()
_MAX_GOOD_HOSTS: Final = 1024


class Malformed(NamedTuple):
    """The bytes are not a request that this proxy reads; the connection cannot go on."""

    status: int
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLimits:
    """Sizes in bytes; precedents: Apache 8190 a line and 100 fields, Caddy 16 KiB and Envoy 60 KiB in all."""

    head: int = 32 * 1024
    line: int = 8190
    fields: int = 100


class RequestHead:
    """A request's head, read. Field values are bytes as they came, without the blanks around them."""

    # Reading a default of the class is slow on Python 3.11, and so is setting what nobody reads: what every request
    # reads is set in `__init__`, the rest are defaults.
    cookies: bytes | None = None
    content_length = -1
    """-1: no such field."""
    chunked = False
    expect_continue = False
    upgrade: bytes | None = None
    """The protocol asked for, when Connection says `upgrade` too."""
    trailers = False
    """The client said `TE: trailers`."""
    http10 = False

    _all: list[bytes] | None = None
    _shape: RequestShape | None = None

    def __init__(  # noqa: PLR0913, PLR0917  # on the hot path
        self, method: bytes, target: bytes, path: bytes, host: bytes = b"", passed: bytes = b"", is_usual: bool = False
    ) -> None:  # fmt: skip
        self.method = method
        """A token, case kept."""
        self.target = target
        """Origin-form, or `*` with OPTIONS."""
        self.path = path
        """The target without its query."""
        self.host = host
        """As sent, with the port."""
        self.passed = passed
        """The end-to-end field lines that pass, as they came, each with CRLF before it; Host, Authorization and Cookie
        are not among them."""
        self.is_usual = is_usual
        """Nothing but `authorization` and `token` differs from what is set here, and the method is a usual one."""
        self.authorization: bytes | None = None
        self.token: tuple[bytes, bytes, bytes] | None = None
        """What `core.token.assemble` takes, when the authorization is known to hold a token by its shape."""
        self.has_body = False
        """The framing announces a body of at least one byte, or of unknown length."""
        self.close = False

    @property
    def lines(self) -> list[bytes]:
        """The lines that pass, one by one."""
        return self.passed.split(CRLF)[1:]

    @property
    def request_id(self) -> bytes | None:
        """X-Request-Id as sent; only a trusted peer's is believed."""
        if self._all is None or self._shape is None or not self._shape.request_id:
            return None
        return value_of(self._all[self._shape.request_id])

    @property
    def forwarded(self) -> list[tuple[bytes, bytes]]:
        """(lower-case name, value) of X-Forwarded-*, X-Real-IP and Forwarded; only a trusted peer's are believed."""
        if self._all is None or self._shape is None:
            return []
        return [(name, value_of(self._all[index])) for name, index in self._shape.forwarded]

    def keep(self, lines: list[bytes], shape: RequestShape) -> None:
        """Remember all lines for `request_id` and `forwarded`."""
        self._all = lines
        self._shape = shape


class RequestReader:
    """Reads the heads that come in on one listener.

    `reported`: what clients say of request ids and origins is wanted, since some of them are trusted proxies.
    """

    __slots__ = ("_fields", "_habits", "_last", "_limits", "_line", "_names", "_shapes", "_usual")

    def __init__(self, names: RequestNames, limits: HeadLimits, *, reported: bool = True) -> None:
        self._names = names
        self._limits = limits
        self._line = limits.line
        self._fields = limits.fields
        self._last: RequestShape | None = None
        self._shapes: Shapes[RequestShape | str] = Shapes(lambda sequence: learn_request(sequence, names))
        self._habits = Habits(request_grammar(reported=reported))
        self._usual = self._habits.usual

    def read(self, block: bytes) -> RequestHead | Malformed:  # noqa: C901  # a call less for every request
        """Return the head in `block` (all bytes before the empty line, without its CRLFs), or why it is refused.

        Sizes of single lines and the number of fields are checked here; the total is the caller's, who collects bytes.
        """
        if len(block) > self._line:
            return self._read_carefully(block)
        place = 0
        for usual in self._usual:
            found = usual.match(block)
            if found is not None:
                break
            place += 1  # cheaper than enumerate, and mostly never reached
        else:
            return self._read_carefully(block)
        if place:
            self._habits.prefer(place)
        method, target, path, host, authorization, prefix, version, payload = found.group(*usual.wanted)
        runs = usual.runs
        passed = found[runs[0]] if len(runs) == 1 else b"".join([found[run] for run in runs])
        head = RequestHead(method, target, path, host, passed, not usual.has_more)
        if authorization:
            head.authorization = authorization
            head.token = prefix, version, payload
        if usual.has_more:
            length, cookie = found.group(*usual.more)
            if length:
                head.content_length = int(length)
                head.has_body = head.content_length > 0
            if usual.has_cookie:
                head.cookies = cookie.strip(b" \t")
        return head

    def _read_carefully(self, block: bytes) -> RequestHead | Malformed:  # noqa: C901, PLR0911, PLR0912, PLR0915  # one reading
        """Read what no pattern takes."""
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
        head = RequestHead(method, target, target.partition(b"?")[0], host, joined(shape.passed(lines)))
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
        problem = _read_framing(head, lines, shape)
        if problem is not None or not (shape.connection or shape.upgrade):
            return problem
        options = b",".join([value_of(lines[index]).lower() for index in shape.connection]).split(b",")
        return _read_connection(head, options, value_of(lines[shape.upgrade]) if shape.upgrade else None, self._names)


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
    """Tell whether this is uri-host with an optional port, without userinfo (RFC 9110, 4.2.4 and 7.2)."""
    if _HOST(host) is None:
        return False
    if len(_GOOD_HOSTS) < _MAX_GOOD_HOSTS:
        _GOOD_HOSTS.add(host)
    return True


def _read_framing(  # noqa: C901  # three fields, each with its few rules
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


def _read_connection(
    head: RequestHead, options: list[bytes], upgrade: bytes | None, table: RequestNames
) -> Malformed | None:
    """Apply the Connection options (RFC 9110, 7.6.1): the fields that they name end here."""
    if len(options) > _MAX_OPTIONS:
        return Malformed(400, "too many Connection options")
    words = {option.strip(b" \t") for option in options} - {b""}
    if b"close" in words:
        head.close = True
    if b"upgrade" in words and upgrade is not None and not head.http10:
        head.upgrade = upgrade
    # HTTP/1.0 is answered with `Connection: close` whatever it asks for.
    named = words - _OPTIONS
    for option in named:
        if not is_token(option) or table.is_relied_on(option):
            return Malformed(400, "Connection names a field that is not hop-by-hop")
    if named:
        head.passed = joined(line for line in head.lines if line.partition(b":")[0].lower() not in named)
    return None


_OPTIONS: Final = frozenset({b"close", b"keep-alive", b"te", b"upgrade"})
