"""The groups of key exchange can be chosen from outside, as docs/scans.md says."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from authproxy.keystore.generate import Algorithm, Validity, alternative_name, combined_file, new_authority, new_server

DOCUMENTED = Path(__file__).parents[2] / "docs" / "scans.md"
# A server in a process of its own, since OpenSSL reads its configuration once; it answers whom it shakes hands with.
SERVER = """
import socket, ssl, sys
from pathlib import Path
from authproxy.keystore import load_file, server_context
context = server_context(load_file("main", Path(sys.argv[1]), None), minimum=ssl.TLSVersion.TLSv1_2)
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    wire, _ = listener.accept()
    with wire:
        try:
            context.wrap_socket(wire, server_side=True).close()
        except OSError as error:
            print(error)
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    validity = Validity.of_days(datetime.now(UTC), 5)
    root = new_authority("root", validity, Algorithm.EC_P256)
    path = tmp_path_factory.mktemp("groups") / "server.pem"
    path.write_bytes(combined_file(new_server(root, [alternative_name("localhost")], validity, Algorithm.EC_P256)))
    path.chmod(0o600)
    return path


def shakes_hands(openssl, certificate, group, conf=None):
    environ = {} if conf is None else {"OPENSSL_CONF": str(conf)}
    command = [sys.executable, "-c", SERVER, str(certificate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ, cwd=DOCUMENTED.parents[1]) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        client = [openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-groups", group]
        said = subprocess.run(client, input=b"", capture_output=True, env={}, timeout=20).stdout
        # Its exit code tells how the connection ended too, which is no matter here.
        return b"Cipher is TLS_" in said


@pytest.mark.parametrize(
    ("group", "offered"), [("X25519", True), ("P-384", True), ("P-521", False), ("ffdhe2048", False)]
)
def test_the_documented_file_chooses_groups(tool, tmp_path, certificate, group, offered):
    """Those that it names and no others; without it all of these are there."""
    [text] = re.findall(r"```ini\n(.*?)```", DOCUMENTED.read_text(), re.DOTALL)
    conf = tmp_path / "openssl.cnf"
    conf.write_text(text)
    openssl = tool("openssl")

    assert shakes_hands(openssl, certificate, group, conf) is offered
    assert shakes_hands(openssl, certificate, group)
