"""The listeners that are scanned: a real proxy with the demo's sort of configuration, and openssl s_server beside it."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from authproxy.keystore.generate import (
    Algorithm,
    Validity,
    alternative_name,
    combined_file,
    new_authority,
    new_server,
)
from tests.bench.material import PROXY_NAMES
from tests.faults.lab import Lab, Size
from tests.ports import free_ports

# Scanners complain of certificates that end within 60 days.
_DAYS: Final = 90
# What `keystore/context.py` allows: the baseline is to differ in nothing but the program.
_BASELINE: Final = (
    "-www", "-quiet", "-cipher", "ECDHE+AESGCM:ECDHE+CHACHA20", "-no_renegotiation", "-num_tickets", "1",
    "-no_ssl3", "-no_tls1", "-no_tls1_1", "-alpn", "http/1.1",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to scan."""

    ports: dict[str, int]
    """By the kind of the certificate's key."""
    baseline: int
    """The port of openssl s_server, with the certificate of kind `rsa`; 0 where there is no openssl."""
    authority: Path
    """Of all these certificates."""


@contextmanager
def target() -> Iterator[Target]:
    """Start both; their certificates are signed with keys of their own kind, as many a client demands."""
    with Lab(Size(quick=True)) as lab:
        kinds = {"ec": Algorithm.EC_P256, "rsa": Algorithm.RSA}
        *ports, baseline = free_ports(len(kinds) + 1)
        bundle = b""
        validity = Validity.of_days(datetime.now(UTC), _DAYS)
        for kind, algorithm in kinds.items():
            root = new_authority(f"authproxy scan {kind}", validity, algorithm)
            leaf = new_server(root, [alternative_name(name) for name in PROXY_NAMES], validity, algorithm)
            bundle += root.certificate_pem()
            path = lab.folder / f"{kind}.pem"
            path.write_bytes(combined_file(leaf))
            path.chmod(0o600)
        authority = lab.folder / "scan-ca.pem"
        authority.write_bytes(bundle)
        lab.start_services()
        bound = dict(zip(kinds, ports, strict=True))
        listeners = {
            kind: {"bind": f"127.0.0.1:{port}", "keystore": kind, "health": "/", "hsts": "365d"}
            for kind, port in bound.items()
        }
        keystores = {kind: {"file": f"{kind}.pem"} for kind in kinds}
        routes = [{"path": "/check/", "zone": "api", "upstream": "service"}]
        lab.start_proxy(lab.config(keystores=keystores, listeners=listeners, routes=routes))
        with _s_server(baseline, lab.folder / "rsa.pem") as is_there:
            yield Target(ports=bound, baseline=baseline if is_there else 0, authority=authority)


@contextmanager
def _s_server(port: int, certificate: Path) -> Iterator[bool]:
    """Keep openssl s_server running: what is sent to it here may end it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        yield False
        return
    over = threading.Event()
    running: list[subprocess.Popen[bytes]] = []

    def keep() -> None:
        while not over.is_set():
            command = [openssl, "s_server", "-accept", str(port), "-cert", str(certificate), *_BASELINE]
            running[:] = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]
            running[0].wait()
            over.wait(0.1)

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield True
    finally:
        over.set()
        for process in running:
            process.kill()
        thread.join(5)
