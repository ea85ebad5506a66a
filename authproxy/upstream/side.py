"""One address of an upstream, with the connections to it."""

import ssl
from dataclasses import dataclass
from typing import Generic, TypeVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One address of an upstream."""

    host: str = ""
    """Name or address; empty for a Unix socket."""
    port: int = 0
    unix: str = ""
    """Path of a Unix socket; empty for TCP."""
    context: ssl.SSLContext | None = None
    """Verifies chain and hostname; None for plain HTTP."""
    server_name: str = ""
    """What the certificate must name; never empty with a context."""
    believed: str = "this system's authorities"
    """Whose word about certificates counts, for messages."""
    authority: bytes = b""
    """What Host says when the upstream is to see its own name."""


C = TypeVar("C")


class Side(Generic[C]):
    """An endpoint with its connections."""

    __slots__ = ("busy", "endpoint", "idle")

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.idle: list[C] = []
        """Connections that wait for a request; the one used last is at the end."""
        self.busy = 0
        """Connections in use or being opened."""

    def forget(self, connection: C) -> None:
        """Note that a connection is gone and must not be handed out again."""
        if connection in self.idle:
            self.idle.remove(connection)
