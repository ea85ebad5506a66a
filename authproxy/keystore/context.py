"""Keystore and trust become an `SSLContext`: the only place that decides what our TLS is like.

A context is built whole, from memory, and never changed afterwards; a reload builds another one. Loading a
certificate into a live context can leave it without any, and one client authority can never be taken out again.
`create_default_context` is not used: what it means differs by Python version, and it honours SSLKEYLOGFILE.
"""

import os
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import NoReturn

from authproxy.errors import MaterialError
from authproxy.keystore.crl import pem_of
from authproxy.keystore.lineage import with_issuers
from authproxy.keystore.model import Keystore, subject
from authproxy.keystore.trust import Truststore

# TLS 1.2 suites; those of 1.3 are all good and cannot be chosen. OpenSSL's default list has CBC and DHE in it.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
# No keys of less than 112 bits of security, and no SHA-1, on either side, whatever the system's policy allows.
_LEVEL = 2
_ALPN = ["http/1.1"]
# Every certificate of a truststore is an anchor, also an intermediate. STRICT is left out, whatever the Python
# version's default: nREPL's documented openssl recipe makes authorities and leaves that it refuses.
_OWN_TRUST = ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST | ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
_SYSTEM_TRUST = ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST


class ClientMode(Enum):
    """Whether a listener asks its clients for a certificate."""

    NONE = "none"
    OPTIONAL = "optional"
    """None is fine; a bad one still fails the handshake."""
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificates:
    """What a listener demands of its clients."""

    mode: ClientMode = ClientMode.NONE
    trust: Truststore | None = None
    """Who may issue client certificates; None: the root of the listener's own keys file. Never the system's store."""


def server_context(
    keystore: Keystore,
    *,
    minimum: ssl.TLSVersion,
    client: ClientCertificates | None = None,
    tickets: int | None = None,
) -> ssl.SSLContext:
    """Return a context that shows `keystore` and asks for certificates as `client` says.

    `tickets`: how many a handshake of TLS 1.3 brings. None: one is enough to resume with, and a resumed session brings
    the next; with client certificates there are none, because a resumed one is not verified again. With tickets all the
    same, and in TLS 1.2, where OpenSSL's session cache stays on, whoever accepts connections must judge the peer anew.

    Raises:
        MaterialError: OpenSSL does not take the certificate, or there is no trust for client certificates.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _restrict(context, minimum)
    context.options |= ssl.OP_SINGLE_ECDH_USE
    # All suites are good ones: the client knows which its hardware is fast with, a phone or a server.
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    demands = client is not None and client.mode is not ClientMode.NONE
    context.num_tickets = int(not demands) if tickets is None else tickets
    if not context.num_tickets:
        # By itself it makes TLS 1.3 tickets stateful; with `num_tickets` there are none.
        context.options |= ssl.OP_NO_TICKET
    if client is None or not demands:
        load_keystore(context, keystore)
        return context
    trust = believed(keystore, client)
    # At every handshake OpenSSL would look for a lone leaf's issuers among those that it trusts, verify and send them:
    # the same bytes for a tenth of a millisecond. It does not where it is given a chain. Where it has a choice it goes on
    # choosing: it takes one that is valid at that moment.
    continued = replace(keystore, chain=with_issuers(keystore.chain, trust.certificates))
    try:
        load_keystore(context, continued)
    except MaterialError as error:
        _blame(keystore, continued, trust, error)
        raise
    _believe(context, trust)
    context.verify_mode = ssl.CERT_REQUIRED if client.mode is ClientMode.REQUIRED else ssl.CERT_OPTIONAL
    return context


def believed(keystore: Keystore, client: ClientCertificates) -> Truststore:
    """Return who may issue client certificates where `keystore` is shown.

    Raises:
        MaterialError: nobody is named, and the keystore is no keys file, which brings its own root.
    """
    if client.trust is not None:
        return client.trust
    if keystore.root is not None:
        return Truststore(name=keystore.name, certificates=(keystore.root,), source=keystore.source)
    problem = "holds no root certificate to trust clients by (name a truststore, or use a keys file)"
    raise MaterialError(keystore.source, problem)


def client_context(trust: Truststore | None, keystore: Keystore | None = None) -> ssl.SSLContext:
    """Return a context that verifies chain and host name of the server, and presents `keystore` if asked.

    Args:
        trust: Who may issue the server's certificate, and nobody else; None: the system's store.
        keystore: The client certificate.

    Raises:
        MaterialError: OpenSSL does not take the trust or the client certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _restrict(context, ssl.TLSVersion.TLSv1_2)
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    context.hostname_checks_common_name = False
    if trust is None:
        context.verify_flags = _SYSTEM_TRUST
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _believe(context, trust)
    if keystore is not None:
        load_keystore(context, keystore)
    return context


