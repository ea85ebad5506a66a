"""One certificate chain out of a heap of certificates and a private key, whatever their order.

Why by public key and not by place: nREPL takes certificates by position, openssl's tools write the leaf first,
keytool's exports the root first, and people swap them. The public key says it for certain, at load and not at
the first handshake.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from authproxy.errors import MaterialError
from authproxy.keystore.blocks import Block
from authproxy.keystore.model import PrivateKey, subject
from authproxy.keystore.parts import (
    NEW_KEY,
    UNREADABLE,
    certificates,
    is_pss,
    missing,
    public_der,
    refuse_strange_blocks,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Which certificate is the own one, who issued it, and what does not belong."""

    chain: tuple[x509.Certificate, ...]
    """The own certificate, then its issuers; no self-signed root."""
    root: x509.Certificate | None
    """The self-signed certificate at the end of the chain; None: it is not in the heap."""
    strays: tuple[x509.Certificate, ...]
    """Certificates that are no part of the chain."""


def lineage_of(blocks: Sequence[Block], key: PrivateKey, source: str, *, key_source: str | None = None) -> Lineage:
    """Return the chain that belongs to `key`.

    Raises:
        MaterialError: no certificate is there, or none has this key.
    """
    refuse_strange_blocks(blocks, source)
    heap = certificates(blocks, source)
    if not heap:
        raise missing("CERTIFICATE", blocks, source)
    return lineage_among(heap, key, source, key_source=key_source)


def lineage_among(
    heap: tuple[x509.Certificate, ...], key: PrivateKey, source: str, *, key_source: str | None = None
) -> Lineage:
    """Return the chain among these certificates that belongs to `key`.

    Raises:
        MaterialError: none has this key.
    """
    wanted = public_der(key.public_key())
    own = [certificate for certificate in heap if _public_der(certificate) == wanted]
    if not own and any(is_pss(certificate) for certificate in heap):
        raise MaterialError(source, f"holds an RSA-PSS certificate, which cannot be used here ({NEW_KEY})")
    if not own:
        found = "; ".join(subject(certificate) for certificate in heap[:3]) or "none"
        raise MaterialError(source, f"no certificate belongs to the private key{_in(key_source)} (found: {found})")
    # Two certificates for one key: a renewed one before its older sister, an issued one before a self-signed one.
    leaf = max(own, key=lambda certificate: (not is_self_signed(certificate), certificate.not_valid_before_utc))
    lineage = _climb(leaf, heap)
    for certificate in lineage.chain:
        _read_extensions(certificate, source)
    return lineage


def with_issuers(
    chain: tuple[x509.Certificate, ...], known: Iterable[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    """Return a chain that is only a leaf, continued by its issuers among `known`, a self-signed root included.

    As it is where several fit, of which one may have been renewed, or have signed another's key: which of them serves
    the peers depends on the moment. A longer chain is returned as it is, too.
    """
    if len(chain) > 1:
        return chain
    heap, found = tuple(known), list(chain)
    while not is_self_signed(found[-1]):
        issuers = [each for each in heap if each not in found and issued_by(found[-1], each)]
        if len(issuers) > 1:
            return chain
        if not issuers:
            break
        found += issuers
    return tuple(found)


def stray_notes(lineage: Lineage, source: str) -> tuple[str, ...]:
    """Return one line for every certificate that is left out because it is no part of the chain."""
    return tuple(
        f"{source}: not sent, because it is not part of the chain: {subject(stray)}" for stray in lineage.strays
    )


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Say whether the certificate is its own issuer, by name and by signature."""
    return issued_by(certificate, certificate)


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Say whether `issuer` signed `certificate`; whether it was allowed to is not asked."""
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (*UNREADABLE, InvalidSignature):
        return False
    return True


def _climb(leaf: x509.Certificate, heap: tuple[x509.Certificate, ...]) -> Lineage:
    chain = [leaf]
    root = None
    while not is_self_signed(chain[-1]):
        issuers = [each for each in heap if each not in chain and issued_by(chain[-1], each)]
        root = next((each for each in issuers if is_self_signed(each)), None)
        if root is not None or not issuers:
            break
        chain.append(issuers[0])
    strays = tuple(each for each in heap if each not in chain and each != root)
    return Lineage(chain=tuple(chain), root=root, strays=strays)


def _public_der(certificate: x509.Certificate) -> bytes:
    if is_pss(certificate):
        return b""
    try:
        return public_der(certificate.public_key())
    except UNREADABLE:
        return b""


def _in(source: str | None) -> str:
    return f" in {source}" if source else ""


def _read_extensions(certificate: x509.Certificate, source: str) -> None:
    # Once here, so that whoever asks the chain for its names or usages later cannot fail.
    try:
        _ = certificate.extensions
    except UNREADABLE as error:
        problem = f"the certificate {subject(certificate)} has extensions that cannot be read: {error}"
        raise MaterialError(source, problem) from error
