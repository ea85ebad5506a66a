"""`authproxy keys renew`: the same names under the same root, with a new key and a new end."""

import json
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.cli.common import json_option
from authproxy.cli.keys_options import PASSWORD_VARIABLE, password_of
from authproxy.core.secret import Secret
from authproxy.errors import MaterialError
from authproxy.keystore import Keystore, Opening, fingerprint, load_file
from authproxy.keystore.combined import is_authority
from authproxy.keystore.formats import STORES, format_of
from authproxy.keystore.generate import Algorithm, Issued, Validity, combined_file, keys_file, new_authority, renewed
from authproxy.keystore.lineage import issued_by
from authproxy.keystore.model import subject
from authproxy.keystore.reading import read
from authproxy.keystore.trust import load_truststore
from authproxy.keystore.writing import PUBLIC_MODE, NewFile, write_all


@dataclass(frozen=True, slots=True, kw_only=True)
class _Old:
    """A file that is to be replaced."""

    path: Path
    keystore: Keystore


@click.command(short_help="Make keys anew, under the same names.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--keep-ca",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The root with its encrypted key, as `keys generate --keep-ca` wrote it; needed.",
)
@click.option(
    "--ca-password-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"Holds the password of --keep-ca; default: ${PASSWORD_VARIABLE}.",
)
@click.option(
    "--overlap",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Make a new root in place of --keep-ca, and put it before the old one in FILE, which others trust (ca.pem).",
)
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long they are valid.")
@json_option
def renew(  # noqa: PLR0913, PLR0917  # one parameter for each option
    files: tuple[Path, ...],
    keep_ca: Path | None,
    ca_password_file: Path | None,
    overlap: Path | None,
    days: int,
    as_json: bool,
) -> None:
    """Replace keys and certificates by new ones with the same names, under the same root.

    \b
    Examples:
      authproxy keys renew certs/server.pem certs/server.keys --keep-ca root.pem
      authproxy keys renew certs/*.keys --keep-ca root.pem --days 90 \\
          --ca-password-file root.password
      authproxy keys renew certs/server.pem --overlap certs/ca.pem

    Nobody who trusts the root has to change anything. Files that hold the same certificate get the same new one.
    Either all files are replaced or none.

    Where the root's key was discarded, --overlap makes a new root, whose key is discarded too: whoever has the new FILE
    trusts both, and the old root can be taken out of it once nobody uses the old certificates.
    """
    now = datetime.now(UTC)  # noqa: TID251  (this is the border)
    if overlap is not None:
        if keep_ca is not None:
            raise click.UsageError("--overlap makes a new root, --keep-ca signs with the old one: choose one of them")
        _renew_under_new_root(files, overlap, Validity.of_days(now, days), as_json=as_json)
        return
    if keep_ca is None:
        raise click.UsageError(f"renew signs with the root's key: name its file with --keep-ca FILE. {_lost(files[0])}")
    if not keep_ca.exists():
        raise MaterialError(str(keep_ca), f"there is no such file. {_lost(files[0])}")
    password = password_of(ca_password_file, PASSWORD_VARIABLE)
    authority = _authority(keep_ca, password, now)
    end = min(Validity.of_days(now, days).end, authority.certificate.not_valid_after_utc)
    validity = Validity(begin=Validity.of_days(now, days).begin, end=end)

    root = f"by {subject(authority.certificate)}, the root in --keep-ca"
    old = [_old(path, (authority.certificate,), root) for path in dict.fromkeys(files)]
    made: dict[x509.Certificate, Issued] = {}
    for each in old:
        leaf = each.keystore.leaf
        if leaf not in made:
            made[leaf] = renewed(leaf, authority, validity)
    write_all([_file(each, authority, made[each.keystore.leaf]) for each in old], replace=True)

    if end < Validity.of_days(now, days).end:
        click.echo(f"authproxy: no certificate outlives its root, which ends on {end:%Y-%m-%d}", err=True)
    click.echo(_as_json(old, made, validity) if as_json else _as_text(old, made, validity))


