"""Deny lists: certificates and keys that are refused whoever has issued them, one to a line.

    3f:a1:...      or 64 hex digits: the SHA-256 of a certificate, as `openssl x509 -fingerprint -sha256` prints it
    spki:3fa1...   the SHA-256 of its public key (SubjectPublicKeyInfo), in hex or base64: every certificate of that key
    sha256/P6E...  the same as a pin (RFC 7469)

What follows `#` is a comment.
"""

import base64
import binascii
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from authproxy.core.certificate import CertificateNames
from authproxy.errors import MaterialError, SecretError
from authproxy.keystore.blocks import decode
from authproxy.keystore.reading import read

_HEX: Final = re.compile(r"[0-9a-f]{64}|[0-9a-f]{2}(?::[0-9a-f]{2}){31}", re.IGNORECASE)
_DIGEST: Final = 32
_MOST_TOLD: Final = 5
_WANTED: Final = "must be the SHA-256 of a certificate (64 hex digits), spki:DIGEST, or sha256/BASE64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """Digests as 64 lower-case hex digits."""

    certificates: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.certificates or self.keys)

    def names(self, certificate: CertificateNames) -> bool:
        """Say whether a certificate, or its key, is denied."""
        return certificate.fingerprint in self.certificates or certificate.spki in self.keys


def load_denied(path: Path) -> Denied:
    """Return what a deny list says; one without entries denies nobody.

    Raises:
        SecretError: it may not be read, or everybody may write it.
        MaterialError: it is missing, or some line is no entry; each is told by its number.
    """
    content = read(path)
    if content.mode & stat.S_IWOTH:
        raise SecretError(f"{path}: everybody can write it and take denials back: chmod o-w {path}")
    certificates: set[str] = set()
    keys: set[str] = set()
    problems: list[tuple[int, str]] = []
    for number, line in enumerate(decode(content.data).splitlines(), 1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        try:
            is_key, digest = _entry(entry)
        except ValueError as error:
            problems.append((number, str(error)))
        else:
            (keys if is_key else certificates).add(digest)
    if problems:
        first, rest = problems[0], problems[1:_MOST_TOLD]
        more = "".join(f"; {path}:{number}: {problem}" for number, problem in rest)
        left = len(problems) - 1 - len(rest)
        raise MaterialError(f"{path}:{first[0]}", f"{first[1]}{more}{f'; and {left} more' if left else ''}")
    return Denied(certificates=frozenset(certificates), keys=frozenset(keys))


def _entry(entry: str) -> tuple[bool, str]:
    """Return whether an entry is about a key, and its digest."""
    if entry.startswith("sha256/"):
        return True, pin_digest(entry)
    if entry.startswith("spki:"):
        text = entry.removeprefix("spki:").strip()
        return True, text.replace(":", "").lower() if _HEX.fullmatch(text) else pin_digest(f"sha256/{text}")
    return False, certificate_digest(entry)


def certificate_digest(text: str) -> str:
    """Return a fingerprint, written with colons or without, as 64 lower-case hex digits; ValueError: it is none."""
    if not _HEX.fullmatch(text):
        raise ValueError(_WANTED)
    return text.replace(":", "").lower()


def pin_digest(pin: str) -> str:
    """Return the digest of `sha256/BASE64` as 64 lower-case hex digits; ValueError: it is no such pin."""
    try:
        digest = binascii.a2b_base64(pin.removeprefix("sha256/").encode("ascii"), strict_mode=True)
    except ValueError:
        digest = b""
    # Written again, for base64 has more than one spelling of the last byte.
    if not pin.startswith("sha256/") or len(digest) != _DIGEST or base64.b64encode(digest).decode() != pin[7:]:
        raise ValueError("a pin is sha256/ and the base64 of 32 bytes")
    return digest.hex()
