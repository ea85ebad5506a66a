"""Tells whom a reload has shut out."""

from collections.abc import Callable
from typing import Final

from authproxy import events
from authproxy.core.stats import Stats
from authproxy.daemon import log
from authproxy.keystore import Refused

_LOG: Final = log.get("authproxy.door")


def revocation_teller(stats: Stats) -> Callable[[str, str, Refused], None]:
    """Return what counts and logs a connection of a listener and address that ends because its client is refused now."""

    def tell(listener: str, address: str, refused: Refused) -> None:
        revoked, reason = stats.listener(listener).revoked, refused.fault.value
        revoked[reason] = revoked.get(reason, 0) + 1
        _LOG.info(events.CONNECTION_REVOKED, listener=listener, client=address, reason=reason, error=refused.detail)

    return tell
