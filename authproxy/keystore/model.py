"""What a keystore is once it has been read: a chain, its private key, and where they came from."""

import ipaddress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
"""The keys that a TLS handshake can sign with."""


class Role(Enum):
    """What a keystore is meant to do; `check` asks different things of each."""

    SERVER = "server"
    """Shown by an http listener, whose clients look for a name in it."""
    TCP = "tcp"
    """Shown by a tcp listener; nREPL's clients look for no name."""
    CLIENT = "client"
    """Presented to an upstream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keystore:
    """A certificate chain with its private key; the reader that made it has proved that the two belong together.

    Dates, key sizes, names and usages are not judged here, see `check`.
    Two keystores are equal when they would send the same chain from the same place.
    """

    name: str
    """The keystore's key in the configuration."""
    chain: tuple[x509.Certificate, ...]
    """What is sent: the own certificate, then each issuer in turn, without a self-signed root."""
    key: PrivateKey = field(repr=False, compare=False)
    """Decrypted; never printed."""
    root: x509.Certificate | None = None
    """The self-signed authority that issued the own certificate, when the same file holds it (an nREPL keys file)."""
    source: str
    """The file, or the environment variable, it was read from; for messages."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What the operator should hear at start, one line each: accepted, but not as it should be."""

    @property
    def leaf(self) -> x509.Certificate:
        """The own certificate."""
        return self.chain[0]

    @property
    def all(self) -> tuple[x509.Certificate, ...]:
        """The chain, and the root where there is one: peers look at the dates of each."""
        return self.chain if self.root is None else (*self.chain, self.root)

    @property
    def uris(self) -> tuple[str, ...]:
        """The URIs that the own certificate names."""
        names = alternative_names(self.leaf)
        return () if names is None else tuple(names.get_values_for_type(x509.UniformResourceIdentifier))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the own certificate, 64 lower-case hex digits."""
        return fingerprint(self.leaf)

    @property
    def not_after(self) -> datetime:
        """The aware instant at which the first of these certificates ends."""
        return min(certificate.not_valid_after_utc for certificate in self.all)

    def remaining(self, now: datetime) -> timedelta:
        """Return how long all of them stay valid; negative when one has ended."""
        return self.not_after - now

    def days_left(self, now: datetime) -> int:
        """Return the whole days that remain, rounded down: 0 on the last day, negative afterwards."""
        return self.remaining(now).days

    def covers(self, name: str) -> bool:
        """Say whether a client that looks for `name` (host name or IP address) accepts the own certificate."""
        return covers(self.leaf, name)

    def key_pem(self) -> bytes:
        """Return the private key as unencrypted PKCS#8 PEM; the caller answers for where it goes."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def chain_pem(self) -> bytes:
        """Return the chain as PEM, own certificate first."""
        return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in self.chain)


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the certificate's DER form, 64 lower-case hex digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def subject(certificate: x509.Certificate) -> str:
    """Return the subject for a message: RFC 4514, control characters escaped, at most 120 characters."""
    return printable(certificate.subject.rfc4514_string() or "(no subject)")


def printable(text: str) -> str:
    """Return text out of a file for a message: control characters escaped, at most 120 characters."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)[:120]


def alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    """Return the subject alternative names; None: there are none.

    Raises:
        ValueError: an extension of the certificate cannot be read.
    """
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def covers(certificate: x509.Certificate, name: str) -> bool:
    """Say whether `name` stands in the subject alternative names, as RFC 9525 compares them.

    A host name matches exactly, or under one left-most `*` label; an IP address only matches an IP entry.
    The common name counts for nothing. A `name` that starts with `*.` needs that very entry.
    """
    names = alternative_names(certificate)
    if names is None:
        return False
    try:
        return ipaddress.ip_address(name.strip("[]")) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        wanted = name.lower().removesuffix(".")
    known = {entry.lower() for entry in names.get_values_for_type(x509.DNSName)}
    _, dot, parent = wanted.partition(".")
    return wanted in known or (bool(dot) and f"*.{parent}" in known)
