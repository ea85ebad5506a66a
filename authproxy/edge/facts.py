"""What is known of one request on its way; by its end the counters and the log line are made of it."""

from authproxy.core.decision import Allow
from authproxy.edge.origin import Origin
from authproxy.http1.request import RequestHead
from authproxy.runtime import Listener, Route, Runtime


class Facts:
    """Filled in as the request goes; made by `facts_of`."""

    # What every request reads has a slot. The rest are defaults: to set what nobody reads costs, too.
    __slots__ = (
        "__dict__", "allow", "answered_at", "listener", "origin", "received", "request", "request_id", "route", "runtime",
        "sent", "started",
    )  # fmt: skip

    user: str = ""
    """Whom a refused credential claimed to be."""
    runtime: Runtime
    listener: Listener
    request: RequestHead
    request_id: bytes
    origin: Origin
    started: float
    """Monotonic, when the head was whole."""
    route: Route | None
    allow: Allow | None
    answered_at: float
    """Monotonic, when the upstream's head was whole; 0: there was none."""
    received: int
    """Payload bytes of the request's body."""
    sent: int
    """Payload bytes of the answer's body."""


def facts_of(  # noqa: PLR0913, PLR0917  # what a request is, and what counted when it came
    runtime: Runtime, listener: Listener, request: RequestHead, request_id: bytes, origin: Origin, started: float
) -> Facts:
    """Return what is known of a request when it comes.

    Why a function: on Python 3.11 a class with a constructor takes twice as long to make an object.
    """
    facts = Facts()
    facts.runtime = runtime
    facts.listener = listener
    facts.request = request
    facts.request_id = request_id
    facts.origin = origin
    facts.started = started
    facts.route = facts.allow = None
    facts.answered_at = 0.0
    facts.received = facts.sent = 0
    return facts
