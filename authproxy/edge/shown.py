"""A client's certificate on one connection: what each zone makes of it is found once, not for every request."""

from datetime import datetime
from typing import Final

from authproxy.core.certificate import CertificateNames
from authproxy.core.client_name import name_of, user_of
from authproxy.core.decision import Deny, Reason
from authproxy.core.record import UserId
from authproxy.core.xfcc import element
from authproxy.door.gate import judge_peer
from authproxy.errors import UnreadableCertificate
from authproxy.keystore import certificate_names
from authproxy.runtime import CertificateRules

# Zones that one connection asks in turn; a reload brings new rules, and the old ones are not to be kept alive.
_MOST: Final = 8


class Shown:
    """A certificate that the handshake verified, and the session that knows by which chain."""

    __slots__ = ("_der", "_element", "_names", "_session", "_verdicts")

    def __init__(self, der: bytes, session: object) -> None:
        """`session`: the transport's `ssl_object`."""
        self._der = der
        self._session = session
        self._names: CertificateNames | Deny | None = None
        self._verdicts: dict[CertificateRules, UserId | Deny] = {}
        self._element: tuple[tuple[str, ...], bytes] | None = None

    def names(self) -> CertificateNames | Deny:
        """Return what the certificate says."""
        if self._names is None:
            try:
                self._names = certificate_names(self._der)
            except UnreadableCertificate as error:
                self._names = _deny(Reason.CERTIFICATE_NAME_REFUSED, str(error))
        return self._names

    def user(self, rules: CertificateRules, now: datetime) -> UserId | Deny:
        """Return whom the certificate names in a zone, or why it names nobody there; `now` is the wall clock's time."""
        found = self._verdicts.get(rules)
        if found is None:
            if len(self._verdicts) >= _MOST:
                self._verdicts.clear()
            found = self._verdicts[rules] = self._judge(rules, now)
        names = self._names
        if isinstance(names, CertificateNames) and now >= names.not_after:
            # It ended while the connection stood.
            return _deny(Reason.CERTIFICATE_EXPIRED)
        return found

    def element(self, by: tuple[str, ...]) -> bytes:
        """Return what an upstream is told of it; `by` are the URIs in this proxy's own certificate."""
        if self._element is None or self._element[0] is not by:
            names = self.names()
            self._element = by, b"" if isinstance(names, Deny) else element(names, by)
        return self._element[1]

    def _judge(self, rules: CertificateRules, now: datetime) -> UserId | Deny:
        names = self.names()
        if isinstance(names, Deny):
            return names
        # The listener may believe more authorities than the zone, and refuse fewer certificates.
        refused = judge_peer(self._session, rules.demand, now)
        if refused is not None:
            return _deny(Reason.CERTIFICATE_UNTRUSTED, f"{refused.fault.value}: {refused.detail}")
        name = name_of(names, rules.sources)
        if isinstance(name, Reason):
            return _deny(name)
        return user_of(name, rules.users) or _deny(Reason.UNKNOWN_CERTIFICATE, f"{name.source.value} {name.text}")


def _deny(reason: Reason, detail: str = "") -> Deny:
    # Never `presented`: no other certificate can be tried on this connection, so nothing is guessed.
    return Deny(reason, presented=False, detail=detail)
