"""What upstreams need of the process that they live in; tests bring a clock and a resolver of their own."""

import socket
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol, TypeAlias

Spawn: TypeAlias = Callable[[Coroutine[None, None, None]], object]
"""Starts a task whose owner waits for it, see `daemon.tasks`."""
Resolve: TypeAlias = Callable[[str], Awaitable[tuple[str, ...]]]
"""Returns the addresses of a host in the order to be tried; OSError (`socket.gaierror`) when it cannot."""

_SCOPED: Final = 4


class Tell(Protocol):
    """Logs an event of `authproxy.events`."""

    def __call__(self, event: str, /, **facts: object) -> None:
        """Log it."""


async def resolve(host: str) -> tuple[str, ...]:
    """Ask the system's resolver, in a thread of the loop's: the hosts file, DNS, or whatever else it is set up for."""
    found = await get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(_text(address) for *_, address in found))


def _text(address: tuple[object, ...]) -> str:
    host = str(address[0])
    if len(address) == _SCOPED and address[3] and "%" not in host:
        return f"{host}%{address[3]}"
    return host


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
