"""How a tunnel ended: what stands in its line of the access log."""

import ssl
from dataclasses import dataclass
from enum import Enum, unique


@unique
class End(Enum):
    """Why; the values stand in logs and metrics and are stable."""

    WHOLE = ""
    """Both sides said that they were through."""
    UNREACHABLE = "target-unreachable"
    LATE = "target-timeout"
    CLIENT_TRUNCATED = "client-truncated"
    """The client closed without close_notify: something may be missing."""
    CLIENT_RESET = "client-reset"
    CLIENT_BROKEN = "client-tls-error"
    """What it sent is no TLS, or was changed on the way."""
    TARGET_RESET = "target-reset"
    IDLE = "tunnel-idle"
    HALF_IDLE = "half-close-idle"
    LIFE = "connection-life"
    DRAINED = "drained"
    REVOKED = "revoked"
    REMOVED = "listener-removed"
    TOO_MANY = "too-many-connections"
    CRASHED = "crashed"


def why_lost(error: Exception | None, *, is_client: bool) -> End:
    """Return what it means that one side was cut."""
    if isinstance(error, ssl.SSLError):
        return End.CLIENT_BROKEN
    if error is not None and not isinstance(error, OSError):
        return End.CRASHED
    if not is_client:
        return End.TARGET_RESET
    # What the kernel did not say, the transport says: a FIN without close_notify.
    told = error is not None and error.errno is not None
    return End.CLIENT_RESET if told else End.CLIENT_TRUNCATED


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One tunnel, at its end."""

    listener: str
    generation: int
    client: str
    """Its address; empty for a Unix socket."""
    target: str
    certificate: str = ""
    """The fingerprint of the client's certificate: SHA-256, hex."""
    subject: str = ""
    """Fit to be shown."""
    received: int = 0
    """Bytes of the client that reached the target's side."""
    sent: int = 0
    duration: float = 0.0
    """Seconds."""
    waited: float = 0.0
    """Until the connection to the target stood; 0: it never did."""
    end: End = End.WHOLE
    detail: str = ""
