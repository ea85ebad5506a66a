"""`authproxy pepper`: the keys that the hashes of a zone are made with."""

import os
import secrets
from pathlib import Path

import click

from authproxy.cli.common import json_option
from authproxy.cli.group import Group
from authproxy.core.secret import Secret
from authproxy.errors import MaterialError

_BYTES = 32


@click.group(cls=Group)
def command() -> None:
    """Make peppers.

    \b
    Example:  authproxy pepper new --out api.pepper
    """


@command.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it there, for the owner alone, instead of showing it. FILE must not exist.",
)
@json_option
def new(out: Path | None, as_json: bool) -> None:
    """Make a pepper of 32 random bytes.

    \b
    Examples:
      authproxy pepper new --out /etc/authproxy/api.pepper
      authproxy pepper new |
          kubectl create secret generic api-pepper --from-file=pepper=/dev/stdin

    One for each zone. To replace one, put the new one before the old one in the zone's `peppers`, and take the old
    one out when no token is left that was made with it.
    """
    import json

    from authproxy.core.pepper import Pepper

    key = secrets.token_bytes(_BYTES)
    pepper = Pepper(Secret(key))
    text = f"hex:{key.hex()}"
    if out is not None:
        _write(out, text)
    if as_json:
        shown = {"file": str(out)} if out is not None else {"pepper": text}
        click.echo(json.dumps({"id": pepper.id, **shown}, indent=2))
    elif out is None:
        click.echo(text)
    else:
        click.echo(f"written: {out} (pepper {pepper.id})")


def _write(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(descriptor)
    except FileExistsError as error:
        raise MaterialError(str(path), "exists already, and a pepper that is lost cannot be had again") from error
    except OSError as error:
        reason = error.strerror or "unknown error"
        raise MaterialError(str(path), f"cannot be written: {reason[:1].lower()}{reason[1:]}") from error
