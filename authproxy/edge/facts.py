"""What is known of one request on its way; by its end the counters and the log line are made of it."""

from authproxy.core.decision import Allow
from authproxy.edge.origin import Origin
from authproxy.http1.request import RequestHead
from authproxy.runtime import Listener, Route, Runtime


class Facts:
    """Filled in as the request goes; attributes are set only where a request differs from the defaults below."""

    route: Route | None = None
    allow: Allow | None = None
    user = ""
    """Whom a refused credential claimed to be."""
    answered_at = 0.0
    """Monotonic, when the upstream's head was whole; 0: there was none."""
    received = 0
    """Payload bytes of the request's body."""
    sent = 0
    """Payload bytes of the answer's body."""

    def __init__(  # noqa: PLR0913, PLR0917  # what a request is, and what counted when it came
        self, runtime: Runtime, listener: Listener, request: RequestHead, request_id: bytes, origin: Origin, started: float
    ) -> None:  # fmt: skip
        self.runtime = runtime
        self.listener = listener
        self.request = request
        self.request_id = request_id
        self.origin = origin
        self.started = started
        """Monotonic, when the head was whole."""
