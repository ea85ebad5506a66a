"""What is known of one request on its way; by its end the counters and the log line are made of it."""

from authproxy.core.decision import Allow
from authproxy.edge.origin import Origin
from authproxy.http1.request import RequestHead
from authproxy.runtime import Listener, Route, Runtime


class Facts:
    """Filled in as the request goes."""

    # Reading a default of the class is slow on Python 3.11, and so is setting what nobody reads: what every request
    # reads is set in `__init__`, the rest are defaults.
    user = ""
    """Whom a refused credential claimed to be."""

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
        self.route: Route | None = None
        self.allow: Allow | None = None
        self.answered_at = 0.0
        """Monotonic, when the upstream's head was whole; 0: there was none."""
        self.received = 0
        """Payload bytes of the request's body."""
        self.sent = 0
        """Payload bytes of the answer's body."""
