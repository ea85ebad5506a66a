"""Upstreams: nothing leaves this machine in plaintext by accident."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from authproxy.options import duration_text
from authproxy.settings.checks.finding import Finding
from authproxy.settings.model import Settings
from authproxy.settings.tree import Path
from authproxy.settings.upstreams import Upstream

# More often it would be a load, and finer than the clock that begins the checks.
_OFTEN: Final = timedelta(seconds=1)


def check(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with upstreams."""
    for name, upstream in settings.upstreams.items():
        yield from _plaintext(("upstreams", name), upstream)
        yield from _idle_tls(("upstreams", name), upstream)
        yield from _pins(("upstreams", name), upstream)
        yield from _health(("upstreams", name), upstream)


def _plaintext(path: Path, upstream: Upstream) -> Iterator[Finding]:
    for index, url in enumerate(upstream.urls):
        if not url.tls and not url.address.is_loopback and not upstream.unsafe_remote_plaintext:
            text = (
                "http:// to another machine sends credentials in plaintext: use https://, "
                f"or write {{urls: [{url}], unsafe_remote_plaintext: true}}"
            )
            yield Finding((*path, "urls", index), text)
        if any(url.address == other.address for other in upstream.urls[:index]):
            # With http and https, one of them is wrong: a port speaks one of the two.
            shown = url if url in upstream.urls[:index] else url.address
            yield Finding((*path, "urls", index), f"{shown} stands twice: keep one")


def _idle_tls(path: Path, upstream: Upstream) -> Iterator[Finding]:
    """What is said about TLS must not be said in vain: somebody believes that the way is verified."""
    if any(url.tls for url in upstream.urls):
        return
    for key, value in (
        ("trust", upstream.trust),
        ("server_name", upstream.server_name),
        ("keystore", upstream.keystore),
    ):
        if value is not None:
            yield Finding((*path, key), "has no effect without an https:// URL: take one of them away", key=True)


def _pins(path: Path, upstream: Upstream) -> Iterator[Finding]:
    """A pin that holds for some of the URLs only would be believed to hold for all."""
    if upstream.pins and not all(url.tls for url in upstream.urls):
        yield Finding((*path, "pins"), "a pin needs TLS: every URL must be https://", key=True)
    pins = upstream.pins or ()
    for index, pin in enumerate(pins):
        if pin in pins[:index]:
            yield Finding((*path, "pins", index), "stands twice: keep one")


def _health(path: Path, upstream: Upstream) -> Iterator[Finding]:
    health = upstream.health
    if health is None:
        return
    if health.every < _OFTEN:
        text = f"must be at least {duration_text(_OFTEN)}, is {duration_text(health.every)}"
        yield Finding((*path, "health", "every"), text)
    elif health.timeout > health.every:
        text = f"must be at most health.every ({duration_text(health.every)}), is {duration_text(health.timeout)}"
        yield Finding((*path, "health", "timeout"), text)
