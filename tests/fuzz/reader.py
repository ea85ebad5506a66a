"""Reads HTTP/1.1 as the RFCs spell it, by regular expressions and with nothing of the proxy's own readers in it.

What the proxy reads and writes must read the same here. Source: RFC 9112; the refusals of two readings are ours.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE: Final = re.compile(rb"(%b) (/[\x21\x22\x24-\x7e]*|\*) HTTP/1\.([01])\r\n" % _TOKEN)
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n")
_FIELD: Final = re.compile(rb"(%b):([\t\x20-\x7e\x80-\xff]*)\r\n" % _TOKEN)
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e]*)?\r\n")
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_ONCE: Final = (
    b"host", b"authorization", b"cookie", b"content-length", b"transfer-encoding", b"content-type", b"expect", b"upgrade",
)  # fmt: skip


HOP_BY_HOP: Final = frozenset({b"keep-alive", b"trailer", b"proxy-connection", b"proxy-authenticate"})
"""Fields that never pass, whatever Connection says."""


@lru_cache(4096)
def fold(name: bytes) -> bytes:
    """The name as CGI spells it."""
    return re.sub(rb"[^A-Z0-9]", b"_", name.upper())


class Bad(Exception):
    """Not HTTP, or HTTP with two readings."""


class More(Exception):
    """The bytes end before the message does."""


@dataclass(kw_only=True, eq=False)
class Message:
    """A request or an answer, read."""

    start: int = 0
    """Where it begins in what was read."""
    body_start: int = 0
    end: int = 0
    method: bytes = b""
    target: bytes = b""
    status: int = 0
    minor: int = 1
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    framing: str = "none"
    """`none`, `length`, `chunked`, `close` or `tunnel`."""
    whole: bool = False

    @cached_property
    def _values(self) -> dict[bytes, list[bytes]]:
        values: dict[bytes, list[bytes]] = {}
        for name, value in self.fields:
            values.setdefault(name.lower(), []).append(value)
        return values

    def all(self, name: bytes) -> list[bytes]:
        """The values of every field of this name (lower case)."""
        return self._values.get(name, [])

    def first(self, name: bytes) -> bytes:
        """The value of the first field of this name; empty without one."""
        return next(iter(self.all(name)), b"")

    @property
    def options(self) -> set[bytes]:
        """What Connection names."""
        words = b",".join(self.all(b"connection")).lower().split(b",")
        return {word.strip(b" \t") for word in words} - {b""}

    @property
    def decoded(self) -> bytes:
        """The path, decoded once."""
        return unquote_to_bytes(self.target.partition(b"?")[0])


@dataclass(kw_only=True)
class Reading:
    """What a stream of bytes says."""

    messages: list[Message]
    state: str
    """`end`: nothing is left; `more`: the last one has not ended; `bad`: what follows is no HTTP; `tunnel`."""
    rest: bytes = b""
    problem: str = ""


def read_requests(data: bytes, *, strict: bool = False) -> Reading:
    """Read requests, one behind the other; `strict`: as a proxy writes them, without an empty line before one."""
    messages: list[Message] = []
    position = 0
    while position < len(data):
        begin = position
        if not strict and data[position : position + 2] == b"\r\n":
            position += 2
        try:
            message = read_request(data, position)
        except More:
            return Reading(messages=messages, state="more", rest=data[begin:])
        except Bad as bad:
            return Reading(messages=messages, state="bad", rest=data[begin:], problem=str(bad))
        messages.append(message)
        try:
            read_body(data, message)
        except More:
            return Reading(messages=messages, state="more")
        except Bad as bad:
            return Reading(messages=messages, state="bad", problem=str(bad))
        position = message.end
    return Reading(messages=messages, state="end")


def read_answers(data: bytes, methods: list[bytes], *, ended: bool, upgrade: bool = True) -> Reading:
    """Read the answers to requests with these methods; `ended`: the connection was closed in good order."""
    messages: list[Message] = []
    position = number = 0
    while position < len(data):
        if number >= len(methods):
            return Reading(messages=messages, state="bad", rest=data[position:], problem="more answers than requests")
        try:
            message = _read_answer_head(data, position)
            messages.append(message)
            if message.status == 101 and upgrade:
                message.whole, message.framing = True, "tunnel"
                return Reading(messages=messages, state="tunnel", rest=data[message.body_start :])
            _frame_answer(data, message, methods[number], ended=ended)
        except More:
            return Reading(messages=messages, state="more", rest=data[position:])
        except Bad as bad:
            return Reading(messages=messages, state="bad", rest=data[position:], problem=str(bad))
        if message.status >= 200:
            number += 1
        position = message.end
    return Reading(messages=messages, state="end")


def _head_end(data: bytes, position: int) -> int:
    end = data.find(b"\r\n\r\n", position)
    if end < 0:
        raise More
    return end + 4


def _read_fields(data: bytes, position: int) -> tuple[list[tuple[bytes, bytes]], int]:
    fields = []
    while data[position : position + 2] != b"\r\n":
        found = _FIELD.match(data, position)
        if found is None:
            raise Bad(f"no field line: {data[position : position + 60]!r}")
        fields.append((found[1], found[2].strip(b" \t")))
        position = found.end()
    return fields, position + 2


def read_request(data: bytes, position: int) -> Message:
    """Read the head of the request at `position`."""
    _head_end(data, position)
    found = _REQUEST_LINE.match(data, position)
    if found is None:
        raise Bad(f"no request line: {data[position : position + 60]!r}")
    fields, end = _read_fields(data, found.end())
    message = Message(
        start=position, body_start=end, end=end, method=found[1], target=found[2], minor=int(found[3]), fields=fields
    )  # fmt: skip
    if message.target == b"*" and message.method != b"OPTIONS":
        raise Bad("a star without OPTIONS")
    for name in _ONCE:
        if len(message.all(name)) > 1:
            raise Bad(f"two of {name!r}")
    hosts = message.all(b"host")
    if len(hosts) != 1 or _HOST.fullmatch(hosts[0]) is None:
        raise Bad("not one good Host")
    _frame_request(message)
    return message


def _frame_request(message: Message) -> None:
    lengths, codings = message.all(b"content-length"), message.all(b"transfer-encoding")
    if lengths and codings:
        raise Bad("two framings")
    if lengths:
        if re.fullmatch(rb"[0-9]{1,18}", lengths[0]) is None:
            raise Bad("no length")
        message.framing = "length"
    if codings:
        if message.minor == 0 or codings[0].lower() != b"chunked":
            raise Bad("no coding that is understood")
        message.framing = "chunked"


def read_body(data: bytes, message: Message) -> None:
    """Read the body that a request's head announces; what is there stands in `message` when it raises."""
    if message.framing == "length":
        _read_length(data, message)
    elif message.framing == "chunked":
        _read_chunks(data, message)
    else:
        message.whole = True


