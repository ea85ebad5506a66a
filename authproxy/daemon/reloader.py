"""Reloads, one after the other: asked for by signals, over the control socket, and by the watch over files."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias

from authproxy.daemon.outcome import Outcome, Result, Try, is_rejected, merged
from authproxy.daemon.reload import CONFIG, TRUST

# Long enough for the second file of a pair to arrive.
_ONCE_MORE: Final = 1.0

Reload: TypeAlias = Callable[[Try], Awaitable[tuple[Outcome, ...]]]


class Audience(Protocol):
    """Hears of every reload, whoever asked for it; must not raise."""

    def reloading(self) -> None:
        """A reload begins."""

    def reloaded(self, outcomes: tuple[Outcome, ...]) -> None:
        """It has ended, with both its tries."""


class Reloader:
    """Whoever asks during a reload is served by the next one, however many they are.

    What was rejected is tried once more after a second, since somebody may be half-way through replacing certificate
    and key. Whoever waits is told how both tries ended together.
    """

    def __init__(self, reload: Reload, on_crash: Callable[[BaseException], None], pause: float = _ONCE_MORE) -> None:
        self._reload = reload
        self._on_crash = on_crash
        self._pause = pause
        self._ended = False
        self._asked = asyncio.Event()
        self._material_only = True
        self._waiting: list[asyncio.Future[tuple[Outcome, ...]]] = []
        self.audience: list[Audience] = []

    def ask(self, *, material_only: bool = False) -> "asyncio.Future[tuple[Outcome, ...]]":
        """Ask for a reload that begins from now on; the future is its outcome, empty when the process ends first."""
        self._material_only = self._material_only and material_only
        outcome: asyncio.Future[tuple[Outcome, ...]] = asyncio.get_running_loop().create_future()
        self._waiting.append(outcome)
        self._asked.set()
        if self._ended:
            _settle(self._waiting, ())
        return outcome

    async def run(self) -> None:
        """Serve whoever asks, until cancelled."""
        waiting: list[asyncio.Future[tuple[Outcome, ...]]] = []
        try:
            while True:
                await self._asked.wait()
                self._asked.clear()
                waiting, self._waiting = self._waiting, []
                only, self._material_only = self._material_only, True
                for listener in self.audience:
                    listener.reloading()
                outcomes = await self._serve(material_only=only)
                for listener in self.audience:
                    listener.reloaded(outcomes)
                _settle(waiting, outcomes)
        finally:
            self._ended = True
            _settle([*waiting, *self._waiting], ())

    async def _serve(self, *, material_only: bool) -> tuple[Outcome, ...]:
        try:
            first = await self._reload(Try(material_only=material_only))
            # Whoever asks meanwhile brings the second try.
            if not is_rejected(first, CONFIG, TRUST) or await self._is_asked_soon():
                return first
            return merged(first, await self._reload(Try(material_only=material_only, again=True)))
        except Exception as error:  # noqa: BLE001  # a fault of this program must not be the end of all reloads
            self._on_crash(error)
            return (Outcome(part=CONFIG, result=Result.REJECTED, error=f"failed with {type(error).__name__}: {error}"),)

    async def _is_asked_soon(self) -> bool:
        try:
            async with asyncio.timeout(self._pause):
                await self._asked.wait()
        except TimeoutError:
            return False
        return True


def _settle(waiting: list["asyncio.Future[tuple[Outcome, ...]]"], outcome: tuple[Outcome, ...]) -> None:
    for one in waiting:
        if not one.done():
            one.set_result(outcome)
