"""How many connections there may be: in all, from one source, and in their handshake. Totals of the whole process."""

from ipaddress import IPv6Address
from typing import Final, Protocol

from authproxy.core.decision import Network, is_within, read_address

TOO_MANY: Final = "too-many-connections"
TOO_MANY_OF_SOURCE: Final = "too-many-connections-of-source"
# Beyond the limit, so many are let in all the same, to be told 503 in place of a closed door: an eighth of it.
_LEAST_SPARE: Final = 8
_MOST_SPARE: Final = 64
_NETWORK: Final = 64


class Unfinished(Protocol):
    """A connection that has not finished its handshake."""

    def give_up(self, reason: str) -> None:
        """End it."""


class Caps:
    """Counts connections, and says when there are too many. Limits may be replaced at any time."""

    def __init__(self) -> None:
        self.connections = 1 << 30
        """In all."""
        self.per_source = 1 << 30
        """From one address (IPv6: from one network of 64 bits), but for those in `exempt`."""
        self.handshakes = 1 << 30
        """Under way at the same time; one more ends the one that has been at it the longest."""
        self.exempt: tuple[Network, ...] = ()
        self.open = 0
        """How many there are."""
        self._sources: dict[str, int] = {}
        self._unfinished: dict[Unfinished, float] = {}

    @property
    def is_full(self) -> bool:
        """Whether there are more than there may be."""
        return self.open > self.connections

    @property
    def _spare(self) -> int:
        return min(_MOST_SPARE, max(_LEAST_SPARE, self.connections // 8))

    @property
    def unfinished(self) -> int:
        """How many handshakes are under way."""
        return len(self._unfinished)

    def enter(self) -> str:
        """Count a connection, or return why it may not be."""
        if self.open >= self.connections and self.open >= self.connections + self._spare:
            return TOO_MANY
        self.open += 1
        return ""

    def enter_from(self, address: str) -> str:
        """Count a connection that has entered under where it comes from, or return why it may not be."""
        source = source_of(address)
        if not source:
            return ""
        count = self._sources.get(source, 0)
        if count >= self.per_source and not is_within(address, self.exempt):
            return TOO_MANY_OF_SOURCE
        self._sources[source] = count + 1
        return ""

    def leave(self, address: str) -> None:
        """Forget a connection; `address` is empty when it was not counted under one."""
        self.open -= 1
        source = source_of(address)
        if not source:
            return
        left = self._sources.get(source, 0) - 1
        if left > 0:
            self._sources[source] = left
        else:
            self._sources.pop(source, None)

    # ------------------------------------------------------------------ handshakes

    def arrive(self, one: Unfinished, ends: float) -> None:
        """Count a handshake that must be finished by `ends` (monotonic)."""
        if self._unfinished and len(self._unfinished) >= self.handshakes:
            # An honest one lasts milliseconds: the oldest is the likeliest to be idle.
            oldest = next(iter(self._unfinished))
            del self._unfinished[oldest]
            oldest.give_up("too-many-handshakes")
        self._unfinished[one] = ends

    def settle(self, one: Unfinished) -> None:
        """Note that a handshake is over."""
        self._unfinished.pop(one, None)

    def expire(self, now: float) -> int:
        """End the handshakes that last too long; return how many are left."""
        for one in [one for one, ends in self._unfinished.items() if ends <= now]:
            del self._unfinished[one]
            one.give_up("timeout")
        return len(self._unfinished)


def source_of(address: str) -> str:
    """Return what connections are counted under: the address, or the network of an IPv6 one; empty for none."""
    if ":" not in address:
        return address
    parsed = read_address(address)
    if not isinstance(parsed, IPv6Address):
        return str(parsed or "")
    return str(int(parsed) >> _NETWORK)
