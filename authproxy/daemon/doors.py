"""The listening sockets of a configuration, opened before the swap and closed after it."""

import asyncio
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from authproxy import events
from authproxy.core.place import Place
from authproxy.core.stats import Stats
from authproxy.daemon import log
from authproxy.daemon.material import gather
from authproxy.daemon.outcome import Outcome, Result
from authproxy.daemon.process import descriptor_limit
from authproxy.daemon.tunnels import tunnels
from authproxy.door.acceptor import Acceptor, Factory
from authproxy.door.caps import TOO_MANY, TOO_MANY_OF_SOURCE, Caps
from authproxy.door.contexts import Contexts
from authproxy.door.local import identity, remove_unix
from authproxy.door.sockets import listen
from authproxy.edge.server import EdgeServer, OwnPage
from authproxy.edge.services import Services
from authproxy.errors import MaterialError
from authproxy.keystore import PeerFault
from authproxy.settings import Loaded
from authproxy.settings.addresses import Address, UnixSocket

_LOG = log.get("authproxy.door")
# A port scan or a broken client must not write the log full; the metric counts every one.
_LINES_A_SECOND = 1.0
_EVENTS = {
    "exhausted": events.ACCEPT_FAILED,
    TOO_MANY: events.CONNECTION_REFUSED,
    TOO_MANY_OF_SOURCE: events.CONNECTION_REFUSED,
    **{fault.value: events.HANDSHAKE_REFUSED for fault in PeerFault if fault is not PeerFault.NO_CERTIFICATE},
}


def bind_of(address: Address) -> Place:
    """Return where to listen, as the door sees it."""
    if isinstance(address, UnixSocket):
        return Place(unix=address.path)
    host = {"localhost": "127.0.0.1"}.get(address.host, address.host)
    return Place(host=host, port=address.port)


