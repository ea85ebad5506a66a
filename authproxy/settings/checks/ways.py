"""Upstreams: nothing leaves this machine in plaintext by accident."""

from collections.abc import Iterator

from authproxy.settings.checks.finding import Finding
from authproxy.settings.model import Settings
from authproxy.settings.tree import Path
from authproxy.settings.upstreams import Upstream


def check(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with upstreams."""
    for name, upstream in settings.upstreams.items():
        yield from _plaintext(("upstreams", name), upstream)
        yield from _idle_tls(("upstreams", name), upstream)


def _plaintext(path: Path, upstream: Upstream) -> Iterator[Finding]:
    for index, url in enumerate(upstream.urls):
        if not url.tls and not url.address.is_loopback and not upstream.unsafe_remote_plaintext:
            text = (
                "http:// to another machine sends credentials in plaintext: use https://, "
                f"or write {{urls: [{url}], unsafe_remote_plaintext: true}}"
            )
            yield Finding((*path, "urls", index), text)
        if url in upstream.urls[:index]:
            yield Finding((*path, "urls", index), f"{url} stands twice: keep one")


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
