"""`authproxy session`: who is signed in, and the end of it.

The store is asked, not a running proxy: it need not run, and one that does learns of it within a second.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

from authproxy.cli.common import config_option, json_option, load_settings
from authproxy.cli.group import Group
from authproxy.core.record import UserId, user_id_text
from authproxy.core.session import Session
from authproxy.errors import AuthproxyError, ConfigError

if TYPE_CHECKING:
    from authproxy.sessions.interface import SessionStore
    from authproxy.settings import Loaded

_NAME_BYTES: Final = 6
_SECONDS: Final = 1000

R = TypeVar("R")


class NoSession(AuthproxyError):
    """Nobody is signed in under that name."""


def _user_id(context: click.Context, parameter: click.Parameter, value: str | None) -> UserId | None:
    from uuid import UUID

    try:
        return None if value is None else UserId(UUID(value).bytes)
    except ValueError:
        problem = f"{value} is no user id, such as 550e8400-e29b-41d4-a716-446655440000"
        raise click.BadParameter(problem, context, parameter) from None


_zone_option: Final = click.option(
    "--zone", metavar="NAME", help="Only this zone; by default all whose people sign in."
)
_user_option: Final = click.option("--user", callback=_user_id, metavar="UUID", help="Only this user's sessions.")


@click.group(cls=Group)
def command() -> None:
    """List the sessions of people who have signed in, and end them.

    \b
    Example:  authproxy session list -c authproxy.yaml
    """


@command.command("list", short_help="List who is signed in.")
@config_option
@_zone_option
@_user_option
@json_option
def list_sessions(config: Path, zone: str | None, user: UserId | None, as_json: bool) -> None:
    """List who is signed in, the oldest session first.

    \b
    Examples:
      authproxy session list -c authproxy.yaml
      authproxy session list --user 550e8400-e29b-41d4-a716-446655440000
    """
    found = _ask(load_settings(config), zone, lambda store, name: store.sessions_of(name, user))
    now = datetime.now(UTC)  # noqa: TID251  (this is the border)
    alive = [one for sessions in found for one in sessions if _end(one) > now]
    if as_json:
        click.echo(json.dumps([_facts(one) for one in alive], indent=2))
        return
    for one in alive:
        facts = _facts(one)
        click.echo(
            f"{facts['session']}  {facts['zone']}  {facts['user_id']}  since {facts['created']}  until {facts['until']}"
        )
    if not alive:
        click.echo("nobody is signed in")


@command.command(short_help="Show one session.")
@config_option
@_zone_option
@json_option
@click.argument("name")
def show(config: Path, zone: str | None, as_json: bool, name: str) -> None:
    """Show one session, by the name that `list` gives it.

    \b
    Example:  authproxy session show -c authproxy.yaml 3f1c0a9be2d4
    """
    facts = _facts(_named(load_settings(config), zone, name))
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    for key, value in facts.items():
        click.echo(f"{key}: {value}")


@command.command(short_help="End sessions, or all of a user.")
@config_option
@_zone_option
@_user_option
@json_option
@click.argument("names", nargs=-1)
def revoke(config: Path, zone: str | None, user: UserId | None, as_json: bool, names: tuple[str, ...]) -> None:
    """End sessions: those that are named, or all of a user.

    \b
    Examples:
      authproxy session revoke -c authproxy.yaml 3f1c0a9be2d4
      authproxy session revoke --user 550e8400-e29b-41d4-a716-446655440000

    Whoever has a token can sign in again: to keep somebody out, disable the user or rotate the token, which ends
    the sessions too.
    """
    if (user is None) == (not names):
        raise click.UsageError("say which: names as `list` gives them, or --user")
    loaded = load_settings(config)
    if user is not None:
        ended = sum(_ask(loaded, zone, lambda store, name: store.delete_user(name, user)))
    else:
        keys = [_named(loaded, zone, name).key for name in names]
        ended = sum(map(int, _ask(loaded, zone, lambda store, _: _delete(store, keys))))
    click.echo(json.dumps({"ended": ended}) if as_json else f"{ended} ended")


async def _delete(store: "SessionStore", keys: list[bytes]) -> int:
    return sum([await store.delete(key) for key in keys])


# ---------------------------------------------------------------- shared
def _ask(loaded: "Loaded", zone: str | None, question: "Callable[[SessionStore, str], Awaitable[R]]") -> list[R]:
    """Return the answers of every zone's store.

    Raises:
        click.UsageError: there is no such zone, or nobody signs in there.
        ConfigError: its sessions are in the process alone.
        SessionStoreUnavailable: a store cannot tell just now.
    """

    async def ask() -> list[R]:
        answers = []
        for name, store in await asyncio.to_thread(lambda: list(_stores(loaded, zone))):
            try:
                answers.append(await question(store, name))
            finally:
                await store.aclose()
        return answers

    return asyncio.run(ask())


def _stores(loaded: "Loaded", wanted: str | None) -> "Iterator[tuple[str, SessionStore]]":
    from authproxy.daemon.material import Sources
    from authproxy.daemon.sessions import open_store

    sources, now = Sources(loaded=loaded, environ=os.environ), datetime.now(UTC)  # noqa: TID251  (this is the border)
    zones = {name: zone for name, zone in loaded.settings.zones.items() if "session" in zone.counts}
    if wanted is not None and wanted not in zones:
        known = ", ".join(zones) or "none"
        raise click.UsageError(f"--zone: nobody signs in to a zone {wanted} (zones with sessions: {known})")
    for name, zone in zones.items():
        if zone.sessions is None or wanted not in {None, name}:
            continue
        options = loaded.settings.sessions[zone.sessions]
        kind = str(getattr(options, "kind", ""))
        if kind == "memory":
            where = loaded.where("sessions", zone.sessions)
            raise ConfigError(
                f"{where}: is in the process alone, where nobody can ask: use kind sqlite or redis, or disable users"
            )
        store, file = open_store(sources, zone.sessions, now), getattr(options, "file", None)
        if isinstance(file, Path) and not file.exists():
            # Nobody has signed in yet. Asking would make the file as this user's, and lock out the proxy's own.
            continue
        yield name, store


def _named(loaded: "Loaded", zone: str | None, name: str) -> Session:
    found = [
        one
        for sessions in _ask(loaded, zone, lambda store, zone_name: store.sessions_of(zone_name, None))
        for one in sessions
        if one.key.hex().startswith(name.lower())
    ]
    if len(found) != 1:
        raise NoSession(f"{name}: {'several sessions begin so' if found else 'there is no such session'}")
    return found[0]


def _end(session: Session) -> datetime:
    return _time(min(session.idle_ends, session.ends))


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds // _SECONDS, UTC)


def _facts(session: Session) -> dict[str, str | int]:
    return {
        "session": session.key[:_NAME_BYTES].hex(),
        "zone": session.zone,
        "user_id": user_id_text(session.user_id),
        "rotation_version": session.version,
        "created": _text(_time(session.created)),
        "until": _text(_end(session)),
        "at_the_latest": _text(_time(session.ends)),
    }


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
