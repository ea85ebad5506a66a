"""What the service manager hears of this proxy, and when."""

from typing import TYPE_CHECKING, Final

from authproxy.daemon.notify import ServiceManager
from authproxy.daemon.outcome import Outcome
from authproxy.daemon.reloader import Reloader

if TYPE_CHECKING:
    from authproxy.daemon.proxy import Proxy

# For what follows the drain: closing what is left, and the end of the interpreter.
_GOODBYE: Final = 5.0


class Herald:
    """Knows the proxy, and tells the service manager of it."""

    def __init__(self, proxy: "Proxy", reloader: Reloader, manager: ServiceManager) -> None:
        self._proxy = proxy
        self._reloader = reloader
        self._manager = manager

    def ready(self) -> None:
        """Say that the proxy serves; from now on reloads are told, and a loop that is stuck is noticed."""
        self._manager.ready(self._serving())
        self._reloader.audience.append(self)
        self._proxy.beats.append(self._manager.beat)

    def reloading(self) -> None:
        """Say that a reload begins."""
        self._manager.reloading()

    def reloaded(self, outcomes: tuple[Outcome, ...]) -> None:
        """Say how it has ended."""
        self._manager.reloaded(outcomes, self._serving())

    def draining(self) -> None:
        """Say that the end has begun."""
        timeouts = self._proxy.prepared.loaded.settings.timeouts
        seconds = (timeouts.pre_stop + timeouts.drain).total_seconds() + _GOODBYE
        self._manager.stopping(len(self._proxy.services.connections), seconds)

    def close(self) -> None:
        """Say nothing more."""
        self._manager.close()

    def _serving(self) -> str:
        listeners = self._proxy.prepared.loaded.settings.listeners
        doors = (f"{name} ({', '.join(map(str, one.bind))})" for name, one in listeners.items())
        return f"serving generation {self._proxy.status.generation} on {', '.join(doors)}"
