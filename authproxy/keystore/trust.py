"""A truststore: the certificates that somebody has chosen to believe, out of a PEM bundle or a trust store of Java's."""

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.core.secret import Secret
from authproxy.errors import MaterialError, SecretError
from authproxy.keystore.blocks import decode, read_blocks
from authproxy.keystore.formats import STORES, format_of, refuse_unread_formats
from authproxy.keystore.model import fingerprint
from authproxy.keystore.parts import certificates, missing, refuse_strange_blocks
from authproxy.keystore.reading import read
from authproxy.keystore.stores import trusted_certificates


@dataclass(frozen=True, slots=True, kw_only=True)
class Truststore:
    """One or more trust anchors; each is believed by itself, also an intermediate or a single leaf."""

    name: str
    """The truststore's key in the configuration."""
    certificates: tuple[x509.Certificate, ...]
    """In the order of the file, each once, never empty."""
    source: str
    """The file it was read from; for messages."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the set of certificates, 64 hex digits: it changes when and only when that set changes."""
        return hashlib.sha256("".join(sorted(map(fingerprint, self.certificates))).encode()).hexdigest()

    def der(self) -> bytes:
        """Return the certificates one after the other in DER, as `SSLContext.load_verify_locations` takes them."""
        return b"".join(certificate.public_bytes(Encoding.DER) for certificate in self.certificates)


def load_truststore(name: str, path: Path, password: Secret[bytes] | None = None) -> Truststore:
    """Return the certificates of a PEM bundle, where other blocks are ignored, or of a PKCS#12 or JKS trust store.

    `password` opens a store; PEM needs none.

    Whether they are authorities, and still valid, is left to the handshake.

    Raises:
        SecretError: the file may not be read.
        MaterialError: it is missing, holds no certificate, or one that cannot be parsed.
    """
    content = read(path)
    if content.mode & stat.S_IWOTH:
        raise SecretError(f"{path}: everybody can write it and be believed: chmod o-w {path}")
    refuse_unread_formats(content)
    if format_of(content.data) in STORES:
        return Truststore(name=name, certificates=trusted_certificates(content, password), source=str(path))
    if password is not None:
        raise MaterialError(str(path), "is PEM, which has no password (leave `password` away)")
    text = read_blocks(decode(content.data), str(path))
    refuse_strange_blocks(text.blocks, str(path))
    found = certificates(text.blocks, str(path))
    if not found:
        raise missing("CERTIFICATE", text.blocks, str(path))
    return Truststore(name=name, certificates=found, source=str(path))
