"""What came of one input, however it was carried: what the oracles look at."""

from dataclasses import dataclass, field


@dataclass(kw_only=True, eq=False)
class Carried:
    """One request at the upstream, byte for byte."""

    connection: int
    asked: bytes
    """All bytes of the request, as they came."""
    whole: bool
    """Whether the upstream took it for a whole request."""
    sent: bytes = b""
    """The answer, as the upstream sent it."""
    tunnelled: bytes = b""
    """What came after a 101."""
    end: str = ""
    """How the upstream ended the connection after it: empty, `clean` or `cut`."""


@dataclass(kw_only=True)
class Outcome:
    """Everything that could be seen from outside, and what went wrong inside."""

    received: bytes = b""
    """What the client got."""
    end: str = ""
    """How the proxy ended the client's connection: empty, `clean` or `cut`."""
    carried: list[Carried] = field(default_factory=list)
    lines: list[bytes] | None = None
    """Of the access log; None: not looked at."""
    crashes: list[str] = field(default_factory=list)
    """What this program did not expect, leaks among them."""
    peer: str = "127.0.0.1"
    in_order: bool = True
    """Whether every byte came in its time: nothing is still under way."""
