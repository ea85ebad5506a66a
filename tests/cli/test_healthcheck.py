"""`authproxy healthcheck`."""

import json
import resource
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from authproxy.cli import healthcheck
from authproxy.cli.healthcheck import Address, ask, from_bind, from_config, from_url
from authproxy.errors import ConfigError, DependencyError

READY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
NOT_READY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 8\r\n\r\ndraining"


@contextmanager
def answering(listener, *parts):
    """Accepts one connection on `listener`, keeps what it asked in the list yielded, and sends `parts`."""
    asked = []

    def serve():
        connection, _ = listener.accept()
        with connection:
            asked.append(connection.recv(4096))
            # Whoever has read enough may close before the rest is out.
            with suppress(ConnectionError):
                for part in parts:
                    connection.sendall(part)

    with listener:
        server = threading.Thread(target=serve)
        server.start()
        yield asked
        server.join(timeout=5)


@pytest.fixture
def tcp():
    """A listening socket on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def config(tmp_path):
    """Writes the lines of a configuration file and returns its path."""

    def write(text, name="authproxy.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def check(*args, **env):
    return CliRunner().invoke(healthcheck.command, [str(arg) for arg in args], env=env, standalone_mode=False)


def port_of(listener):
    return listener.getsockname()[1]


@pytest.mark.parametrize(
    ("answer", "code", "line"),
    [(READY, 0, "ready: {}/readyz answers 200\n"), (NOT_READY, 1, "not ready: {}/readyz answers 503\n")],
)
def test_ready_is_0_and_not_ready_is_1(tcp, answer, code, line):
    """The exit code is the answer, and one line says it to people."""
    url = f"http://127.0.0.1:{port_of(tcp)}"

    with answering(tcp, answer) as asked:
        done = check("--url", url)

    assert (done.return_value or 0, done.output) == (code, line.format(url))
    assert asked[0].split(b"\r\n")[:2] == [b"GET /readyz HTTP/1.1", f"Host: {url[7:]}".encode()]


def test_json_says_the_same(tcp):
    """`--json` prints readiness, status and address."""
    url = f"http://127.0.0.1:{port_of(tcp)}"

    with answering(tcp, NOT_READY):
        done = check("--url", url, "--json")

    assert json.loads(done.output) == {"ready": False, "status": 503, "address": url}


def test_a_unix_socket_can_be_asked(tmp_path):
    """`--unix` asks at a path."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "ops.sock"))
    listener.listen()

    with answering(listener, READY) as asked:
        done = check("--unix", tmp_path / "ops.sock")

    assert done.output == f"ready: unix:{tmp_path}/ops.sock/readyz answers 200\n"
    assert b"\r\nHost: localhost\r\n" in asked[0]


def test_an_answer_in_pieces_counts(tcp):
    """The status line may arrive a byte at a time."""
    with answering(tcp, *(bytes([byte]) for byte in READY)):
        status = ask(from_url(f"http://127.0.0.1:{port_of(tcp)}"), 5)

    assert status == 200


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 2", b"SSH-2.0-OpenSSH\r\n", b"x" * 5000])
def test_what_is_not_http_is_nobody(tcp, answer):
    """A peer that closes, or speaks something else, counts as unreachable."""
    with answering(tcp, answer), pytest.raises(DependencyError, match="no HTTP answer"):
        ask(from_url(f"http://127.0.0.1:{port_of(tcp)}"), 5)


