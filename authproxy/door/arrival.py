"""One connection from its acceptance to the end of its handshake."""

import asyncio
import contextlib
import secrets
import ssl
from socket import SocketType
from typing import Final, Protocol

from authproxy.door.contexts import Contexts
from authproxy.door.foreign import ENOUGH, answer_to, is_unclear
from authproxy.door.hello import NotTls, first_record, server_name
from authproxy.door.proxy_protocol import BadHeader, read_header
from authproxy.wire.plain import BUFFER, SocketTransport
from authproxy.wire.poller import poller_of
from authproxy.wire.tls import TlsTransport

_PIECE: Final = 16 * 1024


class Owner(Protocol):
    """Who accepted it."""

    contexts: Contexts | None
    answers_http: bool

    def announced(self, arrival: "Arrival") -> bool:
        """Its PROXY header told where it comes from; False: it may not go on."""
        ...

    def arrived(self, arrival: "Arrival", transport: SocketTransport) -> None:
        """It may carry a protocol now."""
        ...

    def failed(self, arrival: "Arrival", reason: str, detail: str) -> None:
        """It did not come to be."""
        ...


class Arrival:
    """Reads what comes before the handshake, if anything does, and shakes hands.

    Before it may come: the PROXY protocol's header, where `announced`; and the hello is looked at where the context
    depends on the name in it. What was read is then given to the TLS engine, so that nothing is read twice.
    """

    __slots__ = (
        "_first",
        "_is_announced",
        "_is_over",
        "_is_told",
        "_known",
        "_loop",
        "_owner",
        "_transport",
        "address",
        "begun",
        "counted",
        "is_spare",
        "port",
        "wire",
    )

    def __init__(  # noqa: PLR0913  # what is known of it from the beginning
        self,
        owner: Owner,
        loop: asyncio.AbstractEventLoop,
        wire: SocketType,
        address: str,
        known: dict[str, object],
        *,
        announced: bool,
    ) -> None:
        """`known`: what the transport is to tell of the socket."""
        self.wire = wire
        self.address = address
        """The client's; empty for a Unix socket."""
        self.counted = "" if announced else address
        """The address that it is counted under."""
        self.begun = 0.0
        """Monotonic, when it was accepted."""
        self.is_spare = False
        """There were enough connections when it came: it is let in to be told so."""
        self.port = 0
        """The client's port, where a PROXY header told it."""
        self._owner = owner
        self._loop = loop
        self._known = known
        self._is_announced = announced
        self._is_told = False
        """A PROXY header told where it comes from."""
        self._first = b""
        self._transport: TlsTransport | None = None
        self._is_over = False

    def begin(self) -> None:
        """Read what comes first, or shake hands at once."""
        contexts = self._owner.contexts
        if self._is_announced or (contexts is not None and contexts.names):
            poller_of(self._loop).add_reader(self.wire.fileno(), self._on_readable)
        else:
            self._shake(contexts)

    def give_up(self, reason: str) -> None:
        """End it."""
        self._fail(reason, "")

    # ------------------------------------------------------------------ before the handshake

    def _on_readable(self) -> None:
        try:
            data = self.wire.recv(_PIECE)
            if not data:
                self._fail("disconnected", "closed before its hello")
                return
            self._first += data
            if self._read_first() and not self._is_over:
                poller_of(self._loop).remove_reader(self.wire.fileno())
                self._shake(self._owner.contexts)
        except (BlockingIOError, InterruptedError):
            return
        except BadHeader as error:
            self._fail("proxy-protocol", str(error))
        except NotTls as error:
            self._refuse_foreign(error)
        except OSError as error:
            self._fail("disconnected", str(error))

    def _refuse_foreign(self, error: NotTls) -> None:
        detail = str(error)
        if self._owner.answers_http:
            if is_unclear(self._first):
                return
            detail += self._answer(self._first)
        self._fail("not-tls", detail)

    def _answer(self, first: bytes) -> str:
        """Tell whoever began so, in plain HTTP, that this is TLS; return what the log says of it."""
        request_id = secrets.token_hex(16)
        answer = answer_to(first, request_id)
        with contextlib.suppress(OSError):
            self.wire.send(answer)
        return f"; answered as {request_id}" if answer else ""

    def _read_first(self) -> bool:
        """Return whether enough has come to choose the context."""
        if self._is_announced:
            header = read_header(self._first)
            if header is None:
                return False
            self._is_announced = False
            self._first = self._first[header.length :]
            if header.address:
                self.address, self.port = header.address, header.port
                self._is_told = True
            self.counted = self.address
            # Before its owner may close it: its number may soon be another connection's.
            poller, fd = poller_of(self._loop), self.wire.fileno()
            poller.remove_reader(fd)
            if not self._owner.announced(self):
                self._is_over = True
                return False
            poller.add_reader(fd, self._on_readable)
        contexts = self._owner.contexts
        return contexts is None or not contexts.names or first_record(self._first) is not None

    # ------------------------------------------------------------------ the handshake

    def _shake(self, contexts: Contexts | None) -> None:
        if self._is_over:
            return
        if contexts is None:
            self._settle(SocketTransport(self._loop, self.wire, lingering=True, first=self._first, known=self._known))
            return
        record = first_record(self._first) if contexts.names else None
        try:
            name = None if record is None else server_name(record)
        except NotTls as error:
            self._fail("not-tls", str(error))
            return
        context = contexts.choose(name)
        self._transport = TlsTransport(self._loop, self.wire, context, self._shaken, known=self._known)
        if name is not None:
            self._transport.set_server_name(name)
        self._transport.shake(self._first)

    def _shaken(self, transport: TlsTransport, error: Exception | None) -> None:
        # The transport holds who it tells: with both ends held, neither would be freed but by the collector.
        self._transport = None
        if error is None:
            self._settle(transport)
        elif not self._is_over:
            reason, detail = _tell(error)
            if self._owner.answers_http and isinstance(error, ssl.SSLError) and error.reason in _FOREIGN:
                # Nobody has read into the shared buffer since the bytes that OpenSSL has just failed at. Of what came
                # in pieces it holds the last one only; but OpenSSL has seen them all, and knows the usual methods.
                is_http = error.reason == "HTTP_REQUEST"
                detail += self._answer(b"GET /" if is_http else self._first or bytes(BUFFER[:ENOUGH]))
            self._is_over = True
            self._owner.failed(self, reason, detail)

    def _settle(self, transport: SocketTransport) -> None:
        self._is_over = True
        if self._is_told:
            transport.set_peer(self.address, self.port)
        self._owner.arrived(self, transport)

    def _fail(self, reason: str, detail: str) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._transport is not None:
            self._transport.abort()
        else:
            poller_of(self._loop).remove_reader(self.wire.fileno())
            self.wire.close()
        self._owner.failed(self, reason, detail)


def _tell(error: Exception) -> tuple[str, str]:
    """Return a word for the metrics, from a small set that a client cannot widen, and what is known beside it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate-refused", error.verify_message
    if isinstance(error, ssl.SSLError):
        detail = error.reason or str(error)
        if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
            return "no-certificate", detail
        if error.reason in _FOREIGN:
            return "not-tls", f"the client did not speak TLS ({detail})"
        return "tls-error", detail
    return "disconnected", str(error)


# What OpenSSL says of first bytes that are no TLS.
_FOREIGN: Final = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER"})
