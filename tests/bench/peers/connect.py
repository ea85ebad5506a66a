"""A load of new connections: `connect.py PORT THREADS REQUESTS` makes one for every request, until SIGINT.

Each is a full TLS handshake, never a resumed session, and is closed with the answer. At the end one line of JSON says
what came of it, in the words of client.py. Whose certificate it is was checked before, and is not checked here: the
less this program does, the less the proxy waits for it.
"""

import json
import re
import signal
import socket
import ssl
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from typing_extensions import override

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SECONDS: Final = 10
_PIECE: Final = 16384


@dataclass(slots=True)
class Tally:
    """What came of one thread's connections."""

    took: list[float] = field(default_factory=list)
    refused: int = 0
    broken: int = 0


class Connector(threading.Thread):
    """Makes one connection after the other."""

    def __init__(self, port: int, context: ssl.SSLContext, heads: list[bytes], stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._context = context
        self._heads = heads
        self._stop_asked = stop
        self.tally = Tally()

    @override
    def run(self) -> None:
        number = 0
        while not self._stop_asked.is_set():
            number += 1
            begin = time.perf_counter()
            try:
                good = self._ask(self._heads[number % len(self._heads)])
            except OSError:
                self.tally.broken += 1
            else:
                self.tally.refused += not good
                self.tally.took.append(time.perf_counter() - begin)

    def _ask(self, head: bytes) -> bool:
        with (
            socket.create_connection(("127.0.0.1", self._port), _SECONDS) as plain,
            self._context.wrap_socket(plain, server_hostname="proxy.test") as tls,
        ):
            # As every client does; else the head would wait for the acknowledgement of the handshake's end.
            tls.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tls.sendall(head)
            answer = b""
            while not is_whole(answer):
                piece = tls.recv(_PIECE)
                if not piece:
                    raise ConnectionError("closed within an answer")
                answer += piece
            return answer.startswith(b"HTTP/1.1 200 ") and not tls.session_reused


def is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return bool(end) and length is not None and len(body) >= int(length[1])


def main(port: str, threads: str, requests: str) -> None:
    heads = [head + b"\r\n\r\n" for head in Path(requests).read_bytes().split(b"\r\n\r\n")[:-1]]
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    connectors = [Connector(int(port), context, heads, stop) for _ in range(int(threads))]
    for connector in connectors:
        connector.start()
    stop.wait()
    for connector in connectors:
        connector.join(_SECONDS)
    tallies = [connector.tally for connector in connectors]
    took = sorted(one for tally in tallies for one in tally.took)
    told = {
        "answers": len(took),
        "refused": sum(tally.refused for tally in tallies),
        "broken": sum(tally.broken for tally in tallies),
        "p50": took[len(took) // 2] * 1e3 if took else 0.0,
        "p99": took[len(took) * 99 // 100] * 1e3 if took else 0.0,
    }
    print(json.dumps(told), flush=True)  # noqa: T201  # the one thing it says


if __name__ == "__main__":
    main(*sys.argv[1:])
