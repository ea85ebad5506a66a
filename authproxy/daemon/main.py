"""From the command line to the end of the process: loop, signals, exit code."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial

import uvloop

from authproxy.core.stats import Stats
from authproxy.daemon import log
from authproxy.daemon.control import Control
from authproxy.daemon.herald import Herald
from authproxy.daemon.notify import ServiceManager
from authproxy.daemon.ops import Ops
from authproxy.daemon.outcome import Outcome
from authproxy.daemon.process import check_aiohttp, harden, raise_descriptor_limit
from authproxy.daemon.proxy import Proxy
from authproxy.daemon.reloader import Reloader
from authproxy.daemon.watch import Watch
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


# The wall clock enters the program here.
_utc_now = partial(datetime.now, UTC)  # noqa: TID251


class _Signals:
    """What the outside wants; handlers only take note, the work is done in the main task."""

    def __init__(self, loop: asyncio.AbstractEventLoop, reload: Callable[[], object]) -> None:
        self.ending = asyncio.Event()
        """Asked to end."""
        self.hurry = asyncio.Event()
        """Asked to end for the second time: now."""
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGHUP, reload)
        # What came since the start of the process has been kept until now (`authproxy.cli.run`).
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})

    def _end(self) -> None:
        if self.ending.is_set():
            self.hurry.set()
        self.ending.set()


def _follow_level(proxy: Proxy) -> Callable[[], Awaitable[tuple[Outcome, ...]]]:
    async def follow() -> tuple[Outcome, ...]:
        log.configure(proxy.prepared.loaded.settings.logging.level, sys.stderr)
        return ()

    return follow


def _each(*steps: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    async def take() -> None:
        for step in steps:
            await step()

    return take


def note_exception(stats: Stats, loop: asyncio.AbstractEventLoop, context: Mapping[str, object]) -> None:
    """Log what nobody awaited, and count it when it is a fault of this program."""
    if log.handle_loop_exception(loop, context):
        stats.crashes["loop"] += 1


async def _serve(load: Callable[[], Loaded], ready: Ready | None) -> None:
    loop = asyncio.get_running_loop()
    proxy = Proxy(load, os.environ, _utc_now)  # noqa: TID251  # the environment enters the program here
    loop.set_exception_handler(partial(note_exception, proxy.stats))
    reloader = Reloader(proxy.reload, proxy.report_crash)
    signals = _Signals(loop, reloader.ask)
    ops, control = Ops(proxy), Control(proxy, reloader)
    herald = Herald(proxy, reloader, ServiceManager(os.environ, os.getpid()))  # noqa: TID251  # as above
    proxy.followers = [ops.follow, control.follow, _follow_level(proxy)]
    await proxy.start(_each(ops.start, control.start))
    herald.ready()
    if ready is not None:
        await ready(proxy)
    watch = Watch(proxy, reloader, os.environ)  # noqa: TID251  # as above
    working = [loop.create_task(reloader.run()), loop.create_task(watch.run())]
    await signals.ending.wait()
    herald.draining()
    await proxy.drain(signals.hurry)
    hanging = proxy.is_reloading or watch.is_looking
    for task in working:
        task.cancel()
    await control.aclose()
    await ops.aclose()
    await proxy.aclose()
    herald.close()
    if hanging:
        # A file system that hangs holds a thread that nobody can end; everything else is done.
        os._exit(0)