def test_silence_ends_at_the_timeout(tcp):
    """A peer that accepts and says nothing is unreachable once the time is up."""
    with pytest.raises(DependencyError, match="timed out"):
        ask(from_url(f"http://127.0.0.1:{port_of(tcp)}"), 0.05)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_nobody_there_is_unreachable(run_authproxy, tmp_path, kind):
    """No listener: exit code 69, one line, no traceback."""
    with ExitStack() as free:
        port = port_of(free.enter_context(socket.create_server(("127.0.0.1", 0))))
    where = ("--url", f"http://127.0.0.1:{port}") if kind == "tcp" else ("--unix", tmp_path / "none.sock")

    done = run_authproxy("healthcheck", *where)

    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr.startswith("authproxy: ")
    assert done.stderr.endswith(": nobody listens there (is authproxy running?)\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("bind", "target"),
    [
        ("127.0.0.1:9901", ("127.0.0.1", 9901)),
        ("ops.internal:80", ("ops.internal", 80)),
        ("0.0.0.0:9901", ("127.0.0.1", 9901)),
        ("[::]:9901", ("::1", 9901)),
        ("[fd00::1]:9901", ("fd00::1", 9901)),
        ("unix:/run/ops.sock", "/run/ops.sock"),
    ],
)
def test_bind_becomes_an_address(bind, target):
    """Who listens on every address is asked on loopback."""
    assert from_bind(bind, Path("/etc/authproxy/authproxy.yaml")).target == target


@pytest.mark.parametrize("bind", ["systemd:ops", "unix:ops.sock", "9901", ":9901", "", "a:b", None, [], 9901])
def test_a_bind_that_cannot_be_asked_is_told(tmp_path, bind):
    """What is no address names the file and the key."""
    with pytest.raises(ConfigError, match=r"authproxy\.yaml: ops\.bind: .* is not host:port or unix:/path"):
        from_bind(bind, tmp_path / "authproxy.yaml")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (
            "http://localhost:9901",
            Address(text="http://localhost:9901", target=("localhost", 9901), host="localhost:9901"),
        ),
        ("http://localhost/", Address(text="http://localhost:80", target=("localhost", 80), host="localhost:80")),
        ("http://[::1]:9901", Address(text="http://[::1]:9901", target=("::1", 9901), host="[::1]:9901")),
        ("http://h:1/readyz", Address(text="http://h:1", target=("h", 1), host="h:1")),
        ("unix:/run/ops.sock", Address(text="unix:/run/ops.sock", target="/run/ops.sock")),
    ],
)
def test_a_url_becomes_an_address(url, address):
    """A URL names host and port, or a socket."""
    assert from_url(url) == address


@pytest.mark.parametrize(
    "url", ["https://localhost", "localhost:9901", "http://h:99999", "http://h/other", "unix:", ""]
)
def test_another_url_is_wrong_usage(run_authproxy, url):
    """What cannot be asked is refused before anybody is asked."""
    done = run_authproxy("healthcheck", "--url", url)

    assert done.returncode == 2
    assert "is not http://host:port" in done.stderr


def test_url_and_unix_exclude_each_other(run_authproxy):
    """One place at a time."""
    done = run_authproxy("healthcheck", "--url", "http://localhost:1", "--unix", "x")

    assert done.returncode == 2
    assert "not both" in done.stderr


def test_the_address_comes_from_the_configuration(config):
    """`ops.bind` of the file counts."""
    assert from_config(config("ops: {bind: 127.0.0.1:7000}")).target == ("127.0.0.1", 7000)


def test_ops_may_stand_in_an_included_file(config):
    """One level of `include` is followed, relative to the file that says it."""
    config("ops: {bind: unix:/run/ops.sock}", "more.yaml")

    assert from_config(config("include: [more.yaml]")).target == "/run/ops.sock"


@pytest.mark.parametrize("text", ["version: 1", "", "ops: null", "include: []", "[not, a, mapping]"])
def test_without_ops_nobody_can_be_asked(config, text):
    """A proxy that was not told to open `ops` has no readiness to ask for; the message says what to set."""
    with pytest.raises(ConfigError, match=r"authproxy\.yaml: ops: is not set.*set ops\.bind"):
        from_config(config(text))


