"""The way out of `authproxy connect`: a verified TLS connection, and in words why there is none."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from authproxy.core.place import Place
from authproxy.tunnel.dial import NoWay, dial
from authproxy.wire.shake import shake_hands
from authproxy.wire.tls import TlsTransport

# With TLS 1.3 a client has finished its handshake before the server has looked at its certificate: a refusal comes about
# as long after it as the handshake took. Until then silence does not mean yes.
_SHORTEST_WAIT: Final = 0.3
_LONGEST_WAIT: Final = 2.0
_TIMES: Final = 3
# A peer whose machine or network is gone never says so: asked after a minute of silence, and four times in the next.
_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """Where to, and what must be true of whoever is there."""

    way: Place
    context: ssl.SSLContext
    server_name: str
    """An `Unnamed` where the certificate need not hold it."""
    judge: Callable[[bytes], str]
    """Says what is wrong with the server's certificate (DER) beside chain and name; empty: nothing."""
    limit: float
    """Seconds to connect, and as many to shake hands."""


class NoRemote(Exception):  # named after what it reports
    """There is no verified connection."""

    def __init__(self, detail: str, *, refused: bool) -> None:
        super().__init__(detail)
        self.refused = refused
        """Somebody is there, and one of the two does not want the other."""


async def reach(remote: Remote) -> TlsTransport:
    """Return a transport to the remote, whose handshake is done; it may still refuse us. Then call `begin`.

    Raises:
        NoRemote: there is none.
    """
    try:
        wire = await dial(remote.way, remote.limit)
    except NoWay as error:
        raise NoRemote(str(error), refused=False) from error
    if not remote.way.unix:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            wire.setsockopt(socket.IPPROTO_TCP, option, value)
    try:
        async with asyncio.timeout(remote.limit):
            loop = asyncio.get_running_loop()
            transport = await shake_hands(loop, wire, remote.context, remote.server_name)
    except TimeoutError:
        raise NoRemote(f"{remote.way}: no TLS handshake within {remote.limit:g}s", refused=True) from None
    except (ssl.SSLError, OSError) as error:
        raise NoRemote(f"{remote.way}: {explain(error)}", refused=True) from error
    problem = remote.judge(_shown(transport))
    if problem:
        transport.abort()
        raise NoRemote(f"{remote.way}: {problem}", refused=True)
    return transport


async def probe(remote: Remote) -> None:
    """Return when the remote lets us in, as far as can be told without saying anything.

    Raises:
        NoRemote: it does not.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    transport = await reach(remote)
    wait = min(max(_TIMES * (loop.time() - began), _SHORTEST_WAIT), _LONGEST_WAIT)
    answer = _Answer(loop.create_future())
    transport.begin(answer)
    try:
        async with asyncio.timeout(wait):
            refusal = await answer.refusal
    except TimeoutError:
        refusal = ""
    transport.abort() if refusal else transport.close()
    if refusal:
        raise NoRemote(f"{remote.way}: {refusal}", refused=True)


class _Answer(asyncio.Protocol):
    """What the remote says to somebody who says nothing."""

    def __init__(self, refusal: "asyncio.Future[str]") -> None:
        self.refusal = refusal
        """Empty: it has said something, so we are in."""

    @override
    def data_received(self, data: bytes) -> None:
        self._settle("")

    @override
    def eof_received(self) -> None:
        self._settle("closed the connection at once: it does not let this certificate in, or what is behind it is down")

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._settle(explain(exc))

    def _settle(self, refusal: str) -> None:
        if not self.refusal.done():
            self.refusal.set_result(refusal)


def _shown(transport: TlsTransport) -> bytes:
    session = transport.get_extra_info("ssl_object")
    return (session.getpeercert(binary_form=True) if isinstance(session, ssl.SSLObject) else None) or b""


# What OpenSSL says of the usual mistakes, in an operator's words; alerts speak for themselves.
_WORDS: Final = {
    "WRONG_VERSION_NUMBER": "does not speak TLS",
    "HTTP_REQUEST": "does not speak TLS",
    "UNSUPPORTED_PROTOCOL": "speaks no TLS 1.3",
    "CERTIFICATE_REQUIRED": "it wants a client certificate",
    "UNKNOWN_CA": "it does not believe our certificate (unknown ca)",
    "PROTOCOL_VERSION": "it speaks no TLS 1.3",
}
_ALERT: Final = "_ALERT_"


def explain(error: Exception | None) -> str:
    """Return what it means that a connection to a remote failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        is_name = "mismatch" in error.verify_message
        hint = " (nREPL's certificates name nobody: --verify ca-only)" if is_name else ""
        return f"its certificate is not accepted: {error.verify_message.lower().rstrip('.')}{hint}"
    if isinstance(error, ssl.SSLError):
        reason = error.reason or str(error)
        _, alert, name = reason.partition(_ALERT)
        if alert:
            return f"refused by the server: {_WORDS.get(name, name.replace('_', ' ').lower())}"
        return _WORDS.get(reason, reason.replace("_", " ").lower())
    if isinstance(error, OSError) and error.errno is None:
        return "cut the connection without close_notify: something may be missing"
    if isinstance(error, OSError):
        return f"broke the connection off: {(error.strerror or str(error)).lower()}"
    return "broke the connection off" if error is None else f"failed with {type(error).__name__}: {error}"
