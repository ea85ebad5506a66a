"""A keystore's files become a `Keystore`; what a file is, its content tells, never its name."""

from pathlib import Path

from authproxy.core.secret import Secret
from authproxy.errors import MaterialError
from authproxy.keystore.blocks import Text, decode, read_blocks
from authproxy.keystore.combined import from_text
from authproxy.keystore.formats import STORES, format_of, is_der_certificate, refuse_stores, refuse_unread_formats
from authproxy.keystore.lineage import lineage_of, stray_notes
from authproxy.keystore.model import Keystore
from authproxy.keystore.parts import missing, private_key
from authproxy.keystore.reading import Content, read, refuse_if_exposed
from authproxy.keystore.stores import Opening, keystore_of


def load_file(name: str, path: Path, opening: Opening | None = None) -> Keystore:
    """Return the keystore of one file that holds key and certificates: combined PEM, a keys file, PKCS#12 or JKS.

    Raises:
        SecretError: the file is unreadable or too open.
        MaterialError: it is missing, damaged, of another format, or its parts do not belong together.
    """
    opening = opening or Opening()
    content = read(path)
    notes = _refuse_if_exposed(content)
    refuse_unread_formats(content)
    if format_of(content.data) in STORES:
        return keystore_of(name, content, opening, notes)
    for key, value in {"alias": opening.alias, "key_password": opening.key_password}.items():
        if value is not None:
            raise MaterialError(str(path), f"is PEM: `{key}` is for PKCS#12 and JKS (leave it away)")
    return from_text(name, _pem_text(content), str(path), opening.password, notes)


def load_pem_pair(name: str, certificate: Path, key: Path, password: Secret[bytes] | None) -> Keystore:
    """Return the keystore of a certificate file (with its chain) and a key file; other blocks in either are ignored.

    Raises:
        SecretError: the key file is unreadable or too open.
        MaterialError: either file is missing or damaged, or they do not belong together.
    """
    key_file = read(key)
    notes = _refuse_if_exposed(key_file)
    key_text = _pem_text(key_file)
    own_key = private_key(key_text.blocks, str(key), password)
    if own_key is None:
        raise missing("PRIVATE KEY", key_text.blocks, str(key))
    source = str(certificate)
    text = _pem_text(read(certificate))
    lineage = lineage_of(text.blocks, own_key, source, key_source=str(key))
    notes = (*notes, *key_text.notes, *text.notes, *stray_notes(lineage, source))
    return Keystore(name=name, chain=lineage.chain, key=own_key, source=source, notes=notes)


def _refuse_if_exposed(content: Content) -> tuple[str, ...]:
    # Certificates alone may be read by everybody: that the key is missing is told then, not who may read them.
    is_keyless = b"-----BEGIN CERTIFICATE-----" in content.data and b"PRIVATE KEY" not in content.data
    return () if is_keyless or is_der_certificate(content.data) else refuse_if_exposed(content)


def _pem_text(content: Content) -> Text:
    refuse_unread_formats(content)
    refuse_stores(content)
    return read_blocks(decode(content.data), str(content.path))
