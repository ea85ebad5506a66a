"""Reads the head of a request: one reading, or a refusal with its status.

Source: RFC 9112 (message syntax), RFC 9110 (semantics), RFC 7239 and the de-facto X-Forwarded fields.
"""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from authproxy.core import names
from authproxy.core.names import RequestNames, is_token

# RFC 9110, 5.5: visible characters, obs-text, blank and tab; CR and LF are checked by counting.
_FIELD_BYTES: Final = bytes(c for c in range(256) if (c >= 0x20 and c != 0x7F) or c in b"\t\r\n")
_TARGET_BYTES: Final = bytes(c for c in range(0x21, 0x7F) if c != ord("#"))
_DIGITS: Final = b"0123456789"
_MAX_LENGTH_DIGITS: Final = 18
_MAX_OPTIONS: Final = 20

_HOST: Final = re.compile(rb"([A-Za-z0-9._~\-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?").fullmatch


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

    __slots__ = (
        "authorization", "chunked", "close", "content_length", "cookies", "expect_continue", "forwarded", "host",
        "host_line", "http10", "lines", "method", "named", "path", "query", "request_id", "target", "trailers", "upgrade",
    )  # fmt: skip

    def __init__(self, method: bytes, target: bytes, *, http10: bool) -> None:
        self.method = method
        """A token, case kept."""
        self.target = target
        """Origin-form, or `*` with OPTIONS."""
        self.path, mark, query = target.partition(b"?")
        self.query: bytes | None = query if mark else None
        self.http10 = http10
        self.host = b""
        """As sent, with the port."""
        self.host_line = b""
        self.lines: list[bytes] = []
        """The end-to-end field lines that pass, as they came; Host, Authorization and Cookie are not among them."""
        self.authorization: bytes | None = None
        self.cookies: bytes | None = None
        self.content_length = -1
        """-1: no such field."""
        self.chunked = False
        self.close = http10
        self.expect_continue = False
        self.upgrade: bytes | None = None
        """The protocol asked for, when Connection says `upgrade` too."""
        self.named: frozenset[bytes] = frozenset()
        """Lower-case names that Connection made hop-by-hop; their lines are no longer in `lines`."""
        self.request_id: bytes | None = None
        self.forwarded: list[tuple[bytes, bytes]] | None = None
        """(lower-case name, value) of X-Forwarded-*, X-Real-IP and Forwarded, for a trusted peer."""
        self.trailers = False
        """The client said `TE: trailers`."""

    @property
    def has_body(self) -> bool:
        """Whether the framing announces a body of at least one byte, or of unknown length."""
        return self.chunked or self.content_length > 0


def read_request(block: bytes, table: RequestNames, limits: HeadLimits) -> RequestHead | Malformed:
    """Return the head in `block` (all bytes before the empty line, without its CRLFs), or why it is refused.

    Sizes of single lines and the number of fields are checked here; the total is the caller's, who collects bytes.
    """
    lines = block.split(b"\r\n")
    fields = len(lines) - 1
    start = lines[0].split(b" ")
    if len(lines[0]) > limits.line:
        return Malformed(414, "request line too long")
    if block.count(b"\n") != fields or block.count(b"\r") != fields or block.translate(None, _FIELD_BYTES):
        return Malformed(400, "a bare CR or LF, or a control byte")
    if len(start) != 3:  # noqa: PLR2004  # method, target, version
        return Malformed(400, "request line is not three words")
    method, target, version = start
    if version != b"HTTP/1.1" and version != b"HTTP/1.0":
        return Malformed(400, "not HTTP/1.1 or HTTP/1.0")
    if not is_token(method):
        return Malformed(400, "method is not a token")
    if target[:1] != b"/" or target.translate(None, _TARGET_BYTES):
        if method in {b"CONNECT", b"TRACE"}:
            return Malformed(405, "method never allowed")
        if target != b"*" or method != b"OPTIONS":
            return Malformed(400, "target is not in origin form")
    if fields > limits.fields or (len(block) > limits.line and max(map(len, lines)) > limits.line):
        return Malformed(431, "too many fields, or a line too long")
    head = RequestHead(method, target, http10=version == b"HTTP/1.0")
    problem = _read_fields(head, lines, table)
    return head if problem is None else problem


