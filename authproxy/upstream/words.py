"""What OpenSSL says of an upstream becomes an operator's words, whether the handshake fails or what follows it.

In TLS 1.3 a server judges the client's certificate after the client is through: what it says of it comes late.
"""

import ssl
from typing import Final

_WORDS: Final = {
    "WRONG_VERSION_NUMBER": "does not speak TLS",
    "HTTP_REQUEST": "does not speak TLS",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "wants a client certificate: set the upstream's keystore",
    "TLSV1_ALERT_UNKNOWN_CA": "does not believe our client certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "does not take our client certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "does not take our client certificate",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "says that our client certificate is revoked",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "says that our client certificate has expired",
    "TLSV1_ALERT_PROTOCOL_VERSION": "speaks neither TLS 1.2 nor 1.3",
}


def explain(error: ssl.SSLError, believed: str) -> str:
    """Return what a failed handshake means; `believed`: who could have vouched for the server."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.verify_message} (asked: {believed})"
    # One that OpenSSL did not make has none.
    reason: str | None = getattr(error, "reason", None)
    words = _WORDS.get(reason or "")
    return f"{words} ({reason})" if words else reason or str(error)


def explain_loss(error: Exception | None, otherwise: str) -> str:
    """Return why a connection that stood was lost; `otherwise`: where nothing is known of it."""
    if error is None:
        return otherwise
    return explain(error, "") if isinstance(error, ssl.SSLError) else str(error) or otherwise
