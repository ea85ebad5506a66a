"""What a kind is given in tests."""

from typing import Final

from typing_extensions import override

from authproxy.core.secret import Secret
from authproxy.kinds import ClientTls, Supplies
from authproxy.options import SecretRef


class Given(Supplies):
    """A password, and a way to speak TLS; whatever was not given must not be asked for."""

    def __init__(self, password: bytes | None = None, tls: ClientTls | None = None) -> None:
        self._password = password
        self._tls = tls

    @override
    def secret(self, reference: SecretRef, key: str) -> Secret[bytes]:
        assert self._password is not None
        assert key == "password"
        return Secret(self._password)

    @override
    def tls(self, *, trust: str | None, keystore: str | None) -> ClientTls:
        assert self._tls is not None
        return self._tls


NOTHING: Final = Given()
