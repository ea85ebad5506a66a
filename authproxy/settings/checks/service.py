"""Identity, limits, trusted proxies and ops."""

from collections.abc import Iterator
from typing import Final

from authproxy.settings.checks.doors import client_certificates
from authproxy.settings.checks.finding import Finding
from authproxy.settings.model import Settings
from authproxy.settings.service import Ops
from authproxy.settings.words import fold, is_framing

# Credentials, and what the proxy itself tells the upstream about the connection.
_TAKEN: Final = frozenset(
    {b"AUTHORIZATION", b"COOKIE", b"FORWARDED", b"X_FORWARDED_FOR", b"X_FORWARDED_HOST", b"X_FORWARDED_PORT"}
    | {b"X_FORWARDED_PROTO", b"X_REAL_IP", b"X_REQUEST_ID"}
)


def check(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with the sections about the proxy as a whole."""
    yield from _identity(settings)
    if settings.limits.line > settings.limits.head:
        yield Finding(
            ("limits", "line"), "a line cannot be longer than the whole head: raise limits.head or lower this"
        )
    for index, network in enumerate(settings.trusted_proxies):
        if network.prefixlen == 0:
            text = "would believe everybody's X-Forwarded-For: name the networks of your balancers"
            yield Finding(("trusted_proxies", index), text)
    if settings.ops is not None:
        yield from client_certificates(("ops", "client_certificates"), settings.ops.client_certificates)
        if settings.ops.client_certificates.on_revoke != "close":
            text = "has no effect here: whoever asks is judged at every request"
            yield Finding(("ops", "client_certificates", "on_revoke"), text, key=True)
        yield from _ops(settings.ops)


def _identity(settings: Settings) -> Iterator[Finding]:
    seen: dict[bytes, str] = {}
    for name in settings.identity.headers:
        if is_framing(name) or fold(name) in _TAKEN:
            text = "this header has a meaning of its own: choose another, such as X-Authproxy-User"
            yield Finding(("identity", "headers", name), text, key=True)
        first = seen.setdefault(fold(name), name)
        if first != name:
            yield Finding(("identity", "headers", name), f"is the same header as {first}: keep one", key=True)

    asking = any(one.client_certificates.mode != "none" for one in settings.listeners.values())
    for name, what in settings.identity.headers.items():
        if what == "certificate" and not asking:
            text = "no listener asks for certificates: add `client_certificates: {mode: optional, trust: NAME}` to one"
            yield Finding(("identity", "headers", name), text)


def _ops(ops: Ops) -> Iterator[Finding]:
    if ops.client_certificates.mode != "none" and ops.keystore is None:
        yield Finding(("ops",), "client certificates need TLS: add `keystore: NAME`", key=True)
    guarded = ops.keystore is not None and ops.client_certificates.mode == "required"
    if not (ops.bind.is_loopback or guarded or ops.unsafe_open_ops):
        text = (
            "others can reach this address: bind to 127.0.0.1 or unix:/path, "
            "or add `keystore` and `client_certificates: {mode: required, trust: NAME}`"
        )
        yield Finding(("ops", "bind"), text)
