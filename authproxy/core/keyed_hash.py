"""HMAC (RFC 2104) under a key that is hashed once.

HMAC begins by hashing the key into two states. Keeping those, and copying them for every message, takes a third of the
time of `hmac.digest`, and the raw key need not be kept at all.
"""

import hashlib
from collections.abc import Callable
from importlib import import_module
from typing import Final, Protocol


class HashState(Protocol):
    """A hash begun."""

    def copy(self) -> "HashState":
        """Return another that has hashed the same."""
        ...

    def update(self, data: bytes, /) -> None:
        """Hash more."""
        ...

    def digest(self) -> bytes:
        """Return the hash of all so far."""
        ...


Copy = Callable[[], HashState]


def own_hash(name: str) -> Callable[[bytes], HashState]:
    """Return Python's own `sha256` or `sha512`, whose states are copied in a third of the time that OpenSSL takes.

    Where OpenSSL is bound to its validated provider (FIPS 140) nothing but that may hash, and so it is where this
    Python was built without an own one.
    """
    if not _is_fips():
        for module in (f"_{name}", "_sha2"):
            try:
                found: Callable[[bytes], HashState] = getattr(import_module(module), name)
            except (ImportError, AttributeError):
                continue
            return found
    return hashlib.sha256 if name == "sha256" else hashlib.sha512


def _is_fips() -> bool:
    try:
        return bool(import_module("_hashlib").get_fips_mode())
    except (ImportError, AttributeError, ValueError):
        # Better the slower one where it cannot be told.
        return True


_HASHES: Final = {"sha256": (own_hash("sha256"), 64), "sha512": (own_hash("sha512"), 128)}
"""With the sizes of their blocks, in bytes."""
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


def begin_hmac(key: bytes, name: str, begin: bytes = b"") -> tuple[Copy, Copy]:
    """Return what copies the two states of HMAC with `sha256` or `sha512`, the inner one with `begin` hashed already.

    The code of a message that begins so is then: update a copy of the inner one with the rest of the message, update a
    copy of the outer one with the inner's digest, and take its digest.
    """
    made, size = _HASHES[name]
    # RFC 2104, 2: a key longer than the hash's block is hashed first.
    block = (key if len(key) <= size else made(key).digest()).ljust(size, b"\0")
    return made(block.translate(_INNER) + begin).copy, made(block.translate(_OUTER)).copy
