"""Where a listener of mode redirect leads, as far as the configuration tells."""

from authproxy.settings.addresses import Tcp
from authproxy.settings.listeners import Listener
from authproxy.settings.model import Settings


def target_of(settings: Settings, listener: Listener) -> str | None:
    """Return the name of the http listener that a redirect leads to, or None when it is not said and not certain."""
    if listener.redirect is not None and listener.redirect.to is not None:
        return listener.redirect.to
    serving = [name for name, one in settings.listeners.items() if one.mode == "http"]
    return serving[0] if len(serving) == 1 else None


def port_of(settings: Settings, listener: Listener) -> int | None:
    """Return the port that clients of a redirect are sent to, or None when nothing tells it."""
    if listener.redirect is not None and listener.redirect.port is not None:
        return listener.redirect.port
    target = settings.listeners.get(target_of(settings, listener) or "")
    ports = [bind.port for bind in target.bind if isinstance(bind, Tcp)] if target is not None else []
    return (ports or [0])[0] or None
