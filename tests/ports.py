"""Ports that a server under test may listen on, given before it is started."""

import itertools
import os
import socket
from typing import Final

# Below the range from which the system takes ports for outgoing connections (Linux: 32768 and up): nothing takes one of
# these between now and the start of the server but another test's server, and each process begins at another place.
_FIRST: Final = 10_000
_COUNT: Final = 20_000
_NEXT: Final = itertools.count(os.getpid() * 97)


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback address on which nobody listens; none is given twice for a long time."""
    ports: list[int] = []
    while len(ports) < count:
        port = _FIRST + next(_NEXT) % _COUNT
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        ports.append(port)
    return ports


def free_port() -> int:
    """Return one such port."""
    return free_ports(1)[0]
