"""Where a request comes from, as upstreams are told: the socket's word, or a trusted proxy's."""

import re
from functools import lru_cache
from typing import Final

from authproxy.core.decision import Network, is_within, read_address
from authproxy.core.peer import Peer
from authproxy.edge.shown import Shown

_SCHEMES: Final = frozenset({b"http", b"https"})
_HOST_BYTES: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~:[]"
# How many proxies back a trusted one's X-Forwarded-For is read.
_MAX_CHAIN: Final = 20
# Of so many addresses it is remembered what is said of them.
_REMEMBERED: Final = 1024


_UNKNOWN: Final = b"X-Forwarded-Proto: https\r\nForwarded: for=unknown;proto=https"
_KNOWN: Final = (
    b"X-Forwarded-For: %b\r\nX-Real-IP: %b\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: %d\r\n"
    b"Forwarded: for=%b;proto=https"
)

UNKNOWN: Final = "unknown"
"""Where the client is cannot be said for certain; lies in no network that `allow` could name."""


class Origin:
    """What is said of the client's address and scheme upstream, and who shows a certificate.

    Made once for a connection of an untrusted peer; those that come from one address, and show none, share it.
    """

    __slots__ = ("_rest", "address", "host", "known_host", "known_lines", "said", "shown")

    def __init__(self, address: str, rest: bytes, host: bytes | None = None, shown: Shown | None = None) -> None:
        self.address = address
        """The client's address, on which `allow.networks` decides."""
        self.said = address.encode("ascii", "replace")
        """The same, for the log."""
        self.host = host
        """The host that a trusted proxy says the client asked for; None: the request's own."""
        self.shown = shown
        """The certificate that whoever is connected has shown, a trusted proxy too."""
        self._rest = rest
        self.known_host = b""
        """The host that was asked for last; a client mostly asks for one."""
        self.known_lines = b""
        """What `lines` returned for it."""

    def lines(self, host: bytes) -> bytes:
        """Return the lines for a request whose Host was `host`."""
        if host != self.known_host:
            shown = self.host or host
            self.known_host = host
            self.known_lines = b'%b;host="%b"\r\nX-Forwarded-Host: %b\r\n' % (self._rest, shown, shown)
        return self.known_lines


def origin_of(peer: Peer, session: object = None) -> Origin:
    """Return the origin of a peer that is believed about nothing but its own address, and what its TLS `session` proves."""
    if peer.certificate is None:
        return _at(peer.address, peer.local_port)
    return Origin(peer.address, _rest(peer.address, peer.local_port), shown=Shown(peer.certificate, session))


def _rest(address: str, local_port: int) -> bytes:
    if not address:
        # A Unix socket's other end has no address to speak of, and neither end has a port.
        return _UNKNOWN
    own = address.encode()
    return _KNOWN % (own, own, local_port, _node(own))


@lru_cache(_REMEMBERED)
def _at(address: str, local_port: int) -> Origin:
    return Origin(address, _rest(address, local_port))


def origin_behind(
    peer: Peer, forwarded: list[tuple[bytes, bytes]], trusted: tuple[Network, ...], shown: Shown | None = None
) -> Origin:
    """Return the origin that a trusted peer reports; the caller has checked that the peer is trusted.

    X-Forwarded-For is read from right to left: the first address that is not a trusted proxy is the client's.
    What is malformed is not believed. Source: RFC 7239, 5.2 and 8.1.
    """
    said: dict[bytes, list[bytes]] = {}
    for name, value in forwarded:
        said.setdefault(name, []).append(value)
    chain = [part.strip(b" \t") for part in b",".join(said.get(b"x-forwarded-for", [])).split(b",")][-_MAX_CHAIN:]
    chain = [part for part in chain if part]
    client, certain = _client(said, chain, peer.address, trusted)
    proto = said.get(b"x-forwarded-proto", [b""])[-1].lower()
    port = said.get(b"x-forwarded-port", [b""])[-1]
    host = said.get(b"x-forwarded-host", [b""])[-1]
    own = peer.address.encode()
    # A quote left open would take our own element into it, for whoever reads on.
    history = b"".join(value + b", " for value in said.get(b"forwarded", []) if _is_closed(value))
    real = b"X-Real-IP: %b\r\n" % client.encode()
    rest = (
        b"X-Forwarded-For: %b\r\n%bX-Forwarded-Proto: %b\r\nX-Forwarded-Port: %b\r\n"
        b"Forwarded: %bfor=%b;proto=https" % (
            b", ".join([*chain, own]), real, proto if proto in _SCHEMES else b"https",
            port if port.isdigit() else b"%d" % peer.local_port, history, _node(own),
        )
    )  # fmt: skip
    host_said = host if host and not host.translate(None, _HOST_BYTES) else None
    return Origin(client if certain else UNKNOWN, rest, host_said, shown)


# An address as proxies write it: bare, with a port, or in brackets (RFC 7239, 6).
_HOP: Final = re.compile(rb"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}|([0-9A-Fa-f:.]+)").fullmatch
# The node of one element of Forwarded (RFC 7239, 4); a comma or semicolon inside quotes is no end.
_ELEMENT: Final = re.compile(rb'((?:[^,"]|"[^"]*")+)').findall
_FOR: Final = re.compile(rb"""(?i)(?:^|;)[ \t]*for=("[^"]*"|[^;"]*)""").search


def _client(
    said: dict[bytes, list[bytes]], chain: list[bytes], peer: str, trusted: tuple[Network, ...]
) -> tuple[str, bool]:
    """Return the client's address and whether it is certain.

    It is not when the report cannot be read to its end, or when its two forms contradict one another.
    """
    elements: list[bytes] = _ELEMENT(b",".join(said.get(b"forwarded", [])))[-_MAX_CHAIN:]
    nodes = [b"" if (found := _FOR(element)) is None else found[1].strip(b'" \t') for element in elements]
    readings = [_last_stranger(hops, peer, trusted) for hops in (chain, nodes) if hops]
    if not readings:
        return peer, True
    return readings[0][0], len(set(readings)) == 1 and readings[0][1]


def _last_stranger(hops: list[bytes], peer: str, trusted: tuple[Network, ...]) -> tuple[str, bool]:
    """Return the first address from the right that is no trusted proxy; a hop that cannot be read hides the rest."""
    client = peer
    for hop in reversed(hops):
        found = _HOP(hop)
        address = "" if found is None else next(part for part in found.groups() if part).decode("ascii")
        if read_address(address) is None:
            return client, False
        client = address
        if not is_within(address, trusted):
            break
    return client, True


def _is_closed(value: bytes) -> bool:
    """Tell whether every quote in a Forwarded field is closed; one with a backslash is read in several ways."""
    return value.count(b'"') % 2 == 0 and b"\\" not in value


def _node(address: bytes) -> bytes:
    """Return an address as a node identifier (RFC 7239, 6)."""
    if not address:
        return b"unknown"
    return b'"[%b]"' % address if b":" in address else address
