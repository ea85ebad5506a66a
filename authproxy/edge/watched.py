"""What no deadline of a single step sees: a connection that lasts, a body that dribbles, a client that takes nothing.

One look at each connection now and then, by the sweep that keeps the deadlines; a request costs one count more.

Why the kernel is asked what the client has taken: it takes megabytes from us at once, which a slow client may take
minutes for, and no transport sees what became of them.
"""

import asyncio
from itertools import count
from typing import Final

from typing_extensions import override

from authproxy.door.gate import judge_peer
from authproxy.edge.carrier import Carrier
from authproxy.edge.exchange import Exchange
from authproxy.edge.facts import Facts
from authproxy.edge.phase import BODY, HEAD, Phase
from authproxy.edge.refusal import Refusal
from authproxy.edge.tunnel import Tunnel
from authproxy.runtime import Listener, Runtime

# Apache's RequestReadTimeout: so long is free, then every byte buys its share of a second.
_FREE: Final = 20.0
# How often within its time a client that takes nothing is looked at.
_LOOKS: Final = 30
# How often, while the last answer goes out on a connection that is closing.
_LAST_LOOK: Final = 1.0
# For an answer under way, once a reload shuts its client out: with a look every quarter of a second, less than a second.
_LAST_WORDS: Final = 0.4
# Connections that were made together, as after a restart, need not end together: up to a tenth later, each at a part of
# that tenth which is far from its neighbours' (multiples of the golden ratio lie evenly, however many there are).
_JITTER: Final = 0.1
_GOLDEN: Final = 0.6180339887498949
_NUMBERS: Final = count()


class Watched(Carrier):
    """A carrier whose client is watched."""

    __slots__ = (
        "_ends",
        "_excused",
        "_looked",
        "_next_look",
        "_taken",
        "_taken_at",
        "_unwelcome_since",
        "_watched",
        "requests_left",
    )

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to count."""
        services = self._services
        now = services.monotonic()
        self._looked = self._next_look = self._taken_at = now
        self._watched: Facts | None = None
        """The request whose body is watched."""
        self._excused = 0.0
        """For how long it was not the client that the body waited for."""
        self._taken = -1
        """What the client had taken at the last look; -1: it owed nothing then."""
        self._unwelcome_since = 0.0
        """When a reload shut the client out; 0: it has not."""
        # As `_renew`, which need not judge a client again whom the door has just let in.
        self._runtime = runtime = services.current.runtime
        self._current = listener = runtime.listeners.get(self._listener_name)
        if listener is None:
            self.requests_left = 0
            """How many requests may still come; after the last one the connection is closed."""
            self._ends = now
        else:
            self.requests_left = listener.requests
            self._ends = now + listener.times.connection_life * (1 + _JITTER * (next(_NUMBERS) * _GOLDEN % 1))
        super().connection_made(transport)

    @override
    def recheck(self) -> None:
        """End a connection too whose client would not be let in now, or whose listener is gone."""
        runtime = self._services.current.runtime
        if runtime is not self._runtime:
            self._renew(runtime)
        if self._phase is HEAD and self._current is None:
            # Between two requests, or in the middle of a head that nobody will read.
            self.shut()
        elif not self._unwelcome_since:
            super().recheck()
        elif self.is_busy and self._services.monotonic() - self._unwelcome_since >= _LAST_WORDS:
            work = self._work
            if isinstance(work, Tunnel):
                work.abandon("revoked")
            elif work is not None:
                work.abandon("certificate-refused")
            self.cut()

    @override
    def _renew(self, runtime: Runtime) -> Listener | None:
        # Those who have just shaken hands were judged at the door, by the same demand.
        has_changed = self._runtime is not None and runtime is not self._runtime
        listener = super()._renew(runtime)
        demand = None if listener is None else listener.demand
        if has_changed and demand is not None and demand.closes and not self._unwelcome_since:
            refused = judge_peer(self._session, demand, self._services.now())
            if refused is not None:
                self._unwelcome_since = self._services.monotonic()
                self._services.on_revoked(self._listener_name, self._peer.address, refused)
                if isinstance(self._work, Tunnel):
                    self._work.revoke()
        if self._unwelcome_since:
            # A request that comes from now on finds no listener.
            self._current = None
        return self._current

    @property
    def _session(self) -> object:
        return None if self.line.transport is None else self.line.transport.get_extra_info("ssl_object")

    @override
    def watch(self, now: float) -> None:
        """Look at what the client does."""
        if now >= self._ends:
            # The next answer says so; closing between two requests could hit one that is on its way.
            self.requests_left = 0
        work, facts = self._work, self._facts
        if work is not None and facts is not None:
            if isinstance(work, Exchange) and not work.status:
                if self._phase is BODY:
                    self._watch_body(work, facts, now)
            elif now >= self._next_look:
                self._watch_taking(facts, now)
        self._looked = now

    @override
    def on_deadline(self) -> None:
        """Do not blame an upstream that is held back because the client takes nothing: `watch` sees to that one."""
        work, facts = self._work, self._facts
        is_answering = isinstance(work, Exchange) and work.status and self.line.is_open
        if is_answering and facts is not None and facts.route is not None and self.line.owed()[1]:
            self.line.set_deadline(facts.route.upstream.times.idle)
        elif self._phase is Phase.CLOSED and self.line.has_unsent and self._still_takes(self._services.monotonic()):
            # The end of its last answer: as long as it takes bytes it gets them.
            self.line.set_deadline(_LAST_LOOK)
        else:
            super().on_deadline()

    def _watch_body(self, exchange: Exchange, facts: Facts, now: float) -> None:
        """Refuse a body that comes too slowly on the whole, however regularly; what the upstream holds back is excused."""
        if self._watched is not facts:
            self._watched, self._excused = facts, 0.0
        rate = facts.listener.body_rate
        if self.line.is_held:
            self._excused += now - self._looked
        elif rate and now - facts.started - self._excused > _FREE + facts.received / rate:
            exchange.discard()
            detail = f"{facts.received} bytes in {now - facts.started:.0f}s, less than limits.body_rate"
            self.refuse(facts, Refusal(status=408, reason="body-too-slow", detail=detail, close=True))

    def _watch_taking(self, facts: Facts, now: float) -> None:
        """Cut a client that has taken no byte for too long of what it is owed."""
        self._next_look = now + facts.listener.times.client_write / _LOOKS
        if not self._still_takes(now) and self._work is not None:
            self._work.abandon("client-stalled")
            self.cut()

    def _still_takes(self, now: float) -> bool:
        """Tell whether the client has taken something lately, or is owed nothing."""
        listener = self._listener()
        taken, is_owed = self.line.owed()
        if not is_owed:
            self._taken = -1
        elif taken != self._taken:
            self._taken, self._taken_at = taken, now
        elif listener is None or now - self._taken_at >= listener.times.client_write:
            return False
        return True
