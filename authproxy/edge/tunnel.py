"""An upgraded connection: bytes both ways until either side ends."""

from collections.abc import Callable
from typing import Final

from authproxy import events
from authproxy.catalogs.interface import MISS
from authproxy.core.tally import owner_of
from authproxy.edge.certified import still_admitted
from authproxy.edge.client import TunnelClient
from authproxy.edge.ends import Ends
from authproxy.edge.facts import Facts
from authproxy.edge.record import record
from authproxy.edge.services import Services
from authproxy.edge.visitor import goes_on, goes_on_now
from authproxy.http1.answer import SWITCHING, AnswerHead
from authproxy.http1.websocket import GOING_AWAY, POLICY_VIOLATION, FrameTracker, close_frame, ends_in_close
from authproxy.runtime import Route, Zone
from authproxy.upstream.connection import UpstreamConnection
from authproxy.upstream.interface import Failure

# How long a WebSocket that was told to end may take to say so too (RFC 6455, 7.1.1).
_CLOSE_GRACE: Final = 5.0


class Tunnel(Ends):
    """Relays bytes; is the receiver of what the upstream sends after its 101.

    A WebSocket's frame boundaries towards the client are followed, so that it can be told 1001 between two frames.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # all of an exchange that goes on
        self, client: TunnelClient, services: Services, facts: Facts, way: tuple[Route, UpstreamConnection], protocol: bytes,
        first: bytes,
    ) -> None:  # fmt: skip
        self._client = client
        self._line = client.line
        self._services = services
        self._facts = facts
        self._route, self._upstream = way
        self._connection = self._upstream
        self._tracker = FrameTracker() if protocol.lower() == b"websocket" else None
        self._closing = False
        self._is_revoked = False
        """Nothing that the client still says reaches the upstream."""
        self._is_half = False
        """One side has ended, the other may still speak."""
        self._lacks_end = self._tracker is None
        """Nothing tells the upstream that what the client said is whole: no frame, and no end of its side so far."""
        self._over = False
        self._route.stats.upgraded += 1
        self._is_asking = False
        """Whether the session that opened this is being asked for."""
        if facts.allow is not None:
            services.tunnels.add(owner_of(facts.allow))
        self._zone = "" if facts.allow is None else facts.allow.zone
        if self._tracker is not None:
            self._tracker.feed(first)
        self._touch()

    def send(self, data: bytes) -> None:
        """Pass bytes of the client on."""
        if self._is_revoked:
            if ends_in_close(data):
                # Browsers tell their page only when the connection has gone, which is for the server to do first.
                self.end("revoked")
            return
        self._facts.received += len(data)
        self._upstream.write(data)
        self._touch()

    def drain(self) -> None:
        """Tell a WebSocket that the proxy goes away once a frame is out whole; other tunnels are just closed."""
        if self._over or self._closing:
            return
        if self._tracker is None or self._is_half:
            self.end("drained")
        elif self._tracker.at_boundary:
            self._say_goodbye(GOING_AWAY)

    def recheck(self) -> None:
        """End when the credential that opened this would be refused now; a catalog that must be asked is not."""
        allow, zone = self._facts.allow, self._services.current.runtime.zones.get(self._zone)
        if allow is None or self._over or self._closing:
            return
        if zone is not None and allow.method == "session":
            if not self._is_asking:
                goes = goes_on_now(zone, self._facts, self._services.now())
                if goes is None:
                    self._is_asking = True
                    self._services.spawn(self._recheck_session(zone))
                elif not goes:
                    self.revoke()
            return
        if zone is not None:
            record = zone.catalog.peek(zone.name, allow.record.user_id)
            if record is MISS or still_admitted(zone, self._facts, record, self._services.now()):
                return
        self.revoke()

    async def _recheck_session(self, zone: Zone) -> None:
        try:
            goes = await goes_on(zone, self._facts, self._services.now())
        finally:
            self._is_asking = False
        if not goes:
            self.revoke()

    def revoke(self) -> None:
        """End because whoever opened this may do so no longer; a WebSocket between two frames is told."""
        if self._over or self._closing:
            return
        if self._tracker is None or self._is_half or not self._tracker.at_boundary:
            self.end("revoked")
            return
        self._is_revoked = True
        self._say_goodbye(POLICY_VIOLATION)

    def on_deadline(self) -> None:
        """Silent for too long."""
        if self._is_revoked:
            self.end("revoked")
        else:
            self.end("drained" if self._closing else "tunnel-idle")

    def end(self, reason: str) -> None:
        """Close both sides."""
        if self._over:
            return
        self.abandon(reason)
        self._client.finished(keep=False, now=self._services.monotonic())

    def abandon(self, reason: str) -> None:
        """The client is gone."""
        if self._over:
            return
        self._over = True
        self._route.stats.upgraded -= 1
        if self._facts.allow is not None:
            self._services.tunnels.remove(owner_of(self._facts.allow))
        self._route.upstream.release(self._upstream)
        if self._lacks_end and reason == "client-gone":
            self._upstream.abort()
        else:
            self._upstream.close()
        said = "" if reason == "client-gone" else reason
        record(self._services, self._facts, events.REQUEST_FORWARDED, SWITCHING, self._services.monotonic(), said)

    # ------------------------------------------------------------------ the receiver of the upstream's bytes

    def on_body(self, data: bytes, *, complete: bool) -> None:
        """Pass bytes of the upstream on."""
        self._facts.sent += len(data)
        if self._closing or self._over:
            # After a close frame nothing may follow (RFC 6455, 5.5.1).
            return
        if self._tracker is not None:
            self._tracker.feed(data)
        self._line.send(data)
        self._touch()
        if self._services.current.draining:
            self.drain()
        if complete:
            self.end("")

    def on_end(self) -> bool:
        """The upstream ends its side: the client hears of it, and may go on until it ends too."""
        return self._pass_end(self._line.end)

    def on_client_end(self) -> bool:
        """The client ends its side: the upstream hears of it, and may go on until it ends too."""
        self._lacks_end = False
        return self._pass_end(self._upstream.end)

    def _pass_end(self, end: Callable[[], None]) -> bool:
        # Whoever was told goodbye has nothing more to say.
        if self._is_half or self._over or self._closing:
            return False
        self._is_half = True
        end()
        self._touch()
        return True

    def on_failure(self, failure: Failure, detail: str) -> None:
        """The upstream is gone: a client without frames must not take what it got for the whole."""
        del detail
        if self._over or self._tracker is not None or failure is Failure.CLOSED:
            self.end("")
        else:
            self.abandon(failure.value)
            self._client.cut()

    def on_interim(self, head: AnswerHead) -> None:
        """There are no heads in a tunnel."""

    def on_answer(self, head: AnswerHead, body: bytes, *, complete: bool) -> None:
        """There are no heads in a tunnel."""

    def _say_goodbye(self, code: int) -> None:
        self._closing = True
        self._line.send(close_frame(code))
        self._line.set_deadline(_CLOSE_GRACE)

    def _touch(self) -> None:
        # Whoever heeds no close frame gets no more time by going on.
        if not self._closing:
            self._line.set_deadline(self._facts.listener.times.tunnel_idle)
