"""Ports that a server under test may listen on, given before it is started."""

import contextlib
import itertools
import socket
import time
from collections.abc import Iterator
from typing import Final

from tests.patience import PATIENCE

# Below the range from which the system takes ports for outgoing connections (Linux: 32768 and up): nothing takes one of
# these between now and the start of the server but another test's server. So each process has a block for itself. Above
# 10080, where browsers refuse to go (https://fetch.spec.whatwg.org/#port-blocking).
_FIRST: Final = 10_200
_BLOCK: Final = 200
_BLOCKS: Final = 100


def _claimed() -> Iterator[int]:
    """Claim a block for as long as this process lives; yield its ports again and again.

    Asking whether a port is free is not enough: one that was given and is not listened on yet looks free to everybody.
    A server that is asked there would then be another test's.
    """
    for block in range(_BLOCKS):
        # A name that is no file (unix(7), abstract sockets): gone with the process, however that ends.
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0authproxy-test-ports-{block}")
        except OSError:
            claim.close()
            continue
        first = _FIRST + block * _BLOCK
        with claim:
            yield from itertools.cycle(range(first, first + _BLOCK))
    raise RuntimeError(f"all {_BLOCKS} blocks of test ports are claimed by other processes")


_PORTS: Final = _claimed()


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback address on which nobody listens; none is given twice for a long time."""
    ports: list[int] = []
    while len(ports) < count:
        port = next(_PORTS)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        ports.append(port)
    return ports


def free_port() -> int:
    """Return one such port."""
    return free_ports(1)[0]


@contextlib.contextmanager
def usual_ports() -> Iterator[None]:
    """Have the ports that `authproxy demo` takes unasked, for as long as the block lasts: one demo at a time.

    It looks which are free, and listens there a moment later; two that are started together would both want the same.
    """
    ends = time.monotonic() + 2 * PATIENCE
    with socket.socket(socket.AF_UNIX) as claim:
        while True:
            try:
                claim.bind("\0authproxy-test-usual-ports")
            except OSError:
                assert time.monotonic() < ends, "another test keeps the ports of the demo"
                time.sleep(0.05)
            else:
                break
        yield
