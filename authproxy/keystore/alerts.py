"""A server context whose refused clients learn why.

asyncio and uvloop throw away what a failed handshake has left to send, so that a client without a certificate sees
a closed connection and nothing else. Here the pending alert goes out before the loop gets to know of the failure.

Why not more: a real `SSLContext` per connection costs about 0.2 ms, and the loops ask of theirs one method only,
`wrap_bio`. aiofastnet takes the C structure out of the context instead and cannot work with this facade.
"""

import contextlib
import socket
import ssl
from typing import cast

from typing_extensions import override


class AlertingObject(ssl.SSLObject):
    """An `SSLObject` that writes its alert to `wire` when the handshake fails; without `wire` a plain one."""

    wire: socket.socket | None = None
    """The connection's socket, for as long as the handshake lasts."""
    outbox: ssl.MemoryBIO | None = None
    """Where OpenSSL leaves what is to be sent."""

    @override
    def do_handshake(self) -> None:
        """Take the handshake as far as it goes; when it fails, the peer has been told."""
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            self._send_alert()
            raise
        self.wire = self.outbox = None

    def _send_alert(self) -> None:
        wire, outbox = self.wire, self.outbox
        self.wire = self.outbox = None
        if wire is None or outbox is None or not outbox.pending:
            return
        # The socket does not block, and a peer that is gone or does not read needs no explanation.
        with contextlib.suppress(OSError):
            wire.send(outbox.read())


class ServerContext(ssl.SSLContext):
    """An `SSLContext` that can be handed to a loop together with one connection's socket."""

    sslobject_class: type[ssl.SSLObject] = AlertingObject

    def for_socket(self, wire: socket.socket) -> ssl.SSLContext:
        """Return what to give to `loop.connect_accepted_socket(..., wire, ssl=...)` so that `wire` gets the alerts.

        It is valid for this one connection and shares everything with this context.
        """
        return cast("ssl.SSLContext", _ForSocket(self, wire))


class _ForSocket:
    """Stands in for `context` where a loop wants a context: it only ever calls `wrap_bio`."""

    __slots__ = ("_context", "_wire")

    def __init__(self, context: ServerContext, wire: socket.socket) -> None:
        self._context = context
        self._wire = wire

    # uvloop asks isinstance(ssl, SSLContext), which goes by this.
    __class__ = property(lambda _: ssl.SSLContext)

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Return the context's own object, with the connection's socket put in."""
        made = self._context.wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        if isinstance(made, AlertingObject):
            made.wire, made.outbox = self._wire, outgoing
        return made
