"""Listeners: what each mode needs, and what would have no effect with it."""

from collections.abc import Iterator

from authproxy.settings.checks.finding import Finding, Known
from authproxy.settings.listeners import Listener
from authproxy.settings.model import Settings
from authproxy.settings.peers import ClientCertificates
from authproxy.settings.redirects import port_of, target_of
from authproxy.settings.tree import Path


def check(settings: Settings, known: Known) -> Iterator[Finding]:
    """Yield listeners without what they need, and redirects that lead nowhere or to plain HTTP."""
    for name, listener in settings.listeners.items():
        here: Path = ("listeners", name)
        if listener.mode == "redirect":
            yield from _idle(here, listener)
            yield from _destination(here, listener, settings, known)
        else:
            yield from _keystore(here, listener, known)
            if listener.redirect is not None and listener.mode == "http":
                yield Finding(
                    (*here, "redirect"), "has no effect without `mode: redirect`: keep both or none", key=True
                )
    yield from _routes(settings)


def _keystore(here: Path, listener: Listener, known: Known) -> Iterator[Finding]:
    names = known.names["keystores"]
    if listener.keystore is not None or names is None:
        return
    if names:
        yield Finding(
            here, f"needs `keystore: NAME` where there is more than one: {' or '.join(sorted(names))}", key=True
        )
    else:
        yield Finding(here, "needs a keystore, and none is defined: add `keystores: {NAME: {file: PATH}}`", key=True)


def _idle(here: Path, listener: Listener) -> Iterator[Finding]:
    """What is said about TLS and forwarding must not be said in vain."""
    for key, said in (
        ("keystore", listener.keystore is not None),
        ("sni", bool(listener.sni)),
        ("tls", listener.tls is not None),
        ("client_certificates", listener.client_certificates != ClientCertificates()),
        ("drop_unusual_names", listener.drop_unusual_names),
    ):
        if said:
            yield Finding(
                (*here, key), "has no effect with `mode: redirect`, which is plain HTTP: take it away", key=True
            )
    if listener.hsts is not None:
        text = "is never sent over plain HTTP (RFC 6797, 7.2): set it on the listener that the redirect leads to"
        yield Finding((*here, "hsts"), text, key=True)


def _destination(here: Path, listener: Listener, settings: Settings, known: Known) -> Iterator[Finding]:
    serving = sorted(name for name, one in settings.listeners.items() if one.mode == "http")
    name = target_of(settings, listener)
    if name is None:
        if not serving and known.names["listeners"] == frozenset(settings.listeners):
            yield Finding(here, "redirects to a listener of mode http, and there is none", key=True)
        elif serving:
            choice = " or ".join(serving)
            yield Finding(here, f"needs `redirect: {{to: NAME}}` where there is more than one: {choice}", key=True)
        return
    target = settings.listeners.get(name)
    if target is None:
        return  # told as an unknown name
    if target.mode != "http":
        yield Finding((*here, "redirect", "to"), "must be a listener of mode http")
    elif port_of(settings, listener) is None:
        text = f"needs `redirect: {{port: N}}`: no `bind` of {name} tells the port that clients know it by"
        yield Finding(here, text, key=True)


def _routes(settings: Settings) -> Iterator[Finding]:
    for index, route in enumerate(settings.routes):
        for place, name in enumerate(route.listeners):
            listener = settings.listeners.get(name)
            if listener is not None and listener.mode != "http":
                cure = "name the listener that it leads to" if listener.mode == "redirect" else "take it away"
                text = f"{name} is of mode {listener.mode}, which serves no routes: {cure}"
                yield Finding(("routes", index, "listeners", place), text)
