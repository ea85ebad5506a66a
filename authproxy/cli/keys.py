"""`authproxy keys`: keys and certificates for development, nREPL and tests."""

import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict, Unpack

import click
from cryptography import x509

from authproxy.cli.common import json_option
from authproxy.core.secret import Secret
from authproxy.keystore import fingerprint
from authproxy.keystore.generate import (
    Algorithm,
    Issued,
    Validity,
    alternative_name,
    combined_file,
    keys_file,
    new_authority,
    new_client,
    new_server,
)
from authproxy.keystore.reading import read, refuse_if_exposed
from authproxy.keystore.writing import PUBLIC_MODE, NewFile, write_all

PASSWORD_VARIABLE = "AUTHPROXY_CA_PASSWORD"
_DEFAULT_NAMES = ("localhost", "127.0.0.1", "::1")
# A client's name becomes its common name (RFC 5280 allows 64 characters) and its files' name.
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)
_TAKEN_NAMES = ("ca", "server")


class Wishes(TypedDict):
    """What `keys generate` was asked for, beside where to and how to print."""

    prefix: str
    days: int
    san: tuple[x509.GeneralName, ...]
    client: tuple[str, ...]
    alg: str
    keep_ca: Path | None
    ca_password_file: Path | None


@click.group()
def command() -> None:
    """Make keys and certificates."""


def _read_names(
    _context: click.Context, _option: click.Parameter, values: tuple[str, ...]
) -> tuple[x509.GeneralName, ...]:
    try:
        return tuple(dict.fromkeys(alternative_name(value) for value in values))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _read_clients(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not _SAFE_NAME.fullmatch(value):
            raise click.BadParameter(f"{value!r}: letters, digits and . _ @ - only, at most 64, since it names a file")
        if value.lower() in _TAKEN_NAMES:
            raise click.BadParameter(f"{value!r} is the name of another file that is written")
    return tuple(dict.fromkeys(values))


def _read_prefix(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if value and not _SAFE_NAME.fullmatch(value):
        raise click.BadParameter(f"{value!r}: letters, digits and . _ @ - only, at most 64, since it names files")
    return f"{value}-" if value else ""


@command.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The directory to fill.")
@click.option(
    "--prefix", default="", callback=_read_prefix, help="Put before every file name, as in PREFIX-server.keys."
)
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long all are valid.")
@click.option(
    "--san",
    multiple=True,
    default=_DEFAULT_NAMES,
    show_default=True,
    callback=_read_names,
    help="A host name or IP address of the server; may be repeated.",
)
@click.option(
    "--client",
    multiple=True,
    default=("client",),
    show_default=True,
    callback=_read_clients,
    help="The name of a client; may be repeated.",
)
@click.option(
    "--alg",
    type=click.Choice([each.value for each in Algorithm]),
    default=Algorithm.EC_P256.value,
    show_default=True,
    help="The kind of keys.",
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.option(
    "--keep-ca",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also keep the root's key, encrypted; without this it is thrown away.",
)
@click.option(
    "--ca-password-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"Holds the password for --keep-ca; default: ${PASSWORD_VARIABLE}.",
)
@json_option
def generate(out: Path, force: bool, as_json: bool, **wishes: Unpack[Wishes]) -> None:
    """Make a development authority with a server's and clients' keys.

    \b
    Example:  authproxy keys generate --out certs
              authproxy keys generate --out certs --san proxy.internal --client alice --client bob

    Each *.keys file is what nREPL reads: root certificate, own certificate, own key. Each *.pem file beside it holds
    the same certificate and key without the root. Key files are written with mode 0400.
    """
    now = datetime.now(UTC)  # noqa: TID251  (this is the border)
    password = _ca_password(wishes)
    validity = Validity.of_days(now, wishes["days"])
    algorithm = Algorithm(wishes["alg"])
    authority = new_authority(f"authproxy development CA {os.urandom(4).hex()}", validity, algorithm)
    server = new_server(authority, wishes["san"], validity, algorithm)
    clients = {name: new_client(authority, name, validity, algorithm) for name in wishes["client"]}

    files = _files(out, wishes["prefix"], authority, server, clients)
    if password is not None and wishes["keep_ca"] is not None:
        kept = authority.certificate_pem() + authority.key_pem(password)
        files.append(NewFile(path=wishes["keep_ca"], data=kept, what="root certificate and its encrypted key"))
    write_all(files, replace=force)

    if algorithm is Algorithm.ED25519:
        click.echo("authproxy: nREPL reads Ed25519 keys from 1.8 on, with Java 15 or later", err=True)
    if as_json:
        click.echo(_as_json(files, authority))
    else:
        click.echo(_as_text(files, authority))


def _ca_password(wishes: Wishes) -> Secret[bytes] | None:
    path = wishes["ca_password_file"]
    if wishes["keep_ca"] is None:
        if path is not None:
            raise click.UsageError("--ca-password-file is for --keep-ca, which is not given")
        return None
    if path is not None:
        content = read(path)
        refuse_if_exposed(content, "password")
        password = content.data
    else:
        password = os.environ.get(PASSWORD_VARIABLE, "").encode()  # noqa: TID251  (this is the border)
    password = password.removesuffix(b"\n")
    if not password:
        raise click.UsageError(f"--keep-ca needs a password: --ca-password-file FILE or ${PASSWORD_VARIABLE}")
    return Secret(password)


def _files(out: Path, prefix: str, authority: Issued, server: Issued, clients: Mapping[str, Issued]) -> list[NewFile]:
    files = [
        NewFile(
            path=out / f"{prefix}ca.pem",
            data=authority.certificate_pem(),
            mode=PUBLIC_MODE,
            what="root certificate, for everybody who shall trust the others",
        )
    ]
    for name, own in {"server": server, **clients}.items():
        who = "server" if own is server else f"client {name!r}"
        files += [
            NewFile(
                path=out / f"{prefix}{name}.pem", data=combined_file(own), what=f"certificate and key of the {who}"
            ),
            NewFile(
                path=out / f"{prefix}{name}.keys",
                data=keys_file(authority, own),
                what="the same, with the root, for nREPL",
            ),
        ]
    return files


def _as_json(files: list[NewFile], authority: Issued) -> str:
    facts = {
        "files": [{"file": str(file.path), "mode": f"{file.mode:04o}", "holds": file.what} for file in files],
        "not_after": authority.certificate.not_valid_after_utc.isoformat(),
        "root_sha256": fingerprint(authority.certificate),
    }
    return json.dumps(facts, indent=2)


def _as_text(files: list[NewFile], authority: Issued) -> str:
    width = max(len(str(file.path)) for file in files)
    listed = [f"  {file.path!s:{width}}  {file.mode:04o}  {file.what}" for file in files]
    root, server = files[0].path, files[1].path
    return "\n".join(
        [
            "written:",
            *listed,
            f"valid until {authority.certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
            "",
            "next, in authproxy.yaml:",
            f"  keystores: {{main: {{file: {server}}}}}",
            f"  truststores: {{clients: {{file: {root}}}}}",
            "and from a client:",
            f"  curl --cacert {root} https://localhost:8443/",
        ]
    )
