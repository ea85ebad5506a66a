"""Builds the head that goes upstream: the client's end-to-end lines, then this proxy's own, each exactly once.

Delete first, then set: `names.RequestNames` has dropped every spelling of what is set here.
"""

from typing import Final

from authproxy.core.bearer import token_of
from authproxy.core.decision import Allow, Network, is_within, read_address
from authproxy.core.peer import Peer
from authproxy.http1.request import RequestHead
from authproxy.runtime import HeaderRules, IdentityValue, Rewrite, Route, Runtime

_SCHEMES: Final = frozenset({b"http", b"https"})
_MAX_CHAIN: Final = 20


class Origin:
    """What is said of the client's address and scheme upstream, prebuilt for a connection or read for a request."""

    __slots__ = ("address", "after_host", "before_host", "host")

    def __init__(self, peer: Peer) -> None:
        address = peer.address.encode()
        node = b'"[%b]"' % address if b":" in address else address or b"unknown"
        self.address = peer.address
        """The client's address, on which `allow.networks` decides."""
        self.before_host = (
            b"X-Forwarded-For: %b\r\nX-Real-IP: %b\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: %d\r\n"
            b"Forwarded: for=%b;proto=https;host=\"" % (address, address, peer.local_port, node)
        )  # fmt: skip
        self.after_host = b'"\r\nX-Forwarded-Host: '
        self.host: bytes | None = None
        """The host that a trusted proxy says the client asked for; None: the request's own."""

    def lines(self, host: bytes) -> bytes:
        """Return the lines for a request whose Host was `host`."""
        host = self.host or host
        return b"%b%b%b%b\r\n" % (self.before_host, host, self.after_host, host)


def origin_behind(peer: Peer, forwarded: list[tuple[bytes, bytes]], trusted: tuple[Network, ...]) -> Origin:
    """Return the origin that a trusted peer reports; the caller has checked that the peer is trusted.

    X-Forwarded-For is read from right to left: the first address that is not a trusted proxy is the client's.
    What is malformed is not believed. Source: RFC 7239, 5.2 and 8.1.
    """
    said: dict[bytes, list[bytes]] = {}
    for name, value in forwarded:
        said.setdefault(name, []).append(value)
    chain = [part.strip() for part in b",".join(said.get(b"x-forwarded-for", [])).split(b",")][-_MAX_CHAIN:]
    chain = [part for part in chain if part]
    client = peer.address
    for part in reversed(chain):
        text = part.decode("latin-1")
        if read_address(text) is None:
            break
        client = text
        if not is_within(text, trusted):
            break
    proto = said.get(b"x-forwarded-proto", [b""])[-1].lower()
    port = said.get(b"x-forwarded-port", [b""])[-1]
    origin = Origin(peer)
    origin.address = client
    host = said.get(b"x-forwarded-host", [b""])[-1]
    origin.host = host if host and not host.translate(None, _HOST_BYTES) else None
    whole = b", ".join([*chain, peer.address.encode()])
    history = b", ".join(said[b"forwarded"]) + b", " if b"forwarded" in said else b""
    node = b'"[%b]"' % peer.address.encode() if ":" in peer.address else peer.address.encode()
    origin.before_host = (
        b"X-Forwarded-For: %b\r\nX-Real-IP: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Port: %b\r\n"
        b"Forwarded: %bfor=%b;proto=https;host=\"" % (
            whole, client.encode(), proto if proto in _SCHEMES else b"https",
            port if port.isdigit() else b"%d" % peer.local_port, history, node,
        )
    )  # fmt: skip
    return origin


_HOST_BYTES: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~:[]"


def rewrite_target(rewrite: Rewrite, target: bytes) -> bytes | None:
    """Return the target with the prefix replaced, all other bytes kept; None when that is no origin-form any more.

    The prefix may be encoded in the target (`/%61dmin`), so it is walked byte by decoded byte.
    """
    position = 0
    for _ in range(len(rewrite.prefix)):
        position += 3 if target[position : position + 1] == b"%" else 1
    rest = target[position:]
    if rest[:1] != b"/":
        rest = rest if rewrite.replacement else b"/" + rest
    result = rewrite.replacement + rest
    return None if result[:2] == b"//" else result


