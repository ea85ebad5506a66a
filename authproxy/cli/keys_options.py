"""What `authproxy keys` reads of its options: names for certificates, and passwords."""

import os
import re
from pathlib import Path

import click
from cryptography import x509

from authproxy.core.secret import Secret
from authproxy.keystore.generate import COMMON_NAME_LENGTH, alternative_name, uri_name
from authproxy.keystore.reading import read, refuse_if_exposed

# A client's name becomes its common name (RFC 5280 allows 64 characters) and its files' name.
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)
_TAKEN_NAMES = ("ca", "server")
CLIENT_PLACE = "{name}"
PASSWORD_VARIABLE = "AUTHPROXY_CA_PASSWORD"


def read_names(
    _context: click.Context, _option: click.Parameter, values: tuple[str, ...]
) -> tuple[x509.GeneralName, ...]:
    """Return the subject alternative names that `--san` lists, each once."""
    try:
        return tuple(dict.fromkeys(alternative_name(value) for value in values))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def read_uris(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Return what `--uri` lists, each a URI once a client's name stands in it."""
    try:
        for value in values:
            uri_name(value.replace(CLIENT_PLACE, "name"))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return tuple(dict.fromkeys(values))


def read_common_name(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Return a common name that fits into a certificate."""
    if value is not None and not (value.strip() and value.isprintable() and len(value) <= COMMON_NAME_LENGTH):
        raise click.BadParameter(f"{value!r}: a common name has 1 to {COMMON_NAME_LENGTH} printable characters")
    return value


def read_clients(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the clients' names, each once."""
    for value in values:
        if not _SAFE_NAME.fullmatch(value):
            raise click.BadParameter(f"{value!r}: letters, digits and . _ @ - only, at most 64, since it names a file")
        if value.lower() in _TAKEN_NAMES:
            raise click.BadParameter(f"{value!r} is the name of another file that is written")
    return tuple(dict.fromkeys(values))


def read_prefix(_context: click.Context, _option: click.Parameter, value: str) -> str:
    """Return what stands before every file name."""
    if value and not _SAFE_NAME.fullmatch(value):
        raise click.BadParameter(f"{value!r}: letters, digits and . _ @ - only, at most 64, since it names files")
    return f"{value}-" if value else ""


def password_of(path: Path | None, variable: str) -> Secret[bytes] | None:
    """Return the password in the file, else in the environment's variable; None: there is none in either.

    Raises:
        SecretError: the file may not be read, or may be read by others.
        MaterialError: it is missing.
    """
    if path is not None:
        content = read(path)
        refuse_if_exposed(content, "password")
        raw = content.data
        password = raw.removesuffix(b"\n").removesuffix(b"\r") if raw.endswith(b"\n") else raw
    else:
        password = os.fsencode(os.environ.get(variable, ""))  # noqa: TID251  (this is the border)
    return Secret(password) if password else None
