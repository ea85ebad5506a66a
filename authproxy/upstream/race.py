"""Several ways to the same place, tried one after the other without waiting long for any (RFC 8305, 5)."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TypeVar

from authproxy.upstream.interface import NoConnection

W = TypeVar("W")
T = TypeVar("T")


async def race(
    ways: Sequence[W], attempt: Callable[[W], Coroutine[None, None, T]], stagger: float, drop: Callable[[T], None]
) -> T:
    """Return what the first attempt to succeed has made.

    The next way is tried as soon as one fails, and after `stagger` seconds at the latest, while those before it go on.
    Attempts that lose are cancelled; what one has made all the same goes to `drop`.

    Raises:
        NoConnection: every attempt failed; it tells of all of them.
    """
    if len(ways) == 1:
        return await attempt(ways[0])
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[T]] = set()
    waiting = list(ways)
    failures: list[NoConnection] = []
    try:
        while waiting or running:
            if waiting:
                running.add(loop.create_task(attempt(waiting.pop(0))))
            done, _ = await asyncio.wait(
                running, timeout=stagger if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                running.discard(task)
                try:
                    made = task.result()
                except NoConnection as failure:
                    failures.append(failure)
                else:
                    running.update(done - {task})
                    return made
        raise NoConnection.of(failures)
    finally:
        # Not waited for: a deadline that strikes meanwhile would take the winner with it.
        for task in running:
            task.cancel()
            task.add_done_callback(partial(_let_go, drop))


def _let_go(drop: Callable[[T], None], task: "asyncio.Task[T]") -> None:
    if task.cancelled():
        return
    error = task.exception()
    if error is None:
        drop(task.result())
    elif not isinstance(error, NoConnection):
        # That is a fault of this program; whoever raced has what it wanted.
        task.get_loop().call_exception_handler({"message": "an attempt crashed", "exception": error, "task": task})
