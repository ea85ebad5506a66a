"""Reads what a finished handshake proves of the other end."""

import asyncio
import ssl

from authproxy.core.peer import Peer


def peer_of(transport: asyncio.BaseTransport) -> Peer:
    """Return who is at the other end of a transport, as the socket and the TLS session say."""
    told = transport.get_extra_info
    address, port = _address(told("peername"))
    local: object = told("sockname")
    session: object = told("ssl_object")
    name: object = told("server_name")
    return Peer(
        address,
        port,
        local[1] if isinstance(local, tuple) else 0,
        # Present only when the context asked for one and verified it.
        certificate=session.getpeercert(binary_form=True) if isinstance(session, ssl.SSLObject) else None,
        server_name=name if isinstance(name, str) else None,
    )


def with_session(peer: Peer, transport: asyncio.BaseTransport) -> Peer:
    """Return the same, with what the TLS session is like; most never ask."""
    session: object = transport.get_extra_info("ssl_object")
    if not isinstance(session, ssl.SSLObject):
        return peer
    cipher = session.cipher()
    return peer._replace(tls_version=session.version() or "", cipher=cipher[0] if cipher else "")


def _address(name: object) -> tuple[str, int]:
    if not isinstance(name, tuple):
        return "", 0
    host: str = name[0]
    port: int = name[1]
    if ":" in host:
        # An IPv4 client of a dual-stack socket is an IPv4 client; a zone index names an interface of ours.
        host = host.removeprefix("::ffff:") if "." in host else host.partition("%")[0]
    return host, port
