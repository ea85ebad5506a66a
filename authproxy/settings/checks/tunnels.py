"""Listeners of mode tcp: a target is needed, it is on this machine, and nothing is said that only HTTP has."""

from collections.abc import Iterator

from authproxy.settings.checks.finding import Finding
from authproxy.settings.listeners import Listener, TunnelTimeouts
from authproxy.settings.model import Settings
from authproxy.settings.tree import Path


def check(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with listeners of mode tcp, and what only they have said elsewhere."""
    for name, listener in settings.listeners.items():
        here: Path = ("listeners", name)
        if listener.mode == "tcp":
            yield from _target(here, listener)
            yield from _idle(here, listener)
        else:
            yield from _foreign(here, listener)


def _target(here: Path, listener: Listener) -> Iterator[Finding]:
    target = listener.target
    if target is None:
        yield Finding(here, "mode tcp needs a target: add `target: 127.0.0.1:PORT` or `target: unix:/path`", key=True)
        return
    if target in listener.bind:
        yield Finding((*here, "target"), "is an address of this very listener: it would call itself")
    if not target.is_loopback and not listener.unsafe_remote_plaintext:
        text = (
            "another machine would be sent everything in plaintext: run a listener there, name 127.0.0.1 or unix:/path, "
            "or add `unsafe_remote_plaintext: true`"
        )
        yield Finding((*here, "target"), text)


def _idle(here: Path, listener: Listener) -> Iterator[Finding]:
    for key, said in (
        ("health", listener.health is not None),
        ("hsts", listener.hsts is not None),
        ("drop_unusual_names", listener.drop_unusual_names),
        ("redirect", listener.redirect is not None),
    ):
        if said:
            yield Finding((*here, key), "has no effect with `mode: tcp`, which reads no HTTP: take it away", key=True)


def _foreign(here: Path, listener: Listener) -> Iterator[Finding]:
    for key, said in (
        ("target", listener.target is not None),
        ("send_proxy", listener.send_proxy != "none"),
        ("timeouts", listener.timeouts != TunnelTimeouts()),
        ("unsafe_remote_plaintext", listener.unsafe_remote_plaintext),
    ):
        if said:
            yield Finding((*here, key), "has no effect without `mode: tcp`: keep both or none", key=True)
