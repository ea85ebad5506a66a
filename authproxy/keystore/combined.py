"""nREPL's keys file: trusted root, own certificate and own key in one text.

nREPL takes the first certificate as the root and the second as its own; here the order does not matter
(nREPL 1.7, tls.clj). Everything that nREPL accepts is accepted, and what it only notices at a handshake, or not
at all, is refused at load.
"""

from cryptography import x509

from authproxy.core.secret import Secret
from authproxy.errors import MaterialError
from authproxy.keystore.blocks import Text, read_blocks, unwrap_base64
from authproxy.keystore.lineage import Lineage, is_self_signed, lineage_of, stray_notes
from authproxy.keystore.model import Keystore, subject
from authproxy.keystore.parts import certificates, missing, private_key


def load_text(name: str, text: str, source: str, password: Secret[bytes] | None) -> Keystore:
    """Return the keystore of a keys file that came as text, say from an environment variable.

    The text may also be the base64 of the file. It must hold root, own certificate and key.

    Args:
        name: The keystore's key in the configuration.
        text: The keys file.
        source: What messages call it, such as `$NREPL_SERVER_KEYS`.
        password: For an encrypted key.

    Raises:
        MaterialError: a part is missing, or the parts do not belong together.
    """
    notes: tuple[str, ...] = ()
    if "-----BEGIN " not in text and (inner := unwrap_base64(text)) is not None:
        text, notes = inner, (f"{source}: holds the base64 of a keys file; decoded",)
    keystore = from_text(name, read_blocks(text.removeprefix("\ufeff"), source), source, password, notes)
    if keystore.root is None:
        raise _rootless(keystore)
    return keystore


def from_text(
    name: str, text: Text, source: str, password: Secret[bytes] | None, notes: tuple[str, ...] = ()
) -> Keystore:
    """Return the keystore of one text that holds everything: a keys file, or a combined PEM file without a root.

    `root` is set when the text has the shape of a keys file: the self-signed authority that issued the own certificate
    stands beside it. With an intermediate between the two it is an ordinary chain, and a public authority's root that
    somebody left in must not become the trust anchor of a listener.

    Raises:
        MaterialError: a part is missing, or the parts do not belong together.
    """
    key = private_key(text.blocks, source, password)
    if key is None:
        raise missing("PRIVATE KEY", text.blocks, source)
    lineage = lineage_of(text.blocks, key, source)
    _refuse_foreign_root(text, lineage, source)
    return Keystore(
        name=name,
        chain=lineage.chain,
        key=key,
        root=lineage.root if len(lineage.chain) == 1 and lineage.root and is_authority(lineage.root) else None,
        source=source,
        notes=(*notes, *text.notes, *stray_notes(lineage, source)),
    )


def is_authority(certificate: x509.Certificate) -> bool:
    """Say whether the certificate calls itself an authority."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _refuse_foreign_root(text: Text, lineage: Lineage, source: str) -> None:
    # A text that opens with an authority is meant as a keys file; nREPL would load it and fail at every handshake.
    first = certificates(text.blocks, source)[0]
    if first in lineage.strays and is_self_signed(first) and is_authority(first):
        problem = f"the own certificate ({subject(lineage.chain[0])}) was not issued by the root ({subject(first)})"
        raise MaterialError(source, f"{problem}, the parts of two keys files were mixed")


def _rootless(keystore: Keystore) -> MaterialError:
    if len(keystore.chain) > 1:
        return MaterialError(
            keystore.source, "a keys file has no intermediate certificates, root must issue the own one"
        )
    cure = "a keys file holds root, own certificate and key, and the root says CA:TRUE"
    return MaterialError(keystore.source, f"no CERTIFICATE block of a root that issued the own certificate ({cure})")
