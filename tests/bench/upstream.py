"""The service behind every proxy; it counts what it answers, so that a window needs no help from the load generator."""

import http.client
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.material import Material
from tests.bench.processes import Crew, version_of
from tests.bench.templates import PEERS, fill, user_line
from tests.ports import free_ports

BULK_MEBIBYTES: Final = (1, 100)
"""Sizes of what `/bulk/SIZE` answers with."""
BODY: Final = '{"status":"ok","items":[{"id":1,"name":"anvil"},{"id":2,"name":"rope"},{"id":3,"name":"rocket skates"}]}'
MEBIBYTE: Final = bytes(range(256)) * 4096
"""What a bulk answer is made of, over and over."""
_COUNT: Final = re.compile(rb"^ (\d+) (\d+) (\d+) $", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A service at work."""

    description: str
    port: int
    """Over TLS; every path answers the same, except `/echo`, which shows the head as it came, and `/bulk/`."""
    count_port: int
    """In clear; `/count` tells how many requests were answered."""

    def answered(self) -> int:
        """Return how many requests were answered so far, each call of this included."""
        connection = http.client.HTTPConnection("127.0.0.1", self.count_port, timeout=10)
        try:
            connection.request("GET", "/count")
            found = _COUNT.search(connection.getresponse().read())
        finally:
            connection.close()
        if found is None:
            raise RuntimeError("the upstream does not tell how many requests it has answered")
        return int(found[3])


def start_upstream(crew: Crew, material: Material, core: int) -> Upstream:
    """Start nginx where it is installed, else the bench's own service."""
    port, count_port, echo_port = free_ports(3)
    own: list[str | Path] = [sys.executable, PEERS / "upstream.py", BODY]
    if shutil.which("nginx") is None:
        own += [str(count_port), str(port), material.folder / "upstream.pem"]
        crew.wait_for("upstream", crew.start("upstream", own, core), port)
        return Upstream(description="the bench's own, on uvloop", port=port, count_port=count_port)
    _write_bulk(material.folder / "bulk")
    # nginx cannot show a head as it came; that one path is answered behind it.
    crew.wait_for("echo", crew.start("echo", [*own, str(echo_port)], core), echo_port)
    values = {"user": user_line(), "port": port, "count": count_port, "echo": echo_port, "body": BODY}
    command = fill("nginx_upstream.conf", material.folder / "upstream", values)
    crew.wait_for("upstream", crew.start("upstream", command, core), port)
    return Upstream(description=f"nginx {version_of(['nginx', '-v'])}", port=port, count_port=count_port)


def _write_bulk(folder: Path) -> None:
    folder.mkdir()
    for size in BULK_MEBIBYTES:
        with (folder / str(size)).open("wb") as file:
            for _ in range(size):
                file.write(MEBIBYTE)
