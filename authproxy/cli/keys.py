"""`authproxy keys`: keys and certificates for development, nREPL and tests."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict, Unpack

import click
from cryptography import x509

from authproxy.cli.common import json_option
from authproxy.cli.group import Group
from authproxy.cli.keys_inspect import inspect
from authproxy.cli.keys_options import (
    CLIENT_PLACE,
    PASSWORD_VARIABLE,
    password_of,
    read_clients,
    read_common_name,
    read_names,
    read_prefix,
    read_uris,
)
from authproxy.cli.keys_renew import renew
from authproxy.core.secret import Secret
from authproxy.keystore import fingerprint
from authproxy.keystore.generate import (
    Algorithm,
    Issued,
    Validity,
    combined_file,
    keys_file,
    new_authority,
    new_client,
    new_server,
    uri_name,
)
from authproxy.keystore.writing import PUBLIC_MODE, NewFile, write_all

_DEFAULT_NAMES = ("localhost", "127.0.0.1", "::1")
_KEPT_DAYS = 3650


class Wishes(TypedDict):
    """What `keys generate` was asked for, beside where to and how to print."""

    prefix: str
    days: int
    ca_days: int | None
    san: tuple[x509.GeneralName, ...]
    cn: str | None
    uri: tuple[str, ...]
    client: tuple[str, ...]
    alg: str
    keep_ca: Path | None
    ca_password_file: Path | None


@click.group(cls=Group)
def command() -> None:
    """Make, renew and look at keys and certificates.

    \b
    Example:  authproxy keys generate --out certs --san proxy.internal
    """


command.add_command(renew)
command.add_command(inspect)


@command.command(short_help="Make development keys and their authority.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The directory to fill.")
@click.option(
    "--prefix", default="", callback=read_prefix, help="Put before every file name, as in PREFIX-server.keys."
)
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long all are valid.")
@click.option(
    "--ca-days",
    type=click.IntRange(1, 7300),
    help="How long the root is valid; default: --days, or 3650 with --keep-ca, so that `keys renew` has something to renew under.",
)
@click.option(
    "--san",
    multiple=True,
    default=_DEFAULT_NAMES,
    show_default=True,
    callback=read_names,
    help="A host name or IP address of the server; may be repeated.",
)
@click.option(
    "--cn",
    metavar="NAME",
    callback=read_common_name,
    help="The common name of the server; default: the first --san. Clients look at --san only.",
)
@click.option(
    "--client",
    multiple=True,
    default=("client",),
    show_default=True,
    callback=read_clients,
    help="The name of a client; may be repeated.",
)
@click.option(
    "--uri",
    multiple=True,
    metavar="URI",
    callback=read_uris,
    help="A URI in the clients' certificates, where {name} stands for the client's name; may be repeated.",
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
    Examples:
      authproxy keys generate --out certs
      authproxy keys generate --out certs --san proxy.internal --client alice
      authproxy keys generate --out certs --keep-ca root.pem \\
          --uri 'spiffe://example.org/dev/{name}'

    Each *.keys file is what nREPL reads: root certificate, own certificate, own key. Each *.pem file beside it holds
    the same certificate and key without the root. Key files are written with mode 0400.
    """
    now = datetime.now(UTC)  # noqa: TID251  (this is the border)
    password = _ca_password(wishes)
    if len(wishes["client"]) > 1 and any(CLIENT_PLACE not in uri for uri in wishes["uri"]):
        raise click.UsageError("several clients must not share a URI: write {name} into --uri")
    validity = Validity.of_days(now, wishes["days"])
    algorithm = Algorithm(wishes["alg"])
    ca_validity = Validity.of_days(now, _ca_days(wishes))
    authority = new_authority(f"authproxy development CA {os.urandom(4).hex()}", ca_validity, algorithm)
    server = new_server(authority, wishes["san"], validity, algorithm, wishes["cn"])
    clients = {name: new_client(authority, name, validity, algorithm, _uris(wishes, name)) for name in wishes["client"]}

    files = _files(out, wishes["prefix"], authority, server, clients)
    if password is not None and wishes["keep_ca"] is not None:
        kept = authority.certificate_pem() + authority.key_pem(password)
        files.append(NewFile(path=wishes["keep_ca"], data=kept, what="root certificate and its encrypted key"))
    write_all(files, replace=force)

    if algorithm is Algorithm.ED25519:
        click.echo("authproxy: nREPL reads Ed25519 keys from 1.8 on, with Java 15 or later", err=True)
    if as_json:
        click.echo(_as_json(files, authority, server))
    else:
        click.echo(_as_text(files, server))


def _ca_days(wishes: Wishes) -> int:
    days = wishes["ca_days"]
    if days is None:
        return wishes["days"] if wishes["keep_ca"] is None else max(wishes["days"], _KEPT_DAYS)
    if days < wishes["days"]:
        raise click.UsageError("--ca-days must be at least --days: no certificate outlives its root")
    return days


def _ca_password(wishes: Wishes) -> Secret[bytes] | None:
    if wishes["keep_ca"] is None:
        if wishes["ca_password_file"] is not None:
            raise click.UsageError("--ca-password-file is for --keep-ca, which is not given")
        return None
    password = password_of(wishes["ca_password_file"], PASSWORD_VARIABLE)
    if password is None:
        raise click.UsageError(f"--keep-ca needs a password: --ca-password-file FILE or ${PASSWORD_VARIABLE}")
    return password


def _uris(wishes: Wishes, name: str) -> list[x509.UniformResourceIdentifier]:
    return [uri_name(uri.replace(CLIENT_PLACE, name)) for uri in wishes["uri"]]


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


def _as_json(files: list[NewFile], authority: Issued, server: Issued) -> str:
    facts = {
        "files": [{"file": str(file.path), "mode": f"{file.mode:04o}", "holds": file.what} for file in files],
        "not_after": server.certificate.not_valid_after_utc.isoformat(),
        "root_not_after": authority.certificate.not_valid_after_utc.isoformat(),
        "root_sha256": fingerprint(authority.certificate),
    }
    return json.dumps(facts, indent=2)


def _as_text(files: list[NewFile], own: Issued) -> str:
    width = max(len(str(file.path)) for file in files)
    listed = [f"  {file.path!s:{width}}  {file.mode:04o}  {file.what}" for file in files]
    root, server = files[0].path, files[1].path
    return "\n".join(
        [
            "written:",
            *listed,
            f"valid until {own.certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
            "",
            "next, in authproxy.yaml:",
            f"  keystores: {{main: {{file: {server}}}}}",
            f"  truststores: {{clients: {{file: {root}}}}}",
            "and from a client:",
            f"  curl --cacert {root} https://localhost:8443/",
        ]
    )
