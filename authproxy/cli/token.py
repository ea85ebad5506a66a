"""`authproxy token`: make, read and check API tokens. A token never comes in as an argument."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, ParamSpec, TypedDict, TypeVar, Unpack
from uuid import UUID, uuid4

import click

from authproxy.cli.common import config_option, json_option, load_settings
from authproxy.cli.group import Group
from authproxy.cli.token_verdict import peppers_of, verdict_on, zone_of
from authproxy.core.pepper import Pepper
from authproxy.core.record import TokenRecord, UserId, user_id_text
from authproxy.core.token import MAX_TOKEN_LENGTH, SECRET_BYTES, Token, generate, is_prefix, parse
from authproxy.errors import MaterialError, SecretError, why

_FIRST_VERSION: Final = 1
_REFUSAL: Final = (
    "a token is not taken as an argument, where the shell's history and every user of this machine can read it: "
    "pipe it in, or name a file with --file"
)

P = ParamSpec("P")
R = TypeVar("R")


@click.group(cls=Group)
def command() -> None:
    """Make, read and check API tokens.

    \b
    Example:  authproxy token new --name job --expires 90d --into tokens.yaml
    """


def _refuse_arguments(_context: click.Context, _argument: click.Parameter, values: tuple[str, ...]) -> None:
    # What was given is not repeated: it may be a token.
    if values:
        raise click.UsageError(_REFUSAL)


def _refuse_token(_context: click.Context, _option: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and parse(os.fsencode(value)) is not None:
        raise click.UsageError(_REFUSAL)
    return value


def _no_arguments(command: Callable[P, R]) -> Callable[P, R]:
    return click.argument(
        "arguments", nargs=-1, expose_value=False, callback=_refuse_arguments, type=click.UNPROCESSED, metavar=""
    )(command)


def _file_option(command: Callable[P, R]) -> Callable[P, R]:
    return click.option(
        "--file",
        "file",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        callback=_refuse_token,
        help="Read the token from FILE instead of standard input.",
    )(command)


# ---------------------------------------------------------------- new
class Wishes(TypedDict):
    """What the row of a new token shall say, and under which pepper."""

    zone: str | None
    prefix: str | None
    user_id: UUID | None
    name: str
    group: tuple[str, ...]
    expires: datetime | None
    pepper_file: Path | None
    pepper_env: str | None


def _read_expires(_context: click.Context, _option: click.Parameter, value: str | None) -> datetime | None:
    from authproxy.catalogs.rows import parse_time
    from authproxy.options import parse_duration

    if value is None:
        return None
    now = _now()
    is_time = "-" in value
    try:
        end = parse_time(value) if is_time else now.replace(microsecond=0) + parse_duration(value)
    except ValueError as error:
        other = "a duration, such as 90d" if is_time else "a time, such as 2027-01-01T00:00:00Z"
        raise click.BadParameter(f"{error}; or {other}") from error
    except OverflowError as error:
        raise click.BadParameter("there is no such time") from error
    if end <= now + timedelta(seconds=1):
        raise click.BadParameter("lies in the past")
    return end


def _read_prefix(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not is_prefix(value):
        raise click.BadParameter("must be ASCII letters, digits and '-' (no underscore: it ends the prefix)")
    return value


@command.command()
@config_option
@click.option("--zone", metavar="NAME", help="The zone it is for; by default the only one.")
@click.option("--prefix", callback=_read_prefix, help="Its prefix; then no configuration is read.")
@click.option("--user-id", type=click.UUID, metavar="UUID", help="Whose it is; by default a new, random user id.")
@click.option("--name", default="", help="A name for people.")
@click.option("--group", multiple=True, help="A group of the user; may be repeated.")
@click.option("--expires", callback=_read_expires, metavar="TIME", help="90d, or 2027-01-01T00:00:00Z; default: never.")
@click.option(
    "--pepper-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Holds the pepper."
)
@click.option("--pepper-env", metavar="VARIABLE", help="Holds the pepper.")
@click.option(
    "--into", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Add the row to this YAML file."
)
@json_option
@_no_arguments
def new(config: Path, into: Path | None, as_json: bool, **wishes: Unpack[Wishes]) -> None:
    """Make a token and its row. The token is shown this once, on standard output.

    \b
    Examples:
      authproxy token new --name billing-job --expires 90d --into tokens.yaml
      authproxy token new --zone api --name job --group jobs --into tokens.yaml
      authproxy token new --prefix svc --pepper-file pepper > token 2> row.yaml
    """
    from authproxy.catalogs.append import append, row_text

    prefix, pepper = _issuer(config, wishes)
    user_id = UserId((wishes["user_id"] or uuid4()).bytes)
    secret = os.urandom(SECRET_BYTES)
    record = _record(wishes, user_id, pepper.digest(user_id, _FIRST_VERSION, secret))
    token = generate(prefix, _FIRST_VERSION, user_id, secret)
    if into is not None:
        append(into, record)
    if as_json:
        facts = {"token": token, **_facts(Token(prefix.lower().encode(), _FIRST_VERSION, user_id, b""))}
        click.echo(json.dumps({**facts, "pepper": pepper.id, "row": row_text(record)}, indent=2))
        return
    click.echo(token)
    if into is None:
        click.echo(row_text(record), nl=False, err=True)
    else:
        click.echo(f"{into}: user {user_id_text(user_id)} added, under pepper {pepper.id}", err=True)


def _issuer(config: Path, wishes: Wishes) -> tuple[str, Pepper]:
    """Return prefix and pepper: those given, else those of the zone."""
    given = _given_pepper(wishes)
    if wishes["prefix"] is not None:
        if given is None:
            raise click.UsageError("--prefix needs --pepper-file or --pepper-env, for no configuration is read")
        return wishes["prefix"], given
    loaded = load_settings(config)
    name, zone = zone_of(loaded, wishes["zone"])
    wishes["zone"] = name if wishes["zone"] is not None or len(loaded.settings.zones) > 1 else None
    return zone.prefix or "", given or peppers_of(loaded, name, zone)[0]


def _given_pepper(wishes: Wishes) -> Pepper | None:
    from authproxy.options import SecretRef
    from authproxy.settings import read_pepper

    file, variable = wishes["pepper_file"], wishes["pepper_env"]
    if file is not None and variable is not None:
        raise click.UsageError("--pepper-file and --pepper-env: give one of them")
    if file is None and variable is None:
        return None
    try:
        reference = SecretRef(file=file.absolute()) if file is not None else SecretRef(env=variable)
    except ValueError as error:
        raise click.UsageError("--pepper-env is the name of an environment variable, not the pepper") from error
    return Pepper(read_pepper(reference, os.environ))  # noqa: TID251  (this is the border)


def _record(wishes: Wishes, user_id: UserId, digest: bytes) -> TokenRecord:
    from pydantic import ValidationError

    from authproxy.catalogs.rows import Row, row_problems

    values = {
        "user_id": user_id_text(user_id),
        "zone": wishes["zone"],
        "name": wishes["name"],
        "groups": list(wishes["group"]),
        "rotation_version": _FIRST_VERSION,
        "hash": digest.hex(),
    }
    try:
        row = Row.model_validate({key: value for key, value in values.items() if value is not None})
    except ValidationError as error:
        key, problem = next(row_problems(error))
        raise click.UsageError(f"--{key.removesuffix('s')}: {problem}") from error
    return replace(row.record(), expires_at=wishes["expires"])


# ---------------------------------------------------------------- inspect
@command.command()
@_file_option
@json_option
@_no_arguments
def inspect(file: Path | None, as_json: bool) -> None:
    """Show what a token says about itself. Nothing is verified, and its secret is not shown.

    \b
    Example:  authproxy token inspect < token
    """
    token, source = _read_token(file)
    if token is None:
        raise MaterialError(source, "is not a token: it is mistyped, cut off, or of another kind")
    facts = _facts(token)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        for key, value in facts.items():
            click.echo(f"{key}: {value}")


def _facts(token: Token) -> dict[str, str | int]:
    return {
        "prefix": token.prefix.decode(),
        "rotation_version": token.rotation_version,
        "user_id": user_id_text(token.user_id),
    }


# ---------------------------------------------------------------- verify
@command.command(short_help="Say whether a token would be accepted.")
@config_option
@click.option("--zone", metavar="NAME", help="The zone to ask; by default the only one.")
@_file_option
@json_option
@_no_arguments
@click.pass_context
def verify(context: click.Context, config: Path, zone: str | None, file: Path | None, as_json: bool) -> None:
    """Say whether a token would be accepted now; the exit code is 0 if so, and 1 if not.

    \b
    Example:  authproxy token verify -c authproxy.yaml --zone api < token
    """
    loaded = load_settings(config)
    name, _ = zone_of(loaded, zone)
    token, _ = _read_token(file)
    verdict = verdict_on(token, loaded, name, _now())
    if as_json:
        facts = {} if token is None else _facts(token)
        shown = {
            "accepted": verdict.accepted,
            "result": verdict.result,
            "zone": name,
            "pepper": verdict.pepper,
            **facts,
        }
        click.echo(json.dumps(shown, indent=2))
    else:
        click.echo(f"{verdict.result}: {verdict.meaning}")
    context.exit(0 if verdict.accepted else 1)


# ---------------------------------------------------------------- shared
def _read_token(file: Path | None) -> tuple[Token | None, str]:
    """Return the token, None if it is none, and where it was read; blanks and line ends around it do not count."""
    source = "standard input" if file is None else str(file)
    try:
        if file is not None:
            with file.open("rb") as stream:
                text = stream.read(2 * MAX_TOKEN_LENGTH)
        elif sys.stdin.isatty():
            text = str(click.prompt("Token", hide_input=True, err=True)).encode()
        else:
            text = sys.stdin.buffer.read(2 * MAX_TOKEN_LENGTH)
    except OSError as error:
        raise SecretError(f"{source}: cannot be read: {why(error)}") from error
    return parse(text.strip()), source


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251  (this is the border)
