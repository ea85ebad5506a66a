"""PKCS#12 and JKS files become a `Keystore`, or certificates to believe."""

import dataclasses
import shlex

from cryptography import x509

from authproxy.core.secret import Secret
from authproxy.errors import MaterialError
from authproxy.keystore.formats import Format, format_of
from authproxy.keystore.jks import read_jks
from authproxy.keystore.lineage import lineage_among, stray_notes
from authproxy.keystore.model import Keystore
from authproxy.keystore.pkcs12 import read_pkcs12
from authproxy.keystore.reading import Content
from authproxy.keystore.store import Store, choose


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What opens a keystore's file, and what is meant in it."""

    password: Secret[bytes] | None = None
    key_password: Secret[bytes] | None = None
    """For a JKS whose keys have another password; None: they have the store's."""
    alias: str | None = None
    """Which private key is meant, where there are several."""


def open_store(content: Content, opening: Opening) -> Store:
    """Return what a PKCS#12 or JKS file holds.

    Raises:
        MaterialError: it does not open, or is damaged.
    """
    source = str(content.path)
    if format_of(content.data) is Format.JKS:
        return read_jks(content.data, source, opening.password, opening.key_password)
    if opening.key_password not in {None, opening.password}:
        raise MaterialError(source, "is PKCS#12, which has one password for all it holds (leave `key_password` away)")
    return read_pkcs12(content.data, source, opening.password)


def keystore_of(name: str, content: Content, opening: Opening, notes: tuple[str, ...]) -> Keystore:
    """Return the keystore of the private key that is meant.

    No root is taken from it: keytool puts whole chains into its stores, public authorities included, and those must not
    decide whom a listener believes.

    Raises:
        MaterialError: the file does not open, or it is not clear which key is meant, or no certificate belongs to it.
    """
    store = open_store(content, opening)
    entry = choose(store, opening.alias)
    own = entry.unlock()
    lineage = lineage_among(own.certificates, own.key, store.source)
    if len(store.keys) == 1:
        notes += stray_notes(lineage, store.source)
    return Keystore(name=name, chain=lineage.chain, key=own.key, source=store.source, notes=notes)


def trusted_certificates(content: Content, password: Secret[bytes] | None) -> tuple[x509.Certificate, ...]:
    """Return the certificates that a trust store made by keytool or openssl says to believe, each once.

    Raises:
        MaterialError: it does not open, or holds none.
    """
    store = open_store(content, Opening(password=password))
    found = tuple(dict.fromkeys(entry.load() for entry in store.trusted))
    if not found and store.kind == "PKCS#12":
        path = shlex.quote(store.source)
        cure = f"write its authorities to a file: openssl pkcs12 -in {path} -cacerts -nokeys -out ca.pem"
        raise MaterialError(store.source, f"holds a private key, or no certificate, so it is no trust store ({cure})")
    if not found:
        cure = "import the authority: keytool -importcert -alias ca -file ca.pem -keystore TRUSTSTORE"
        raise MaterialError(store.source, f"is {store.kind} without a trusted certificate ({cure})")
    return found
