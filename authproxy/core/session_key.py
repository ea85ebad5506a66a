"""The key of a zone's sessions, made from a pepper: whoever can write to the store, but lacks it, can make none."""

import hmac
import struct
from typing import Final, final

from typing_extensions import override

from authproxy.core.keyed_hash import begin_hmac
from authproxy.core.secret import Secret

_DIGEST_BYTES: Final = 32
# Versions (unsigned), times in milliseconds.
_pack: Final = struct.Struct(">HHQQ").pack
# Each use of the key has its own first bytes, so that no result of one can serve as the other's.
_FOR_ID: Final = b"id\0"
_FOR_RECORD: Final = b"record\0"


def derive(secret: bytes, info: bytes) -> bytes:
    """Return 32 bytes: HKDF (RFC 5869) with SHA-256, no salt, and one block of output."""
    extracted = hmac.digest(bytes(_DIGEST_BYTES), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


@final
class SessionKey:
    """Names and seals the sessions of one zone under one pepper; its `repr` shows the pepper's id only."""

    __slots__ = ("_begin_key", "_begin_seal", "_outer", "_zone", "id")

    id: str
    """The pepper's, for logs."""

    def __init__(self, pepper: Secret[bytes], pepper_id: str, zone: str) -> None:
        self._zone = zone.encode()
        key = derive(pepper.reveal(), b"authproxy session key\0" + self._zone)
        self._begin_key, self._outer = begin_hmac(key, "sha256", _FOR_ID)
        self._begin_seal, _ = begin_hmac(key, "sha256", _FOR_RECORD)
        self.id = pepper_id

    def store_key(self, session_id: bytes) -> bytes:
        """Return the 32 bytes under which a session is kept; its id cannot be found from them."""
        begin, copy_outer = self._begin_key, self._outer
        inner, outer = begin(), copy_outer()
        inner.update(session_id)
        outer.update(inner.digest())
        return outer.digest()

    def mac(self, store_key: bytes, user_id: bytes, numbers: tuple[int, int, int, int], digest: bytes) -> bytes:
        """Return the 32 bytes that seal a session; every part but the last has a fixed size.

        `numbers`: the credential's version, the record's, created, absolute end. `digest`: the credential's, 64 bytes.
        """
        begin, copy_outer = self._begin_seal, self._outer
        inner, outer = begin(), copy_outer()
        inner.update(store_key + user_id + _pack(*numbers) + digest + self._zone)
        outer.update(inner.digest())
        return outer.digest()

    @override
    def __repr__(self) -> str:
        return f"SessionKey({self.id})"
