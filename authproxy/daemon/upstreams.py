"""What an upstream takes from the daemon: a voice in the log, and health checks as its settings wish."""

from typing import Final

from authproxy import events
from authproxy.daemon import log
from authproxy.settings.upstreams import Health
from authproxy.upstream.side import HealthCheck

_LOG: Final = log.get("authproxy.upstream")
_GOOD_NEWS: Final = frozenset({events.UPSTREAM_ENDPOINT_HEALTHY, events.UPSTREAM_ENDPOINT_READMITTED})


def tell(event: str, /, **facts: object) -> None:
    """Log what has changed about an upstream."""
    if event == events.UPSTREAM_ADDRESSES_CHANGED:
        # Some names have other addresses every time that one asks.
        _LOG.debug(event, **facts)
    elif event in _GOOD_NEWS:
        _LOG.info(event, **facts)
    else:
        _LOG.warning(event, **facts)


def health_check(settings: Health | None, authority: bytes) -> HealthCheck | None:
    """Return the check that the settings wish for; `authority` is what Host says if they do not."""
    if settings is None:
        return None
    named = settings.host
    # An address of IPv6 stands in brackets there, as in a URL.
    host = authority if named is None else (f"[{named}]" if ":" in named else named).encode()
    head = (
        b"GET %b HTTP/1.1\r\nHost: %b\r\nUser-Agent: authproxy-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        % (settings.path.encode(), host)
    )
    return HealthCheck(
        head=head, every=settings.every.total_seconds(), timeout=settings.timeout.total_seconds()
    )  # fmt: skip
