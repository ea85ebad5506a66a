"""Plain HTTP that leads to https: every request is answered, none is forwarded, whatever it carries.

The grammar and the limits are those of every listener, so that no two readers see different targets in one request.

Why 308: it keeps method and body (RFC 9110, 15.4.9), where a 301 lets clients turn a POST into a GET. Why only hosts that
are served: the Host is the client's word, and a redirect to any other would be this server's word for a stranger.
"""

import asyncio
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from authproxy import events
from authproxy.core.path import read_path
from authproxy.edge.connection import ClientConnection
from authproxy.edge.gate import NEVER, fold_host
from authproxy.edge.own_answer import unrouted_facts
from authproxy.edge.phase import BUSY, HEAD
from authproxy.edge.record import record
from authproxy.edge.refusal import NO_CONTENT, Refusal
from authproxy.edge.services import Services
from authproxy.http1.body import LengthReader
from authproxy.http1.chunked import ChunkedReader
from authproxy.http1.request import RequestHead, request_head
from authproxy.runtime import Listener, Redirect, Runtime

if TYPE_CHECKING:
    from authproxy.edge.server import EdgeServer

# The first byte of a TLS handshake record (RFC 8446, 5.1); no method begins with it.
_TLS_HELLO: Final = b"\x16"


class RedirectConnection(ClientConnection):
    """A connection without TLS: it knows no way to an upstream."""

    __slots__ = ("is_short",)

    def __init__(
        self, server: "EdgeServer", services: Services, listener: str, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(server, services, listener, loop)
        self.is_short = False
        """There are too many connections: this one ends with its first answer, which costs no more than a refusal."""

    @override
    def data_received(self, data: bytes) -> None:
        """Read what came; a client that speaks TLS here is let go, since no answer of ours would be TLS."""
        listener = self._listener()
        if self._phase is HEAD and not self._buffer and data[:1] == _TLS_HELLO and listener is not None:
            facts = unrouted_facts(self._services, listener, self._origin, request_head(b"", b"", b""))
            detail = "a TLS handshake on a listener of mode redirect, which speaks plain HTTP"
            record(self._services, facts, events.REQUEST_REFUSED, 400, facts.started, "malformed-request", detail)
            self.shut()
        else:
            super().data_received(data)

    @override
    def _dispatch(self, runtime: Runtime, listener: Listener, head: RequestHead) -> None:
        """Answer; a listener that a reload has given another mode serves nobody without TLS."""
        if listener.redirect is None:
            self.shut()
            return
        self._facts = facts = self.own_facts(runtime, listener, head)
        self._phase = BUSY
        head.close = head.close or self.is_short
        if head.has_body:
            self._body = ChunkedReader() if head.chunked else LengthReader(head.content_length)
        self.refuse(facts, redirect(listener.redirect, head))


def redirect(leads: Redirect, head: RequestHead) -> Refusal:
    """Return the answer to a request: the same target on https, byte for byte, or why there is none."""
    if head.method in NEVER:
        return Refusal(status=405, reason="method-never-allowed")
    if head.target == b"*":
        return NO_CONTENT
    if read_path(head.path) is None:
        return Refusal(status=400, reason="ambiguous-path")
    host = fold_host(head.host)
    if not leads.routes.knows(host):
        return Refusal(status=421, reason="unknown-host")
    # The request goes on all the same; but what has crossed the network readable should be replaced.
    reason = "credential-in-clear" if head.authorization is not None else ""
    location = b"Location: https://%b%b%b\r\n" % (host.encode(), leads.port, head.target)
    return Refusal(status=308, reason=reason, lines=location)
