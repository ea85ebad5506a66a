"""Reads what a finished handshake proves of the other end."""

import asyncio
import ssl
from datetime import datetime
from functools import lru_cache

from cryptography import x509

from authproxy.core.peer import Peer


def peer_of(transport: asyncio.BaseTransport) -> Peer:
    """Return who is at the other end of a transport, as the socket and the TLS session say."""
    name: object = transport.get_extra_info("peername")
    local: object = transport.get_extra_info("sockname")
    address, port = _address(name)
    _, local_port = _address(local)
    session: object = transport.get_extra_info("ssl_object")
    if not isinstance(session, ssl.SSLObject):
        return Peer(address=address, port=port, local_port=local_port)
    cipher = session.cipher()
    return Peer(
        address=address,
        port=port,
        local_port=local_port,
        tls_version=session.version() or "",
        cipher=cipher[0] if cipher else "",
        # Present only when the context asked for one and verified it.
        certificate=session.getpeercert(binary_form=True),
    )


def _address(name: object) -> tuple[str, int]:
    if isinstance(name, tuple) and len(name) >= 2 and isinstance(name[0], str) and isinstance(name[1], int):  # noqa: PLR2004  # host, port
        # An IPv4 client of a dual-stack socket is an IPv4 client; a zone index names an interface of ours.
        address = name[0].removeprefix("::ffff:") if "." in name[0] else name[0].partition("%")[0]
        return address, name[1]
    return "", 0


@lru_cache(maxsize=64)
def demand_of(context: ssl.SSLContext) -> tuple[int, frozenset[bytes]]:
    """Return what a context demands of its clients: how strictly (0: no certificate), and whose certificates count."""
    return context.verify_mode, frozenset(context.get_ca_certs(binary_form=True))


def still_meets(transport: asyncio.BaseTransport | None, demand: tuple[int, frozenset[bytes]] | None) -> bool:
    """Tell whether whoever met the demand of its handshake has met this one too; an added authority shuts nobody out."""
    context: object = None if transport is None else transport.get_extra_info("sslcontext")
    if demand is None or not isinstance(context, ssl.SSLContext) or not demand[0]:
        return True
    strictness, believed = demand_of(context)
    return strictness >= demand[0] and believed <= demand[1]


def is_expired(peer: Peer, now: datetime) -> bool:
    """Tell whether the peer's certificate has ended: a resumed TLS 1.2 session is not verified again by OpenSSL."""
    return peer.certificate is not None and x509.load_der_x509_certificate(peer.certificate).not_valid_after_utc <= now
