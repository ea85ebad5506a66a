"""From the command line to the end of the process: loop, signals, exit code."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import uvloop

from authproxy.daemon import log
from authproxy.daemon.ops import Ops
from authproxy.daemon.process import check_aiohttp, harden, raise_descriptor_limit
from authproxy.daemon.proxy import Proxy
from authproxy.settings import Loaded

Ready = Callable[[Proxy], Awaitable[None]]


def run(load: Callable[[], Loaded], ready: Ready | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then drain; SIGHUP reloads. `ready` is awaited once the proxy serves.

    Raises:
        ConfigError: the start failed; nothing listens.
    """
    check_aiohttp()
    harden()
    raise_descriptor_limit()
    first = load()
    log.configure(first.settings.logging.level, sys.stderr)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(load, ready))


def _utc_now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251  # the wall clock enters the program here


async def _serve(load: Callable[[], Loaded], ready: Ready | None) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log.handle_loop_exception)
    proxy = Proxy(load, os.environ, _utc_now)  # noqa: TID251  # the environment enters the program here
    ending, hurry, again = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def end() -> None:
        # A second signal means: now.
        if ending.is_set():
            hurry.set()
        ending.set()
        again.set()

    await proxy.start()
    ops = Ops(proxy)
    await ops.follow()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    if ready is not None:
        await ready(proxy)
    while not ending.is_set():
        await again.wait()
        # Signals that come during a reload make one more, not one each.
        again.clear()
        if not ending.is_set():
            await proxy.reload()
            log.configure(proxy.prepared.loaded.settings.logging.level, sys.stderr)
            await ops.follow()
    await proxy.drain(hurry)
    await ops.aclose()
    await proxy.aclose()
