"""JKS, the keystore of older Java: private keys, each under a password of its own, and trusted certificates.

The format is Sun's; its ciphers are a stream of SHA-1 digests and its integrity a SHA-1 over password and file. That
is weak, hence `authproxy` reads it and never writes it. Everything is bounded: no length is believed that reaches over
the end, and the work is one SHA-1 for each 20 bytes of a key.

Why an own reader: the packages that read JKS bring whole crypto libraries of their own.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509

from authproxy.core.secret import Secret
from authproxy.errors import MaterialError
from authproxy.keystore.asn1 import OID, SEQUENCE, Element, Malformed, only
from authproxy.keystore.model import printable
from authproxy.keystore.parts import certificate, plain_key
from authproxy.keystore.store import KeyEntry, Store, TrustedEntry, Unlocked, password_text

MAGIC: Final = b"\xfe\xed\xfe\xed"
_WHITENER: Final = b"Mighty Aphrodite"
_DIGEST: Final = 20  # SHA-1
_SALT: Final = 20
_VERSIONS: Final = (1, 2)
_KEY, _TRUSTED = 1, 2
_PROTECTOR: Final = bytes.fromhex("2b060104012a02110101")


@dataclass(slots=True)
class _Reader:
    """Takes big-endian values from the front; raises Malformed at the end."""

    data: bytes = field(repr=False)
    at: int = 0

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise Malformed(f"it ends at byte {len(self.data)} in the middle of an entry")
        self.at, begin = end, self.at
        return self.data[begin:end]

    def number(self, size: int = 4) -> int:
        return int.from_bytes(self.take(size))

    def text(self) -> str:
        return self.take(self.number(2)).decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Password:
    """What locks the keys of one file, in Java's form."""

    whole: bytes = field(repr=False)
    is_own: bool
    """Whether it was given for the keys, or is the store's."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where something stands; for messages."""

    alias: str
    source: str


def read_jks(data: bytes, source: str, password: Secret[bytes] | None, key_password: Secret[bytes] | None) -> Store:
    """Return what a JKS file holds; its keys stay locked until one is chosen.

    Args:
        data: The file.
        source: What messages call it.
        password: Proves that nobody else has changed the file; Java demands one too.
        key_password: Opens the private keys; None: the store's does.

    Raises:
        MaterialError: there is no password, or it is not the file's, or the file is damaged.
    """
    if password is None:
        raise MaterialError(source, "is JKS, which has a password, and none is given (set `password`)")
    whole = password_text(password, source).encode("utf-16-be")
    keys = _Password(whole=whole, is_own=False)
    if key_password is not None:
        keys = _Password(whole=password_text(key_password, source).encode("utf-16-be"), is_own=True)
    content, digest = data[:-_DIGEST], data[-_DIGEST:]
    # First of all: what follows is what the owner of the password wrote.
    if not hmac.compare_digest(_sha1(whole + _WHITENER + content), digest):
        raise MaterialError(source, "wrong password or damaged file")
    try:
        return _entries(_Reader(content), source, keys)
    except Malformed as error:
        raise MaterialError(source, f"is damaged JKS: {error}") from error


def _entries(reader: _Reader, source: str, password: _Password) -> Store:
    if reader.take(4) != MAGIC:
        raise Malformed("it does not begin as one")
    version = reader.number()
    if version not in _VERSIONS:
        raise Malformed(f"it has the unknown version {version}")
    keys: list[KeyEntry] = []
    trusted: list[TrustedEntry] = []
    for _ in range(reader.number()):
        kind, alias = reader.number(), reader.text()
        reader.take(8)  # when the entry was made
        if kind == _KEY:
            locked = reader.take(reader.number())
            chain = [_certificate(reader, version, alias, source) for _ in range(reader.number())]
            keys.append(KeyEntry(alias=alias, unlock=_unlocker(locked, chain, _Place(alias, source), password)))
        elif kind == _TRUSTED:
            trusted.append(TrustedEntry(alias=alias, load=_certificate(reader, version, alias, source)))
        else:
            raise Malformed(f"it has an entry of the unknown kind {kind} (secret keys need JCEKS or PKCS#12)")
    if reader.at != len(reader.data):
        raise Malformed("something follows the last entry")
    return Store(kind="JKS", source=source, keys=tuple(keys), trusted=tuple(trusted))


def _certificate(reader: _Reader, version: int, alias: str, source: str) -> Callable[[], x509.Certificate]:
    kind = reader.text() if version > 1 else "X.509"
    if kind not in {"X.509", "X509"}:
        raise Malformed(f"it has a certificate of the unknown kind {printable(kind)}")
    der = reader.take(reader.number())
    return lambda: certificate(der, f"a certificate of {printable(alias)}", source)


def _unlocker(
    locked: bytes, chain: list[Callable[[], x509.Certificate]], place: _Place, password: _Password
) -> Callable[[], Unlocked]:
    source, where = place.source, f"the private key of {printable(place.alias)}"

    def unlock() -> Unlocked:
        try:
            sealed = _sealed(locked)
        except Malformed as error:
            raise MaterialError(source, f"{where} is damaged: {error}") from error
        plain = _unseal(sealed, password.whole)
        if plain is None and password.is_own:
            raise MaterialError(source, f"{where} does not open with `key_password`, which is wrong")
        if plain is None:
            raise MaterialError(source, f"{where} does not open with the store's password (set `key_password`)")
        key = plain_key(plain, where, source)
        return Unlocked(key=key, certificates=tuple(dict.fromkeys(load() for load in chain)))

    return unlock


def _sealed(locked: bytes) -> bytes:
    """Return salt, encrypted key and digest, out of an EncryptedPrivateKeyInfo."""
    match only(locked, SEQUENCE).inside():
        case (algorithm, Element(tag=0x04, body=sealed)):
            pass
        case _:
            raise Malformed("it is no encrypted key")
    kind = algorithm.inside()[:1]
    if kind != (Element(OID, _PROTECTOR),):
        raise Malformed("it is encrypted in a way that JKS does not know")
    if len(sealed) < _SALT + _DIGEST:
        raise Malformed("it is too short")
    return sealed


def _unseal(sealed: bytes, password: bytes) -> bytes | None:
    """Return the key; None: the password is not the right one."""
    salt, cipher, digest = sealed[:_SALT], sealed[_SALT:-_DIGEST], sealed[-_DIGEST:]
    stream, block = bytearray(), salt
    while len(stream) < len(cipher):
        block = _sha1(password + block)
        stream += block
    plain = bytes(one ^ other for one, other in zip(cipher, stream, strict=False))
    return plain if hmac.compare_digest(_sha1(password + plain), digest) else None


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()
