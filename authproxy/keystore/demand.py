"""What a listener demands of those who have shaken hands with it, and whether somebody still meets that.

Why once more, where OpenSSL has just verified: a session that is resumed was verified when it began, and the
certificate may have expired or been revoked since; OpenSSL knows no deny list and no rules about names, and takes the
listener's own certificate for a client's. And connections that are open when a reload changes who is believed made no
handshake that could be refused.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, unique
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.core.acl import Rule
from authproxy.core.certificate import CertificateNames
from authproxy.errors import UnreadableCertificate
from authproxy.keystore.crl import Crl
from authproxy.keystore.lineage import is_self_signed, issued_by
from authproxy.keystore.model import fingerprint
from authproxy.keystore.names import certificate_names
from authproxy.keystore.trust import Truststore

_CLIENT_AUTH: Final = "1.3.6.1.5.5.7.3.2"


@unique
class PeerFault(Enum):
    """Why somebody is not let in; a label of the metrics, so that the list is short and fixed."""

    NO_CERTIFICATE = "no-certificate"
    UNREADABLE = "certificate-unreadable"
    EXPIRED = "certificate-expired"
    NOT_YET_VALID = "certificate-not-yet-valid"
    DENIED = "certificate-denied"
    OWN_KEY = "certificate-of-this-proxy"
    USAGE = "certificate-usage"
    UNTRUSTED = "certificate-untrusted"
    CHAIN_TOO_LONG = "certificate-chain-too-long"
    REVOKED = "certificate-revoked"
    CRL_MISSING = "crl-missing"
    CRL_EXPIRED = "crl-expired"
    NOT_ALLOWED = "certificate-not-allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Somebody is not let in."""

    fault: PeerFault
    detail: str = ""
    """For the log: what is wrong, and whose certificate it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Who may be at the other end of a connection. Judging waits for nothing and costs some microseconds."""

    is_required: bool
    """Nobody comes in without a certificate."""
    trust: Truststore
    own_keys: frozenset[str] = frozenset()
    """SHA-256 of the public keys that the listener itself shows: who has those is no client."""
    allow: tuple[Rule, ...] | None = None
    """Of those who show a certificate only whom one of these admits; None: everybody."""
    intermediates: int | None = None
    """How many authorities may stand between a certificate and the one that is believed; None: any number."""
    closes: bool = True
    """After a reload, connections end whose peers would be refused now."""
    _anchors: dict[str, x509.Certificate] = field(init=False, repr=False, compare=False)
    _crls: dict[tuple[str, str], Crl] = field(init=False, repr=False, compare=False)
    """By name and key of the authority: it may have renewed its certificate."""

    def __post_init__(self) -> None:
        # Not read further: a bundle may hold authorities that say odd things of themselves, and vouch for nobody here.
        anchors = {fingerprint(one): one for one in self.trust.certificates}
        crls = {_who(certificate_names(_der(crl.issuer))): crl for crl in self.trust.crls or ()}
        object.__setattr__(self, "_anchors", anchors)
        object.__setattr__(self, "_crls", crls)

    def judge(self, chain: Sequence[bytes], now: datetime, *, proven: bool) -> Refused | None:
        """Return why the owner of a chain is not let in at the aware instant `now`, or None.

        Args:
            chain: In DER, his own certificate first; empty: he showed none. That he holds the key is proved.
            now: Everything is judged as of this instant.
            proven: Each certificate is known to be issued by the next. Else signatures are verified here.
        """
        if not chain:
            return Refused(fault=PeerFault.NO_CERTIFICATE) if self.is_required else None
        try:
            names = [certificate_names(der) for der in chain]
            found = next(self._faults(chain, names, now, proven=proven), None)
        except UnreadableCertificate as error:
            return Refused(fault=PeerFault.UNREADABLE, detail=str(error))
        if found is None:
            return None
        (fault, about), own = found, names[0]
        return Refused(fault=fault, detail=f"{about}(subject {own.subject}, SHA-256 {own.fingerprint})")

    def _faults(
        self, chain: Sequence[bytes], names: list[CertificateNames], now: datetime, *, proven: bool
    ) -> Iterator[tuple[PeerFault, str]]:
        own = names[0]
        if own.spki in self.own_keys:
            yield PeerFault.OWN_KEY, "it has the key that this listener itself shows "
        if own.usages is not None and _CLIENT_AUTH not in own.usages:
            yield PeerFault.USAGE, "its extended key usage is not for clients "
        path = self._path(chain, names, proven=proven)
        for one in path or (own,):
            yield from self._faults_of(one, now)
        if path is None:
            yield PeerFault.UNTRUSTED, f"it does not lead to {self.trust.source} "
        else:
            yield from self._faults_of_path(path, now)
        if self.allow is not None and not any(rule.admits(own) for rule in self.allow):
            yield PeerFault.NOT_ALLOWED, "no rule of `allow` admits it "

    def _faults_of_path(self, path: Sequence[CertificateNames], now: datetime) -> Iterator[tuple[PeerFault, str]]:
        """Yield what is wrong with the way from the own certificate to somebody who is believed."""
        between, most = len(path) - 2, self.intermediates
        if most is not None and between > most:
            text = f"{between} authorities stand between it and {path[-1].subject}, at most {most} may (intermediates) "
            yield PeerFault.CHAIN_TOO_LONG, text
        if self.trust.crls is not None:
            yield from self._revocations(path, now)

    def _faults_of(self, one: CertificateNames, now: datetime) -> Iterator[tuple[PeerFault, str]]:
        """Yield what is wrong with a certificate of the path whoever has issued it."""
        if self.trust.denied.names(one):
            yield PeerFault.DENIED, f"the deny list names {one.subject} "
        if now >= one.not_after:
            yield PeerFault.EXPIRED, f"{one.subject} ended on {one.not_after.isoformat()} "
        if now < one.not_before:
            yield PeerFault.NOT_YET_VALID, f"{one.subject} begins on {one.not_before.isoformat()} "

    def _revocations(self, path: Sequence[CertificateNames], now: datetime) -> Iterator[tuple[PeerFault, str]]:
        """Yield why no revocation list vouches for the certificate at the beginning of a path."""
        crl = self._crls.get(_who(path[1])) if len(path) > 1 else None
        if crl is None:
            yield PeerFault.CRL_MISSING, "its issuer has no revocation list "
        elif now >= crl.ends:
            yield PeerFault.CRL_EXPIRED, f"{crl.source} expired on {crl.ends.isoformat()} "
        elif path[0].serial in crl.revoked:
            yield PeerFault.REVOKED, f"{crl.source} names it "

    def _path(
        self, chain: Sequence[bytes], names: list[CertificateNames], *, proven: bool
    ) -> list[CertificateNames] | None:
        """Return the certificates from the own one up to somebody who is believed, or None."""
        if proven:
            for place, one in enumerate(names):
                if one.fingerprint in self._anchors:
                    return names[: place + 1]
        # What led to an authority may lead to another one now: one that was renewed, or has signed the same key.
        certificates = [x509.load_der_x509_certificate(der) for der in chain]
        path, current = names[:1], certificates[0]
        for _ in certificates:
            if path[-1].fingerprint in self._anchors:
                return path
            anchor = _issuer_of(current, (one for one in self._anchors.values() if _may_issue(one)))
            if anchor is not None:
                return [*path, certificate_names(_der(anchor))]
            issuer = _issuer_of(current, (one for one in certificates if certificate_names(_der(one)).is_authority))
            if issuer is None:
                return None
            path, current = [*path, certificate_names(_der(issuer))], issuer
        return None


def _issuer_of(certificate: x509.Certificate, candidates: Iterable[x509.Certificate]) -> x509.Certificate | None:
    return next((one for one in candidates if issued_by(certificate, one)), None)


def _may_issue(anchor: x509.Certificate) -> bool:
    """Tell whether somebody who is believed is an authority; roots of version 1 could not say so."""
    is_old = anchor.version is x509.Version.v1 and is_self_signed(anchor)
    try:
        return is_old or certificate_names(_der(anchor)).is_authority
    except UnreadableCertificate:
        return False


def _who(names: CertificateNames) -> tuple[str, str]:
    return names.subject, names.spki


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)
