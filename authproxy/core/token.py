"""The token as it travels: text in, four fields out, and back.

`<prefix>_<02><rotation: 4 hex>_<84 base32 characters>`; the 84 characters carry user id (16), secret (32) and a
CRC-32 over those 48 bytes. The CRC finds typing errors only: anybody can make a well-formed token for any user id.

Why: `parse` runs for every request, so one pattern does all of the shape, and base32 is read by `int(..., 32)`,
which costs a fifth of `base64.b32decode` (pure Python). Unlike turvata 0.4 the four spare bits of the last character
must be zero, so that one payload has one spelling, letter case apart; every generated token is that spelling.
"""

import re
from struct import Struct
from typing import NamedTuple, final
from zlib import crc32

from typing_extensions import override

from authproxy.core.record import UserId
from authproxy.errors import AuthproxyError

MAX_TOKEN_LENGTH = 4096
"""Characters of the longest token, as in turvata 0.4; one more is refused."""

MAX_PREFIX_LENGTH = MAX_TOKEN_LENGTH - 92
MAX_ROTATION_VERSION = 0xFFFF
SECRET_BYTES = 32
_USER_ID_BYTES = 16

# The cap on the length is in the first quantifier, which is possessive: nothing ever backtracks.
SHAPE = rb"(?P<prefix>[A-Za-z0-9-]{1,4004}+)_02(?P<version>[0-9A-Fa-f]{4})_(?P<payload>[A-Za-z2-7]{84})"
"""The expression that every token matches; what its groups hold is for `assemble`."""

WITHIN = rb"(?:(?<![A-Za-z0-9-])|(?<=_[A-Za-z2-7]{84}))(?P<prefix>[A-Za-z0-9-]*+)_02[0-9A-Fa-f]{4}_[A-Za-z2-7]{84}"
"""The expression that finds tokens in any text, also right behind one another.

A search with `SHAPE` would begin anew at every letter: 0.2 s for 8 KB that a client has made up.
"""

_shape = re.compile(SHAPE).fullmatch
_prefix_shape = re.compile(r"[A-Za-z0-9-]{1,4004}").fullmatch

# RFC 4648 base32 digits (a-z, 2-7) to the digits of int(..., 32) (0-9, a-v), and back.
_BASE32 = b"abcdefghijklmnopqrstuvwxyz234567"
_DIGITS = b"0123456789abcdefghijklmnopqrstuv"
_FROM_BASE32 = bytes.maketrans(_BASE32 + _BASE32[:26].upper(), _DIGITS + _DIGITS[:26])
_SPARE_BITS = 4
_checksum = Struct(">I").unpack_from


@final
class Token(NamedTuple):
    """What a well-formed token says; nothing of it has been verified."""

    prefix: bytes
    """Lower case."""
    rotation_version: int
    """0 to 65535."""
    user_id: UserId
    """16 bytes, any: no UUID version or variant is checked."""
    secret: bytes
    """32 bytes."""

    @override
    def __repr__(self) -> str:
        return f"Token({self.prefix[:64]!r}, {self.rotation_version}, ...)"


_new = tuple.__new__


def parse(text: bytes) -> Token | None:
    """Return the fields of `text`, or None when it is not a token of version 2 in every detail.

    Nothing is trimmed. Letter case is free. Prefix, secret and times are not compared with anything.

    Source: turvata 0.4, codec.clj, parse-token.
    """
    match = _shape(text)
    return None if match is None else assemble(*match.groups())


def assemble(prefix: bytes, rotation_version: bytes, payload: bytes) -> Token | None:
    """Return the fields of a text that matches `SHAPE`, given its groups, or None when its checksum is wrong."""
    number = int(payload.translate(_FROM_BASE32), 32)
    if number & 15:
        return None
    data = (number >> _SPARE_BITS).to_bytes(52, "big")
    body = data[:48]
    if crc32(body) != _checksum(data, 48)[0]:
        return None
    # A named tuple's own constructor is Python code; this is the same without it.
    return _new(Token, (prefix.lower(), int(rotation_version, 16), body[:16], body[16:]))


def is_prefix(text: str) -> bool:
    """Tell whether `text` can stand in front of a token: ASCII letters, digits and `-`, at most 4004 of them."""
    return _prefix_shape(text) is not None


def generate(prefix: str, rotation_version: int, user_id: UserId, secret: bytes) -> str:
    """Return the one canonical spelling of the token; `secret` must be 32 fresh bytes from the system's generator.

    Raises:
        AuthproxyError: A part does not fit; unlike turvata, a prefix that `parse` would refuse is refused here.
    """
    if not is_prefix(prefix):
        raise AuthproxyError(f"prefix: must be 1 to {MAX_PREFIX_LENGTH} ASCII letters, digits and '-'")
    if not 0 <= rotation_version <= MAX_ROTATION_VERSION:
        raise AuthproxyError(f"rotation_version: must be 0 to {MAX_ROTATION_VERSION}, is {rotation_version}")
    if len(user_id) != _USER_ID_BYTES:
        raise AuthproxyError(f"user_id: must be {_USER_ID_BYTES} bytes, has {len(user_id)}")
    if len(secret) != SECRET_BYTES:
        raise AuthproxyError(f"secret: must be {SECRET_BYTES} bytes, has {len(secret)}")
    body = user_id + secret
    number = int.from_bytes(body + crc32(body).to_bytes(4, "big"), "big") << _SPARE_BITS
    payload = "".join(chr(_BASE32[number >> shift & 31]) for shift in range(415, -1, -5))
    return f"{prefix}_02{rotation_version:04x}_{payload}"
