"""`authproxy reload`: ask a running proxy to reload, and say how each part of it ended."""

import http.client
import json
import socket
from pathlib import Path
from typing import Final

import click
from typing_extensions import override

from authproxy.cli.asking import documents, expand
from authproxy.cli.common import config_option, json_option
from authproxy.errors import ConfigError, DependencyError

ACCEPTED: Final = 202
DONE: Final = 200
_CONTROL_NAME: Final = "control.sock"
_REJECTED: Final = "rejected"


def from_config(config: Path) -> Path:
    """Return the control socket that `config` names, or the one in its state directory.

    Raises:
        ConfigError: the file cannot be read, or it names neither.
    """
    state: Path | None = None
    for path, document in documents(config, "--control"):
        if isinstance(named := document.get("control"), str):
            text = expand(named, path, "control")
            if not text.startswith("unix:/"):
                raise ConfigError(f"{path}: control: '{text}' is not unix:/path")
            return Path(text.removeprefix("unix:"))
        if isinstance(named := document.get("state"), str):
            state = path.absolute().parent / expand(named, path, "state") / _CONTROL_NAME
    if state is None:
        raise ConfigError(
            f"{config}: control: is not set, so nobody can be asked "
            "(set control: unix:/path, or state: DIRECTORY; SIGHUP reloads without either)"
        )
    return state


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    @override
    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(control: Path, *, wait: bool, timeout: float) -> tuple[int, dict[str, object]]:
    """Return status and answer of the proxy that listens at `control`.

    Raises:
        DependencyError: nobody is there, this user may not ask, or what comes back is no answer.
    """
    connection = _Connection(control, timeout)
    try:
        connection.request("POST", "/reload?wait" if wait else "/reload", headers={"Content-Length": "0"})
        with connection.getresponse() as response:
            answer: object = json.loads(response.read())
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise DependencyError(
            f"unix:{control}: nobody listens there (is authproxy running with this configuration?)"
        ) from error
    except PermissionError as error:
        raise DependencyError(
            f"unix:{control}: this user may not ask (be the proxy's user, root, or in the group of the socket)"
        ) from error
    except TimeoutError as error:
        raise DependencyError(f"unix:{control}: no answer within {timeout:g} s") from error
    except OSError as error:
        raise DependencyError(f"unix:{control}: {error.strerror or error}") from error
    except (http.client.HTTPException, ValueError) as error:
        raise DependencyError(f"unix:{control}: what answers there is no authproxy") from error
    finally:
        connection.close()
    if not isinstance(answer, dict):
        raise DependencyError(f"unix:{control}: what answers there is no authproxy")
    if response.status not in {DONE, ACCEPTED}:
        raise DependencyError(f"unix:{control}: {answer.get('error', response.status)}")
    return response.status, answer


@click.command(name="reload")
@config_option
@click.option("--control", type=click.Path(path_type=Path), help="Ask at this unix socket instead.")
@click.option("--wait", is_flag=True, help="Wait until it is done, and say how each part ended.")
@click.option(
    "--timeout", default=60.0, show_default=True, type=click.FloatRange(min=0.01), help="For the answer, in seconds."
)
@json_option
def command(config: Path, control: Path | None, wait: bool, timeout: float, as_json: bool) -> None:
    """Ask a running proxy to reload its configuration, keys, trust and catalogs, as SIGHUP does.

    Exit code 0: everything was applied or means the same as before (without --wait: the reload has been accepted),
    1: a part was rejected and stays as it was, 69: nobody answers, or this user may not ask.
    The address is `control` of the configuration, else control.sock in its `state` directory.

    \b
    Examples:
      authproxy reload --wait -c /etc/authproxy/authproxy.yaml
      authproxy reload --control /run/authproxy/control.sock
    """
    _, answer = ask(from_config(config) if control is None else control, wait=wait, timeout=timeout)
    parts = [part for part in _list(answer.get("parts")) if isinstance(part, dict)]
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    elif wait:
        width = max((len(str(part.get("part"))) for part in parts), default=0)
        for part in parts:
            error = f": {part['error']}" if part.get("error") else ""
            click.echo(f"{part.get('part')!s:<{width}}  {part.get('result')}{error}")
    else:
        click.echo("accepted: the log tells how it ends (--wait waits for that)")
    if any(part.get("result") == _REJECTED for part in parts):
        raise click.exceptions.Exit(1)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
