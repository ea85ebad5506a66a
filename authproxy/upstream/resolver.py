"""The system's resolver: the hosts file, DNS, or whatever else it is set up for.

Why threads of its own: a look-up cannot be ended, and may take as long as the resolver likes. In the loop's threads a few that
hang would keep all others waiting, and the process from its end.
"""

import asyncio
import contextlib
import socket
from threading import Thread
from typing import Final

_SCOPED: Final = 4


async def resolve(host: str) -> tuple[str, ...]:
    """Return the addresses of `host` in the order that the system prefers.

    Raises:
        OSError: there are none (`socket.gaierror`); UnicodeError when `host` cannot be a name.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[tuple[str, ...]] = loop.create_future()
    Thread(target=_look_up, args=(host, loop, outcome), name=f"resolve {host}", daemon=True).start()
    return await outcome


def _look_up(host: str, loop: asyncio.AbstractEventLoop, outcome: "asyncio.Future[tuple[str, ...]]") -> None:
    found: tuple[str, ...] | Exception
    try:
        found = tuple(
            dict.fromkeys(_text(address) for *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        )
    except Exception as error:  # noqa: BLE001  # whoever waits hears of it
        found = error
    # A loop that has been closed meanwhile waits for nothing.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_settle, outcome, found)


def _settle(outcome: "asyncio.Future[tuple[str, ...]]", found: tuple[str, ...] | Exception) -> None:
    if outcome.done():
        return
    if isinstance(found, Exception):
        outcome.set_exception(found)
    else:
        outcome.set_result(found)


def _text(address: tuple[object, ...]) -> str:
    host = str(address[0])
    if len(address) == _SCOPED and address[3] and "%" not in host:
        return f"{host}%{address[3]}"
    return host
