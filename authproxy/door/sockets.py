"""Listening sockets: opened before anything is swapped, so that a bad `bind` costs nothing."""

import socket
from pathlib import Path

from authproxy.core.place import Place
from authproxy.door.local import BACKLOG, listen_unix
from authproxy.errors import MaterialError, why

_UNPRIVILEGED = 1024


def listen(bind: Place) -> socket.socket:
    """Return a socket that listens there and does not block.

    Raises:
        MaterialError: the address cannot be had.
    """
    try:
        return listen_unix(Path(bind.unix)) if bind.unix else _listen_tcp(bind)
    except OSError as error:
        raise MaterialError(str(bind), f"cannot listen: {why(error)}{_cure(bind, error)}") from error


def _cure(bind: Place, error: OSError) -> str:
    # The kernel's own bound may be another (net.ipv4.ip_unprivileged_port_start); this is what it is where nobody set it.
    is_low = isinstance(error, PermissionError) and 0 < bind.port < _UNPRIVILEGED
    return f" (a port below {_UNPRIVILEGED} needs CAP_NET_BIND_SERVICE)" if is_low else ""


def _listen_tcp(bind: Place) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # What is sent is complete: the kernel need not wait for more. Set now, because those who connect from the next
        # lines on inherit it, also before anybody accepts them.
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            # `[::]` beside `0.0.0.0` in one list must not collide.
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((bind.host, bind.port))
        made.listen(BACKLOG)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made
