"""Pins: the digests of the public keys that a peer may show, asked for in addition to chain and name."""

import base64
import hashlib
from collections.abc import Callable, Iterable
from typing import Final

from cryptography import x509

from authproxy.keystore.names import public_key_info

_SCHEME: Final = "sha256/"


def pin_of(der: bytes) -> str:
    """Return the pin of a certificate in DER: `sha256/` and the base64 of its SubjectPublicKeyInfo's SHA-256.

    Raises:
        ValueError: it cannot be read.
    """
    info = public_key_info(x509.load_der_x509_certificate(der).tbs_certificate_bytes)
    return _SCHEME + base64.b64encode(hashlib.sha256(info).digest()).decode()


def pin_judge(pins: Iterable[str], key: str) -> Callable[[bytes], str]:
    """Return what says why a peer's own certificate (DER) is not among the pins; an empty text when it is.

    Only that certificate counts, none of its issuers: a pinned authority would let in every key that it signs.
    `key` is where the pins stand in the configuration, for the message.
    """
    known = frozenset(pins)

    def judge(der: bytes) -> str:
        try:
            pin = pin_of(der)
        except ValueError as error:
            return f"its certificate cannot be read: {error}"
        return "" if pin in known else f"its certificate's key is {pin}, none of {key}"

    return judge
