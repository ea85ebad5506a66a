"""What a kind of store is given when it is opened: secrets, and TLS towards a server outside."""

from collections.abc import Callable
from typing import final

from typing_extensions import override

from authproxy.core.secret import Secret
from authproxy.daemon.material import Sources
from authproxy.door.gate import server_judge
from authproxy.keystore import Keystore, Truststore, client_context, fingerprint
from authproxy.kinds import ClientTls, Supplies
from authproxy.options import SecretRef


@final
class Supply(Supplies):
    """Supplies one entry of the configuration, and remembers with what."""

    def __init__(
        self,
        sources: Sources,
        path: tuple[str, str],
        keystore: Callable[[str], Keystore],
        truststore: Callable[[str], Truststore],
    ) -> None:
        """`path` is where the entry stands; `keystore` and `truststore` return those of a name."""
        self._sources = sources
        self._path = path
        self._keystore = keystore
        self._truststore = truststore
        self.given: tuple[object, ...] = ()
        """All that was asked for, for comparison."""

    @override
    def secret(self, reference: SecretRef, key: str) -> Secret[bytes]:
        """Return the secret that the options' `key` refers to; raises SecretError."""
        found = self._sources.secret(reference, *self._path, key)
        self.given = (*self.given, found)
        return found

    @override
    def tls(self, *, trust: str | None, keystore: str | None) -> ClientTls:
        """Return how to reach a server; raises ConfigError and MaterialError."""
        believed = None if trust is None else self._truststore(trust)
        own = None if keystore is None else self._keystore(keystore)
        context = client_context(believed, own)
        # Nobody speaks HTTP there.
        context.set_alpn_protocols([])
        judge = server_judge(None, None if believed is None else believed.denied)
        self.given = (
            *self.given,
            None if believed is None else believed.fingerprint,
            None if own is None else tuple(fingerprint(certificate) for certificate in own.chain),
        )
        return ClientTls(context=context, refusal=judge or (lambda _: ""))
