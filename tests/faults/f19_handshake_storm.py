"""F19: a storm of handshakes, with RSA and with EC keys, does not hold up requests on connections that stand."""

import asyncio
import ssl
import time
from datetime import UTC, datetime
from typing import Any, Final

from authproxy.keystore.generate import Algorithm, Validity, alternative_name, combined_file, new_authority, new_server
from tests.faults.attack import Attacker, at_rate
from tests.faults.lab import Lab, Size
from tests.faults.verdict import Report
from tests.ports import free_ports

_RATE: Final = 300
_STALL: Final = 250


async def storm(options: dict[str, Any]) -> dict[str, Any]:
    """Begin `rate` handshakes a second for `seconds`, and hang up after each."""
    attacker = Attacker(options)
    attacker.context.check_hostname = False
    attacker.context.verify_mode = ssl.CERT_NONE

    async def one(_: int) -> bool:
        async with asyncio.timeout(10):
            connection = await attacker.open()
        connection[1].transport.abort()
        return True

    begin = time.monotonic()
    came = await at_rate(options["rate"], int(options["rate"] * options["seconds"]), one)
    return {
        "done": came.count(True),
        "failed": sum(one is not True for one in came),
        "seconds": time.monotonic() - begin,
    }


def run(size: Size) -> Report:
    """Half of them with an RSA key of 3072 bits, half with P-256."""
    report = Report(fault="F19", title="handshake storm")
    seconds = size.of(3, 10)
    (rsa_port,) = free_ports(1)
    with Lab(size) as lab:
        validity = Validity.of_days(datetime.now(UTC), 2)
        issued = new_server(
            new_authority("storm", validity, Algorithm.EC_P256), [alternative_name("proxy.test")], validity,
            Algorithm.RSA,
        )  # fmt: skip
        path = lab.folder / "rsa.pem"
        path.touch(0o600)
        path.write_bytes(combined_file(issued))
        lab.start_services()
        listeners = {
            "public": {"bind": f"127.0.0.1:{lab.port}", "keystore": "main"},
            "rsa": {"bind": f"127.0.0.1:{rsa_port}", "keystore": "rsa"},
        }
        keystores = {"main": {"file": "server.pem"}, "rsa": {"file": "rsa.pem"}}
        caps = lab.limits(connections_per_source=4000)
        lab.start_proxy(lab.config(listeners=listeners, keystores=keystores, **caps))
        lab.start_checker(fresh=0.02)
        with lab.experiment():
            cpu = lab.sampler.cpu()
            attacks = [lab.attack(storm, rate=_RATE / 2, seconds=seconds, port=port) for port in (lab.port, rsa_port)]
            told = [attack.result() for attack in attacks]
            cpu = lab.sampler.cpu() - cpu
        done = sum(one["done"] for one in told)
        begin, end = lab.phases.spans["attack"]
        report.done = f"{done} handshakes, half RSA-3072, half P-256, in {end - begin:.0f} s"
        attack = lab.window("attack")
        report.exactly("handshakes not done", sum(one["failed"] for one in told), 0)
        rate = done / max(one["seconds"] for one in told)
        report.at_least("handshakes a second", rate, 0.9 * _RATE, noisy=True)
        lab.others(report)
        report.at_most("longest request on a live connection", attack.worst_kept * 1000, _STALL, "ms", noisy=True)
        report.notes.append(
            f"others' p99 {attack.p99 * 1000:.1f} ms; the proxy used {cpu / (end - begin):.0%} of a core"
        )
        lab.recovered(report)
    return report
