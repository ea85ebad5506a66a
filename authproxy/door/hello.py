"""Reads the server name out of a TLS ClientHello without consuming it (RFC 8446, 4.1.2; RFC 6066, 3).

Why not OpenSSL's own SNI callback: swapping contexts there takes over the certificate only; verification, versions
and session tickets stay those of the first context, so that a client whose authority was removed gets in by resuming.
"""

from typing import Final

_RECORD_HEADER: Final = 5
_HANDSHAKE_RECORD: Final = 22
_CLIENT_HELLO: Final = 1
_SERVER_NAME: Final = 0
# A record holds at most 2^14 bytes of plaintext (RFC 8446, 5.1).
_MAX_RECORD: Final = 16384


class NotTls(Exception):  # named after what it reports
    """The first bytes are no TLS handshake."""


class _Reader:
    """Walks over length-prefixed fields; whatever is missing is `NotTls`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._position

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise NotTls("ClientHello is cut short")
        self._position += count
        return self._data[self._position - count : self._position]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        return self.take(self.number(size))


def first_record(data: bytes) -> bytes | None:
    """Return the first record at the beginning of `data`, header included, or None while it is not whole.

    Raises:
        NotTls: this is no handshake record.
    """
    if data and data[0] != _HANDSHAKE_RECORD:
        raise NotTls("not a TLS handshake")
    if len(data) < _RECORD_HEADER:
        return None
    length = int.from_bytes(data[3:5], "big")
    if data[1] != 3 or not 0 < length <= _MAX_RECORD:  # noqa: PLR2004  # major version
        raise NotTls("not a TLS handshake")
    return data[: _RECORD_HEADER + length] if len(data) >= _RECORD_HEADER + length else None


def server_name(record: bytes) -> str | None:
    """Return the name the client asks for in its first record, lower case, or None when it names none.

    A hello that goes on in a second record is read as far as it goes: its name, if it is there, stands early.

    Raises:
        NotTls: the record is no ClientHello.
    """
    reader = _Reader(record[_RECORD_HEADER:])
    if reader.number(1) != _CLIENT_HELLO:
        raise NotTls("not a ClientHello")
    body = _Reader(reader.take(min(reader.number(3), reader.left)))
    body.take(2 + 32)
    body.vector(1)
    body.vector(2)
    body.vector(1)
    if body.left < 2:  # noqa: PLR2004  # the length of the extensions: none, then no name
        return None
    extensions = _Reader(body.take(min(body.number(2), body.left)))
    while extensions.left >= 4:  # noqa: PLR2004  # type and length
        kind = extensions.number(2)
        content = extensions.take(min(extensions.number(2), extensions.left))
        if kind == _SERVER_NAME:
            return _first_name(content)
    return None


def _first_name(content: bytes) -> str | None:
    names = _Reader(content)
    names.number(2)
    if names.number(1) != 0:
        return None
    name = names.vector(2)
    try:
        return name.decode("ascii").lower().removesuffix(".")
    except UnicodeDecodeError:
        raise NotTls("server name is not ASCII") from None
