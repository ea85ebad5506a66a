"""`authproxy healthcheck`: one question to a running proxy, for container and service managers.

It is started every few seconds, so it imports neither aiohttp nor pydantic and reads only `ops.bind` from the
configuration: in the main file, and in the files that it includes (not in those that they include). What else is
wrong with the configuration is not its business.
"""

import json
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

from authproxy.cli.asking import documents, expand
from authproxy.cli.common import config_option, json_option
from authproxy.errors import ConfigError, DependencyError, why

READY = 200
# A status line that has not ended after this much is not HTTP.
MAX_STATUS_LINE = 4096

# Who listens everywhere also listens here.
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (read, not bound)
_HOST_PORT = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:]+)):(?P<port>[0-9]{1,5})")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to ask: a TCP host and port, or the path of a unix socket."""

    text: str
    """For people."""
    target: tuple[str, int] | str
    """What `connect` takes."""
    host: str = "localhost"
    """For the Host field."""


def tcp(host: str, port: int) -> Address:
    """Return the address of `host`, or of loopback where `host` means every address."""
    host = _LOOPBACK.get(host, host)
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Address(text=f"http://{authority}", target=(host, port), host=authority)


def unix(path: Path) -> Address:
    """Return the address of the socket at `path`."""
    return Address(text=f"unix:{path}", target=str(path))


def from_url(url: str) -> Address:
    """Return the address in `http://host:port` or `unix:/path`; raises click.UsageError for anything else."""
    try:
        parts = urlsplit(url)
        if parts.scheme == "unix" and parts.path:
            return unix(Path(parts.path))
        if parts.scheme == "http" and parts.hostname and parts.path in {"", "/", "/readyz"}:
            return tcp(parts.hostname, 80 if parts.port is None else parts.port)
    except ValueError:
        pass
    raise click.UsageError(f"'{url}' is not http://host:port")


def from_config(config: Path) -> Address:
    """Return the address that `ops.bind` names in `config`.

    Raises:
        ConfigError: when the file cannot be read, or its `ops` cannot be asked.
    """
    for path, document in documents(config, "--url"):
        ops = document.get("ops")
        if isinstance(ops, dict):
            if "keystore" in ops or "client_certificates" in ops:
                raise ConfigError(f"{path}: ops: a healthcheck has no certificate to show (bind ops to a unix socket)")
            return from_bind(ops.get("bind"), path)
    raise ConfigError(f"{config}: ops: is not set, so nobody can be asked (set ops.bind, such as 127.0.0.1:9901)")


def from_bind(bind: object, path: Path) -> Address:
    """Return the address of an `ops.bind`; `path` is the file that says so."""
    text = expand(str(bind), path, "ops.bind")
    if text.startswith("unix:/"):
        return unix(Path(text.removeprefix("unix:")))
    parts = _HOST_PORT.fullmatch(text)
    if parts is None:
        raise ConfigError(f"{path}: ops.bind: '{text}' is not host:port or unix:/path")
    return tcp(parts["host"] if parts["v6"] is None else parts["v6"], int(parts["port"]))


def ask(address: Address, timeout: float) -> int:
    """Return the status of `GET /readyz`, all within `timeout` seconds.

    Raises:
        DependencyError: nobody is there, or no HTTP comes back.
    """
    deadline = time.monotonic() + timeout
    question = f"GET /readyz HTTP/1.1\r\nHost: {address.host}\r\nConnection: close\r\n\r\n".encode()
    answer = b""
    try:
        with _connect(address, timeout) as connection:
            connection.sendall(question)
            while b"\r\n" not in answer and len(answer) < MAX_STATUS_LINE:
                # Never 0, which would mean not to wait at all.
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                part = connection.recv(MAX_STATUS_LINE)
                if not part:
                    break
                answer += part
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise DependencyError(f"{address.text}: nobody listens there (is authproxy running?)") from error
    except OSError as error:
        raise DependencyError(f"{address.text}: {why(error)}") from error
    status = _STATUS_LINE.match(answer)
    if status is None:
        raise DependencyError(f"{address.text}: no HTTP answer")
    return int(status[1])


def _connect(address: Address, timeout: float) -> socket.socket:
    if isinstance(address.target, tuple):
        return socket.create_connection(address.target, timeout)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        connection.connect(address.target)
    except OSError:
        connection.close()
        raise
    return connection


@click.command
@config_option
@click.option("--url", help="Ask here instead, as http://127.0.0.1:9901.")
@click.option("--unix", "path", type=click.Path(path_type=Path), help="Ask at this unix socket instead.")
@click.option("--timeout", default=3.0, show_default=True, type=click.FloatRange(min=0.01), help="In seconds.")
@json_option
def command(config: Path, url: str | None, path: Path | None, timeout: float, as_json: bool) -> None:
    """Ask a running proxy whether it is ready to serve.

    Exit code 0: ready, 1: not ready, 69: nobody answers. The address is `ops.bind` of the configuration, looked up in
    the main file and in those that it includes directly.

    \b
    Examples:
      authproxy healthcheck -c /etc/authproxy/authproxy.yaml
      authproxy healthcheck --unix /run/authproxy/ops.sock
    """
    if url is not None and path is not None:
        raise click.UsageError("say --url or --unix, not both")
    if url is not None:
        address = from_url(url)
    elif path is not None:
        address = unix(path)
    else:
        address = from_config(config)
    status = ask(address, timeout)
    ready = status == READY
    if as_json:
        click.echo(json.dumps({"ready": ready, "status": status, "address": address.text}))
    else:
        click.echo(f"{'ready' if ready else 'not ready'}: {address.text}/readyz answers {status}")
    if not ready:
        raise click.exceptions.Exit(1)
