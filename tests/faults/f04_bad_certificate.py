"""F04: whatever is wrong with a certificate, the old one serves on, and whoever asked is told."""

import json
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from authproxy.core.secret import Secret
from tests.faults.actors import FIRST, nice
from tests.faults.lab import Lab, Size
from tests.faults.ops import is_ready, read_metrics
from tests.faults.renewal import Pki, Watcher, der, shown
from tests.faults.verdict import Report
from tests.ports import free_ports

_DAY: Final = timedelta(days=1)
_START: Final = 2.0
_FAILED: Final = 'authproxy_reload_total{part="config",result="failed"}'
_EXPIRY: Final = 'authproxy_cert_expiry_seconds{keystore="main"}'


@dataclass(frozen=True)
class Fault:
    """A way to spoil a keystore, and the file that the message must name."""

    spoil: Callable[[Pki], object]
    file: str = "server.crt"
    word: str = ""
    """What the message must say as well."""


def _pair(**more: Any) -> Callable[[Pki], object]:
    return lambda pki: pki.put_pair("server", pki.server(**more))


FAULTS: Final[Mapping[str, Fault]] = {
    "missing": Fault(lambda pki: (pki.folder / "server.crt").unlink(), word="no such file"),
    "unreadable": Fault(lambda pki: (pki.folder / "server.key").chmod(0), "server.key", "may not read"),
    "empty": Fault(lambda pki: pki.put("server.crt", b"")),
    "truncated": Fault(lambda pki: pki.put("server.crt", pki.server().certificate_pem()[:300]), word="cut off"),
    "key of another": Fault(lambda pki: pki.put("server.key", pki.server().key_pem()), word="private key"),
    "expired": Fault(_pair(begin=-2 * _DAY, end=-_DAY), word="expired"),
    "not yet valid": Fault(_pair(begin=_DAY, end=2 * _DAY), word="not valid before"),
    "for clients": Fault(lambda pki: pki.put_pair("server", pki.client("somebody")), word="serverAuth"),
    "another name": Fault(lambda pki: pki.put_pair("site", pki.server("elsewhere.test")), "site.crt", "site.test"),
    "encrypted key": Fault(
        lambda pki: pki.put("server.key", pki.server().key_pem(Secret(b"correct horse"))), "server.key", "password"
    ),
}


def run(size: Size) -> Report:
    """Each fault at a reload under load, and each at a start."""
    report = Report(fault="F04", title="bad certificate")
    faults = {name: fault for name, fault in FAULTS.items() if name != "unreadable" or os.geteuid()}
    report.done = f"{len(faults)} faults, each at a reload and at a start"
    if len(faults) < len(FAULTS):
        report.notes.append("unreadable: left out, since root reads everything; tests/keystore/test_reading.py has it")
    with Lab(size) as lab:
        pki = Pki(lab)
        good = {"server": pki.server(), "site": pki.server("site.test")}
        for stem, issued in good.items():
            pki.put_pair(stem, issued)
        lab.start_services()
        lab.start_proxy(_config(lab))
        scene = _Scene(lab, pki, der(good["server"]))
        lab.start_checker()
        with lab.experiment():
            for name, fault in faults.items():
                fault.spoil(pki)
                scene.reload(report, name, fault)
                for stem, issued in good.items():
                    pki.put_pair(stem, issued)
        for name, fault in faults.items():
            start(report, lab, pki, (name, fault), good)
        lab.others(report)
        lab.recovered(report)
    return report


def _config(lab: Lab) -> dict[str, Any]:
    keystores = {name: {"certificate": f"{stem}.crt", "key": f"{stem}.key"} for name, stem in _STEMS.items()}
    listener = {"bind": f"127.0.0.1:{lab.port}", "keystore": "main", "sni": {"site.test": "site"}}
    return lab.config(
        keystores=keystores,
        listeners={"public": listener},
        reload={"watch": "0s"},
        control=f"unix:{lab.folder}/control.sock",
    )


