"""Runs tlsfuzzer's scripts against the listener, and what fails there against openssl s_server."""

import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.scan.findings import Conversations, Excepted, Row, conversations, fuzzer_row
from tests.scan.target import Target

SOURCE: Final = "https://github.com/tlsfuzzer/tlsfuzzer"
COMMIT: Final = "14555fe211456c46deccc4b2d94751dbd894aece"
_SECONDS: Final = 180
_RANDOM: Final = 20
"""How many conversations are drawn of scripts that have thousands."""
_SUITE: Final = ("-C", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")
"""For scripts of TLS 1.2 that would take a CBC suite, which the listener does not offer."""

_TLS_1_2: Final = (
    "ccs", "cve-2004-0079", "cve-2016-6309", "early-application-data", "ecdhe-rsa-key-exchange-with-bad-messages",
    "fuzzed-ciphertext", "hello-request-by-client", "invalid-client-hello-w-record-overflow",
    "invalid-compression-methods", "invalid-content-type", "point-extension", "record-layer-fragmentation",
    "renegotiation-disabled", "tls13-version-negotiation", "truncating-of-client-hello", "version-numbers",
    "zero-length-data",
)  # fmt: skip
_OTHERS: Final = (
    "tls13-0rtt-garbage", "tls13-ccs", "tls13-connection-abort", "tls13-conversation",
    "tls13-crfg-curves", "tls13-ecdhe-curves", "tls13-empty-alert", "tls13-ffdhe-sanity", "tls13-finished",
    "tls13-finished-plaintext", "tls13-hrr", "tls13-invalid-ciphers", "tls13-keyshare-omitted", "tls13-keyupdate",
    "tls13-legacy-version", "tls13-nociphers", "tls13-pkcs-signature", "tls13-record-layer-limits",
    "tls13-record-padding", "tls13-rsa-signatures", "tls13-serverhello-random", "tls13-session-resumption",
    "tls13-signature-algorithms", "tls13-symetric-ciphers", "tls13-unencrypted-alert", "tls13-unrecognised-groups",
    "tls13-zero-content-type", "tls13-zero-length-data",
)  # fmt: skip
SCRIPTS: Final[Mapping[str, tuple[str, ...]]] = {
    "large-hello": ("-d",), **dict.fromkeys(_TLS_1_2, _SUITE), **dict.fromkeys(_OTHERS, ())
}  # fmt: skip
"""Those whose ordinary conversation the listener's settings allow, with what they need to be told.

Left out: scripts that need a CBC suite, RSA or finite-field key exchange, TLS below 1.2, client certificates or a web
server with answers of a certain size; and those about timing, which a busy machine cannot tell.
"""
EXCEPTIONS: Final[Mapping[str, Excepted]] = {}
"""By script. None are needed: what fails here fails at openssl s_server."""


def fuzz(python: Path, home: Path, target: Target, only: Collection[str] = ()) -> Iterator[Row]:
    """Yield a row for each script; `python` has what they import, `home` is a checkout of tlsfuzzer."""
    for name in only or SCRIPTS:
        script = [str(python), f"scripts/test-{name}.py", "-h", "localhost", *SCRIPTS[name]]
        ours = _run([*script, "-n", str(_RANDOM), "-p", str(target.ports["rsa"])], home)
        baseline = Conversations(passed=0, failed=frozenset())
        if ours.failed:
            # Those alone, since which ones are drawn is chance; and once more here, for the machine may have been busy.
            probes = [name for name in ours.failed if name != "sanity"]
            again = _run([*script, "-p", str(target.ports["rsa"]), *probes], home)
            ours = Conversations(passed=ours.passed, failed=ours.failed & again.failed)
            baseline = _run([*script, "-p", str(target.baseline), *probes], home)
        yield fuzzer_row(name, ours, baseline, EXCEPTIONS)


def _run(command: list[str], home: Path) -> Conversations:
    try:
        done = subprocess.run(
            command, cwd=home, env={"PYTHONPATH": str(home)}, capture_output=True, text=True, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        print(f"{command[1]}: no end within {_SECONDS} s", file=sys.stderr)  # noqa: T201
        return Conversations(passed=0, failed=frozenset())
    return conversations(done.stdout)
