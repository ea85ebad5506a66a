"""A zone's pepper, ready to hash: for every request 0.9 microseconds, where `hmac.digest` takes 2.5."""

import hmac
import struct
from typing import final

from typing_extensions import override

from authproxy.core.keyed_hash import begin_hmac
from authproxy.core.record import UserId
from authproxy.core.secret import Secret

# Separates this use of HMAC from every other; the next version of the token will have another.
_DOMAIN = b"TRV2"
# User id, rotation version (unsigned), secret; packed in one call because this runs for every request.
_pack = struct.Struct(">16sH32s").pack


@final
class Pepper:
    """Hashes the credentials of one zone; its `repr` shows the id only.

    Source: RFC 2104, and turvata 0.4, core.clj, hash-key.
    """

    __slots__ = ("_copy_inner", "_copy_outer", "id")

    id: str
    """8 hex digits by which logs and rows may name this pepper; the pepper cannot be found from it."""

    def __init__(self, key: Secret[bytes]) -> None:
        raw = key.reveal()
        self.id = hmac.digest(raw, b"authproxy pepper id", "sha512").hex()[:8]
        self._copy_inner, self._copy_outer = begin_hmac(raw, "sha512", _DOMAIN)

    def digest(self, user_id: UserId, rotation_version: int, secret: bytes) -> bytes:
        """Return the 64 bytes that a catalog keeps for this credential.

        Sizes are the caller's promise: 16 bytes, 0 to 65535, 32 bytes. The prefix is not bound by it.
        """
        copy_inner, copy_outer = self._copy_inner, self._copy_outer
        inner = copy_inner()
        inner.update(_pack(user_id, rotation_version, secret))
        outer = copy_outer()
        outer.update(inner.digest())
        return outer.digest()

    @override
    def __repr__(self) -> str:
        return f"Pepper({self.id})"