def _read_length(data: bytes, message: Message) -> None:
    length = int(message.first(b"content-length"))
    message.end = min(message.body_start + length, len(data))
    message.body = data[message.body_start : message.end]
    if len(message.body) < length:
        raise More
    message.whole = True


def _read_chunks(data: bytes, message: Message) -> None:
    position = message.body_start
    parts: list[bytes] = []
    message.end = len(data)
    while True:
        line_end = data.find(b"\r\n", position)
        if line_end < 0:
            raise More
        found = _CHUNK.fullmatch(data, position, line_end + 2)
        if found is None:
            raise Bad(f"no chunk line: {data[position : line_end + 2][:60]!r}")
        size, position = int(found[1], 16), line_end + 2
        if not size:
            break
        parts.append(data[position : position + size])
        message.body = b"".join(parts)
        position += size
        if len(data) < position + 2:
            if data[position : position + 2] not in b"\r\n":
                raise Bad("no line end behind a chunk")
            raise More
        if data[position : position + 2] != b"\r\n":
            raise Bad("no line end behind a chunk")
        position += 2
    if data[position : position + 2] != b"\r\n" and b"\r\n\r\n" not in data[position:]:
        raise More
    _, message.end = _read_fields(data, position)
    message.whole = True


def _read_answer_head(data: bytes, position: int) -> Message:
    _head_end(data, position)
    found = _STATUS_LINE.match(data, position)
    if found is None:
        raise Bad(f"no status line: {data[position : position + 60]!r}")
    fields, end = _read_fields(data, found.end())
    return Message(start=position, body_start=end, end=end, status=int(found[2]), minor=int(found[1]), fields=fields)


def _frame_answer(data: bytes, message: Message, method: bytes, *, ended: bool) -> None:
    lengths, codings = message.all(b"content-length"), message.all(b"transfer-encoding")
    if (lengths and codings) or len(lengths) > 1 or len(codings) > 1:
        raise Bad("two framings")
    if lengths and re.fullmatch(rb"[0-9]{1,18}", lengths[0]) is None:
        raise Bad("no length")
    if codings and (message.minor == 0 or codings[0].lower() != b"chunked"):
        raise Bad("no coding that is understood")
    if message.status < 200 or message.status in {204, 304} or method == b"HEAD":
        message.whole = True
    elif codings:
        message.framing = "chunked"
        _read_chunks(data, message)
    elif lengths:
        message.framing = "length"
        _read_length(data, message)
    else:
        message.framing = "close"
        message.end = len(data)
        message.body = data[message.body_start :]
        message.whole = ended
        if not ended:
            raise More
