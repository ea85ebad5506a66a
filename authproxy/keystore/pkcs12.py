"""PKCS#12, old and new: what keytool, openssl, Windows and browsers write.

cryptography opens the file: integrity, certificates, keys. Which keys there are is read from the outside (`safes`),
since cryptography returns the first one and no word about the others.
"""

from collections.abc import Callable
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import pkcs12

from authproxy.core.secret import Secret
from authproxy.errors import MaterialError
from authproxy.keystore.asn1 import Malformed, closed
from authproxy.keystore.cost import refuse_costly
from authproxy.keystore.model import PrivateKey, printable
from authproxy.keystore.parts import NEW_KEY, UNREADABLE, usable
from authproxy.keystore.safes import Bag, Outline, outline_of
from authproxy.keystore.store import KeyEntry, Store, TrustedEntry, Unlocked, password_text

# How cryptography begins its message when the MAC is wrong, or what was decrypted is garbage.
_NOT_OPENED: Final = "Invalid password"


def read_pkcs12(data: bytes, source: str, password: Secret[bytes] | None) -> Store:
    """Return what a PKCS#12 file holds; without `password` it must be one without any, or with an empty one.

    Raises:
        MaterialError: it is damaged, the password does not open it, or it asks for absurdly many rounds.
    """
    text = password_text(password, source)
    try:
        outline = outline_of(data)
        data = closed(data)
    except Malformed as error:
        raise MaterialError(source, f"is damaged PKCS#12: {error}") from error
    refuse_costly(outline.rounds, source)
    opened = _open(data, text, source)
    found = [*([] if opened.cert is None else [opened.cert]), *opened.additional_certs]
    has_keys = opened.key is not None or bool(outline.bags)
    heap = tuple(dict.fromkeys(each.certificate for each in found))
    return Store(
        kind="PKCS#12",
        source=source,
        keys=tuple(
            KeyEntry(alias=alias, unlock=_with(heap, unlock)) for alias, unlock in _keys(opened, outline, text, source)
        ),
        trusted=() if has_keys else tuple(map(_trusted, found)),
    )


def _trusted(found: pkcs12.PKCS12Certificate) -> TrustedEntry:
    return TrustedEntry(alias=_text(found.friendly_name), load=lambda: found.certificate)


def _with(heap: tuple[x509.Certificate, ...], unlock: Callable[[], PrivateKey]) -> Callable[[], Unlocked]:
    return lambda: Unlocked(key=unlock(), certificates=heap)


def _keys(
    opened: pkcs12.PKCS12KeyAndCertificates, outline: Outline, text: str, source: str
) -> list[tuple[str | None, Callable[[], PrivateKey]]]:
    if len(outline.bags) > 1:
        return [(bag.alias, _unlocker(bag, text, source)) for bag in outline.bags]
    if opened.key is None:
        return []
    # A key among the encrypted certificates has no bag in sight; its certificate has the name too.
    beside = None if opened.cert is None else _text(opened.cert.friendly_name)
    alias = outline.bags[0].alias if outline.bags else beside
    key = opened.key
    return [(alias, lambda: usable(key, "the private key", source))]


def _unlocker(bag: Bag, text: str, source: str) -> Callable[[], PrivateKey]:
    def unlock() -> PrivateKey:
        lone = _open(bag.alone(), text, source)
        return usable(lone.key, f"the private key {printable(bag.alias or '(no alias)')}", source)

    return unlock


def _open(data: bytes, text: str, source: str) -> pkcs12.PKCS12KeyAndCertificates:
    try:
        opened = pkcs12.load_pkcs12(data, text.encode() or None)
        for each in (opened.cert, *opened.additional_certs):
            # Fields are parsed when they are looked at.
            _ = each and (each.certificate.subject, each.certificate.issuer, each.certificate.not_valid_after_utc)
    except UnsupportedAlgorithm as error:
        raise MaterialError(source, f"is encrypted in a way that is not known here: {error}") from error
    except UNREADABLE as error:
        if not str(error).startswith(_NOT_OPENED):
            problem = f"holds a key or certificate that cannot be read, such as a DSA one ({NEW_KEY})"
            raise MaterialError(source, problem) from error
        problem = "wrong password or damaged file" if text else "needs a password and none is given, or is damaged"
        raise MaterialError(source, f"{problem} (set `password`)" if not text else problem) from error
    return opened


def _text(name: bytes | None) -> str | None:
    return None if name is None else name.decode(errors="replace")
