"""PEM blocks become certificates and one private key, each refusal with its cure."""

from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import PublicKeyAlgorithmOID

from authproxy.core.secret import Secret
from authproxy.errors import MaterialError
from authproxy.keystore.blocks import Block
from authproxy.keystore.cost import refuse_costly, rounds_of_key
from authproxy.keystore.model import PrivateKey

UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)
"""What cryptography raises, now or at the first look at a field, for a certificate that it cannot make sense of."""

NEW_KEY = "make a new key: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out FILE"
"""What to do about a key that TLS, or Python's ssl module, cannot use: no command converts it."""

# Labels near enough to a certificate or a key that leaving them out silently would puzzle somebody.
_CURES = {
    "X509 CERTIFICATE": "an old label, rewrite it with openssl x509 -in OLD -out NEW",
    "TRUSTED CERTIFICATE": "OpenSSL's own form, rewrite it with openssl x509 -in OLD -out NEW",
    "PKCS7": "a PKCS#7 bundle, unpack it with openssl pkcs7 -print_certs -in OLD -out NEW",
    "CMS": "a CMS bundle, unpack it with openssl pkcs7 -print_certs -in OLD -out NEW",
    "OPENSSH PRIVATE KEY": "an ssh key, rewrite it with ssh-keygen -p -m pkcs8 -f FILE",
    "DSA PRIVATE KEY": f"DSA keys cannot be used for TLS, {NEW_KEY}",
}
_KEY_LABELS = ("PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")
_WRONG_PLACE = {
    "CERTIFICATE REQUEST": "a certificate request, wait for the authority's answer",
    "NEW CERTIFICATE REQUEST": "a certificate request, wait for the authority's answer",
    "PUBLIC KEY": "a public key, the private one is needed too",
    "X509 CRL": "a revocation list",
}


def certificates(blocks: Iterable[Block], source: str) -> tuple[x509.Certificate, ...]:
    """Return the certificates among the blocks, in order, each once.

    Raises:
        MaterialError: one cannot be parsed.
    """
    found: dict[x509.Certificate, None] = {}
    for block in blocks:
        if block.label != "CERTIFICATE":
            continue
        try:
            found[_load_certificate(block.der)] = None
        except UNREADABLE as error:
            raise MaterialError(source, f"block {block.number} (CERTIFICATE) is no certificate: {error}") from error
    return tuple(found)


def certificate(der: bytes, where: str, source: str) -> x509.Certificate:
    """Return the certificate in `der`; raises MaterialError."""
    try:
        return _load_certificate(der)
    except UNREADABLE as error:
        raise MaterialError(source, f"{where} is no certificate that can be read: {error}") from error


def private_key(blocks: Sequence[Block], source: str, password: Secret[bytes] | None) -> PrivateKey | None:
    """Return the one private key among the blocks, decrypted; None: there is none.

    The same key twice counts once. The password is only used when the key is encrypted, and nothing ever prompts.

    Raises:
        MaterialError: there are two keys, or one that cannot be decrypted, parsed or used for TLS.
    """
    refuse_strange_blocks(blocks, source)
    keys = [_load_key(block, source, password) for block in blocks if block.is_private_key]
    if len({public_der(key.public_key()) for key in keys}) > 1:
        raise MaterialError(source, "holds two different private keys, remove the one that is not used")
    return keys[0] if keys else None


def refuse_strange_blocks(blocks: Iterable[Block], source: str) -> None:
    """Refuse labels that say certificate or key but in a form that is not read here.

    Raises:
        MaterialError: naming the block and how to convert it.
    """
    for block in blocks:
        if cure := _CURES.get(block.label):
            raise MaterialError(source, f"block {block.number} is a {block.label}: {cure}")
        if block.is_private_key and block.label not in _KEY_LABELS:
            raise MaterialError(source, f"block {block.number} is a {block.label}, which is not known here")


def missing(what: str, blocks: Sequence[Block], source: str) -> MaterialError:
    """Return the error for a text without a `what` block, telling what stands there instead."""
    if not blocks:
        return MaterialError(source, f"no {what} block: the text holds no PEM block at all")
    for block in blocks:
        if hint := _WRONG_PLACE.get(block.label):
            return MaterialError(source, f"no {what} block, only {hint}")
    labels = ", ".join(dict.fromkeys(block.label for block in blocks))
    return MaterialError(source, f"no {what} block (it holds: {labels})")


def public_der(key: object) -> bytes:
    """Return the SubjectPublicKeyInfo of a public key, by which keys and certificates are matched."""
    if not isinstance(
        key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
    ):
        return b""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _load_certificate(der: bytes) -> x509.Certificate:
    certificate = x509.load_der_x509_certificate(der)
    # Fields are parsed when they are looked at: look now, while the block's number is known.
    _ = (certificate.subject, certificate.issuer, certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    return certificate


def _load_key(block: Block, source: str, password: Secret[bytes] | None) -> PrivateKey:
    where = f"block {block.number} ({block.label})"
    encrypted = block.label == "ENCRYPTED PRIVATE KEY" or block.dek_info is not None
    if encrypted and password is None:
        raise MaterialError(source, f"{where} is encrypted and no password is given (set the keystore's password)")
    if block.label == "ENCRYPTED PRIVATE KEY":
        refuse_costly(rounds_of_key(block.der), source)
    secret = password.reveal() if encrypted and password is not None else None
    try:
        key = serialization.load_pem_private_key(block.pem(), secret)
    except UnsupportedAlgorithm as error:
        raise MaterialError(source, f"{where} has an unsupported type: {error}") from error
    except (ValueError, TypeError) as error:
        problem = "the password is wrong, or the block is damaged" if encrypted else "is damaged"
        raise MaterialError(source, f"{where} cannot be read: {problem}") from error
    if block.label == "PRIVATE KEY":
        _refuse_pss(block.der, where, source)
    return usable(key, where, source)


def plain_key(der: bytes, where: str, source: str) -> PrivateKey:
    """Return the private key of a PrivateKeyInfo (PKCS#8).

    Raises:
        MaterialError: it cannot be parsed, or not be used for TLS.
    """
    try:
        key = serialization.load_der_private_key(der, None)
    except UnsupportedAlgorithm as error:
        raise MaterialError(source, f"{where} has an unsupported type: {error}") from error
    except (ValueError, TypeError) as error:
        raise MaterialError(source, f"{where} cannot be read: is damaged") from error
    _refuse_pss(der, where, source)
    return usable(key, where, source)


def usable(key: object, where: str, source: str) -> PrivateKey:
    """Return the key that a handshake can sign with.

    Raises:
        MaterialError: it is none.
    """
    if isinstance(
        key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
    ):
        return key
    raise MaterialError(source, f"{where} is of a type that TLS cannot sign with ({NEW_KEY})")


# cryptography reads an RSA-PSS key as plain RSA; only the algorithm identifier in PKCS#8 tells them apart.
_PSS_OID_DER = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"
_PKCS8_HEAD = 64


def _refuse_pss(der: bytes, where: str, source: str) -> None:
    if _PSS_OID_DER in der[:_PKCS8_HEAD]:
        raise MaterialError(source, f"{where} is an RSA-PSS key, which cannot be used here ({NEW_KEY})")


def is_pss(certificate: x509.Certificate) -> bool:
    """Say whether the certificate's own key may only sign RSA-PSS, which the ssl module cannot load."""
    return certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS
