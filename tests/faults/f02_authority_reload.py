"""F02: client authorities come and go under load: the new one is believed at once, and of the old one nothing is left."""

import asyncio
import contextlib
import socket
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from authproxy.keystore.generate import Issued, combined_file
from tests.bench.material import PROXY_NAMES
from tests.faults.attack import Attacker, head_of, tell
from tests.faults.lab import Lab, Size
from tests.faults.renewal import Pki, Watcher, waited
from tests.faults.verdict import Report

_HELD: Final = 10
_VERSIONS: Final = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}
_LIMIT: Final = 1.0
_LOOK: Final = 1.5
"""Seconds that a connection is watched after the reload."""
_QUESTION: Final = b"GET /livez HTTP/1.1\r\nHost: proxy.test\r\n\r\n"


async def hold(options: dict[str, Any]) -> list[float]:
    """Hold connections that show a certificate, half of them silent; return when each ended, infinity for never."""
    attacker = Attacker(options)
    attacker.context.load_cert_chain(options["client"])
    attacker.context.maximum_version = getattr(ssl.TLSVersion, options["version"])
    pairs = [await attacker.open() for _ in range(_HELD)]
    for reader, writer in pairs:
        writer.write(_QUESTION)
        if await head_of(reader) != 200:
            raise ConnectionError("refused before the attack")
        await reader.readexactly(3)
    tell("ready")
    ends = time.monotonic() + options["seconds"]

    async def one(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            while (left := ends - time.monotonic()) > 0:
                async with asyncio.timeout(left):
                    if number % 2:
                        await reader.readexactly(1)
                    writer.write(_QUESTION)
                    if await head_of(reader) != 200:
                        break
                    await reader.readexactly(3)
                    await asyncio.sleep(0.02)
        ended = time.monotonic()
        writer.transport.abort()
        return ended if ended < ends - 0.05 else float("inf")

    return list(await asyncio.gather(*(one(number, *pair) for number, pair in enumerate(pairs))))


@dataclass
class Seen:
    """What a change of authorities looked like, in seconds after the signal, over all rounds."""

    believed: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    cut: list[float] = field(default_factory=list)
    collected: int = 0
    """Sessions to resume with."""
    resumed: int = 0
    early: int = 0
    """Of the new authority, before it was believed."""
    others_cut: int = 0


class Client:
    """Somebody with a certificate, who tries."""

    def __init__(self, lab: Lab, pki: Pki, name: str, by: Issued) -> None:
        self.path = pki.put(f"{name}.pem", combined_file(pki.client(name, by)))
        self._port = lab.port
        self._authority = lab.material.authority
        self.sessions: dict[str, tuple[ssl.SSLContext, ssl.SSLSession | None]] = {}

    def context(self, version: str = "") -> ssl.SSLContext:
        """Return a context that shows the certificate."""
        made = ssl.create_default_context(cafile=self._authority)
        made.load_cert_chain(self.path)
        if version:
            made.minimum_version = made.maximum_version = _VERSIONS[version]
        return made

    def passes(self, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSession | bool:
        """Ask on a connection of its own; return the session (or True) when the answer is 200, else False."""
        with contextlib.suppress(OSError):
            wire = socket.create_connection(("127.0.0.1", self._port), 5)
            with wire, context.wrap_socket(wire, server_hostname=PROXY_NAMES[0], session=session) as tls:
                tls.sendall(_QUESTION)
                return tls.recv(4096).startswith(b"HTTP/1.1 200") and (tls.session or True)
        return False

    def collect(self) -> int:
        """Get what a later connection could be resumed with, in each version; return how much came."""
        for version in _VERSIONS:
            context = self.context(version)
            session = self.passes(context)
            self.sessions[version] = context, session if isinstance(session, ssl.SSLSession) else None
        return sum(session is not None for _, session in self.sessions.values())

    def resumes(self) -> int:
        """Return how many of these sessions, or of the contexts that had them, still let this client in."""
        return sum(bool(self.passes(context, session)) for context, session in self.sessions.values())


def run(size: Size) -> Report:
    """Authority 1, then 1 and 2, then 2, and back; the good clients are of a third one that is always believed."""
    report = Report(fault="F02", title="authority reload")
    rounds = size.of(1, 6)
    report.done = f"{rounds} rounds: 1, then 1 and 2, then 2 alone; {_HELD} live connections in each TLS version"
    seen = Seen()
    with Lab(size) as lab:
        pki = Pki(lab)
        authorities = [pki.authority(f"clients {number}") for number in range(3)]
        always, one, two = (Client(lab, pki, f"client-{number}", by) for number, by in enumerate(authorities))
        scene = Scene(lab, pki, authorities)
        scene.believe(0, 1)
        lab.start_services()
        lab.start_proxy(_config(lab))
        lab.start_checker(client=always.path)
        scene.watcher = Watcher(lab)
        with lab.experiment():
            for number in range(rounds):
                old, new = ((1, one), (2, two)) if number % 2 == 0 else ((2, two), (1, one))
                scene.change(seen, old, new, always)
        report.at_most("new authority believed after SIGHUP", max(seen.believed), _LIMIT, "s", noisy=True)
        report.exactly("clients of the new authority let in before", seen.early, 0)
        report.at_most("old authority refused after SIGHUP", max(seen.refused), _LIMIT, "s", noisy=True)
        report.at_least("sessions of the old authority collected", seen.collected, rounds)
        report.exactly("sessions of the old authority resumed", seen.resumed, 0)
        report.at_most("live connections of the old authority cut", max(seen.cut), _LIMIT, "s", noisy=True)
        report.exactly("live connections of others cut", seen.others_cut, 0)
        report.exactly("rejected reloads", lab.delta_of("authproxy_reload_total", result="failed"), 0)
        lab.others(report)
        lab.recovered(report)
    return report


def _config(lab: Lab) -> dict[str, Any]:
    listener = {
        "bind": f"127.0.0.1:{lab.port}", "keystore": "main", "health": "/livez", "tls": {"minimum": "1.2"},
        "client_certificates": {"mode": "required", "trust": "clients"},
    }  # fmt: skip
    return lab.config(
        truststores={"internal": {"file": "ca.pem"}, "clients": {"file": "clients.pem"}},
        listeners={"public": listener},
        reload={"watch": "0s"},
        **lab.limits(requests_per_connection="off"),
    )


class Scene:
    """Changes who is believed, and looks."""

    watcher: Watcher

    def __init__(self, lab: Lab, pki: Pki, authorities: list[Issued]) -> None:
        self._lab = lab
        self._pki = pki
        self._authorities = authorities

    def believe(self, *numbers: int) -> Path:
        """Write the bundle."""
        return self._pki.put(
            "clients.pem", b"".join(self._authorities[number].certificate_pem() for number in numbers), 0o644
        )

    def change(self, seen: Seen, old: tuple[int, Client], new: tuple[int, Client], always: Client) -> None:
        """Bring the new authority in, then take the old one out."""
        context = new[1].context()
        seen.early += bool(new[1].passes(context))
        self.believe(0, old[0], new[0])
        self.watcher.hup()
        seen.believed.append(waited(lambda: bool(new[1].passes(context)), "the new authority is believed"))
        self.watcher.wait("reload.applied", part="trust")
        seen.collected += old[1].collect()
        holding = [self._hold(client, version) for client in (old[1], new[1], always) for version in _VERSIONS.values()]
        for one in holding:
            one.wait_for(1, 20)
        context = old[1].context()
        self.believe(0, new[0])
        self.watcher.hup()
        begin = time.monotonic()
        seen.refused.append(waited(lambda: not old[1].passes(context), "the old authority is refused"))
        self.watcher.wait("reload.applied", part="trust")
        seen.resumed += old[1].resumes()
        ends = [one.result() for one in holding]
        seen.cut += [ended - begin for told in ends[: len(_VERSIONS)] for ended in told]
        seen.others_cut += sum(ended != float("inf") for told in ends[len(_VERSIONS) :] for ended in told)

    def _hold(self, client: Client, version: ssl.TLSVersion) -> Any:
        return self._lab.attack(hold, client=str(client.path), version=version.name, seconds=_LOOK + 4)