_STEMS: Final = {"main": "server", "site": "site"}


class _Scene:
    """A proxy at work whose certificate is spoilt."""

    def __init__(self, lab: Lab, pki: Pki, certificate: bytes) -> None:
        self._lab = lab
        self._pki = pki
        self._certificate = certificate
        self._watcher = Watcher(lab)
        self._context = ssl.create_default_context(cafile=lab.material.authority)

    def reload(self, report: Report, name: str, fault: Fault) -> None:
        """Ask for a reload and wait; look at everything that the operator and the clients see."""
        before = read_metrics(self._lab.ops_port)
        self._watcher.mark()
        command = [sys.executable, "-m", "authproxy", "reload", "--wait", "--json"]
        done = subprocess.run(
            [*command, "-c", str(self._lab.folder / "authproxy.yaml")], capture_output=True, text=True, timeout=30
        )
        parts = {part["part"]: part["result"] for part in json.loads(done.stdout or "{}").get("parts", ())}
        after = read_metrics(self._lab.ops_port)
        errors = [str(line.get("error", "")) for line in self._watcher.events(level="error")]
        facts = {
            "the command ends with 1": done.returncode == 1,
            "the configuration alone is rejected": parts.get("config") == "rejected"
            and parts.get("trust") == "unchanged",
            "one line of the log is an error": len(errors) == 1,
            "it names the file and the fault": all(fault.file in one and fault.word in one for one in errors),
            "failed reloads are one more": after.get(_FAILED, 0.0) - before.get(_FAILED, 0.0) == 1,
            "the expiry in the metrics is the old one": abs(after[_EXPIRY] - before[_EXPIRY]) < _DAY.total_seconds(),
            "the proxy is ready": is_ready(self._lab.ops_port),
            "the old certificate is shown": shown(self._lab.port, self._context) == self._certificate,
        }
        _add(report, f"{name}: at a reload", facts, f"{done.stdout}{done.stderr}{errors}")


def start(report: Report, lab: Lab, pki: Pki, fault: tuple[str, Fault], good: Mapping[str, Any]) -> None:
    """Start another proxy with the fault: it ends at once, and says why."""
    name, what = fault
    with_fault = pki.beside(name)
    for stem, issued in good.items():
        with_fault.put_pair(stem, issued)
    what.spoil(with_fault)
    port, ops_port = free_ports(2)
    own = json.loads(
        json.dumps(_config(lab)).replace(f":{lab.port}", f":{port}").replace(f":{lab.ops_port}", f":{ops_port}")
    )
    own["control"] = f"unix:{with_fault.folder}/control.sock"
    for shared in ("ca.pem", "pepper", "tokens.yaml"):
        shutil.copy(lab.folder / shared, with_fault.folder)
    path = with_fault.put("authproxy.yaml", json.dumps(own).encode())
    begin = time.monotonic()
    try:
        done = subprocess.run(
            [*nice(FIRST), sys.executable, "-m", "authproxy", "run", "-c", str(path)],
            capture_output=True,
            text=True,
            timeout=10,
        )
        code, said = done.returncode, done.stderr
    except subprocess.TimeoutExpired:
        code, said = 0, "it runs"
    seconds = time.monotonic() - begin
    facts = {
        "it ends with 77 or 78": code in {77, 78},
        "it names file and fault": what.file in said and what.word in said,
    }
    _add(report, f"{name}: at a start", facts, f"{code} {said[:300]}")
    report.at_most(f"{name}: until it has ended", seconds, _START, "s", noisy=True)


def _add(report: Report, name: str, facts: Mapping[str, bool], told: str) -> None:
    wrong = [fact for fact, holds in facts.items() if not holds]
    report.exactly(f"{name}, of {len(facts)} facts wrong", len(wrong), 0)
    if wrong:
        report.notes.append(f"{name}: not so: {'; '.join(wrong)}: {told}")
