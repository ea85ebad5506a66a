"""What a zone says to a token, for `authproxy token`."""

import asyncio
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from authproxy.core.match import Match, match
from authproxy.core.pepper import Pepper
from authproxy.core.record import TokenRecord, UserId
from authproxy.core.token import Token

if TYPE_CHECKING:
    from authproxy.settings import Loaded
    from authproxy.settings.zones import Zone


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a token would be accepted, and why."""

    result: str
    meaning: str
    accepted: bool = False
    pepper: str | None = None


_MALFORMED: Final = Verdict(result="malformed", meaning="this is not a token")
_WRONG_PREFIX: Final = Verdict(result="wrong-prefix", meaning="the token is for another zone")
_UNKNOWN: Final = Verdict(result="unknown", meaning="the catalog has no row for this user")
_MISMATCH: Final = Verdict(result="mismatch", meaning="the row is of another token or another pepper")
_DISABLED: Final = Verdict(result="disabled", meaning="the user is disabled")
_REJECTED: Final = Verdict(result="rejected", meaning="the user's row cannot be used: `authproxy check` says why")
_ENDED: Final = {
    Match.PRIMARY: "the token has ended",
    Match.GRACE: "the token is the previous one, and its grace has ended, or the current one has",
}
_ACCEPTED: Final = {
    Match.PRIMARY: "the token is the current one",
    Match.GRACE: "the token is the previous one, and its grace has not ended",
}


def zone_of(loaded: "Loaded", name: str | None) -> tuple[str, "Zone"]:
    """Return the zone called `name`, or the only one; UsageError: there is none, or more than one."""
    zones = loaded.settings.zones
    known = ", ".join(sorted(zones))
    if name is None:
        if len(zones) != 1:
            raise click.UsageError(f"--zone is needed: {known}" if zones else "the configuration has no zones")
        name = next(iter(zones))
    if name not in zones:
        raise click.UsageError(f"--zone: there is no zone {name} (known: {known})")
    if "token" not in zones[name].counts:
        raise click.UsageError(f"--zone: zone {name} takes no tokens")
    return name, zones[name]


def peppers_of(loaded: "Loaded", name: str, zone: "Zone") -> tuple[Pepper, ...]:
    """Return the peppers of a zone, newest first; SecretError: one cannot be read."""
    from authproxy.settings import read_pepper

    where = loaded.where("zones", name, "peppers")
    environ = os.environ  # noqa: TID251  (this is the border)
    return tuple(Pepper(read_pepper(reference, environ, where=where)) for reference in zone.peppers)


def verdict_on(token: Token | None, loaded: "Loaded", name: str, now: datetime) -> Verdict:
    """Return what zone `name` says to `token` at `now`.

    Raises:
        ConfigError: A catalog or a pepper cannot be read.
        CatalogUnavailable: The catalog cannot tell just now.
    """
    zone = loaded.settings.zones[name]
    if token is None:
        return _MALFORMED
    if token.prefix != (zone.prefix or "").lower().encode():
        return _WRONG_PREFIX
    peppers = peppers_of(loaded, name, zone)
    record = asyncio.run(_look_up(loaded, name, zone, token.user_id))
    if record is None:
        return _UNKNOWN
    matched = match(peppers, token, record, now)
    if matched is None:
        return _refusal(peppers, token, record, now)
    how, pepper = matched
    return Verdict(result=how.value, meaning=_ACCEPTED[how], accepted=True, pepper=pepper.id)


def _refusal(peppers: tuple[Pepper, ...], token: Token, record: TokenRecord, now: datetime) -> Verdict:
    """Return why it was refused: would it do if nothing ever ended?"""
    if record.disabled:
        return _REJECTED if record.rejected else _DISABLED
    endless = replace(record, expires_at=None, grace_expires_at=datetime.max.replace(tzinfo=UTC))
    matched = match(peppers, token, endless, now)
    if matched is None:
        return _MISMATCH
    how, pepper = matched
    return Verdict(result="expired", meaning=_ENDED[how], pepper=pepper.id)


async def _look_up(loaded: "Loaded", name: str, zone: "Zone", user_id: UserId) -> TokenRecord | None:
    from authproxy.daemon.catalogs import open_catalogs

    opened = await asyncio.to_thread(open_catalogs, loaded, {})
    try:
        return await opened[zone.catalog].catalog.look_up(name, user_id)
    finally:
        for each in opened.values():
            await each.catalog.aclose()