class Doors:
    """All acceptors of the process."""

    def __init__(self, services: Services, stats: Stats, page: OwnPage, monotonic: Callable[[], float]) -> None:
        self._services = services
        self._stats = stats
        self._page = page
        self._monotonic = monotonic
        self._acceptors: dict[str, Acceptor] = {}
        self._modes: dict[str, str] = {}
        """What kind of connections each makes."""
        self._sockets: dict[tuple[str, Place], socket.socket] = {}
        self._files: dict[Place, tuple[int, int] | None] = {}
        """The Unix sockets that were made here, and what tells each from one that comes in its place."""
        self._next_line = 0.0
        self.caps = Caps()
        """Of all listeners together."""

    def open_new(self, loaded: Loaded) -> dict[tuple[str, Place], socket.socket]:
        """Return sockets for every `bind` that is not open yet; nothing accepts on them so far.

        Raises:
            ConfigError: an address cannot be had; those already opened are closed again.
        """
        opened: dict[tuple[str, Place], socket.socket] = {}
        held = {bind for _, bind in self._sockets}

        def open_all(name: str) -> None:
            for address in loaded.settings.listeners[name].bind:
                key = name, bind_of(address)
                if key in self._sockets:
                    continue
                if key[1] in held:
                    # The address moved to a listener of another name: the same socket goes on there.
                    opened[key] = next(wire for (_, bind), wire in self._sockets.items() if bind == key[1]).dup()
                else:
                    opened[key] = self._listen(key[1])

        try:
            gather(loaded, "listeners", loaded.settings.listeners, open_all)
        except BaseException:
            for (_, bind), wire in opened.items():
                wire.close()
                if bind not in held:
                    self._forget(bind)
            raise
        return opened

    def _listen(self, bind: Place) -> socket.socket:
        wire = listen(bind)
        if bind.unix:
            self._files[bind] = identity(Path(bind.unix))
        return wire

    def _forget(self, bind: Place) -> None:
        """Remove a Unix socket that was made here and that nobody accepts on any more."""
        if bind in self._files:
            remove_unix(Path(bind.unix), self._files.pop(bind))

    def apply(
        self, loaded: Loaded, contexts: Mapping[str, Contexts], opened: Mapping[tuple[str, Place], socket.socket]
    ) -> None:
        """Swap the TLS contexts of all listeners, accept on the new sockets, close those that are no longer named."""
        listeners = loaded.settings.listeners
        self._limit(loaded)
        for name in listeners:
            chosen = contexts.get(name)
            acceptor = self._acceptors.get(name)
            mode = listeners[name].mode
            if acceptor is None or self._modes.get(name) != mode:
                acceptor = self._make(name, chosen, mode)
                self._modes[name] = mode
                self._move(name, acceptor)
            acceptor.contexts = chosen
            acceptor.handshake = loaded.settings.timeouts.handshake.total_seconds()
            announced = listeners[name].proxy_protocol
            acceptor.announcers = () if announced is None else announced.senders
        for key, wire in opened.items():
            self._sockets[key] = wire
            self._acceptors[key[0]].add(wire)
            _LOG.info(events.LISTENER_OPENED, listener=key[0], bind=str(key[1]))
        wanted = {(name, bind_of(address)) for name, listener in listeners.items() for address in listener.bind}
        for key in [key for key in self._sockets if key not in wanted]:
            self._acceptors[key[0]].remove(self._sockets.pop(key))
            if key[1] not in {bind for _, bind in self._sockets}:
                self._forget(key[1])
            _LOG.info(events.LISTENER_CLOSED, listener=key[0], bind=str(key[1]))

    def renew(self) -> tuple[Outcome, ...]:
        """Listen anew where a Unix socket's path leads to it no longer; what cannot be had is told, the rest goes on.

        Whoever has connected to the socket that nobody can find any more is served all the same.
        """
        outcomes: list[Outcome] = []
        lost = {bind for bind, known in self._files.items() if identity(Path(bind.unix)) != known}
        for name, bind in [key for key in self._sockets if key[1] in lost]:
            try:
                wire = self._listen(bind)
            except MaterialError as error:
                part = f"listener:{name}"
                _LOG.error(events.RELOAD_REJECTED, part=part, error=str(error))
                outcomes.append(Outcome(part=part, result=Result.REJECTED, error=str(error)))
                continue
            self._acceptors[name].replace(self._sockets[name, bind], wire)
            self._sockets[name, bind] = wire
            _LOG.info(events.LISTENER_OPENED, listener=name, bind=str(bind))
        return tuple(outcomes)

    def _limit(self, loaded: Loaded) -> None:
        """Take over the limits; connections that stand are not touched."""
        limits = loaded.settings.limits
        # Each client may need a descriptor to an upstream too; a fifth stays for everything else.
        most = limits.connections
        self.caps.connections = most if isinstance(most, int) else max(1, descriptor_limit() * 4 // 10)
        most = limits.connections_per_source
        self.caps.per_source = most if isinstance(most, int) else max(1, self.caps.connections // 2)
        self.caps.handshakes = limits.handshakes
        self.caps.exempt = loaded.settings.trusted_proxies

    def close(self) -> None:
        """Accept no more."""
        for acceptor in self._acceptors.values():
            acceptor.close()
        self._sockets.clear()
        for bind in list(self._files):
            self._forget(bind)

    def _move(self, name: str, acceptor: Acceptor) -> None:
        """Let this acceptor take over the sockets of a listener whose mode has changed, or that is new."""
        old = self._acceptors.get(name)
        self._acceptors[name] = acceptor
        if old is None:
            return
        for key in [key for key in self._sockets if key[0] == name]:
            self._sockets[key] = self._sockets[key].dup()
            acceptor.add(self._sockets[key])
        old.close()

    def _make(self, name: str, contexts: Contexts | None, mode: str) -> Acceptor:
        def report(address: str, reason: str, detail: str) -> None:
            now = self._monotonic()
            if now < self._next_line:
                return
            self._next_line = now + _LINES_A_SECOND
            event = _EVENTS.get(reason, events.HANDSHAKE_FAILED)
            _LOG.info(event, listener=name, client=address, reason=reason, error=detail)

        made = Acceptor(
            self._factory(name, mode),
            contexts,
            caps=self.caps,
            stats=self._stats.listener(name),
            report=report,
            now=self._services.now,
        )
        made.answers_http = mode != "tcp"
        return made

    def _factory(self, name: str, mode: str) -> Factory:
        if mode == "tcp":
            return tunnels(self._services, name, self._stats.tunnel(name))
        server = EdgeServer(self._services, name, self._page, asyncio.get_running_loop())
        return server.redirect_connection if mode == "redirect" else server.connection