def _renew_under_new_root(files: tuple[Path, ...], bundle: Path, validity: Validity, *, as_json: bool) -> None:
    roots = load_truststore("overlap", bundle).certificates
    authority = new_authority(
        f"authproxy development CA {secrets.token_hex(4)}", validity, Algorithm.EC_P256
    )  # fmt: skip
    old = [_old(path, roots, f"by any root in {bundle}") for path in dict.fromkeys(files)]
    made: dict[x509.Certificate, Issued] = {}
    for each in old:
        if each.keystore.leaf not in made:
            made[each.keystore.leaf] = renewed(each.keystore.leaf, authority, validity)
    trusted = b"".join(one.public_bytes(Encoding.PEM) for one in (authority.certificate, *roots))
    trust = NewFile(path=bundle, data=trusted, mode=PUBLIC_MODE)
    write_all([*(_file(each, authority, made[each.keystore.leaf]) for each in old), trust], replace=True)
    click.echo(_as_json(old, made, validity) if as_json else _as_text(old, made, validity))
    if not as_json:
        click.echo(
            f"{bundle} holds the new root and {len(roots)} before it: give it to whoever trusts the old one first"
        )


def _lost(path: Path) -> str:
    folder = shlex.quote(str(path.parent))
    return (
        "Where `keys generate` was called without --keep-ca, the root's key was discarded and nothing can be renewed "
        f"under it: make root, server and clients anew with `authproxy keys generate --force --out {folder}`, "
        "and give the new ca.pem to whoever trusts the old one"
    )


def _authority(path: Path, password: Secret[bytes] | None, now: datetime) -> Issued:
    if password is None:
        raise click.UsageError(f"--keep-ca needs its password: --ca-password-file FILE or ${PASSWORD_VARIABLE}")
    found = load_file("ca", path, Opening(password=password))
    if not is_authority(found.leaf):
        raise MaterialError(str(path), f"{subject(found.leaf)} is no authority (is it the file of --keep-ca?)")
    if found.leaf.not_valid_after_utc <= now:
        problem = f"the root {subject(found.leaf)} has expired (make all anew: authproxy keys generate --force)"
        raise MaterialError(str(path), problem)
    return Issued(certificate=found.leaf, key=found.key)


def _old(path: Path, roots: Sequence[x509.Certificate], otherwise: str) -> _Old:
    content = read(path)
    if format_of(content.data) in STORES:
        raise MaterialError(str(path), "is a PKCS#12 or JKS file: only PEM and keys files are renewed")
    keystore = load_file(path.stem, path)
    if len(keystore.chain) > 1 or not any(issued_by(keystore.leaf, root) for root in roots):
        raise MaterialError(str(path), f"{subject(keystore.leaf)} was not issued {otherwise}")
    return _Old(path=path, keystore=keystore)


def _file(old: _Old, authority: Issued, new: Issued) -> NewFile:
    data = combined_file(new) if old.keystore.root is None else keys_file(authority, new)
    return NewFile(path=old.path, data=data)


def _as_json(old: list[_Old], made: dict[x509.Certificate, Issued], validity: Validity) -> str:
    return json.dumps(
        {
            "files": [
                {
                    "file": str(each.path),
                    "subject": subject(each.keystore.leaf),
                    "sha256": fingerprint(made[each.keystore.leaf].certificate),
                    "replaces_sha256": each.keystore.fingerprint,
                }
                for each in old
            ],
            "not_after": validity.end.isoformat(),
        },
        indent=2,
    )


def _as_text(old: list[_Old], made: dict[x509.Certificate, Issued], validity: Validity) -> str:
    width = max(len(str(each.path)) for each in old)
    listed = [
        f"  {each.path!s:{width}}  {subject(each.keystore.leaf)}  sha256 {fingerprint(made[each.keystore.leaf].certificate)}"
        for each in old
    ]
    until = f"valid until {validity.end:%Y-%m-%d %H:%M} UTC; a running proxy takes them with SIGHUP"
    return "\n".join(["renewed:", *listed, until])
