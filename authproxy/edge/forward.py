"""Builds the head that goes upstream: the client's end-to-end lines, then this proxy's own, each exactly once.

Delete first, then set: `names.RequestNames` has dropped every spelling of what is set here.
"""

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from authproxy.core.cookie import without_own
from authproxy.core.decision import Allow
from authproxy.core.names import fold
from authproxy.core.token import WITHIN
from authproxy.edge.facts import Facts
from authproxy.http1.lines import CRLF, joined
from authproxy.http1.request import RequestHead
from authproxy.runtime import HeaderRules, IdentityValue, Rewrite, Route

_ORIGIN: Final = frozenset(
    {b"X_FORWARDED_FOR", b"X_REAL_IP", b"X_FORWARDED_PROTO", b"X_FORWARDED_PORT", b"FORWARDED", b"X_FORWARDED_HOST"}
)
# What may stand behind a whole segment.
_BOUNDARIES: Final = frozenset({b"/", b"?", b""})
_tokens: Final = re.compile(WITHIN).finditer
# Looser than what authenticates: a reader behind us may take what we do not.
_SCHEMES: Final = frozenset({b"bearer", b"token"})
_BASIC: Final = b"basic"


def upstream_head(facts: Facts, route: Route) -> bytes | None:
    """Return the whole head for the upstream, or None when the route's rewrite leaves no valid target."""
    head = facts.request
    if head.is_usual and route.is_plain:
        # The way of most requests, put together at once.
        allow, origin, host = facts.allow, facts.origin, head.host
        id_header = facts.runtime.id_header
        cookie = b"" if head.cookies is None else _cookie_line(facts, head.cookies)
        where = origin.known_lines if host == origin.known_host else origin.lines(host)
        if allow is not None and id_header is not None:
            return b"%b %b HTTP/1.1\r\nHost: %b%b\r\n%b%bX-Request-Id: %b\r\n%b%b\r\n\r\n" % (
                head.method, head.target, host, head.passed, cookie, where, facts.request_id,
                id_header, allow.record.user_id_header,
            )  # fmt: skip
        return b"%b %b HTTP/1.1\r\nHost: %b%b\r\n%b%bX-Request-Id: %b\r\n%b\r\n" % (
            head.method, head.target, host, head.passed, cookie, where, facts.request_id,
            b"" if allow is None else identity_lines(facts, allow),
        )  # fmt: skip
    target = head.target
    if route.rewrite is not None:
        rewritten = rewrite_target(route.rewrite, target)
        if rewritten is None:
            return None
        target = rewritten
    allow = facts.allow
    identity = b"" if allow is None else identity_lines(facts, allow)
    rules = route.request
    return b"".join((
        head.method, b" ", target, b" HTTP/1.1\r\nHost: ", route.upstream_host or head.host,
        head.passed if rules is None else without(rules, head.lines), b"\r\n",
        _credentials(facts, route),
        facts.origin.lines(head.host) if rules is None else _origin_lines(rules, facts.origin.lines(head.host)),
        b"X-Request-Id: ", facts.request_id, b"\r\n", identity,
        b"" if rules is None else rules.set_lines,
        _framing(route, head), b"\r\n",
    ))  # fmt: skip


def rewrite_target(rewrite: Rewrite, target: bytes) -> bytes | None:
    """Return the target with the prefix replaced, all other bytes kept; None when that is no origin-form any more.

    The prefix may be encoded in the target (`/%61dmin`), so it is walked byte by decoded byte. Where it is for some of
    the route's paths only, the others stay as they are.
    """
    position = 0
    for _ in range(len(rewrite.prefix)):
        position += 3 if target[position : position + 1] == b"%" else 1
    rest = target[position:]
    if unquote_to_bytes(target[:position]) != rewrite.prefix:
        return target if rewrite.is_for_some else None
    if rest[:1] not in _BOUNDARIES:
        # Behind an encoded slash the path is one that begins so, as routes are matched.
        return target if rewrite.is_for_some and rest[:3].lower() != b"%2f" else None
    if rest[:1] != b"/" and not rewrite.replacement:
        rest = b"/" + rest
    result = rewrite.replacement + rest
    return None if result[:2] == b"//" else result


def identity_lines(facts: Facts, allow: Allow) -> bytes:
    """Return the identity headers for a caller who was let in; what is empty gives no line."""
    runtime = facts.runtime
    if runtime.id_header is not None:
        return runtime.id_header + allow.record.user_id_header + b"\r\n"
    lines = b""
    for name, what in runtime.identity:
        value = _identity_value(what, allow, facts)
        if value:
            lines += name + value + b"\r\n"
    return lines


