"""A truststore: the certificates that somebody has chosen to believe, and whom not to believe all the same."""

import hashlib
import stat
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.core.secret import Secret
from authproxy.errors import MaterialError, SecretError
from authproxy.keystore.blocks import decode, read_blocks
from authproxy.keystore.check import MIN_RSA_BITS
from authproxy.keystore.crl import Crl, newest, read_crls
from authproxy.keystore.deny import Denied, load_denied
from authproxy.keystore.formats import STORES, format_of, refuse_unread_formats
from authproxy.keystore.model import fingerprint, subject
from authproxy.keystore.parts import UNREADABLE, certificates, missing, refuse_strange_blocks
from authproxy.keystore.reading import read
from authproxy.keystore.stores import trusted_certificates


@dataclass(frozen=True, slots=True, kw_only=True)
class Truststore:
    """One or more trust anchors; each is believed by itself, also an intermediate or a single leaf."""

    name: str
    """The truststore's key in the configuration."""
    certificates: tuple[x509.Certificate, ...]
    """In the order of the file, each once; empty only when revocation lists name every one: then nobody is believed."""
    source: str
    """The file it was read from; for messages."""
    crls: tuple[Crl, ...] | None = None
    """One revocation list for each authority that has one; None: revocation is not asked about."""
    listed: frozenset[str] = field(default=frozenset(), compare=False)
    """Digests of all lists that were read, also of those that count for nothing."""
    denied: Denied = field(default_factory=Denied)
    """Who is refused, whoever vouches for them."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What the operator should hear at start, one line each."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all that is believed and refused, 64 hex digits: it changes when and only when that changes."""
        parts = [
            *sorted(map(fingerprint, self.certificates)), "crls" if self.crls is not None else "",
            *sorted(crl.digest for crl in self.crls or ()),
            "denied", *sorted(self.denied.certificates), "keys", *sorted(self.denied.keys),
        ]  # fmt: skip
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def der(self) -> bytes:
        """Return the certificates one after the other in DER, as `SSLContext.load_verify_locations` takes them."""
        return b"".join(certificate.public_bytes(Encoding.DER) for certificate in self.certificates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """Where it is written whom not to believe."""

    crls: tuple[Path, ...] = ()
    deny: Path | None = None


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
        return _with_notes(name, trusted_certificates(content, password), str(path))
    if password is not None:
        raise MaterialError(str(path), "is PEM, which has no password (leave `password` away)")
    text = read_blocks(decode(content.data), str(path))
    refuse_strange_blocks(text.blocks, str(path))
    found = certificates(text.blocks, str(path))
    if not found:
        raise missing("CERTIFICATE", text.blocks, str(path))
    return _with_notes(name, found, str(path))


def _with_notes(name: str, found: tuple[x509.Certificate, ...], source: str) -> Truststore:
    notes = tuple(f"{source}: not believed: {subject(one)}: {problem}" for one in found if (problem := _weakness(one)))
    return Truststore(name=name, certificates=found, source=source, notes=notes)


def _weakness(authority: x509.Certificate) -> str:
    """Return why OpenSSL, as it is set here, refuses whoever was issued by this one; empty where it does not."""
    try:
        key = authority.public_key()
    except UNREADABLE:
        return ""
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        return f"its RSA key has {key.key_size} bits, should be at least {MIN_RSA_BITS}"
    return ""


def with_refusals(trust: Truststore, refusals: Refusals, now: datetime, before: Truststore | None = None) -> Truststore:
    """Return a truststore that also refuses whom these files name; without any it stays as it is.

    Lists that are the same in `before`, and have expired since, are taken all the same: they refuse everybody whom
    they would have to vouch for.

    Raises:
        SecretError: a file may not be read, or everybody may write it.
        MaterialError: a file cannot be used.
    """
    if refusals.deny is not None:
        trust = replace(trust, denied=load_denied(refusals.deny))
    if not refusals.crls:
        return trust
    known = frozenset() if before is None else before.listed
    read_lists = [crl for path in refusals.crls for crl in read_crls(path, trust.certificates, now, known)]
    crls = newest(read_lists)
    revoked = [one for one in trust.certificates if any(crl.names(one) for crl in crls)]
    listed = [crl.issuer for crl in crls]
    unlisted = [one for one in trust.certificates if one not in listed and one not in revoked]
    return replace(
        trust,
        certificates=tuple(one for one in trust.certificates if one not in revoked),
        crls=tuple(crl for crl in crls if crl.issuer not in revoked),
        listed=frozenset(crl.digest for crl in read_lists),
        notes=(
            *trust.notes,
            *(f"{trust.source}: not believed, because a revocation list names it: {subject(one)}" for one in revoked),
            *(
                f"{trust.source}: nobody comes in with a certificate of {subject(one)}: it has no list in `crls`"
                for one in unlisted
            ),
        ),
    )
