"""What upstreams need of the process that they live in; tests bring a clock and a resolver of their own."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from time import monotonic
from typing import Protocol, TypeAlias

from authproxy.upstream.resolver import resolve

Spawn: TypeAlias = Callable[[Coroutine[None, None, None]], object]
"""Starts a task whose owner waits for it, see `daemon.tasks`."""
Resolve: TypeAlias = Callable[[str], Awaitable[tuple[str, ...]]]
"""Returns the addresses of a host in the order to be tried; OSError (`socket.gaierror`) when it cannot."""


class Tell(Protocol):
    """Logs an event of `authproxy.events`."""

    def __call__(self, event: str, /, **facts: object) -> None:
        """Log it."""


def _tell_nobody(_event: str, /, **_facts: object) -> None:
    """Log nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Shared by all upstreams of a process."""

    spawn: Spawn
    clock: Callable[[], float] = monotonic
    """Seconds of a clock that never jumps; the same one that `Upstream.give_back` and `Upstream.sweep` are told."""
    resolve: Resolve = resolve
    tell: Tell = _tell_nobody