@pytest.mark.parametrize(
    ("bind", "port"),
    [("127.0.0.1:${PORT}", 7001), ("127.0.0.1:${NO_PORT:-7002}", 7002), ("127.0.0.1:${PORT:?say a port}", 7001)],
)
def test_variables_are_filled_in(config, monkeypatch, bind, port):
    """`${VAR}` means here what it means to the proxy."""
    monkeypatch.setenv("PORT", "7001")

    assert from_config(config(f'ops: {{bind: "{bind}"}}')).target == ("127.0.0.1", port)


@pytest.mark.parametrize("bind", ["127.0.0.1:${NO_PORT}", "127.0.0.1:${NO_PORT:?say a port}"])
def test_a_variable_that_is_not_set_is_told(config, bind):
    """A missing variable names itself instead of an odd address."""
    with pytest.raises(ConfigError, match="NO_PORT is not set"):
        from_config(config(f'ops: {{bind: "{bind}"}}'))


@pytest.mark.parametrize("tls", ["keystore: main", "client_certificates: {mode: required}"])
def test_ops_behind_certificates_is_told(config, tls):
    """A healthcheck has no certificate to show, and says so instead of failing at the handshake."""
    with pytest.raises(ConfigError, match="ops: a healthcheck has no certificate to show"):
        from_config(config(f"ops: {{bind: 0.0.0.0:9901, {tls}}}"))


@pytest.mark.parametrize("content", [None, b"a: [", b"\xff\xfe\xff", b"a: !!python/object/apply:os.getcwd []"])
def test_an_unreadable_configuration_is_78(run_authproxy, tmp_path, content):
    """No file, or no YAML: one line and the code for a wrong configuration."""
    if content is not None:
        (tmp_path / "authproxy.yaml").write_bytes(content)

    done = run_authproxy("healthcheck")

    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith("authproxy: authproxy.yaml: ")


def test_the_environment_names_the_configuration(run_authproxy, config, tmp_path):
    """AUTHPROXY_CONFIG counts where no -c is given."""
    path = config(f"ops: {{bind: unix:{tmp_path}/a.sock}}", "other.yaml")

    done = run_authproxy("healthcheck", env={"AUTHPROXY_CONFIG": str(path)})

    assert (done.returncode, f"unix:{tmp_path}/a.sock" in done.stderr) == (69, True)


NEVER = {
    *("aiohttp", "aiosignal", "asyncio", "cryptography", "multidict", "prometheus_client", "pydantic"),
    *("redis", "ssl", "structlog", "uvloop", "yarl"),
}


@pytest.mark.parametrize(("asked", "never"), [("file", NEVER), ("socket", NEVER | {"yaml"})])
def test_it_starts_light(tmp_path, config, asked, never):
    """A healthcheck runs every few seconds: it imports none of what the proxy is built on, and YAML for a file only."""
    socket_path = tmp_path / "none.sock"
    where = ["--unix", socket_path] if asked == "socket" else ["-c", config(f"ops: {{bind: unix:{socket_path}}}")]
    program = f"""
import sys
from authproxy.cli import cli
try:
    cli.main({["healthcheck", *map(str, where)]!r}, standalone_mode=False)
except Exception as error:
    assert "none.sock" in str(error), error
print(*sorted(sys.modules))
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)

    loaded = set(done.stdout.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert "authproxy.cli.healthcheck" in loaded
    assert loaded & never == set()
    assert {name for name in loaded if name.startswith("authproxy.")} <= {
        *("authproxy.cli", "authproxy.cli.asking", "authproxy.cli.common", "authproxy.cli.group"),
        *("authproxy.cli.healthcheck", "authproxy.errors"),
    }


def test_it_starts_quickly(tmp_path, config):
    """One costs less than 0.15 s where nothing else runs; twice that is allowed here, where tests share the cores."""
    path = config(f"ops: {{bind: unix:{tmp_path / 'none.sock'}}}")

    def cpu_seconds():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-m", "authproxy", "healthcheck", "-c", path], capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 69
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(cpu_seconds() for _ in range(5)) < 0.3