def _read_fields(head: RequestHead, lines: list[bytes], table: RequestNames) -> Malformed | None:  # noqa: C901, PLR0912
    # One loop with its cases in the order of their frequency: this is the most-run code of the proxy.
    seen = 0
    connection: list[bytes] = []
    upgrade: bytes | None = None
    keep = head.lines.append
    for index in range(1, len(lines)):
        line = lines[index]
        name, colon, value = line.partition(b":")
        kind = table[name] if colon else names.BAD
        if kind == names.PASS:
            keep(line)
            continue
        if kind == names.DROP:
            continue
        if kind == names.BAD:
            return Malformed(400, "field line is not name, colon, value")
        value = value.strip(b" \t")
        if kind == names.FORWARDED:
            head.forwarded = head.forwarded or []
            head.forwarded.append((name.lower(), value))
            continue
        if kind == names.CONNECTION:
            connection += value.lower().split(b",")
            continue
        if kind == names.TE:
            head.trailers = head.trailers or value.lower() == b"trailers"
            continue
        # What is left may stand once only: two of them are two readings.
        bit = 1 << kind
        if seen & bit:
            return Malformed(400, f"repeated {name.decode('ascii')}")
        seen |= bit
        if kind == names.HOST:
            head.host = value
            head.host_line = line
        elif kind == names.AUTHORIZATION:
            head.authorization = value
        elif kind == names.COOKIE:
            head.cookies = value
        elif kind == names.CONTENT_TYPE:
            keep(line)
        elif kind == names.REQUEST_ID:
            head.request_id = value
        elif kind == names.UPGRADE:
            upgrade = value
        else:
            problem = _read_framing(head, kind, value)
            if problem is not None:
                return problem
    if head.chunked and head.content_length >= 0:
        return Malformed(400, "both Content-Length and Transfer-Encoding")
    if _HOST(head.host) is None:
        return Malformed(400, "Host is missing or malformed")
    if connection or upgrade is not None:
        return _read_connection(head, connection, upgrade, table)
    return None


def _read_framing(head: RequestHead, kind: int, value: bytes) -> Malformed | None:
    if kind == names.CONTENT_LENGTH:
        if not value or len(value) > _MAX_LENGTH_DIGITS or value.translate(None, _DIGITS):
            return Malformed(400, "Content-Length is not 1 to 18 digits")
        head.content_length = int(value)
    elif kind == names.TRANSFER_ENCODING:
        if value.lower() != b"chunked":
            return Malformed(501, "transfer coding other than chunked")
        if head.http10:
            return Malformed(400, "Transfer-Encoding in HTTP/1.0")
        head.chunked = True
    elif kind == names.EXPECT:
        if value.lower() != b"100-continue":
            return Malformed(417, "expectation other than 100-continue")
        # RFC 9110, 10.1.1: an HTTP/1.0 client's expectation is ignored.
        head.expect_continue = not head.http10
    return None


def _read_connection(
    head: RequestHead, options: list[bytes], upgrade: bytes | None, table: RequestNames
) -> Malformed | None:
    """Apply the Connection options (RFC 9110, 7.6.1): the fields that they name end here."""
    named = set()
    wants_upgrade = False
    if len(options) > _MAX_OPTIONS:
        return Malformed(400, "too many Connection options")
    for raw in options:
        option = raw.strip(b" \t")
        if not option:
            continue
        if option == b"close":
            head.close = True
        elif option == b"upgrade":
            wants_upgrade = True
        elif option == b"keep-alive":
            # HTTP/1.0 is answered with `Connection: close` whatever it asks for.
            pass
        elif option != b"te":
            if not is_token(option) or table.is_relied_on(option):
                return Malformed(400, "Connection names a field that is not hop-by-hop")
            named.add(option)
    if wants_upgrade and upgrade is not None and not head.http10:
        head.upgrade = upgrade
    if named:
        head.named = frozenset(named)
        head.lines[:] = [line for line in head.lines if line.partition(b":")[0].lower() not in named]
    return None
