"""`authproxy reload`: where it asks, and what it makes of the answer."""

import json
import socket
import threading
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from authproxy.cli import cli
from authproxy.cli.reload import ask, from_config
from authproxy.errors import ConfigError, DependencyError


@pytest.fixture
def config(tmp_path):
    """Writes a configuration file and returns its path."""

    def write(text, name="authproxy.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@contextmanager
def answering(path, status, body):
    """A server at `path` that answers once; yields the list of what it was asked."""
    asked: list[bytes] = []
    text = body if isinstance(body, str) else json.dumps(body)

    def serve():
        connection, _ = listener.accept()
        with connection:
            asked.append(connection.recv(4096))
            connection.sendall(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(text), text.encode()))

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        server = threading.Thread(target=serve, daemon=True)
        server.start()
        yield asked
        server.join(timeout=5)


def test_the_key_names_the_socket(config):
    """Whatever else is wrong with the file."""
    path = config("nonsense: [1]\ncontrol: unix:/run/a.sock\nstate: /var/lib/a\n")

    assert str(from_config(path)) == "/run/a.sock"


def test_the_state_directory_holds_it_by_default(config, tmp_path):
    """A relative one starts at the file that names it."""
    assert from_config(config("state: kept\n")) == tmp_path / "kept" / "control.sock"
    assert str(from_config(config("state: /var/lib/a\n"))) == "/var/lib/a/control.sock"


def test_it_may_stand_in_an_included_file(config, tmp_path):
    """And `control` anywhere goes before `state`."""
    config("control: unix:/run/b.sock\n", "more.yaml")

    assert str(from_config(config("include: [more.yaml]\nstate: kept\n"))) == "/run/b.sock"


def test_variables_are_filled_in(config, monkeypatch):
    """As in the file of the proxy."""
    monkeypatch.setenv("RUN", "/run/c")

    assert str(from_config(config("control: unix:${RUN}/${NAME:-d}.sock\n"))) == "/run/c/d.sock"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("version: 1\n", "control: is not set, so nobody can be asked"),
        ("control: 127.0.0.1:1\n", "control: '127.0.0.1:1' is not unix:/path"),
        ("control: unix:${NOT_SET_AT_ALL}/a\n", "control: the environment variable NOT_SET_AT_ALL is not set"),
        ("a: [\n", "not YAML"),
    ],
)
def test_a_file_that_names_none_is_told(config, text, problem):
    """With the cure."""
    with pytest.raises(ConfigError, match="authproxy") as caught:
        from_config(config(text))

    assert problem in str(caught.value)


def test_a_missing_file_is_told(tmp_path):
    """By name."""
    with pytest.raises(ConfigError, match=r"missing\.yaml: No such file"):
        from_config(tmp_path / "missing.yaml")


@pytest.mark.parametrize(("wait", "target"), [(True, b"POST /reload?wait "), (False, b"POST /reload ")])
def test_waiting_is_said(tmp_path, wait, target):
    """In the request."""
    with answering(tmp_path / "s", 200, {"parts": []}) as asked:
        ask(tmp_path / "s", wait=wait, timeout=5)

    assert asked[0].startswith(target)


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (503, {"error": "the proxy is stopping: nothing is reloaded"}, "the proxy is stopping"),
        (403, {"error": "only the proxy's user"}, "only the proxy's user"),
        (500, {}, "500"),
        (200, "<html>", "what answers there is no authproxy"),
        (200, "[]", "what answers there is no authproxy"),
    ],
)
def test_what_is_no_outcome_is_told(tmp_path, status, body, problem):
    """69 in the end."""
    with answering(tmp_path / "s", status, body), pytest.raises(DependencyError, match=problem):
        ask(tmp_path / "s", wait=True, timeout=5)


def test_a_silent_proxy_is_not_waited_for_for_ever(tmp_path):
    """For `--timeout`."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        done = CliRunner().invoke(cli, ["reload", "--control", str(tmp_path / "s"), "--timeout", "0.05"])

    assert isinstance(done.exception, DependencyError)
    assert "no answer within 0.05 s" in str(done.exception)


@pytest.mark.parametrize(("result", "code"), [("applied", 0), ("unchanged", 0), ("rejected", 1)])
@pytest.mark.parametrize("as_json", [True, False])
def test_the_exit_code_tells_a_rejection(tmp_path, result, code, as_json):
    """In both forms."""
    error = "no such file" if result == "rejected" else ""
    parts = [{"part": "config", "result": "applied", "error": ""}, {"part": "trust", "result": result, "error": error}]
    options = ["--json"] if as_json else []
    with answering(tmp_path / "s", 200, {"generation": 2, "parts": parts}):
        done = CliRunner().invoke(cli, ["reload", "--wait", "--control", str(tmp_path / "s"), *options])

    assert done.exit_code == code
    if as_json:
        assert json.loads(done.output)["parts"] == parts
    else:
        assert done.output.splitlines() == ["config  applied", f"trust   {result}{': ' * bool(error)}{error}"]
