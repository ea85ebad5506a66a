"""F20: an upstream's dead address costs little, and a new address is followed."""

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.faults.attack import Attacker
from tests.faults.broken import black_hole
from tests.faults.lab import Lab, Size
from tests.faults.verdict import Report, quantile
from tests.ports import free_ports

# The system's resolver puts 127.0.0.1 before other loopback addresses and ::1 before that: these come first.
_DEAD, _DEAD6, _HOME, _NEW_HOME = "127.0.0.1", "::1", "127.0.0.21", "127.0.0.22"
_COST: Final = 300
_FOLLOWED: Final = 30.0
_MOUNT: Final = 'mount --bind "$0" /etc/hosts && exec "$@"'


async def post(options: dict[str, Any]) -> list[tuple[int, float]]:
    """Ask `path` so many times, one after the other; each takes a fresh connection to the upstream."""
    attacker, came = Attacker(options), []
    for _ in range(options["count"]):
        reader, writer = await attacker.open()
        begin = time.monotonic()
        writer.write(attacker.request(f"POST {options['path']} HTTP/1.1", "Content-Length: 1") + b"x")
        head = await reader.readuntil(b"\r\n\r\n")
        came.append((int(head[9:12]), time.monotonic() - begin))
        writer.transport.abort()
    return came


async def follow(options: dict[str, Any]) -> float:
    """Ask who is there until the answer is `wanted`; return how long that took, or -1."""
    attacker, begin = Attacker(options), time.monotonic()
    while time.monotonic() - begin < options["seconds"]:
        reader, writer = await attacker.open()
        writer.write(attacker.request("POST /moving/who HTTP/1.1", "Content-Length: 1", "Connection: close") + b"x")
        with contextlib.suppress(OSError):
            if (await reader.read()).endswith(options["wanted"].encode()):
                return time.monotonic() - begin
        writer.transport.abort()
        await asyncio.sleep(0.2)
    return -1.0


def own_hosts(path: Path) -> list[str]:
    """Return a command that runs a command with `path` in place of /etc/hosts; empty where that cannot be done."""
    for unshare in (["unshare", "-m"], ["unshare", "-rm"]):
        command = [*unshare, "sh", "-c", _MOUNT, str(path)]
        with contextlib.suppress(OSError):
            if subprocess.run([*command, "true"], capture_output=True).returncode == 0:
                return command
    return []


def _has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind((_DEAD6, 0))
        return True
    return False


def _hosts(moving: str) -> str:
    lines = [("127.0.0.1", "localhost"), (_HOME, "straight.test"), (moving, "moving.test")]
    for name, dead in (("silent.test", _DEAD), ("refused.test", _DEAD), ("six.test", _DEAD6)):
        lines += [(dead, name), (_HOME, name)]
    return "".join(f"{address} {name}\n" for address, name in lines)


def run(size: Size) -> Report:
    """Names of our own, in a file that only the proxy sees as /etc/hosts."""
    report = Report(fault="F20", title="upstream addresses")
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(Lab(size))
        hosts = lab.folder / "hosts"
        hosts.write_text(_hosts(_HOME))
        before = own_hosts(hosts)
        if not before:
            report.skipped = "no mount namespace can be made here (needs root, or user namespaces)"
            return report
        held, port = _dead_port()
        for sock in held:
            stack.callback(sock.close)
        refused_port = free_ports(1)[0]
        lab.start_services()
        lab.start_service("old", (_HOME, port), (_HOME, refused_port))
        lab.start_service("new", (_NEW_HOME, port))
        names = {"straight": port, "silent": port, "refused": refused_port, "moving": port}
        if _has_ipv6():
            names["six"] = port
        upstreams: dict[str, Any] = {
            name: lab.upstream(urls=[f"https://{name}.test:{where}"], reuse_after_body=False)
            for name, where in names.items()
        }
        upstreams["service"] = lab.upstream()
        routes: list[dict[str, Any]] = [
            {"path": f"/{name}/", "zone": "api", "upstream": name, "strip_prefix": f"/{name}"} for name in names
        ]
        routes.append({"path": "/check/", "zone": "api", "upstream": "service"})
        lab.start_proxy(lab.config(upstreams=upstreams, routes=routes), before=before)
        lab.start_checker()
        count = size.of(3, 10)
        with lab.experiment():
            came = {
                name: lab.attack(post, path=f"/{name}/who", count=count).result() for name in names if name != "moving"
            }
            first = lab.attack(follow, wanted="old", seconds=5).result()
            # In place: the file that is mounted is this one, not its name.
            hosts.write_text(_hosts(_NEW_HOME))
            moved = lab.attack(follow, wanted="new", seconds=_FOLLOWED + 10).result()
        report.done = f"{count} fresh connections to {', '.join(came)}; then an address that changes"
        _judge(report, came)
        report.at_least("the old address was in use", first, 0, "s")
        report.at_least("the new address was followed", moved, 0, "s")
        report.at_most("the new address was followed after", moved, _FOLLOWED, "s")
        lab.others(report)
        lab.recovered(report)
    return report


def _dead_port() -> tuple[list[socket.socket], int]:
    held = black_hole(_DEAD)
    port = int(held[0].getsockname()[1])
    if _has_ipv6():
        held += black_hole(_DEAD6, port)
    return held, port


def _judge(report: Report, came: dict[str, Sequence[tuple[int, float]]]) -> None:
    usual = quantile(sorted(seconds for _, seconds in came["straight"]), 0.5)
    for name, answers in came.items():
        report.exactly(f"{name}: answers other than 200", sum(status != 200 for status, _ in answers), 0)
        longest = max(seconds for _, seconds in answers) - usual
        report.at_most(f"{name}: longest, over the usual", longest * 1000, _COST, "ms", noisy=True)
    report.notes.append(f"a fresh connection usually takes {usual * 1000:.1f} ms")
