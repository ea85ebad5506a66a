"""Certificate revocation lists: read, judged by the authorities that they speak for, and reduced to what is asked of them.

Why OpenSSL is told to look at the leaf only (`VERIFY_CRL_CHECK_LEAF`): `CHAIN` wants a list for the anchor too, from its
own issuer, so no intermediate could be believed by itself. Here every authority whose list is read is an anchor, hence
the issuer of every certificate that passes; an anchor that a list names is no anchor any more, and its own list counts
for nothing, so that what it has issued is refused for want of one. A certificate that no list covers is always refused.
"""

import hashlib
import stat
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.errors import MaterialError, SecretError
from authproxy.keystore.blocks import Block, decode, read_blocks
from authproxy.keystore.formats import Format, format_of
from authproxy.keystore.model import subject
from authproxy.keystore.parts import UNREADABLE, missing
from authproxy.keystore.reading import MAX_LIST_BYTES, Content, read

_LABEL: Final = "X509 CRL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crl:
    """The list of one authority, signed by it."""

    issuer: x509.Certificate
    """The authority, as it stands in the truststore."""
    der: bytes = field(repr=False)
    revoked: frozenset[int] = field(repr=False)
    """Serial numbers."""
    begins: datetime
    """Aware, as `ends`."""
    ends: datetime
    """When the next list is due (nextUpdate): from then on this one vouches for nobody."""
    source: str
    """The file; for messages."""

    @property
    def digest(self) -> str:
        """SHA-256 of the list."""
        return hashlib.sha256(self.der).hexdigest()

    def names(self, certificate: x509.Certificate) -> bool:
        """Say whether the list revokes a certificate."""
        return certificate.issuer == self.issuer.subject and certificate.serial_number in self.revoked


def read_crls(
    path: Path, authorities: Collection[x509.Certificate], now: datetime, known: Collection[str] = ()
) -> tuple[Crl, ...]:
    """Return the lists in a file, PEM (one or several) or DER, each proven to be of one of `authorities` and in force.

    Args:
        path: The file.
        authorities: The certificates of the truststore.
        now: An aware datetime.
        known: Digests of lists that are at work: one that has expired meanwhile is no reason to refuse what came with it.

    Raises:
        SecretError: the file may not be read, or everybody may write it.
        MaterialError: it is missing, holds no list, or one that cannot be used.
    """
    content = read(path, MAX_LIST_BYTES)
    if content.mode & stat.S_IWOTH:
        raise SecretError(f"{path}: everybody can write it and take revocations back: chmod o-w {path}")
    return tuple(_crl(der, where, authorities, now, known) for where, der in _lists(content))


def newest(crls: Iterable[Crl]) -> tuple[Crl, ...]:
    """Return one list for each authority: the one that was issued last, as OpenSSL chooses."""
    found: dict[x509.Certificate, Crl] = {}
    for crl in crls:
        other = found.get(crl.issuer)
        if other is None or other.begins < crl.begins:
            found[crl.issuer] = crl
    return tuple(found.values())


def _lists(content: Content) -> Iterable[tuple[str, bytes]]:
    source = str(content.path)
    if format_of(content.data) is Format.DER:
        return [(source, content.data)]
    blocks: tuple[Block, ...] = read_blocks(decode(content.data), source).blocks
    found = [(f"{source}: block {block.number}", block.der) for block in blocks if block.label == _LABEL]
    if not found:
        raise missing(_LABEL, blocks, source)
    return found


def _crl(
    der: bytes, source: str, authorities: Collection[x509.Certificate], now: datetime, known: Collection[str]
) -> Crl:
    try:
        found = x509.load_der_x509_crl(der)
        begins, ends = found.last_update_utc, found.next_update_utc
        revoked = frozenset(entry.serial_number for entry in found)
        problem = _problem_of_extensions(found)
        issuer = _issuer_of(found, authorities, source)
    except UNREADABLE as error:
        raise MaterialError(source, f"is no revocation list: {error}") from error
    if problem is None and ends is None:
        problem = "does not say when the next list is due (nextUpdate): nobody could tell that it is out of date"
    if problem is not None or ends is None:
        raise MaterialError(source, problem or "")
    made = Crl(issuer=issuer, der=der, revoked=revoked, begins=begins, ends=ends, source=source)
    if now < begins:
        raise MaterialError(source, f"the list is not valid before {begins.isoformat()} (is the clock right?)")
    if now >= ends and made.digest not in known:
        raise MaterialError(source, f"the list expired on {ends.isoformat()} (fetch the authority's new one)")
    return made


def _problem_of_extensions(crl: x509.CertificateRevocationList) -> str | None:
    """Return why a list says less than who has been revoked by its authority, if it does."""
    for extension in crl.extensions:
        if isinstance(extension.value, x509.DeltaCRLIndicator):
            return "is a delta, which tells changes only: give the complete list"
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            return (
                "covers only a part of what its authority has issued (issuingDistributionPoint): give the complete list"
            )
        if extension.critical:
            return f"has a critical extension that is not known here: {extension.oid.dotted_string}"
    return None


def _issuer_of(
    crl: x509.CertificateRevocationList, authorities: Collection[x509.Certificate], source: str
) -> x509.Certificate:
    """Return the authority that has signed a list."""
    name = crl.issuer.rfc4514_string()
    named = [authority for authority in authorities if authority.subject == crl.issuer]
    if not named:
        raise MaterialError(source, f"no certificate of this truststore is of its issuer, {name}")
    # Several may have one name: an authority that has changed its key.
    signing = [authority for authority in named if _has_signed(authority, crl)]
    if not signing:
        raise MaterialError(source, f"its signature is not by {name} of this truststore: damaged, or of another key")
    if not _may_sign(signing[0]):
        raise MaterialError(source, f"the key usage of {subject(signing[0])} does not allow it to sign such lists")
    return signing[0]


def _has_signed(authority: x509.Certificate, crl: x509.CertificateRevocationList) -> bool:
    key = authority.public_key()
    try:
        return crl.is_signature_valid(key)  # type: ignore[arg-type]  # what cannot sign raises a TypeError
    except UNREADABLE:
        return False


def _may_sign(authority: x509.Certificate) -> bool:
    try:
        return authority.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def pem_of(crls: Iterable[Crl]) -> bytes:
    """Return lists as PEM, as OpenSSL loads them."""
    return b"".join(x509.load_der_x509_crl(crl.der).public_bytes(Encoding.PEM) for crl in crls)