def carries_our_token(authorization: bytes, prefixes: tuple[bytes, ...]) -> bool:
    """Tell whether an Authorization value holds a token of any of our zones, whole or broken."""
    text = token_of(authorization)
    return text is not None and text.lower().startswith(prefixes)


def identity_lines(runtime: Runtime, allow: Allow) -> bytes:
    """Return the identity headers for a caller who was let in."""
    lines = b""
    for name, what in runtime.identity:
        value = allow.identity.record.user_id_header if what is IdentityValue.ID else _identity_value(what, allow)
        if value:
            lines += name + value + b"\r\n"
    return lines


def _identity_value(what: IdentityValue, allow: Allow) -> bytes:
    identity = allow.identity
    if what is IdentityValue.NAME:
        return identity.record.name.encode()
    if what is IdentityValue.GROUPS:
        return ",".join(identity.record.groups).encode()
    if what is IdentityValue.METHOD:
        return identity.method.encode()
    if what is IdentityValue.ZONE:
        return identity.zone.encode()
    return b"%d" % identity.version


def apply_rules(rules: HeaderRules, lines: list[bytes]) -> list[bytes]:
    """Return the lines without those that a route sets or removes."""
    return [line for line in lines if line.partition(b":")[0].lower() not in rules.dropped]


def upstream_head(  # noqa: PLR0913  # the six things a head is made of
    runtime: Runtime, route: Route, head: RequestHead, origin: Origin, allow: Allow | None, request_id: bytes
) -> bytes | None:
    """Return the whole head for the upstream, or None when the route's rewrite leaves no valid target."""
    target = head.target
    if route.rewrite is not None:
        rewritten = rewrite_target(route.rewrite, target)
        if rewritten is None:
            return None
        target = rewritten
    lines = head.lines if route.request is None else apply_rules(route.request, head.lines)
    parts = [head.method, b" ", target, b" HTTP/1.1\r\n"]
    add = parts.append
    if route.upstream_host is None:
        add(head.host_line)
        add(b"\r\n")
    else:
        add(b"Host: %b\r\n" % route.upstream_host)
    if lines:
        add(b"\r\n".join(lines))
        add(b"\r\n")
    if head.authorization is not None and _keeps_authorization(runtime, route, head.authorization):
        add(b"Authorization: %b\r\n" % head.authorization)
    if head.cookies is not None and not (route.request and b"cookie" in route.request.dropped):
        add(b"Cookie: %b\r\n" % head.cookies)
    add(origin.lines(head.host))
    add(b"X-Request-Id: %b\r\n" % request_id)
    if allow is not None:
        add(identity_lines(runtime, allow))
    if route.request is not None:
        add(route.request.set_lines)
    add(_framing(route, head))
    add(b"\r\n")
    return b"".join(parts)


def _keeps_authorization(runtime: Runtime, route: Route, value: bytes) -> bool:
    """Our tokens end here; other credentials pass on public routes, unless the route sets the field itself."""
    if route.request is not None and b"authorization" in route.request.dropped:
        return False
    return route.forward_credentials or not carries_our_token(value, runtime.prefixes)


def _framing(route: Route, head: RequestHead) -> bytes:
    """Return our own framing and connection lines; the client's were for its own connection."""
    lines = b""
    if head.chunked:
        lines = b"Transfer-Encoding: chunked\r\n"
    elif head.content_length >= 0:
        lines = b"Content-Length: %d\r\n" % head.content_length
    if head.expect_continue and head.has_body:
        lines += b"Expect: 100-continue\r\n"
    if wanted_upgrade(route, head) is not None:
        lines += b"Connection: Upgrade\r\nUpgrade: %b\r\n" % (head.upgrade or b"")
    elif head.trailers:
        lines += b"Connection: TE\r\nTE: trailers\r\n"
    return lines


def wanted_upgrade(route: Route, head: RequestHead) -> bytes | None:
    """Return the protocol for which a 101 may come back, or None."""
    if head.upgrade is None or head.has_body or head.upgrade.lower() not in route.upgrades:
        return None
    return head.upgrade
