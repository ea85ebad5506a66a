"""`authproxy connect`: the client side of a listener of mode tcp, or of any server that speaks mutual TLS, as nREPL's."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, Unpack

import click

from authproxy.cli.common import json_option
from authproxy.cli.connect_wishes import Wishes
from authproxy.cli.port_file import PortFile

if TYPE_CHECKING:
    from authproxy.core.place import Place
    from authproxy.settings.addresses import Address

T = TypeVar("T")


def _parsed(name: str, parse: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, str], T]:
    def callback(_context: click.Context, _parameter: click.Parameter, value: str) -> T:
        try:
            return parse(value)
        except ValueError as error:
            raise click.BadParameter(f"{name} {error}") from error

    return callback


def _read_remote(value: str) -> "Address":
    from authproxy.settings.addresses import parse_target

    return parse_target(value)


def _read_listen(value: str) -> "Address":
    from authproxy.settings.addresses import parse_bind

    return parse_bind(value)


def _read_name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    from authproxy.settings.words import check_server_name

    if value == "":
        raise click.BadParameter("an empty name would be no check: leave it away, or say --verify ca-only")
    try:
        return None if value is None else check_server_name(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _read_pins(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    from authproxy.settings.words import check_pin

    try:
        return tuple(check_pin(value) for value in values)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command
@click.option("--keys", type=click.Path(path_type=Path), help="The keys file: root, own certificate and own key.")
@click.option("--keys-env", metavar="VAR", help="Or the environment variable that holds the text of one.")
@click.option("--password-file", type=click.Path(path_type=Path), help="Holds the password of an encrypted key.")
@click.option(
    "--trust", type=click.Path(path_type=Path), help="Who may issue the server's certificate; default: the root in the keys."
)  # fmt: skip
@click.option(
    "--remote", required=True, metavar="HOST:PORT", callback=_parsed("it", _read_remote), help="The server to connect to."
)  # fmt: skip
@click.option(
    "--listen", default="127.0.0.1:0", show_default=True, metavar="ADDRESS", callback=_parsed("it", _read_listen),
    help="Where this machine's programs connect to, as host:port (port 0: any) or unix:/path.",
)  # fmt: skip
@click.option("--allow-remote", is_flag=True, help="Let --listen be an address that other machines can reach.")
@click.option("--port-file", type=click.Path(path_type=Path), help="Where to write the port, such as .nrepl-port.")
@click.option(
    "--verify", type=click.Choice(["full", "ca-only", "pin"]), default="full", show_default=True,
    help="full: chain and name; ca-only: the chain alone, for nREPL's nameless certificates; pin: chain and --pin.",
)  # fmt: skip
@click.option(
    "--pin", multiple=True, callback=_read_pins, help="The server's public key, as sha256/...; may be repeated."
)
@click.option(
    "--server-name", callback=_read_name, help="Whom its certificate must name; default: the host of --remote."
)
@click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=10.0, show_default=True, help="Seconds to connect, and to shake hands."
)  # fmt: skip
@click.option(
    "--probe/--no-probe", default=True, show_default=True, help="Connect once at the start, to see that it works."
)
@json_option
def command(**wishes: Unpack[Wishes]) -> None:
    """Connect this machine's programs to a server over mutual TLS 1.3.

    \b
    Examples:
      authproxy connect --keys client.keys --remote repl.example.org:4001
      authproxy connect --keys-env KEYS --remote 10.0.0.5:7888 --verify ca-only

    Whoever connects to --listen speaks plain TCP there, and is carried to --remote over TLS. Anybody who can use this
    machine's loopback can connect: it lends the identity in the keys. A remote that refuses, or whose certificate is
    not accepted, is told in one line, and the local connection is reset. Ctrl-C ends it.

    Exit code 0: ended by Ctrl-C or SIGTERM; 1: the remote refuses, or its certificate is not accepted; 2: wrong usage;
    69: the remote cannot be reached; 77: the keys are unreadable or too open; 78: the keys are wrong.
    """
    from authproxy.cli.connect_remote import remote_of
    from authproxy.cli.connect_serve import run

    remote = remote_of(wishes)
    place = None if wishes["port_file"] is None else PortFile(wishes["port_file"])
    bind = _bind(wishes)
    if place is not None:
        place.prepare()
    try:
        run(remote, bind, place, wishes)
    finally:
        if place is not None:
            place.withdraw()


def _bind(wishes: Wishes) -> "Place":
    from authproxy.core.place import Place
    from authproxy.settings.addresses import UnixSocket

    listen = wishes["listen"]
    if isinstance(listen, UnixSocket):
        if wishes["port_file"] is not None:
            raise click.UsageError("a unix socket has no port: leave --port-file away")
        return Place(unix=listen.path)
    if not (listen.is_loopback or wishes["allow_remote"]):
        raise click.UsageError(
            f"{listen}: others could reach it and use these keys: listen on 127.0.0.1, or add --allow-remote"
        )
    return Place(host="127.0.0.1" if listen.host == "localhost" else listen.host, port=listen.port)
