"""Proof that a freshly built context can shake hands, before anybody depends on it."""

import ssl

from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.errors import MaterialError
from authproxy.keystore.model import Keystore
from authproxy.keystore.trust import Truststore

_VERSIONS = (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2)
# X509_V_FLAG_NO_CHECK_TIME: dates are `check`'s business, and a chain that expired since its last check, unchanged,
# must not stand in the way of a reload of something else. The ssl module has no name for it.
_NO_CHECK_TIME = 0x200000
_ROUNDS = 8
# What a server says that wants a certificate: everything that the self-test is about has succeeded by then.
_WANTS_CERTIFICATE = "PEER_DID_NOT_RETURN_A_CERTIFICATE"


def self_test(context: ssl.SSLContext, keystore: Keystore) -> None:
    """Return when a client that trusts exactly this chain completes a handshake in memory, in every version allowed.

    The client verifies chain, signatures and usages and that it got this very certificate; it looks at no name and no
    date. Where the server demands a client certificate, the test ends at that demand.

    Raises:
        MaterialError: a handshake fails.
    """
    for version in _VERSIONS:
        if version >= context.minimum_version:
            _try(context, keystore, version)


def _try(context: ssl.SSLContext, keystore: Keystore, version: ssl.TLSVersion) -> None:
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = _throwaway(keystore, version).wrap_bio(down, up)
    server = context.wrap_bio(up, down, server_side=True)
    try:
        through = shake(client, server)
    except ssl.SSLError as error:
        reason, detail = error.reason or str(error), getattr(error, "verify_message", "")
        raise _failure(keystore, version, f"{reason} ({detail})" if detail else reason) from error
    if through and client.getpeercert(binary_form=True) != keystore.leaf.public_bytes(Encoding.DER):
        raise _failure(keystore, version, "the certificate shown is not the keystore's")


def shake(client: ssl.SSLObject, server: ssl.SSLObject) -> bool:
    """Let the two shake hands; say whether the client is through (in TLS 1.2 it waits for the server's last word)."""
    through = False
    for _ in range(_ROUNDS):
        through = _step(client)
        try:
            if _step(server) and through:
                break
        except ssl.SSLError as error:
            if error.reason == _WANTS_CERTIFICATE:
                break
            raise
    else:
        raise ssl.SSLError(ssl.SSLErrorNumber.SSL_ERROR_SSL, "it does not end")
    return through


def _step(end: ssl.SSLObject) -> bool:
    """Take the handshake as far as it goes; say whether this end is through."""
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _throwaway(keystore: Keystore, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags = ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_NO_CHECK_TIME)
    context.minimum_version = context.maximum_version = version
    anchor = keystore.root or keystore.chain[-1]
    context.load_verify_locations(cadata=Truststore(name="", certificates=(anchor,), source="").der())
    return context


def _failure(keystore: Keystore, version: ssl.TLSVersion, reason: str) -> MaterialError:
    return MaterialError(keystore.source, f"the self-test handshake ({version.name}) failed: {reason}")
