"""`authproxy keys inspect`: what a file of keys or certificates holds, and how long it lasts."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict, Unpack

import click

from authproxy.cli.common import json_option
from authproxy.cli.keys_options import password_of
from authproxy.core.certificate import CertificateNames
from authproxy.errors import MaterialError
from authproxy.keystore.facts import CertificateFacts
from authproxy.keystore.inspection import Inspection, KeyFacts
from authproxy.keystore.inspection import inspect as look
from authproxy.keystore.model import printable
from authproxy.keystore.stores import Opening
from authproxy.keystore.verdicts import Verdict

PASSWORD_VARIABLE = "AUTHPROXY_KEYSTORE_PASSWORD"
KEY_PASSWORD_VARIABLE = "AUTHPROXY_KEY_PASSWORD"
_SOON = 1
_UNREADABLE = 2


class Secrets(TypedDict):
    """Where the secrets are."""

    key: Path | None
    password_file: Path | None
    key_password_file: Path | None


@click.command(short_help="Show what files of keys hold, but no secret.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--alias", metavar="NAME", help="Only this private key of a PKCS#12 or JKS file.")
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The private key, where it stands in a file beside its certificate.",
)
@click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"Holds the password of the file or of its key; default: ${PASSWORD_VARIABLE}.",
)
@click.option(
    "--key-password-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"Holds the password of the keys in a JKS file, if that is another; default: ${KEY_PASSWORD_VARIABLE}.",
)
@click.option(
    "--warn-days",
    type=click.IntRange(0, 3650),
    default=0,
    show_default=True,
    help="Exit with 1 when a certificate ends within so many days; 0: when one has ended.",
)
@json_option
@click.pass_context
def inspect(
    context: click.Context,
    files: tuple[Path, ...],
    alias: str | None,
    warn_days: int,
    as_json: bool,
    **secrets: Unpack[Secrets],
) -> None:
    """Show what PEM, keys, PKCS#12 and JKS files hold, without any secret.

    \b
    Examples:
      authproxy keys inspect certs/server.keys
      authproxy keys inspect site.pem --key site.key
      authproxy keys inspect --password-file word --warn-days 30 --json server.p12

    Exit codes: 0 all is well; 1 a certificate has ended, or ends within --warn-days; 2 a file is missing, damaged or
    does not open with the password; 77 a file may not be read by this user, or a password file is too open.
    """
    if secrets["key"] is not None and len(files) > 1:
        raise click.UsageError("--key belongs to one file: name one")
    now = datetime.now(UTC)  # noqa: TID251  (this is the border)
    try:
        opening = _opening(secrets, alias)
    except MaterialError as error:
        # Not 1, which says that something ends soon.
        raise click.UsageError(str(error)) from error
    found: list[Inspection] = []
    broken = False
    for path in files:
        try:
            found.append(look(path, opening, now, secrets["key"]))
        except MaterialError as error:
            broken = True
            click.echo(f"authproxy: {error}", err=True)
    if as_json:
        click.echo(json.dumps({"files": [_described(each, now) for each in found]}, indent=2))
    else:
        click.echo("\n\n".join("\n".join(_lines(each, now)) for each in found), nl=bool(found))
    soon = [fact for each in found for fact in each.counted if fact.left(now) <= timedelta(days=warn_days)]
    context.exit(_UNREADABLE if broken else _SOON if soon else 0)


def _opening(secrets: Secrets, alias: str | None) -> Opening:
    return Opening(
        password=password_of(secrets["password_file"], PASSWORD_VARIABLE),
        key_password=password_of(secrets["key_password_file"], KEY_PASSWORD_VARIABLE),
        alias=alias,
    )


def _lines(inspection: Inspection, now: datetime) -> Iterator[str]:
    yield f"{inspection.source}: {inspection.kind}"
    for key in inspection.keys:
        name = f" {printable(key.alias)}" if key.alias is not None else ""
        yield f"  private key{name}: {key.kind}"
        for fact in key.certificates:
            yield from _certificate(fact, now)
        for what, verdict in {"chain": key.chain, "nREPL": key.nrepl, "strict X.509": key.strict}.items():
            yield f"    {what:13} {_told(verdict)}"
    if inspection.trusted:
        yield f"  certificates: {len(inspection.trusted)}"
    for fact in inspection.trusted:
        yield from _certificate(fact, now)
    for note in inspection.notes:
        yield f"  note: {note}"


def _certificate(fact: CertificateFacts, now: datetime) -> Iterator[str]:
    names = fact.names
    days = fact.left(now).days
    state = f"{days} days left" if fact.left(now) > timedelta(0) else "EXPIRED"
    alias = f" ({printable(fact.alias)})" if fact.alias is not None else ""
    yield f"    {fact.place}{alias}: {names.subject or '(no subject)'}"
    rows = {
        "role": f"{fact.role} ({', '.join(fact.usages) or 'no extended key usage'})",
        "names": ", ".join(f"{kind}:{printable(value)}" for kind, value in _names(names)) or "none",
        "issuer": names.issuer,
        "valid": f"{names.not_before:%Y-%m-%d %H:%M} to {names.not_after:%Y-%m-%d %H:%M} UTC, {state}",
        "key": f"{fact.key}, signed with {fact.signature}",
        "serial": f"{names.serial:x}",
        "sha256": names.fingerprint,
        "sha1": fact.sha1,
        "pin": fact.pin,
    }
    for what, value in rows.items():
        yield f"      {what:11} {value}"


def _told(verdict: Verdict) -> str:
    return verdict.says if verdict.good else f"no: {verdict.says}"


def _names(names: CertificateNames) -> list[tuple[str, str]]:
    kinds = {"DNS": names.dns, "IP": names.ips, "URI": names.uris, "email": names.emails}
    return [(kind, value) for kind, values in kinds.items() for value in values]


def _described(inspection: Inspection, now: datetime) -> dict[str, object]:
    counted = inspection.counted
    return {
        "file": inspection.source,
        "kind": inspection.kind,
        "keys": [_key(key, now) for key in inspection.keys],
        "certificates": [_facts(fact, now) for fact in inspection.trusted],
        "days_left": min((fact.left(now).days for fact in counted), default=None),
        "notes": list(inspection.notes),
    }


def _key(key: KeyFacts, now: datetime) -> dict[str, object]:
    verdicts = {"chain": key.chain, "nrepl": key.nrepl, "strict": key.strict}
    return {
        "alias": key.alias,
        "key": key.kind,
        "certificates": [_facts(fact, now) for fact in key.certificates],
        **{what: {"ok": verdict.good, "says": verdict.says} for what, verdict in verdicts.items()},
    }


def _facts(fact: CertificateFacts, now: datetime) -> dict[str, object]:
    names = fact.names
    return {
        "place": fact.place,
        "alias": fact.alias,
        "role": fact.role,
        "subject": names.subject,
        "issuer": names.issuer,
        "san": {"dns": names.dns, "ip": names.ips, "uri": names.uris, "email": names.emails},
        "eku": fact.usages,
        "authority": names.is_authority,
        "serial": f"{names.serial:x}",
        "sha256": names.fingerprint,
        "sha1": fact.sha1,
        "spki_sha256": names.spki,
        "pin": fact.pin,
        "not_before": names.not_before.isoformat(),
        "not_after": names.not_after.isoformat(),
        "days_left": fact.left(now).days,
        "expired": fact.left(now) <= timedelta(0),
        "key": fact.key,
        "signature": fact.signature,
    }
