"""The addresses of a host: asked for again and again, and never waited for longer than it is worth.

A look-up in DNS has no deadline of its own and blocks a thread; so one host is asked for once at a time, whoever waits,
and an answer serves for a few seconds. When the resolver fails, the last answer goes on serving: over TLS the
certificate still decides whether it is the right machine.

Why not the time to live of the records: the system's resolver, which also knows the hosts file, does not tell it.
"""

import asyncio
import socket
from collections.abc import Callable
from ipaddress import ip_address
from itertools import zip_longest
from typing import Final

from authproxy import events
from authproxy.upstream.interface import Failure, NoConnection
from authproxy.upstream.means import Means

# New connections know a change after 10 s, open ones after 20 s (see `_take`); promised are 30 s.
_LIFE: Final = 10.0
_LIFE_OF_FAILURE: Final = 1.0
# How long an answer serves on while the resolver fails.
_STALE: Final = 3600.0
# How long a connection waits for the resolver while there is an older answer.
_PATIENCE: Final = 1.0
# The resolver's word that there is nothing, as opposed to no word at all.
_NOTHING: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


class Name:
    """A host as the resolver knows it at this moment; an IP address stands for itself."""

    def __init__(self, host: str, means: Means, on_change: Callable[[frozenset[str]], None]) -> None:
        self.host = host
        self.preferred = ""
        """The address that a connection was made to last: it is tried first, so that dead ones are paid for once."""
        self._means = means
        self._on_change = on_change
        self._is_address = _is_address(host)
        self._latest: tuple[str, ...] = (host,) if self._is_address else ()
        self._known = frozenset(self._latest)
        self._answered = 0.0
        self._fresh_until = 0.0
        self._error = ""
        self._asking: asyncio.Future[None] | None = None

    @property
    def known(self) -> tuple[str, ...]:
        """The addresses of the last answer."""
        return self._latest

    @property
    def is_asking(self) -> bool:
        """Whether there is no answer to go by, and the resolver has not said why."""
        return self._asking is not None and not self._latest

    async def addresses(self) -> tuple[str, ...]:
        """Return the addresses in the order to be tried.

        Raises:
            NoConnection: the resolver knows none, or has not answered for so long that its last word is not believed.
        """
        if not self._is_address:
            await self._refresh()
            if not self._latest or self._means.clock() - self._answered > _STALE:
                raise NoConnection(Failure.REFUSED, f"the name {self.host} cannot be resolved: {self._error}")
        if self.preferred in self._latest:
            return self.preferred, *(address for address in self._latest if address != self.preferred)
        return self._latest

    def keep_fresh(self, now: float) -> None:
        """Ask again if the answer has become old, without waiting."""
        if not self._is_address and now >= self._fresh_until and self._asking is None:
            self._asking = self._ask()

    async def _refresh(self) -> None:
        if self._means.clock() < self._fresh_until:
            return
        self._asking = self._asking or self._ask()
        await asyncio.wait([self._asking], timeout=_PATIENCE if self._latest else None)

    def _ask(self) -> "asyncio.Future[None]":
        asking = asyncio.get_running_loop().create_future()
        self._means.spawn(self._look_up(asking))
        return asking

    async def _look_up(self, asking: "asyncio.Future[None]") -> None:
        error = "the look-up was given up"
        try:
            found = await self._means.resolve(self.host)
        except Exception as problem:  # noqa: BLE001  # a name that cannot be one, no thread to be had ...
            error = (
                (problem.strerror if isinstance(problem, OSError) else None) or str(problem) or type(problem).__name__
            )
            if isinstance(problem, socket.gaierror) and problem.errno in _NOTHING:
                # That is an answer, but connections that work are not closed for it.
                self._latest = ()
        else:
            error = ""
            self._take(_interleaved(found))
        finally:
            self._asking = None
            self._note(error)
            if not asking.done():
                asking.set_result(None)

    def _take(self, found: tuple[str, ...]) -> None:
        """Use an answer from now on.

        An address is gone only when it was missing twice: many servers answer with a part of what they know.
        """
        before = frozenset(self._latest)
        self._latest = found
        self._answered = self._means.clock()
        known = before | frozenset(found)
        if before and before != frozenset(found):
            self._means.tell(events.UPSTREAM_ADDRESSES_CHANGED, host=self.host, addresses=list(found))
        if not self._known <= known:
            self._on_change(known)
        self._known = known

    def _note(self, error: str) -> None:
        if error and not self._error:
            self._means.tell(events.UPSTREAM_NAME_UNRESOLVED, host=self.host, error=error)
        self._error = error
        self._fresh_until = self._means.clock() + (_LIFE_OF_FAILURE if error else _LIFE)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _interleaved(found: tuple[str, ...]) -> tuple[str, ...]:
    """Return the addresses with the families taking turns, that of the first one first (RFC 8305, 4)."""
    families: dict[bool, list[str]] = {}
    for address in found:
        families.setdefault(":" in address, []).append(address)
    turns = zip_longest(*families.values())
    return tuple(address for turn in turns for address in turn if address is not None)
