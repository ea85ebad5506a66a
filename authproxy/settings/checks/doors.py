"""Keystores, listeners and client certificates."""

from collections.abc import Iterator

from authproxy.settings.addresses import Address, Tcp
from authproxy.settings.checks.finding import Finding, Known
from authproxy.settings.listeners import Keystore, Listener
from authproxy.settings.model import Settings
from authproxy.settings.peers import AllowRule, ClientCertificates
from authproxy.settings.tree import Path, dotted


def check(settings: Settings, known: Known) -> Iterator[Finding]:
    """Yield what is wrong with the sections around the door."""
    for name, keystore in settings.keystores.items():
        yield from _keystore(("keystores", name), keystore)
    if known.is_empty("listeners"):
        yield Finding(("listeners",), "needs at least one listener, as in {public: {bind: 0.0.0.0:8443}}", key=True)
    for name, listener in settings.listeners.items():
        here: Path = ("listeners", name, "client_certificates")
        yield from client_certificates(here, listener.client_certificates, may_bring_root(settings, listener))
    yield from _binds(settings)


def may_bring_root(settings: Settings, listener: Listener) -> bool:
    """Return whether the keystore may be a keys file, whose root is believed by a tcp listener that names no trust."""
    if listener.mode != "tcp":
        return False
    shown = [settings.keystores.get(name) for name in {listener.keystore or "", *listener.sni.values()}]
    return all(one is None or one.certificate is None for one in shown)


def client_certificates(path: Path, certificates: ClientCertificates, has_root: bool = False) -> Iterator[Finding]:
    """Yield a mode that believes nobody, or trust that is never asked for; `has_root`: the keystore may bring its own."""
    if certificates.mode != "none" and certificates.trust is None and not has_root:
        yield Finding(path, f"mode {certificates.mode} needs `trust: NAME`, one of the truststores", key=True)
    if certificates.mode == "none" and certificates.trust is not None:
        yield Finding((*path, "trust"), "nobody is asked for a certificate: add `mode: required` or `mode: optional`")
    for index, rule in enumerate(certificates.allow or ()):
        if rule == AllowRule():
            yield Finding((*path, "allow", index), "an empty rule would let everybody in: name what it is about")
    for key, said in (
        ("allow", certificates.allow is not None),
        ("intermediates", certificates.intermediates != 1),
        ("on_revoke", certificates.on_revoke != "close"),
    ):
        if certificates.mode == "none" and said:
            text = "has no effect where nobody is asked for a certificate: add `mode: required` or `mode: optional`"
            yield Finding((*path, key), text, key=True)


def _keystore(path: Path, keystore: Keystore) -> Iterator[Finding]:
    ways = [keystore.file, keystore.certificate or keystore.key, keystore.env]
    if len(ways) - ways.count(None) != 1:
        text = "needs exactly one of `file: PATH`, `certificate: PATH` with `key: PATH`, and `env: NAME`"
        yield Finding(path, text, key=True)
    elif (keystore.certificate is None) != (keystore.key is None):
        missing = "key" if keystore.key is None else "certificate"
        yield Finding(path, f"certificate and key come together: add `{missing}: PATH`", key=True)
    elif keystore.file is None:
        for key in ("alias", "key_password"):
            if getattr(keystore, key) is not None:
                yield Finding((*path, key), "is for PKCS#12 and JKS files, which `file: PATH` names")


def _binds(settings: Settings) -> Iterator[Finding]:
    seen: dict[Address, Path] = {}
    for path, address in _addresses(settings):
        if isinstance(address, Tcp) and address.port == 0:
            continue  # the system chooses another one each time
        if address in seen:
            yield Finding(path, f"{address} is taken by {dotted(seen[address][:2])}: every address is bound once")
        seen.setdefault(address, path)


def _addresses(settings: Settings) -> Iterator[tuple[Path, Address]]:
    for name, listener in settings.listeners.items():
        for index, address in enumerate(listener.bind):
            yield ("listeners", name, "bind", index), address
    if settings.ops is not None:
        yield ("ops", "bind"), settings.ops.bind
