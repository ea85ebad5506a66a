"""A file of any kind that holds keys or certificates, laid open: for `authproxy keys inspect`.

Nothing is refused here that could be told instead: an expired certificate, a key that others may read.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from cryptography import x509

from authproxy.errors import MaterialError, SecretError
from authproxy.keystore.blocks import decode, read_blocks
from authproxy.keystore.combined import from_text
from authproxy.keystore.facts import CertificateFacts, facts_of, kind_of_key
from authproxy.keystore.formats import STORES, Format, format_of, refuse_stores, refuse_unread_formats
from authproxy.keystore.lineage import Lineage, is_self_signed, lineage_among, lineage_of
from authproxy.keystore.model import Keystore
from authproxy.keystore.parts import certificate, certificates, missing, private_key
from authproxy.keystore.reading import Content, read, refuse_if_exposed
from authproxy.keystore.store import KeyEntry, choose
from authproxy.keystore.stores import Opening, open_store
from authproxy.keystore.verdicts import Verdict, chain_verdict, nrepl_verdict, strict_verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """A private key and what goes with it; never the key itself."""

    alias: str | None
    kind: str
    certificates: tuple[CertificateFacts, ...]
    """Own certificate, issuers, root, and last what is no part of the chain."""
    chain: Verdict
    nrepl: Verdict
    strict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a file holds."""

    source: str
    kind: str
    keys: tuple[KeyFacts, ...] = ()
    trusted: tuple[CertificateFacts, ...] = ()
    """Certificates without a key."""
    notes: tuple[str, ...] = ()

    @property
    def counted(self) -> tuple[CertificateFacts, ...]:
        """The certificates whose end matters: all but those that are no part of a chain."""
        every = (*(fact for key in self.keys for fact in key.certificates), *self.trusted)
        return tuple(fact for fact in every if fact.place != _STRAY)


# What the certificates' file would need if it held a key.
_CLOSED = 0o400
_OWN, _ISSUER, _ROOT, _TRUSTED, _STRAY = "own", "issuer", "root", "trusted", "not part of the chain"


def inspect(path: Path, opening: Opening, now: datetime, key: Path | None = None) -> Inspection:
    """Return what the file holds; `opening.alias` limits it to one key of a PKCS#12 or JKS file.

    `key` is the file of the private key, where that stands beside the certificates in PEM.

    Raises:
        SecretError: this user may not read it.
        MaterialError: it is missing, damaged, of another kind, or does not open.
    """
    content = read(path)
    if key is not None:
        return _pair(content, read(key), opening, now)
    kind = format_of(content.data)
    if kind is Format.DER:
        found = certificate(content.data, "it", str(path))
        return Inspection(source=str(path), kind="DER", trusted=(facts_of(found, _TRUSTED, str(path)),))
    refuse_unread_formats(content)
    if kind in STORES:
        return _store(content, opening, now)
    return _pem(content, opening, now)


def _store(content: Content, opening: Opening, now: datetime) -> Inspection:
    store = open_store(content, opening)
    meant = (choose(store, opening.alias),) if opening.alias is not None else store.keys
    trusted = () if opening.alias is not None else store.trusted
    return Inspection(
        source=store.source,
        kind=store.kind,
        keys=tuple(_entry(store.source, entry, now, is_alone=len(store.keys) == 1) for entry in meant),
        trusted=tuple(facts_of(each.load(), _TRUSTED, store.source, each.alias) for each in trusted),
        notes=_exposure(content) if store.keys else (),
    )


def _entry(source: str, entry: KeyEntry, now: datetime, *, is_alone: bool) -> KeyFacts:
    own = entry.unlock()
    lineage = lineage_among(own.certificates, own.key, source)
    keystore = Keystore(name="", chain=lineage.chain, key=own.key, root=lineage.root, source=source)
    places = list(_places(lineage))
    if not is_alone:
        # The other certificates of a PKCS#12 file are those of its other keys.
        places = [(each, place) for each, place in places if place != _STRAY]
    return KeyFacts(
        alias=entry.alias,
        kind=kind_of_key(own.key),
        certificates=tuple(facts_of(each, place, source) for each, place in places),
        chain=chain_verdict(keystore),
        nrepl=Verdict(good=False, says="it reads PEM only"),
        strict=_strict(keystore, source, now),
    )


def _pem(content: Content, opening: Opening, now: datetime) -> Inspection:
    source = str(content.path)
    if opening.alias is not None:
        raise MaterialError(source, "is PEM, which has no aliases")
    text = read_blocks(decode(content.data), source)
    key = private_key(text.blocks, source, opening.password)
    if key is None:
        found = certificates(text.blocks, source)
        if not found:
            raise missing("CERTIFICATE", text.blocks, source)
        trusted = tuple(facts_of(each, _TRUSTED, source) for each in found)
        return Inspection(source=source, kind="PEM", trusted=trusted, notes=text.notes)
    keystore = from_text("", text, source, opening.password)
    lineage = lineage_of(text.blocks, key, source)
    facts = KeyFacts(
        alias=None,
        kind=kind_of_key(key),
        certificates=tuple(facts_of(each, place, source) for each, place in _places(lineage)),
        chain=chain_verdict(keystore),
        nrepl=nrepl_verdict(content.data, text.blocks, keystore),
        strict=_strict(keystore, source, now),
    )
    kind = "keys file" if keystore.root is not None else "PEM"
    return Inspection(source=source, kind=kind, keys=(facts,), notes=(*_exposure(content), *keystore.notes))


def _pair(content: Content, key: Content, opening: Opening, now: datetime) -> Inspection:
    for each in (content, key):
        refuse_unread_formats(each)
        refuse_stores(each)
    both = _pem(replace(content, data=content.data + b"\n" + key.data, mode=_CLOSED), opening, now)
    alone = Verdict(good=False, says="it reads one file that holds the root too")
    return replace(
        both,
        kind="PEM in two files",
        keys=tuple(replace(each, nrepl=alone) for each in both.keys),
        notes=(*_exposure(key), *both.notes),
    )


def _strict(keystore: Keystore, source: str, now: datetime) -> Verdict:
    return strict_verdict(keystore, facts_of(keystore.leaf, _OWN, source).role, now)


def _places(lineage: Lineage) -> Iterable[tuple[x509.Certificate, str]]:
    own, *issuers = lineage.chain
    yield own, _OWN
    yield from ((each, _ISSUER) for each in issuers)
    if lineage.root is not None and not is_self_signed(own):
        yield lineage.root, _ROOT
    yield from ((each, _STRAY) for each in lineage.strays)


def _exposure(content: Content) -> tuple[str, ...]:
    try:
        return refuse_if_exposed(content)
    except SecretError as error:
        return (f"{error}: a start refuses it",)
