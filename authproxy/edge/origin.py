"""Where a request comes from, as upstreams are told: the socket's word, or a trusted proxy's."""

import re
from typing import Final

from authproxy.core.decision import Network, is_within, read_address
from authproxy.core.peer import Peer

_SCHEMES: Final = frozenset({b"http", b"https"})
_HOST_BYTES: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~:[]"
# How many proxies back a trusted one's X-Forwarded-For is read.
_MAX_CHAIN: Final = 20


class Origin:
    """What is said of the client's address and scheme upstream; made once for a connection of an untrusted peer."""

    __slots__ = ("_lines", "_lines_for", "_rest", "address", "host")

    def __init__(self, address: str, rest: bytes, host: bytes | None = None) -> None:
        self.address = address
        """The client's address, on which `allow.networks` decides."""
        self.host = host
        """The host that a trusted proxy says the client asked for; None: the request's own."""
        self._rest = rest
        self._lines_for = b""
        self._lines = b""

    def lines(self, host: bytes) -> bytes:
        """Return the lines for a request whose Host was `host`; a connection mostly asks for one host."""
        if host != self._lines_for:
            shown = self.host or host
            self._lines_for = host
            self._lines = b'%b;host="%b"\r\nX-Forwarded-Host: %b\r\n' % (self._rest, shown, shown)
        return self._lines


def origin_of(peer: Peer) -> Origin:
    """Return the origin of a peer that is believed about nothing but its own address."""
    address = peer.address.encode()
    # A Unix socket's other end has no address to speak of.
    known = b"X-Forwarded-For: %b\r\nX-Real-IP: %b\r\n" % (address, address) if address else b""
    return Origin(
        peer.address,
        known
        + b"X-Forwarded-Proto: https\r\nX-Forwarded-Port: %d\r\nForwarded: for=%b;proto=https"
        % (peer.local_port, _node(address)),
    )


def origin_behind(peer: Peer, forwarded: list[tuple[bytes, bytes]], trusted: tuple[Network, ...]) -> Origin:
    """Return the origin that a trusted peer reports; the caller has checked that the peer is trusted.

    X-Forwarded-For is read from right to left: the first address that is not a trusted proxy is the client's.
    What is malformed is not believed. Source: RFC 7239, 5.2 and 8.1.
    """
    said: dict[bytes, list[bytes]] = {}
    for name, value in forwarded:
        said.setdefault(name, []).append(value)
    chain = [part.strip() for part in b",".join(said.get(b"x-forwarded-for", [])).split(b",")][-_MAX_CHAIN:]
    chain = [part for part in chain if part] or _chain_of(said.get(b"forwarded", []))
    client = _client(chain, peer.address, trusted)
    proto = said.get(b"x-forwarded-proto", [b""])[-1].lower()
    port = said.get(b"x-forwarded-port", [b""])[-1]
    host = said.get(b"x-forwarded-host", [b""])[-1]
    own = peer.address.encode()
    history = b"".join(value + b", " for value in said.get(b"forwarded", []))
    rest = (
        b"X-Forwarded-For: %b\r\nX-Real-IP: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Port: %b\r\n"
        b"Forwarded: %bfor=%b;proto=https" % (
            b", ".join([*chain, own]), client.encode(), proto if proto in _SCHEMES else b"https",
            port if port.isdigit() else b"%d" % peer.local_port, history, _node(own),
        )
    )  # fmt: skip
    return Origin(client, rest, host if host and not host.translate(None, _HOST_BYTES) else None)


# One element of Forwarded (RFC 7239, 4) by its `for`: an address, bracketed if it is IPv6, with or without port.
_FOR: Final = re.compile(rb'(?i)(?:^|;)[ \t]*for="?\[?([0-9a-f.:]*?)\]?(?::[0-9]{1,5})?"?[ \t]*(?:;|$)').search


def _chain_of(values: list[bytes]) -> list[bytes]:
    """Return the addresses that Forwarded names; an element without one stands as what is no address."""
    parts = b",".join(values).split(b",")[-_MAX_CHAIN:] if values else []
    found = [_FOR(part.strip(b" \t")) for part in parts]
    return [b"unknown" if match is None else match[1] for match in found]


def _client(chain: list[bytes], peer: str, trusted: tuple[Network, ...]) -> str:
    client = peer
    for part in reversed(chain):
        address = part.decode("latin-1")
        if read_address(address) is None:
            break
        client = address
        if not is_within(address, trusted):
            break
    return client


def _node(address: bytes) -> bytes:
    """Return an address as a node identifier (RFC 7239, 6)."""
    if not address:
        return b"unknown"
    return b'"[%b]"' % address if b":" in address else address
