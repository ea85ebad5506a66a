"""The client's side, as an exchange and a tunnel see it."""

from typing import TYPE_CHECKING, Protocol

from authproxy.edge.facts import Facts
from authproxy.edge.line import Line
from authproxy.edge.refusal import Refusal

if TYPE_CHECKING:
    from authproxy.edge.tunnel import Tunnel


class TunnelClient(Protocol):
    """What a tunnel needs."""

    @property
    def line(self) -> Line:
        """The wire to the client."""
        ...

    def finished(self, *, keep: bool, now: float) -> None:
        """All is out; `keep` when the connection may carry another request. `now` is monotonic."""
        ...

    def cut(self) -> None:
        """Break the connection so that the client can see that what it got is not whole."""
        ...


class Client(TunnelClient, Protocol):
    """What an exchange needs beside that."""

    def refuse(self, facts: Facts, refusal: Refusal) -> None:
        """Answer in the proxy's own name; nothing was sent yet."""
        ...

    def tunnel(self, tunnel: "Tunnel") -> None:
        """From now on every byte of the client belongs to the tunnel."""
        ...
