"""The map files of zones that know users by their certificates: read with the rest of the trust.

A start is refused by any mistake in one. At a reload the good rows count and the mistakes are told, so that taking a
row away always takes effect; a file that cannot be told apart into rows leaves the old ones.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from authproxy.catalogs.certificate_users import CertificateUsers, read_certificate_users
from authproxy.core.client_name import Users
from authproxy.errors import ConfigError, MaterialError
from authproxy.settings import Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneUsers:
    """What one zone's map file said."""

    path: Path
    users: Users


def read_users(loaded: Loaded) -> dict[str, ZoneUsers]:
    """Return the map of every zone that has one.

    Raises:
        ConfigError: with every mistake of every file.
    """
    maps, problems, _ = read_users_again(loaded, {})
    if problems:
        raise ConfigError(*problems)
    return maps


def read_users_again(loaded: Loaded, old: Mapping[str, ZoneUsers]) -> tuple[dict[str, ZoneUsers], list[str], bool]:
    """Return the maps, what is wrong with them, and whether one is lost: unreadable, with no old one of that file."""
    maps: dict[str, ZoneUsers] = {}
    problems: list[str] = []
    lost = False
    for zone, path in _files(loaded):
        before = old.get(zone)
        try:
            read = read_certificate_users(path)
        except MaterialError as error:
            problems.append(f"{loaded.where('zones', zone, 'certificate', 'users')}: {error}")
            if before is not None and before.path == path:
                maps[zone] = before
            else:
                lost = True
            continue
        maps[zone] = ZoneUsers(path=path, users=read.users)
        problems += _told(loaded, zone, read)
    return maps, problems, lost


def _files(loaded: Loaded) -> Iterator[tuple[str, Path]]:
    for name, zone in loaded.settings.zones.items():
        if zone.certificate is not None and zone.certificate.users is not None:
            yield name, zone.certificate.users


def _told(loaded: Loaded, zone: str, read: CertificateUsers) -> Iterator[str]:
    where = loaded.where("zones", zone, "certificate", "users")
    return (f"{where}: {problem}" for problem in read.problems)
