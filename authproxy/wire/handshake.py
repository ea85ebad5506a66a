"""The TLS handshake of a connection, by an engine in memory (`ssl.SSLObject`), with the alert that says why it failed."""

import asyncio
import socket
import ssl
from abc import abstractmethod

from authproxy.wire.plain import SocketTransport


class Unnamed(str):
    """A server's name that it is asked for (or an empty one), and that its certificate need not hold.

    The chain is verified all the same. For `authproxy connect`: nREPL's certificates name nobody.
    """

    __slots__ = ()


class Handshake(SocketTransport):
    """Shakes hands; what comes after that is the subclass's business."""

    __slots__ = ("_incoming", "_is_shaken", "_outgoing", "_put", "_session")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        wire: socket.SocketType,
        context: ssl.SSLContext,
        server_name: str | None,
        known: dict[str, object] | None = None,
    ) -> None:
        """`server_name`: whom the server's certificate must name, for the client's side; None for the server's."""
        super().__init__(loop, wire, lingering=server_name is None, known=known)
        is_unnamed = server_name is None or isinstance(server_name, Unnamed)
        if not is_unnamed and not (server_name and context.check_hostname):
            # An empty name would silently switch the check off.
            raise ssl.SSLError(ssl.SSLErrorNumber.SSL_ERROR_SSL, "no server name to verify")
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_name is None, server_hostname=server_name or None
        )
        self._extra["ssl_object"], self._extra["sslcontext"] = self._session, context
        self._put = self._incoming.write
        self._take = self._outgoing.read
        self._is_shaken = False

    def shake(self, first: bytes = b"") -> None:
        """Begin the handshake; `first`: bytes of the peer that were read already."""
        self._poller.add_reader(self._fd, self._on_readable)
        if first or not self._session.server_side:
            self._put(first)
            self._go_on()

    def _go_on(self) -> None:
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            self.flush()
            return
        except (ssl.SSLError, ValueError) as error:
            # What is left to send is the alert that says why; whether it arrives or not, that is what went wrong.
            self._is_shaken = True
            self.flush()
            self._end(error)
            self._tell(error)
            return
        self._is_shaken = True
        if self._session.server_side and self._session.version() == "TLSv1.3":
            self._keep_ticket()
        else:
            self.flush()
        if self._is_gone:
            self._tell(ConnectionResetError("closed in its handshake"))
            return
        self._tell(None)
        if self._incoming.pending:
            self._drain_if_reading()

    def _keep_ticket(self) -> None:
        """Let the session ticket, for which nobody waits, go with the first answer: a send less, and a wake of the client."""
        ticket = self._take()
        if ticket:
            self._take = lambda: self._take_with(ticket)

    def _take_with(self, ticket: bytes) -> bytes:
        self._take = self._outgoing.read
        return ticket + self._take()

    @abstractmethod
    def _tell(self, error: Exception | None) -> None:
        """Say how it went: None, or what went wrong, and an alert has told the peer."""

    @abstractmethod
    def _drain_if_reading(self) -> None:
        """Hand over what came right behind the handshake."""
