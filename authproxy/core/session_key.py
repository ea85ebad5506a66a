"""The key of a zone's sessions, made from a pepper: whoever can write to the store, but lacks it, can make none."""

import hmac
import struct
from typing import Final, final

from typing_extensions import override

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

    __slots__ = ("_key", "_zone", "id")

    id: str
    """The pepper's, for logs."""

    def __init__(self, pepper: Secret[bytes], pepper_id: str, zone: str) -> None:
        self._zone = zone.encode()
        self._key = derive(pepper.reveal(), b"authproxy session key\0" + self._zone)
        self.id = pepper_id

    def store_key(self, session_id: bytes) -> bytes:
        """Return the 32 bytes under which a session is kept; its id cannot be found from them."""
        return hmac.digest(self._key, _FOR_ID + session_id, "sha256")

    def mac(self, store_key: bytes, user_id: bytes, numbers: tuple[int, int, int, int], digest: bytes) -> bytes:
        """Return the 32 bytes that seal a session; every part but the last has a fixed size.

        `numbers`: the credential's version, the record's, created, absolute end. `digest`: the credential's, 64 bytes.
        """
        message = _FOR_RECORD + store_key + user_id + _pack(*numbers) + digest + self._zone
        return hmac.digest(self._key, message, "sha256")

    @override
    def __repr__(self) -> str:
        return f"SessionKey({self.id})"
