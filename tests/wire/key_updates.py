"""Key updates of TLS 1.3 made by hand: Python's ssl asks for none (RFC 8446, 4.6.3, 5.2, 7.1 to 7.3)."""

import hashlib
import hmac
import struct
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_HASH, _DIGEST = hashlib.sha384, 48
SUITE = "TLS_AES_256_GCM_SHA384"
"""The only one that is spoken here."""


class KeyUpdates:
    """What a client encrypts with after its handshake, until it has sent anything."""

    def __init__(self, key_log: Path) -> None:
        """`key_log`: written by the client's context (SSLKEYLOGFILE)."""
        [line] = [line for line in key_log.read_text().splitlines() if line.startswith("CLIENT_TRAFFIC_SECRET_0 ")]
        self._secret = bytes.fromhex(line.split()[2])
        self._number = 0

    def record(self, kind: int, content: bytes) -> bytes:
        """Return one record."""
        key, start = self._expand(b"key", 32), self._expand(b"iv", 12)
        nonce = bytes(one ^ other for one, other in zip(start, self._number.to_bytes(12, "big"), strict=True))
        self._number += 1
        inner = content + bytes([kind])
        head = b"\x17\x03\x03" + struct.pack("!H", len(inner) + 16)
        return head + AESGCM(key).encrypt(nonce, inner, head)

    def update(self) -> bytes:
        """Return a record that asks the other end for a new key, and take a new one."""
        made = self.record(22, b"\x18\0\0\x01\x01")
        self._secret, self._number = self._expand(b"traffic upd", _DIGEST), 0
        return made

    def _expand(self, label: bytes, length: int) -> bytes:
        info = struct.pack("!HB", length, 6 + len(label)) + b"tls13 " + label + b"\0\x01"
        # HKDF-Expand, of which one block is enough.
        return hmac.new(self._secret, info, _HASH).digest()[:length]
