"""What must be true of a keystore before it may be used; asked at start, at reload and by `authproxy check`."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from authproxy.errors import MaterialError
from authproxy.keystore.lineage import is_self_signed
from authproxy.keystore.model import Keystore, PrivateKey, Role, alternative_names, subject

MIN_RSA_BITS = 2048  # NIST SP 800-57 part 1, 112 bits of security; Mozilla's intermediate profile
# What Apple's systems refuse of a server, whoever has issued it (support.apple.com/HT210176).
_LONGEST = timedelta(days=825)
_WEAK_HASHES = (hashes.MD5, hashes.SHA1)
# The curves that TLS 1.3 can sign with (RFC 8446, 4.2.3).
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


def check(keystore: Keystore, role: Role, now: datetime, names: Iterable[str] = ()) -> None:
    """Return when the keystore is fit for `role` at the aware instant `now`.

    Asked are: dates of the whole chain and of a keys file's root, size of the key, signatures (no SHA-1 or MD5), usages, and for an http
    listener a subject alternative name. A certificate is dead at the very instant in not-after.
    That key and certificate belong together was proved by the reader; who issued the chain is the peers' business.

    Args:
        keystore: As a reader returned it.
        role: What it is for.
        now: An aware datetime.
        names: Host names that the own certificate must cover; `*.example.org` needs that very entry.

    Raises:
        MaterialError: naming the first thing that is wrong.
    """
    for problem in (
        _problem_of_dates(keystore, now),
        _problem_of_key(keystore.key),
        _problem_of_signatures(keystore),
        _problem_of_usage(keystore.leaf, role),
        _problem_of_names(keystore, role, names),
    ):
        if problem:
            raise MaterialError(keystore.source, problem)


def remarks(keystore: Keystore, roles: Iterable[Role]) -> tuple[str, ...]:
    """Return what should be known of a keystore that may be used, one line each."""
    leaf = keystore.leaf
    valid = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    if Role.SERVER not in roles or valid <= _LONGEST:
        return ()
    text = (
        f"the certificate {subject(leaf)} is valid for {valid.days} days: some clients refuse more than {_LONGEST.days}"
    )
    return (f"{keystore.source}: {text}",)


def _problem_of_dates(keystore: Keystore, now: datetime) -> str | None:
    for certificate in keystore.all:
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if now >= end:
            return f"the certificate {subject(certificate)} expired on {end.isoformat()} (renew it)"
        if now < begin:
            return (
                f"the certificate {subject(certificate)} is not valid before {begin.isoformat()} (is the clock right?)"
            )
    return None


def _problem_of_key(key: PrivateKey) -> str | None:
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < MIN_RSA_BITS:
        return f"the RSA key has {key.key_size} bits, should be at least {MIN_RSA_BITS}"
    if isinstance(key, ec.EllipticCurvePrivateKey) and not isinstance(key.curve, _CURVES):
        return f"the EC key is on the curve {key.curve.name}, should be P-256, P-384 or P-521"
    return None


def _problem_of_signatures(keystore: Keystore) -> str | None:
    for certificate in keystore.chain:
        try:
            algorithm = certificate.signature_hash_algorithm
        except UnsupportedAlgorithm:
            return f"the certificate {subject(certificate)} is signed with an unknown algorithm"
        if isinstance(algorithm, _WEAK_HASHES):
            return f"the certificate {subject(certificate)} is signed with {algorithm.name}, should be sha256 or better"
    return None


def _problem_of_usage(leaf: x509.Certificate, role: Role) -> str | None:
    wanted, wanted_name = ExtendedKeyUsageOID.SERVER_AUTH, "serverAuth"
    if role is Role.CLIENT:
        wanted, wanted_name = ExtendedKeyUsageOID.CLIENT_AUTH, "clientAuth"
    for extension in leaf.extensions:
        match extension.value:
            case x509.ExtendedKeyUsage() as usage:
                if wanted not in usage and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in usage:
                    return f"the certificate's extended key usage lacks {wanted_name}, peers would refuse it"
            case x509.KeyUsage(digital_signature=False):
                return "the certificate's key usage lacks digitalSignature, which every handshake needs"
            case _:
                pass
    return None


def _problem_of_names(keystore: Keystore, role: Role, names: Iterable[str]) -> str | None:
    if role is Role.SERVER and not _has_name(keystore.leaf):
        hint = " (a self-signed one needs it too)" if is_self_signed(keystore.leaf) else ""
        return f"the certificate has no subject alternative name, clients ignore the common name{hint}"
    for name in names:
        if not keystore.covers(name):
            return f"the certificate does not cover {name} (it covers: {_listed(keystore.leaf)})"
    return None


def _has_name(leaf: x509.Certificate) -> bool:
    names = alternative_names(leaf)
    return names is not None and any(isinstance(name, x509.DNSName | x509.IPAddress) for name in names)


def _listed(leaf: x509.Certificate) -> str:
    names = alternative_names(leaf)
    known = [str(name.value) for name in names or () if isinstance(name, x509.DNSName | x509.IPAddress)]
    return ", ".join(known[:8]) or "nothing"
