"""Reads what a finished handshake proves of the other end."""

import asyncio
import ssl

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
    asked: object = transport.get_extra_info("server_name")
    return Peer(
        address=address,
        port=port,
        local_port=local_port,
        tls_version=session.version() or "",
        cipher=cipher[0] if cipher else "",
        # Present only when the context asked for one and verified it.
        certificate=session.getpeercert(binary_form=True),
        server_name=asked if isinstance(asked, str) else None,
    )


def _address(name: object) -> tuple[str, int]:
    if isinstance(name, tuple) and len(name) >= 2 and isinstance(name[0], str) and isinstance(name[1], int):  # noqa: PLR2004  # host, port
        # An IPv4 client of a dual-stack socket is an IPv4 client; a zone index names an interface of ours.
        address = name[0].removeprefix("::ffff:") if "." in name[0] else name[0].partition("%")[0]
        return address, name[1]
    return "", 0
