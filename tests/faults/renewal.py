"""What experiments about reloads need: an authority of their own, files replaced by rename, and the proxy's word for it."""

import copy
import json
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.keystore import generate as keys
from tests.bench.material import PROXY_NAMES
from tests.bench.processes import StartError
from tests.faults.lab import Lab

_EC: Final = keys.Algorithm.EC_P256
_LOOK: Final = 0.005
_PATIENCE: Final = 10.0


class Pki:
    """An authority that the lab's clients believe as well, and what it issues."""

    def __init__(self, lab: Lab) -> None:
        self.folder = lab.folder
        self.now = datetime.now(UTC)
        self.root = self.authority("authproxy faults")
        bundle = lab.material.authority
        bundle.write_bytes(bundle.read_bytes() + self.root.certificate_pem())

    def beside(self, name: str) -> Self:
        """Return the same authority with a folder of its own below."""
        other = copy.copy(self)
        other.folder = self.folder / name.replace(" ", "-")
        other.folder.mkdir()
        return other

    def authority(self, name: str) -> keys.Issued:
        """Return another authority."""
        return keys.new_authority(name, keys.Validity.of_days(self.now, 30), _EC)

    def server(
        self, *names: str, begin: timedelta = timedelta(hours=-1), end: timedelta = timedelta(days=20)
    ) -> keys.Issued:
        """Return a certificate for the proxy."""
        entries = [keys.alternative_name(name) for name in names or PROXY_NAMES]
        return keys.new_server(self.root, entries, keys.Validity(begin=self.now + begin, end=self.now + end), _EC)

    def client(self, name: str, by: keys.Issued | None = None) -> keys.Issued:
        """Return a client's certificate."""
        return keys.new_client(by or self.root, name, keys.Validity.of_days(self.now, 20), _EC)

    def put(self, name: str, data: bytes, mode: int = 0o600) -> Path:
        """Replace a file in one step."""
        fresh = self.folder / f".{name}.new"
        fresh.write_bytes(data)
        fresh.chmod(mode)
        return fresh.replace(self.folder / name)

    def put_pair(self, stem: str, issued: keys.Issued) -> None:
        """Replace a certificate and its key."""
        self.put(f"{stem}.key", issued.key_pem())
        self.put(f"{stem}.crt", issued.certificate_pem(), 0o644)


def der(issued: keys.Issued) -> bytes:
    """Return the certificate as a handshake shows it."""
    return issued.certificate.public_bytes(Encoding.DER)


class Watcher:
    """Reads the proxy's log from where it was at `mark`."""

    def __init__(self, lab: Lab) -> None:
        self._log = lab.folder / "authproxy.log"
        self._pid = lab.pid
        self._at = 0

    def mark(self) -> None:
        """Forget what was logged so far."""
        self._at = self._log.stat().st_size

    def hup(self) -> None:
        """Ask for a reload."""
        self.mark()
        os.kill(self._pid, signal.SIGHUP)

    def events(self, event: str = "", **facts: object) -> list[dict[str, Any]]:
        """Return what was logged since the mark, with these facts."""
        with self._log.open("rb") as file:
            file.seek(self._at)
            lines = [json.loads(line) for line in file.read().splitlines() if line.startswith(b"{")]
        return [
            line for line in lines
            if event in {"", line["event"]} and all(line.get(name) == value for name, value in facts.items())
        ]  # fmt: skip

    def wait(self, event: str, **facts: object) -> float:
        """Wait until this is logged; return how many seconds that took."""
        return waited(lambda: bool(self.events(event, **facts)), f"the event {event}")


def waited(look: Callable[[], bool], what: str) -> float:
    """Wait until `look()` is true; return how many seconds that took."""
    begin = time.monotonic()
    while not look():
        if time.monotonic() - begin > _PATIENCE:
            raise StartError(f"not within {_PATIENCE:g} s: {what}")
        time.sleep(_LOOK)
    return time.monotonic() - begin


def shown(port: int, context: ssl.SSLContext, name: str = PROXY_NAMES[0]) -> bytes:
    """Return the certificate that a new connection is shown."""
    with (
        socket.create_connection(("127.0.0.1", port), _PATIENCE) as wire,
        context.wrap_socket(wire, server_hostname=name) as tls,
    ):
        return tls.getpeercert(binary_form=True) or b""
