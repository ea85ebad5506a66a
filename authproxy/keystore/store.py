"""What PKCS#12 and JKS files have in common: entries under aliases, one of which is meant."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography import x509

from authproxy.core.secret import Secret
from authproxy.errors import MaterialError
from authproxy.keystore.model import PrivateKey, printable

_LISTED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    """A private key that is still locked, and the certificates that may be its own."""

    alias: str | None
    """As it stands in the file; None: it has none (OpenSSL writes one only when told to)."""
    unlock: Callable[[], "Unlocked"] = field(repr=False)
    """Return key and certificates; raises MaterialError. Nothing of an entry that is not meant is parsed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlocked:
    """A private key, and the certificates that may be its own."""

    key: PrivateKey = field(repr=False)
    certificates: tuple[x509.Certificate, ...]
    """Of this key only (JKS), or of the whole file (PKCS#12)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedEntry:
    """A certificate without a private key."""

    alias: str | None
    load: Callable[[], x509.Certificate] = field(repr=False)
    """Return the certificate; raises MaterialError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A file that opened with its password, and whose integrity was checked where the file allows that."""

    kind: str
    source: str
    keys: tuple[KeyEntry, ...]
    trusted: tuple[TrustedEntry, ...]
    """JKS: the entries that say so. PKCS#12: every certificate when the file holds no key, else none."""


def choose(store: Store, alias: str | None) -> KeyEntry:
    """Return the entry that is meant: that of the alias, or the only one. Java does not tell case apart, so it is a last resort.

    Raises:
        MaterialError: there is none, or it is not clear which; the aliases are listed.
    """
    if not store.keys:
        problem = f"holds no private key, only {len(store.trusted)} trusted certificates (is it a trust store?)"
        raise MaterialError(store.source, problem)
    if alias is None:
        if len(store.keys) > 1:
            problem = f"holds {len(store.keys)} private keys, say which by `alias`: {_listed(store.keys)}"
            raise MaterialError(store.source, problem)
        return store.keys[0]
    found = [entry for entry in store.keys if entry.alias == alias]
    found = found or [entry for entry in store.keys if (entry.alias or "").casefold() == alias.casefold()]
    if not found:
        what = "a trusted certificate" if _is_trusted(store, alias) else "not there"
        problem = f"the alias {printable(alias)} is {what}, private keys have: {_listed(store.keys)}"
        raise MaterialError(store.source, problem)
    if len(found) > 1:
        raise MaterialError(store.source, f"holds {len(found)} private keys with the alias {printable(alias)}")
    return found[0]


def _is_trusted(store: Store, alias: str) -> bool:
    return any((entry.alias or "").casefold() == alias.casefold() for entry in store.trusted)


def _listed(keys: Sequence[KeyEntry]) -> str:
    names = ["(none)" if entry.alias is None else printable(entry.alias) for entry in keys]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def password_text(password: Secret[bytes] | None, source: str) -> str:
    """Return the password as text; both formats are defined on characters, not on bytes.

    Raises:
        MaterialError: it is no UTF-8, or holds a NUL, which Java and OpenSSL read differently.
    """
    if password is None:
        return ""
    try:
        text = password.reveal().decode()
    except UnicodeDecodeError:
        # Without its cause, which carries the password.
        raise MaterialError(source, "the password is no UTF-8 text") from None
    if "\0" in text:
        raise MaterialError(source, "the password holds a NUL character (is it a binary file?)")
    return text