def tunnel_context(trust: Truststore, keystore: Keystore, *, names: bool) -> ssl.SSLContext:
    """Return a context for `authproxy connect`: TLS 1.3 alone, and nothing is said of what is spoken in it.

    `names`: False: the chain must lead to `trust`, and the certificate may name anybody, as nREPL's do.

    Raises:
        MaterialError: OpenSSL does not take the trust or the client certificate.
    """
    context = client_context(trust, keystore)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([])
    context.check_hostname = names
    return context


def _restrict(context: ssl.SSLContext, minimum: ssl.TLSVersion) -> None:
    if minimum not in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        raise ValueError(f"{minimum.name} is no minimum, only TLSv1_2 and TLSv1_3 are")
    context.minimum_version = minimum
    context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    # Set by default before Python 3.11.4: a stream that was cut off would look like one that ended.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    # A system's own Python may take a lower one from OpenSSL's configuration file; a higher one is obeyed.
    context.set_ciphers(f"{_CIPHERS}:@SECLEVEL={max(context.security_level, _LEVEL)}")
    context.set_alpn_protocols(_ALPN)


def _believe(context: ssl.SSLContext, trust: Truststore) -> None:
    context.verify_flags = _OWN_TRUST
    try:
        if trust.certificates:
            context.load_verify_locations(cadata=trust.der())
        if trust.crls is not None:
            context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
            if trust.crls:
                _with_path_of(pem_of(trust.crls), lambda path: context.load_verify_locations(cafile=path))
    except ssl.SSLError as error:
        raise MaterialError(trust.source, f"openssl does not accept the certificates: {error.reason}") from error


def load_keystore(context: ssl.SSLContext, keystore: Keystore) -> None:
    """Let a context that shows nothing yet show this keystore.

    Raises:
        MaterialError: OpenSSL does not take it.
    """
    pem = keystore.key_pem() + keystore.chain_pem()
    try:
        _with_path_of(pem, lambda path: context.load_cert_chain(path, password=_never_prompt))
    except ssl.SSLError as error:
        raise MaterialError(keystore.source, f"openssl does not accept the certificate: {error.reason}") from error


def _blame(keystore: Keystore, continued: Keystore, trust: Truststore, error: MaterialError) -> None:
    """Return when it is the keystore that OpenSSL does not take, and not an authority in `trust` that issued it.

    Raises:
        MaterialError: it is that authority.
    """
    if continued.chain == keystore.chain:
        return
    probe = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _restrict(probe, ssl.TLSVersion.TLSv1_2)
    load_keystore(probe, keystore)
    issuer = subject(continued.chain[len(keystore.chain)])
    raise MaterialError(trust.source, f"the authority {issuer}: {error.problem}") from error


def _with_path_of(pem: bytes, load: Callable[[str], None]) -> None:
    # The ssl module takes paths only; this one leads to memory that has no name and ends with the descriptor.
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        with os.fdopen(os.memfd_create("keystore", os.MFD_CLOEXEC), "wb") as memory:
            memory.write(pem)
            memory.flush()
            load(f"/proc/self/fd/{memory.fileno()}")
        return
    with tempfile.NamedTemporaryFile(prefix="authproxy-") as file:  # mode 0600
        file.write(pem)
        file.flush()
        load(file.name)


def _never_prompt() -> NoReturn:
    # Without this OpenSSL would ask the terminal and the daemon would hang; keys were decrypted long before.
    raise AssertionError