def _identity_value(what: IdentityValue, allow: Allow, facts: Facts) -> bytes:
    if what is IdentityValue.ID:
        return allow.record.user_id_header
    if what is IdentityValue.NAME:
        return allow.record.name.encode()
    if what is IdentityValue.GROUPS:
        return ",".join(allow.record.groups).encode()
    if what is IdentityValue.METHOD:
        return allow.method.encode()
    if what is IdentityValue.ZONE:
        return allow.zone.encode()
    if what is IdentityValue.CERTIFICATE:
        shown = facts.origin.shown
        return b"" if shown is None else shown.element(facts.listener.own_uris)
    return b"" if allow.version is None else b"%d" % allow.version


def without(rules: HeaderRules, lines: Sequence[bytes]) -> bytes:
    """Return the lines without those that a route sets or removes, each with CRLF before it."""
    return joined(line for line in lines if fold(line.partition(b":")[0]) not in rules.dropped)


def _origin_lines(rules: HeaderRules, told: bytes) -> bytes:
    """Return what we tell of the request's origin, without the lines that a route sets or removes."""
    if rules.dropped.isdisjoint(_ORIGIN):
        return told
    return b"".join(line + CRLF for line in told.split(CRLF)[:-1] if fold(line.partition(b":")[0]) not in rules.dropped)


def carries_our_token(authorization: bytes, prefixes: tuple[bytes, ...]) -> bool:
    """Tell whether an Authorization value holds a token of any of our zones: whole, anywhere; or broken, behind its scheme."""
    lowered = authorization.lower()
    scheme, _, rest = lowered.replace(b"\t", b" ").partition(b" ")
    if scheme in _SCHEMES and rest.lstrip(b" ").startswith(prefixes):
        return True
    # Without a scheme, or under one that is not for tokens, it lets nobody in; who reads it can show it as it should be.
    if scheme == _BASIC:
        # As user or password, which is what many a client has a place for.
        lowered += b" " + _decoded(authorization[len(_BASIC) :]).lower()
    return any(found["prefix"] + b"_" in prefixes for found in _tokens(lowered))


def _decoded(text: bytes) -> bytes:
    try:
        return a2b_base64(text + b"==")
    except BinasciiError:
        return b""


def _credentials(facts: Facts, route: Route) -> bytes:
    """Return what passes of Authorization and Cookie: our tokens end here, unless the route says otherwise.

    Whom a session or a certificate lets in may show the upstream a credential of its own, as anybody on a public route.
    """
    head = facts.request
    dropped = frozenset[bytes]() if route.request is None else route.request.dropped
    lines = b""
    if head.authorization is not None and b"AUTHORIZATION" not in dropped:
        decided = facts.allow is not None and facts.allow.method == "token"
        if route.forward_credentials or not (decided or carries_our_token(head.authorization, facts.runtime.prefixes)):
            lines = b"Authorization: %b\r\n" % head.authorization
    if head.cookies is not None and b"COOKIE" not in dropped:
        lines += _cookie_line(facts, head.cookies)
    return lines


def _cookie_line(facts: Facts, cookies: bytes) -> bytes:
    """Return the line of all cookies but ours, empty when none is left."""
    passed = without_own(cookies, facts.runtime.own_cookies)
    return b"Cookie: %b\r\n" % passed if passed or not cookies else b""


def _framing(route: Route, head: RequestHead) -> bytes:
    """Return our own framing and connection lines; the client's were for its own connection."""
    lines = b""
    if head.chunked:
        lines = b"Transfer-Encoding: chunked\r\n"
    elif head.content_length >= 0:
        lines = b"Content-Length: %d\r\n" % head.content_length
    if head.expect_continue and head.has_body:
        lines += b"Expect: 100-continue\r\n"
    if head.upgrade is not None and wanted_upgrade(route, head) is not None:
        lines += b"Connection: Upgrade\r\nUpgrade: %b\r\n" % head.upgrade
    elif head.trailers:
        lines += b"Connection: TE\r\nTE: trailers\r\n"
    return lines


def wanted_upgrade(route: Route, head: RequestHead) -> bytes | None:
    """Return the protocol for which a 101 may come back, or None."""
    if head.upgrade is None or head.has_body or head.upgrade.lower() not in route.upgrades:
        return None
    return head.upgrade
