"""`authproxy connect`, the real process: what it lets through, what it says, and what it leaves behind."""

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.keystore import generate as keys
from authproxy.keystore.pins import pin_of
from tests.patience import PATIENCE, SOON
from tests.ports import free_port
from tests.promises.lane import Lane, Target, read, rest
from tests.promises.nrepl import Messages, Repl, ask
from tests.tls_end import reset

pytestmark = [pytest.mark.promise, pytest.mark.timeout(180)]

ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTHONDONTWRITE"))}


def wait_until(holds, what):
    ends = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < ends, f"not in time: {what}"
        time.sleep(0.02)


class Connect:
    """The process at work."""

    def __init__(self, directory, *options, **environ):
        command = [sys.executable, "-m", "authproxy", "connect", *options]
        self.process = subprocess.Popen(
            command, cwd=directory, env=ENVIRON | environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdout, self._stderr = self.process.stdout, self.process.stderr
        self._said = []
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()
        self.port = 0

    def _listen(self):
        with self._stderr as pipe:
            for line in pipe:
                self._said.append(line)

    @property
    def said(self):
        return "".join(self._said)

    def ready(self):
        """Wait for its first line; return self."""
        self.line = self.stdout.readline()
        found = re.match(r"listening on (?:unix:\S+|\S+?:(\d+)) for ", self.line)
        assert found, (self.line, self.end())
        self.port = int(found[1] or 0)
        return self

    def dial(self):
        wire = socket.create_connection(("127.0.0.1", self.port))
        wire.settimeout(PATIENCE)
        return wire

    def stop(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.end()[0]

    def end(self):
        """Return the exit code, and what it complained of."""
        code = self.process.wait(PATIENCE)
        self._reader.join(5)
        return code, self.said


@pytest.fixture
def connect(house):
    """`connect(*options)` starts it in the house's directory."""
    made = []

    def start(*options, **environ):
        made.append(Connect(house.directory, *options, **environ))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
        one.end()
        one.stdout.close()


@pytest.fixture
def target():
    made = Target()
    yield made
    made.listening.close()


@pytest.fixture
def lane(house, target):
    """A listener with our own keys; `client.keys` is what fits it."""
    made = Lane(house, target)
    house.put("client.keys", keys.keys_file(house.pki.root, made.client))
    return made


@pytest.fixture
def usual(lane):
    return ("--keys", "client.keys", "--remote", f"localhost:{lane.port}")


def openssl_recipe(house, tool):
    """Make the keys as nREPL's documentation does: a P-256 root, and leaves without names or extensions."""
    directory, openssl = house.directory / "recipe", tool("openssl")
    directory.mkdir()

    def run(*words):
        subprocess.run([openssl, *words], cwd=directory, check=True, capture_output=True, timeout=20)

    for name in ("ca", "server", "client"):
        run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.sec1")
        run("pkcs8", "-topk8", "-nocrypt", "-in", f"{name}.sec1", "-out", f"{name}.key")
    run("req", "-x509", "-new", "-key", "ca.key", "-days", "30", "-subj", "/CN=root", "-out", "ca.pem")
    for name in ("server", "client"):
        run("req", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}", "-out", f"{name}.csr")
        run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "1", "-days", "30",
            "-out", f"{name}.pem")  # fmt: skip
        text = b"".join((directory / part).read_bytes() for part in ("ca.pem", f"{name}.pem", f"{name}.key"))
        house.put(f"{name}.keys", text, 0o400)
        house.put(f"{name}.combined", text.partition(b"-----END CERTIFICATE-----\n")[2])
    house.put("root.pem", (directory / "ca.pem").read_bytes())


def own_generator(house, tool):
    """Make them with `authproxy keys generate`."""
    del tool
    command = [sys.executable, "-m", "authproxy", "keys", "generate", "--out", "made"]
    subprocess.run(command, cwd=house.directory, check=True, capture_output=True, timeout=20)
    for name in ("server", "client"):
        for made, put in ((f"{name}.keys", f"{name}.keys"), (f"{name}.pem", f"{name}.combined")):
            house.put(put, (house.directory / "made" / made).read_bytes())
    house.put("root.pem", (house.directory / "made" / "ca.pem").read_bytes())


MAKERS = pytest.mark.parametrize(
    ("make", "verify"), [(openssl_recipe, "ca-only"), (own_generator, "full")], ids=["openssl", "authproxy"]
)


# ---------------------------------------------------------------- with whom it works


@MAKERS
def test_an_nrepl_conversation_passes(lane, tool, connect, make, verify):
    """Through connect, mutual TLS and the listener to a plain server; 10 MB still come after the client has ended."""
    make(lane.house, tool)
    Repl(lane.target.listening)
    lane.start()
    local = connect("--keys", "client.keys", "--remote", f"localhost:{lane.port}", "--verify", verify).ready()
    with local.dial() as wire:
        messages = iter(Messages(wire))
        (cloned,) = ask(wire, messages, op="clone", id="1")
        assert cloned == {"id": b"1", "new-session": b"7", "status": [b"done"]}
        value, _ = ask(wire, messages, op="eval", id="2", code="(+ 1 2)")
        assert value == {"id": b"2", "ns": b"user", "value": b"(+ 1 2)"}
        wire.sendall(b"d4:code8:100000002:id1:32:op4:evale")
        wire.shutdown(socket.SHUT_WR)
        value, done = messages
        assert value["value"] == b"x" * 10_000_000
        assert done == {"id": b"3", "status": [b"done"]}

    assert local.stop() == 0
    assert local.said == ""


@MAKERS
def test_openssl_speaks_with_the_listener(lane, tool, make, verify):
    """With the client's keys; without any it reads why not."""
    del verify
    make(lane.house, tool)
    Repl(lane.target.listening)
    lane.start()

    def said(*options):
        command = [tool("openssl"), "s_client", "-connect", f"localhost:{lane.port}", "-CAfile", "root.pem", "-tls1_3"]
        command += ["-ign_eof", "-verify_return_error", *options]
        message = b"d4:code5:hello2:id1:12:op4:evale"
        process = subprocess.Popen(
            command, cwd=lane.house.directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(message)
            process.stdin.flush()
            data = b""
            ends = time.monotonic() + PATIENCE
            while (
                time.monotonic() < ends
                and b"5:value5:hello" not in data
                and (piece := os.read(process.stdout.fileno(), 65536))
            ):
                data += piece
            process.kill()
        return data

    answered = said("-cert", "client.combined", "-key", "client.combined")
    assert b"Verify return code: 0 (ok)" in answered
    assert b"5:value5:hello" in answered
    assert b"alert certificate required" in said()


@MAKERS
def test_connect_speaks_with_openssl(lane, tool, connect, make, verify):
    """As the client of an `openssl s_server` that demands a certificate."""
    house = lane.house
    make(house, tool)
    port = free_port()
    command = [tool("openssl"), "s_server", "-accept", str(port), "-tls1_3", "-Verify", "1", "-verify_return_error"]
    command += ["-CAfile", "root.pem", "-cert", "server.combined", "-key", "server.combined", "-quiet"]
    server = subprocess.Popen(
        command, cwd=house.directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        wait_until(lambda: not house.refuses(port), what="s_server listens")
        options = ("--remote", f"localhost:{port}", "--verify", verify)
        local = connect("--keys", "client.keys", "--no-probe", *options).ready()
        with local.dial() as wire:
            wire.sendall(b"to openssl\n")
            assert server.stdout.readline() == b"to openssl\n"
            server.stdin.write(b"from openssl\n")
            server.stdin.flush()
            assert read(wire, 13) == b"from openssl\n"
    finally:
        server.kill()
        server.communicate()


def test_keys_may_come_from_the_environment(lane, connect):
    """So that they need not lie on a disk, and never stand in an argument."""
    lane.start()
    text = (lane.house.directory / "client.keys").read_text()
    local = connect("--keys-env", "REPL_KEYS", "--remote", f"localhost:{lane.port}", REPL_KEYS=text).ready()

    assert local.stop() == 0


@pytest.mark.parametrize("which", ["right", "wrong"])
def test_a_pin_is_asked_for_in_addition_to_the_chain(lane, connect, which):
    """Of nameless certificates it is the only thing that tells the server from the clients."""
    lane.start()
    text = (lane.house.directory / "server.keys").read_bytes()
    shown = x509.load_pem_x509_certificates(text)[1] if which == "right" else lane.client.certificate
    pin = pin_of(shown.public_bytes(Encoding.DER))
    options = ("--keys", "client.keys", "--remote", f"127.0.0.1:{lane.port}", "--verify", "pin", "--pin", pin)
    local = connect(*options)
    if which == "right":
        assert local.ready().stop() == 0
        return
    code, said = local.end()
    assert code == 1
    assert "none of --pin" in said


# ---------------------------------------------------------------- ends


def test_ends_pass_as_what_they_are(lane, connect, until):
    """A local reset reaches the target as one, the target's the local side; what is cut in between is a reset."""
    lane.start()
    local = connect(
        "--keys", "client.keys", "--remote", f"localhost:{lane.port}", "--no-probe"
    ).ready()  # fmt: skip
    wire = local.dial()
    with lane.target.accept() as service:
        wire.sendall(b"x")
        assert read(service, 1) == b"x"
        reset(wire)
        assert rest(service) == (b"", "reset")
    with local.dial() as wire:
        service = lane.target.accept()
        service.sendall(b"x")
        assert read(wire, 1) == b"x"
        reset(service)
        assert rest(wire) == (b"", "reset")
    until(lambda: f"localhost:{lane.port}: broke the connection off" in local.said, what="the line")


class Server:
    """A TLS server that the test plays."""

    def __init__(self, house, target, issued, demand=None):
        path = house.put("played.pem", keys.combined_file(issued))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(path)
        if demand is not None:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(cadata=demand.certificate_pem().decode())
        self.target = target

    def accept(self):
        return self._context.wrap_socket(self.target.accept(), server_side=True, suppress_ragged_eofs=False)


def test_a_remote_that_is_cut_off_is_a_reset(lane, connect, until):
    """FIN without close_notify: the local side must not take what it got for the whole."""
    server = Server(lane.house, lane.target, lane.house.pki.server())
    remote = f"localhost:{lane.target.port}"
    local = connect("--keys", "client.keys", "--remote", remote, "--no-probe").ready()
    with local.dial() as wire, server.accept() as tls:
        tls.sendall(b"half")
        assert read(wire, 4) == b"half"
        socket.socket.shutdown(tls, socket.SHUT_WR)
        assert rest(wire) == (b"", "reset")
    until(lambda: "without close_notify" in local.said, what="the line")


@pytest.mark.parametrize("how", ["stranger", "none there", "other name"])
def test_a_refusal_resets_the_local_connection_with_one_line(lane, connect, until, how):
    """Whether the remote refuses, is not there, or is not who it should be; the next one may go well."""
    house = lane.house
    options = ["--keys", "client.keys", "--remote", f"localhost:{lane.port}", "--no-probe", "--trust", "ca.pem"]
    if how == "stranger":
        house.put("client.keys", keys.keys_file(house.pki.other, house.pki.client("stranger", house.pki.other)))
        expected = f"authproxy: localhost:{lane.port}: refused by the server: it does not believe our certificate"
    elif how == "other name":
        options += ["--server-name", "other.test"]
        expected = f"authproxy: localhost:{lane.port}: its certificate is not accepted: hostname mismatch"
    else:
        expected = f"authproxy: localhost:{lane.port}: connection refused"
    if how != "none there":
        lane.start()
    local = connect(*options).ready()
    with local.dial() as wire:
        assert rest(wire) == (b"", "reset")
    until(lambda: expected in local.said, what="the line")

    assert local.said.count("\n") == 1


def test_the_silent_delay_nobody(lane, usual, connect):
    """Neither those on this side who say nothing, nor a remote that never answers their handshake."""
    Repl(lane.target.listening)
    lane.start()
    local = connect(*usual).ready()
    silent = [local.dial() for _ in range(20)] + [socket.create_connection(("127.0.0.1", lane.port)) for _ in range(20)]
    began = time.monotonic()
    with local.dial() as wire:
        ask(wire, iter(Messages(wire)), op="clone", id="1")
    assert time.monotonic() - began < SOON
    for one in silent:
        one.close()


def test_who_reads_nothing_holds_the_other_side(lane, usual, connect):
    """Nothing piles up in between: its memory stays what it is."""
    lane.start()
    local = connect(*usual, "--no-probe").ready()
    status = Path(f"/proc/{local.process.pid}/status")

    def resident():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmRSS")) * 1024

    with local.dial() as wire, lane.target.accept() as service:
        before = resident()
        service.settimeout(1)
        size = 0
        with contextlib.suppress(TimeoutError):
            while size < 128 << 20:
                size += service.send(bytes(65536))
        assert size < 64 << 20
        assert resident() - before < 8 << 20
        service.settimeout(PATIENCE)
        service.shutdown(socket.SHUT_WR)
        data, how = rest(wire)
        assert (len(data), how) == (size, "fin")


# ---------------------------------------------------------------- how it starts and ends


def test_it_says_where_it_listens_and_that_the_server_lets_us_in(lane, usual, connect):
    lane.start()
    local = connect(*usual).ready()

    assert local.line == f"listening on 127.0.0.1:{local.port} for localhost:{lane.port}, which lets us in\n"
    assert connect(*usual, "--json").stdout.readline().startswith('{"listen": "127.0.0.1:')
    assert local.stop(signal.SIGTERM) == 0


def test_ctrl_c_ends_it_with_its_connections(lane, usual, connect):
    """Exit code 0 at once, and resets, for nobody was through."""
    lane.start()
    local = connect(*usual, "--no-probe").ready()
    with local.dial() as wire, lane.target.accept() as service:
        wire.sendall(b"x")
        assert read(service, 1) == b"x"
        assert local.stop() == 0
        assert rest(wire) == (b"", "reset")
        assert rest(service) == (b"", "reset")


def test_it_can_listen_on_a_unix_socket(lane, usual, connect, tmp_path):
    """Which is taken away at the end."""
    lane.start()
    path = tmp_path / "local.sock"
    local = connect(*usual, "--no-probe", "--listen", f"unix:{path}").ready()
    with socket.socket(socket.AF_UNIX) as wire:
        wire.connect(str(path))
        wire.sendall(b"x")
        with lane.target.accept() as service:
            assert read(service, 1) == b"x"

    assert local.stop() == 0
    assert not path.exists()


def test_the_remote_may_be_a_unix_socket(lane, connect, tmp_path):
    """One that another program carries on, or of a listener on the same machine."""
    path = tmp_path / "tls.sock"
    lane.listener["bind"] = f"unix:{path}"
    lane.start()
    local = connect(
        "--keys", "client.keys", "--remote", f"unix:{path}", "--server-name", "localhost", "--no-probe"
    ).ready()
    with local.dial() as wire:
        wire.sendall(b"x")
        with lane.target.accept() as service:
            assert read(service, 1) == b"x"


@pytest.mark.parametrize(
    ("options", "code", "line"),
    [
        (["--remote", "127.0.0.1:{free}"], 69, "authproxy: 127.0.0.1:{free}: connection refused"),
        (["--remote", "nobody.invalid:1"], 69, "authproxy: nobody.invalid:1: the name cannot be resolved"),
        (["--server-name", "other.test"], 1, "its certificate is not accepted: hostname mismatch"),
        (
            ["--keys", "stranger.keys", "--trust", "ca.pem"],
            1,
            "refused by the server: it does not believe our certificate",
        ),
        (["--keys", "stranger.keys"], 1, "its certificate is not accepted: "),
        (["--keys", "server.keys"], 78, "server.keys: the certificate's extended key usage lacks clientAuth"),
        (["--keys", "missing.keys"], 78, "authproxy: missing.keys: there is no such file"),
        (["--keys", "open.keys"], 77, "open.keys: a private key that everybody may read"),
        (["--keys", "rootless.pem"], 78, "rootless.pem: holds no root to believe the server by"),
        (["--server-name", ""], 2, "an empty name would be no check"),
        (["--listen", "0.0.0.0:0"], 2, "0.0.0.0:0: others could reach it and use these keys"),
        (["--listen", "127.0.0.1"], 2, "must be host:port"),
        (["--remote", "localhost"], 2, "must be host:port or unix:/path"),
        (["--verify", "pin"], 2, "--verify pin needs --pin sha256/..."),
        (["--pin", "sha1/x"], 2, "must be sha256/"),
        (["--keys-env", "ALSO"], 2, "needs one of --keys FILE and --keys-env VAR"),
        (["--listen", "unix:/tmp/x", "--port-file", "p"], 2, "a unix socket has no port"),
        (["--port-file", "no/such/directory"], 2, "no/such/directory: cannot be written: no such file or directory"),
        (["--listen", "127.0.0.1:{taken}"], 1, "authproxy: 127.0.0.1:{taken}: cannot listen: address already in use"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(lane, connect, options, code, line):
    """With the exit code of its kind; nothing listens, and no port is told."""
    house, pki = lane.house, lane.house.pki
    house.put("stranger.keys", keys.keys_file(pki.other, pki.client("stranger", pki.other)))
    house.put("open.keys", keys.keys_file(pki.root, pki.client("open")), 0o644)
    house.put("rootless.pem", keys.combined_file(pki.client("rootless")))
    lane.start()
    ports = {"free": free_port(), "taken": lane.port}
    local = connect(
        "--keys", "client.keys", "--remote", f"localhost:{lane.port}", *(option.format(**ports) for option in options)
    )
    ended, said = local.end()

    assert (ended, local.stdout.read()) == (code, "")
    assert line.format(**ports) in said
    assert "Traceback" not in said


def test_a_server_with_our_own_key_is_none(lane, tool, connect):
    """Where certificates name nobody, whoever has the client's keys could play the server."""
    openssl_recipe(lane.house, tool)
    lane.house.put("server.keys", (lane.house.directory / "client.keys").read_bytes(), 0o400)
    lane.start()
    local = connect("--keys", "client.keys", "--remote", f"localhost:{lane.port}", "--verify", "ca-only")
    code, said = local.end()

    assert code == 1
    assert "shows our own key: it is no server, or was given the client's keys" in said


def test_a_server_that_never_shakes_hands_is_given_up(lane, connect):
    """Within --timeout, and not taken for one that lets us in."""
    began = time.monotonic()
    local = connect("--keys", "client.keys", "--remote", f"127.0.0.1:{lane.target.port}", "--timeout", "0.5")
    code, said = local.end()

    assert code == 1
    assert said == f"authproxy: 127.0.0.1:{lane.target.port}: no TLS handshake within 0.5s\n"
    assert time.monotonic() - began < PATIENCE


def test_a_service_that_is_down_is_not_taken_for_a_welcome(lane, usual, connect):
    """The listener shakes hands and closes at once: it is said so."""
    lane.target.listening.close()
    lane.start()
    code, said = connect(*usual).end()

    assert code == 1
    assert "closed the connection at once: it does not let this certificate in, or what is behind it is down" in said


# ---------------------------------------------------------------- the port file


def test_the_port_file_tells_the_port_and_goes_with_it(lane, usual, connect):
    """Digits and nothing else, for this user alone."""
    lane.start()
    path = lane.house.directory / ".nrepl-port"
    local = connect(*usual, "--port-file", ".nrepl-port").ready()

    assert path.read_bytes() == b"%d" % local.port
    assert path.stat().st_mode & 0o777 == 0o600
    assert local.stop() == 0
    assert not path.exists()
    assert not [one for one in lane.house.directory.iterdir() if one.name.startswith("..nrepl-port")]


def test_somebody_else_s_port_file_stays(lane, usual, connect):
    """If another has taken the name meanwhile."""
    lane.start()
    local = connect(*usual, "--port-file", "port").ready()
    lane.house.put("port", "4711")

    assert local.stop() == 0
    assert (lane.house.directory / "port").read_text() == "4711"


@pytest.mark.parametrize("held", ["live", "dead", "empty", "text"])
def test_what_a_port_file_held_before(lane, usual, connect, held):
    """A port where somebody listens is worth a warning; what is no port is never overwritten."""
    lane.start()
    was = {"live": str(lane.port), "dead": f"{free_port()}\n", "empty": "", "text": "my diary"}[held]
    path = lane.house.put("port", was)
    local = connect(*usual, "--port-file", "port")
    if held == "text":
        code, said = local.end()
        assert code == 2
        assert "port: holds something that is no port: it is left alone" in said
        assert path.read_text() == was
        return
    local.ready()
    assert path.read_text() == str(local.port)
    warned = f"authproxy: port: told port {lane.port}, where somebody listens: replaced\n"

    assert local.stop() == 0
    assert local.said == (warned if held == "live" else "")


def test_a_start_that_fails_leaves_no_port_file(lane, usual, connect):
    """Neither a new one nor a draft; an old one stays."""
    path = lane.house.put("port", "1\n")
    assert connect(*usual, "--port-file", "port").end()[0] == 69

    assert path.read_text() == "1\n"
    assert not [one for one in lane.house.directory.iterdir() if one.name.startswith(".port")]
