"""Many clients that have asked once, stay, and say no more."""

import resource
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from tests.bench.material import Material
from tests.bench.measure import Meter, NoAnswers, resident_of
from tests.bench.peers.connect import is_whole
from tests.bench.sample import Sample
from tests.bench.targets import Target

_THREADS: Final = 8
_ADDRESSES: Final = 200
"""Of the loopback network: one alone has too few ports, and is one source to whoever counts by source."""
_SPARE_DESCRIPTORS: Final = 1500
"""What a proxy needs besides: its connections to the upstream, and of others' clients."""
_SECONDS: Final = 30
_WARM: Final = 64
_PIECE: Final = 16384


def most_connections() -> int:
    """Return how many connections the descriptors of a process allow for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, soft - _SPARE_DESCRIPTORS)


@dataclass(slots=True)
class Crowd:
    """Connections to one port; what TLS keeps on this side is thrown away, so that thousands take little."""

    material: Material
    port: int
    _held: list[socket.socket] = field(default_factory=list)
    _failed: list[str] = field(default_factory=list)

    def open(self, number: int) -> int:
        """Make `number` connections more, let each ask once; return how many could not."""
        failed_before = len(self._failed)
        context = ssl.create_default_context(cafile=self.material.authority)
        heads = [head + b"\r\n\r\n" for head in self.material.requests.read_bytes().split(b"\r\n\r\n")[:-1]]
        numbers = count()

        def work() -> None:
            while (one := next(numbers)) < number:
                try:
                    self._held.append(self._ask(context, heads[one % len(heads)], f"127.0.0.{2 + one % _ADDRESSES}"))
                except OSError as error:
                    self._failed.append(str(error))

        threads = [threading.Thread(target=work) for _ in range(_THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(self._failed) - failed_before

    def still_open(self) -> int:
        """Return how many connections the other side has neither closed nor said anything on."""
        return sum(map(_is_silent, self._held))

    def close(self) -> None:
        """Let all go."""
        for one in self._held:
            one.close()
        self._held.clear()

    def _ask(self, context: ssl.SSLContext, head: bytes, source: str) -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", self.port), _SECONDS, (source, 0))
        with context.wrap_socket(plain, server_hostname="proxy.test") as tls:
            tls.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tls.sendall(head)
            answer = b""
            while not is_whole(answer):
                piece = tls.recv(_PIECE)
                if not piece:
                    raise ConnectionError("closed within an answer")
                answer += piece
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise ConnectionError(f"answered {answer[:15]!r}")
            return socket.socket(fileno=tls.detach())


def _is_silent(one: socket.socket) -> bool:
    try:
        one.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def hold(meter: Meter, target: Target, material: Material, number: int) -> Sample:
    """Have `number` idle connections held by `target`, and others served at the same time.

    Raises:
        NoAnswers: it did not take a single one, or did not answer the others.
    """
    crowd = Crowd(material, target.port)
    try:
        # What is needed once, for however many connections, is no connection's memory.
        crowd.open(_WARM)
        crowd.close()
        time.sleep(1)
        before = resident_of(target)
        failed = crowd.open(number)
        if failed == number:
            raise NoAnswers(f"{target.name} takes no connection")
        grown = resident_of(target) - before
        window = meter.window(1, target)
        held = crowd.still_open()
    finally:
        crowd.close()
    figures = {"kib": grown / 1024 / (number - failed), "base_mib": before / 2**20, "held": held, "rate": window.rate}
    figures |= {"p50_ms": window.p50, "p99_ms": window.p99}
    return Sample(target=target.name, round=1, figures=figures, failed=window.failed + number - held)
