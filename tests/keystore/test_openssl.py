"""The seed's own way of making keys, with the real openssl, and the real s_client as a peer."""

import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.core.secret import Secret
from authproxy.errors import MaterialError
from authproxy.keystore import (
    ClientCertificates,
    ClientMode,
    Demand,
    PeerFault,
    Refusals,
    Role,
    check,
    client_context,
    load_file,
    load_pem_pair,
    load_text,
    load_truststore,
    self_test,
    server_context,
    with_refusals,
)

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
REQUIRED = ClientCertificates(mode=ClientMode.REQUIRED)


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    """Where openssl works."""
    return tmp_path_factory.mktemp("openssl")


@pytest.fixture(scope="session")
def openssl(tool, home) -> Callable[..., str]:
    """`openssl(*args)` runs the program in `home`."""
    program = tool("openssl")

    def run(*args: str) -> str:
        done = subprocess.run([program, *args], cwd=home, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def seed(openssl, home) -> Path:
    """A directory with server.keys and client.keys as nREPL's documentation makes them, and all intermediate files."""
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ca.key")
    openssl(
        "req", "-new", "-x509", "-sha256", "-key", "ca.key", "-out", "ca.pem", "-subj", "/CN=seed root", "-days", "365"
    )
    for who in ("server", "client"):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-out", f"{who}.sec1")
        openssl("req", "-new", "-sha256", "-key", f"{who}.sec1", "-out", f"{who}.csr", "-subj", f"/CN={who}")
        openssl("x509", "-req", "-sha256", "-in", f"{who}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "1",
                "-days", "365", "-out", f"{who}.crt")  # fmt: skip
        openssl("pkcs8", "-topk8", "-nocrypt", "-in", f"{who}.sec1", "-out", f"{who}.key")
        parts = [(home / name).read_bytes() for name in ("ca.pem", f"{who}.crt", f"{who}.key")]
        keys = home / f"{who}.keys"
        keys.write_bytes(b"".join(parts))
        keys.chmod(0o400)
    return home


@pytest.fixture
def machine_now() -> datetime:
    """The instant at which the certificates that openssl just made are valid."""
    return datetime.now(UTC) + timedelta(minutes=1)


def test_seeds_keys_are_read(seed, machine_now):
    """Nameless leaves with serial 1 are fine for a tcp listener and for clients, and flagged on an http listener."""
    server, client = load_file("s", seed / "server.keys", None), load_file("c", seed / "client.keys", None)

    check(server, Role.TCP, machine_now)
    check(client, Role.CLIENT, machine_now)
    assert server.root is not None
    assert server.root == client.root
    assert server.root.subject.rfc4514_string() == "CN=seed root"
    assert (server.notes, client.notes) == ((), ())
    with pytest.raises(MaterialError, match="has no subject alternative name"):
        check(server, Role.SERVER, machine_now)


def test_seeds_server_and_client_meet(seed, shake):
    """Mutual TLS between the two files, each with its root as the only trust."""
    server, client = load_file("s", seed / "server.keys", None), load_file("c", seed / "client.keys", None)
    context = server_context(server, minimum=V13, client=REQUIRED)
    caller = client_context(load_truststore("t", seed / "ca.pem"), client)
    caller.check_hostname = False  # as nREPL's client does

    self_test(context, server)
    ends = shake(context, caller, None)

    assert ends.server.version() == "TLSv1.3"
    assert ends.server.getpeercert()["subject"] == ((("commonName", "client"),),)


def test_seeds_server_is_refused_upstream(seed, shake):
    """A certificate without names is no upstream's, whatever its common name."""
    server = load_file("s", seed / "server.keys", None)
    caller = client_context(load_truststore("t", seed / "ca.pem"), None)

    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake(server_context(server, minimum=V12), caller, "server")


@pytest.mark.parametrize("form", ["server.sec1", "server.key"])
def test_pair_of_openssls_files_is_read(form, seed):
    """SEC1 with its EC PARAMETERS block, and PKCS#8, beside the certificate."""
    (seed / form).chmod(0o600)

    assert load_pem_pair("s", seed / "server.crt", seed / form, None).leaf.serial_number == 1


@pytest.mark.parametrize("how", ["-aes256", "-aes128", "-des3"])
@pytest.mark.parametrize("command", ["ec", "pkcs8"])
def test_encrypted_keys_of_openssl_are_read(command, how, seed, openssl):
    """Traditional and PKCS#8 encryption with the ciphers that its manual shows."""
    cipher = [how] if command == "ec" else ["-topk8", "-v2", how[1:]]
    name = f"locked-{command}{how}"
    openssl(command, "-in", "server.sec1", *cipher, "-passout", "pass:sesame", "-out", name)
    text = (seed / "ca.pem").read_text() + (seed / "server.crt").read_text() + (seed / name).read_text()

    assert load_text("s", text, "$KEYS", Secret(b"sesame")).leaf.serial_number == 1
    with pytest.raises(MaterialError, match=r"is encrypted and no password is given"):
        load_text("s", text, "$KEYS", None)


def test_rsa_pss_and_dsa_are_refused(seed, openssl):
    """Keys that the ssl module cannot use are named as such, with what to make instead."""
    openssl("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "pss.key")
    openssl("req", "-x509", "-new", "-key", "pss.key", "-subj", "/CN=pss", "-out", "pss.crt")
    openssl("genpkey", "-genparam", "-algorithm", "DSA", "-pkeyopt", "dsa_paramgen_bits:1024", "-out", "dsa.par")
    openssl("genpkey", "-paramfile", "dsa.par", "-out", "dsa.key")
    openssl("genpkey", "-algorithm", "X25519", "-out", "x25519.key")
    pss, certificate = (seed / "pss.key").read_text(), (seed / "pss.crt").read_text()

    for text, problem in {
        certificate + pss: "is an RSA-PSS key, which cannot be used here",
        certificate + (seed / "server.key").read_text(): "holds an RSA-PSS certificate",
        certificate + (seed / "dsa.key").read_text(): "of a type that TLS cannot sign with",
        certificate + (seed / "x25519.key").read_text(): "of a type that TLS cannot sign with",
        certificate
        + "-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n": "DSA keys cannot be used",
    }.items():
        with pytest.raises(MaterialError, match=problem):
            load_text("s", text, "$KEYS", None)


def _serve(context: ssl.SSLContext, listener) -> None:
    sock, _ = listener.accept()
    try:
        with context.wrap_socket(sock, server_side=True) as wrapped:
            wrapped.sendall(b"hello from authproxy\n")
    except OSError:
        pass


def _s_client(seed, openssl, context, *args) -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(context, listener))
        thread.start()
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{listener.getsockname()[1]}", *args]
        done = subprocess.run(command, cwd=seed, input="", capture_output=True, text=True, check=False, timeout=20)
        thread.join()
    return done.stdout + done.stderr


def test_s_client_with_the_seeds_client_keys_is_served(seed, openssl):
    """OpenSSL's own client verifies our chain and is let in with its certificate."""
    context = server_context(load_file("s", seed / "server.keys", None), minimum=V13, client=REQUIRED)

    output = _s_client(seed, openssl, context, "-CAfile", "ca.pem", "-cert", "client.crt", "-key", "client.key", "-quiet",
                       "-verify_return_error", "-alpn", "http/1.1")  # fmt: skip

    assert "hello from authproxy" in output


def test_s_client_sees_no_tickets_and_no_old_suites(seed, openssl):
    """No session ticket comes with mutual TLS, the chain verifies, and TLS 1.2 ends with an alert."""
    context = server_context(load_file("s", seed / "server.keys", None), minimum=V13, client=REQUIRED)
    certificate = ["-CAfile", "ca.pem", "-cert", "client.crt", "-key", "client.key"]

    modern = _s_client(seed, openssl, context, *certificate)
    old = _s_client(seed, openssl, context, *certificate, "-tls1_2")

    assert "Verify return code: 0 (ok)" in modern
    assert "New Session Ticket" not in modern
    assert re.search(r"alert protocol version|alert number 70", old)


@pytest.mark.parametrize("form", ["PEM", "DER"])
@pytest.mark.parametrize("version", [1, 2])
def test_a_revocation_list_of_openssl_s_own_bites(seed, openssl, home, shake, form, version):  # noqa: PLR0917
    """As `openssl ca` makes them, with and without extensions: the seed's client is out, in the handshake and after it."""
    name = f"list{version}{form}"
    (home / f"{name}.index").write_text("")
    (home / f"{name}.number").write_text("01\n")
    number = f"crlnumber = {name}.number\n" if version == 2 else ""
    extensions = "authorityKeyIdentifier = keyid:always\n"
    (home / f"{name}.cnf").write_text(
        f"[ca]\ndefault_ca = seed\n[seed]\ndatabase = {name}.index\n{number}default_md = sha256\ndefault_crl_days = 3\n"
        f"private_key = ca.key\ncertificate = ca.pem\n[more]\n{extensions}"
    )
    openssl("ca", "-config", f"{name}.cnf", "-revoke", "client.crt")
    openssl("ca", "-config", f"{name}.cnf", "-gencrl", "-out", f"{name}.pem", *(["-crlexts", "more"] if number else []))
    openssl("crl", "-in", f"{name}.pem", "-outform", form, "-out", name)
    now = datetime.now(UTC) + timedelta(minutes=1)
    trust = with_refusals(load_truststore("t", seed / "ca.pem"), Refusals(crls=(home / name,)), now)
    client = load_file("c", seed / "client.keys", None)
    asked = ClientCertificates(mode=ClientMode.REQUIRED, trust=trust)
    context = server_context(load_file("s", seed / "server.keys", None), minimum=V13, client=asked)
    caller = client_context(load_truststore("t", seed / "ca.pem"), client)
    caller.check_hostname = False
    chain = [one.public_bytes(Encoding.DER) for one in (client.leaf, *trust.certificates)]
    refused = Demand(is_required=True, trust=trust).judge(chain, now, proven=True)

    with pytest.raises(ssl.SSLCertVerificationError, match="certificate revoked"):
        shake(context, caller, None)
    assert refused is not None
    assert refused.fault is PeerFault.REVOKED
