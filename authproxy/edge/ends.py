"""The two wires of a request under way; each holds the other back when it cannot take more."""

from authproxy.edge.line import Line
from authproxy.upstream.connection import UpstreamConnection


class Ends:
    """Back-pressure: nothing is collected here beyond what the transports buffer."""

    __slots__ = ("__dict__", "_connection", "_line")

    _line: Line
    """To the client."""
    _connection: UpstreamConnection | None
    """To the upstream; None while there is none."""
    _is_held_back = False
    """The upstream does not take what the client sends."""

    def pause_request(self) -> None:
        """The upstream is slower than the client."""
        self._is_held_back = True
        self._line.hold()

    def resume_request(self) -> None:
        """The upstream takes bytes again."""
        self._is_held_back = False
        self._line.unhold()

    def pause_answer(self) -> None:
        """The client is slower than the upstream."""
        if self._connection is not None:
            self._connection.pause()

    def resume_answer(self) -> None:
        """The client takes bytes again."""
        if self._connection is not None:
            self._connection.resume()
