"""The gate after the handshake: who has shaken hands, however the session came to be, and may that one come in?

Whoever is refused is closed without a byte of his being read. With TLS 1.3 the handshake is over on the client's side
by then, and OpenSSL offers no way to send an alert of one's own choice: the client sees a clean end (close_notify), the
log says why. What OpenSSL itself refuses is told by alerts.
"""

import ssl
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, cast

from authproxy.errors import UnreadableCertificate
from authproxy.keystore import Demand, Denied, Refused
from authproxy.keystore.names import certificate_names

# What `_ssl` calls ENCODING_DER.
_DER = 2


class _Certificate(Protocol):
    def public_bytes(self, encoding: int, /) -> bytes: ...


class _Engine(Protocol):
    """What the ssl module has no public name for before Python 3.13."""

    def get_verified_chain(self) -> Sequence[_Certificate] | None: ...

    def get_unverified_chain(self) -> Sequence[_Certificate] | None: ...


def judge_peer(session: object, demand: Demand, now: datetime) -> Refused | None:
    """Return why whoever is at the other end of a finished handshake is not let in at `now`, or None.

    `session` is the transport's `ssl_object`; what is none has shown no certificate.
    """
    chain, proven = _chain_of(session) if isinstance(session, ssl.SSLObject) else ((), False)
    return demand.judge(chain, now, proven=proven)


def server_judge(pins: Callable[[bytes], str] | None, denied: Denied | None) -> Callable[[object], str] | None:
    """Return what says of a session whose server was verified why nothing is sent to it, empty for nothing.

    `pins` says what is wrong with the server's own certificate (DER). None: there is nothing that could be.
    """
    if pins is None and not denied:
        return None

    def judge(session: object) -> str:
        chain, _ = _chain_of(session) if isinstance(session, ssl.SSLObject) else ((), False)
        fault = "" if pins is None else pins(chain[0] if chain else b"")
        return fault or (_denied(chain, denied) if denied else "")

    return judge


def _denied(chain: Sequence[bytes], denied: Denied) -> str:
    try:
        named = [one for one in map(certificate_names, chain) if denied.names(one)]
    except UnreadableCertificate as error:
        return str(error)
    return f"the deny list names {named[0].subject} (SHA-256 {named[0].fingerprint})" if named else ""


def _chain_of(session: ssl.SSLObject) -> tuple[Sequence[bytes], bool]:
    """Return the peer's chain, his own certificate first, and whether this very handshake has verified it."""
    own = session.getpeercert(binary_form=True)
    if own is None:
        return (), False
    engine = cast("_Engine", getattr(session, "_sslobj"))  # noqa: B009  # a private name, on purpose
    verified = engine.get_verified_chain()
    # A session that is resumed keeps what the peer had sent, and not what it was verified by; one out of a ticket, which
    # our own contexts give to nobody who shows a certificate, keeps his own certificate alone.
    chain = verified or engine.get_unverified_chain()
    return [one.public_bytes(_DER) for one in chain] if chain else (own,), bool(verified)
