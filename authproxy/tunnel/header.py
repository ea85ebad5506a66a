"""The PROXY protocol's header, version 2, as a tunnel's target gets it.

Source: HAProxy, doc/proxy-protocol.txt, sections 2.2 and 2.2.6.
"""

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from authproxy.core.certificate import CertificateNames
from authproxy.core.peer import Peer
from authproxy.runtime import ProxyHeader

_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_PROXY: Final = 0x21
_UNSPEC, _TCP4, _TCP6 = 0x00, 0x11, 0x21
_SSL: Final = 0x20
_VERSION, _COMMON_NAME, _CIPHER, _CERTIFICATE = 0x21, 0x22, 0x23, 0x28
# The client speaks TLS; it showed a certificate on this connection; and in this session.
_HAS_TLS, _HAS_CERTIFICATE = 0x01, 0x02 | 0x04
_VERIFIED, _NOT_VERIFIED = 0, 1
# All TLVs together must fit in 16 bits of length; no honest certificate comes near.
_LARGEST: Final = 48 * 1024


def header(what: ProxyHeader, peer: Peer, local: tuple[str, int], names: CertificateNames | None) -> bytes:
    """Return what the target is told first; empty for nothing.

    `local`: the address and port that the client came to. A certificate with no or several common names, or one that
    is not printable, is told without it.
    """
    if what is ProxyHeader.NONE:
        return b""
    family, block = _addresses((peer.address, peer.port), local)
    if what is not ProxyHeader.ADDRESS:
        block += _session(peer, names, whole=what is ProxyHeader.CERTIFICATE)
    return _SIGNATURE + struct.pack("!BBH", _PROXY, family, len(block)) + block


def _addresses(client: tuple[str, int], local: tuple[str, int]) -> tuple[int, bytes]:
    try:
        pair = ip_address(client[0]), ip_address(local[0])
    except ValueError:
        # A client of a Unix socket.
        return _UNSPEC, b""
    ports = struct.pack("!HH", client[1], local[1])
    if isinstance(pair[0], IPv4Address) and isinstance(pair[1], IPv4Address):
        return _TCP4, pair[0].packed + pair[1].packed + ports
    # A balancer may have told an address of the other family than that of our own socket.
    return _TCP6, b"".join(map(_as_v6, pair)) + ports


def _as_v6(address: IPv4Address | IPv6Address) -> bytes:
    if isinstance(address, IPv4Address):
        return bytes(10) + b"\xff\xff" + address.packed
    return address.packed


def _session(peer: Peer, names: CertificateNames | None, *, whole: bool) -> bytes:
    shown = peer.certificate is not None
    flags = _HAS_TLS | (_HAS_CERTIFICATE if shown else 0)
    content = struct.pack("!BI", flags, _VERIFIED if shown else _NOT_VERIFIED)
    content += _field(_VERSION, peer.tls_version.encode())
    if names is not None and len(names.common_names) == 1 and names.common_names[0].isprintable():
        content += _field(_COMMON_NAME, names.common_names[0].encode())
    content += _field(_CIPHER, peer.cipher.encode())
    if whole and peer.certificate is not None and len(peer.certificate) <= _LARGEST:
        content += _field(_CERTIFICATE, peer.certificate)
    return _field(_SSL, content)


def _field(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value
