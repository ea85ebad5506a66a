"""What ends and when: keystores and the authorities that are trusted, told in the log at 30, 7 and 1 days, and revocation lists.

Why once each, and not at every reload: an alert that repeats itself is one that nobody reads. The metrics say it all the
time.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, unique
from typing import Final

from authproxy import events
from authproxy.daemon import log
from authproxy.daemon.material import Material
from authproxy.keystore.model import fingerprint, subject

_LOG: Final = log.get("authproxy.daemon")
# The last is the end itself.
_WARN_AT: Final = tuple(timedelta(days=days) for days in (30, 7, 1, 0))
# Lists live for hours or for weeks. A bound counts for those that live at least twice as long: a fresh one must not warn.
_WARN_OF_LISTS: Final = tuple(timedelta(hours=hours) for hours in (7 * 24, 24, 6, 1, 0))


@unique
class Kind(Enum):
    """What it is that ends."""

    KEYSTORE = "keystore"
    TRUSTSTORE = "truststore"
    CRL = "crl"

    @property
    def section(self) -> str:
        """The name of the fact in the log and of the label in the metric: what it belongs to."""
        return "truststore" if self is Kind.CRL else self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One thing that ends."""

    kind: Kind
    name: str
    """The key in the configuration."""
    mark: str
    """Tells it from others of the same name: what is replaced by something that ends later is another thing."""
    subject: str
    source: str
    """The file."""
    end: datetime
    """The aware instant from which on nobody accepts it."""
    warn_at: tuple[timedelta, ...] = _WARN_AT
    """How long before that it is told."""


def endings_of(material: Material) -> tuple[Ending, ...]:
    """Return the first certificate to end of every keystore, and every authority and list of every truststore."""
    return (*_of_keystores(material), *_of_truststores(material), *_of_lists(material))


def first_ends(endings: Iterable[Ending], kind: Kind, now: datetime) -> Mapping[str, datetime]:
    """Return when the first thing of each name ends.

    What has ended already counts only where nothing else is left: a dead authority in a large bundle harms nobody, and
    must not hide the one that ends next week. A list that has ended counts always: nobody of its authority comes in.
    """
    ends: dict[str, list[datetime]] = {}
    for ending in endings:
        if ending.kind is kind:
            ends.setdefault(ending.name, []).append(ending.end)
    if kind is Kind.CRL:
        return {name: min(some) for name, some in ends.items()}
    return {name: min((end for end in some if end > now), default=max(some)) for name, some in ends.items()}


class Warner:
    """Says in time what is about to end."""

    def __init__(self) -> None:
        self._said: dict[tuple[Kind, str, str], timedelta] = {}

    def look(self, endings: Iterable[Ending], now: datetime) -> None:
        """Log what has come nearer than the next bound since the last look, or has ended."""
        said, self._said = self._said, {}
        for ending in endings:
            key = ending.kind, ending.name, ending.mark
            left = ending.end - now
            crossed = [at for at in ending.warn_at if left <= at]
            if not crossed:
                continue
            nearest = self._said[key] = min(crossed)
            if key not in said or nearest < said[key]:
                _tell(ending, left)


def _tell(ending: Ending, left: timedelta) -> None:
    facts = {
        ending.kind.section: ending.name, "days": left.days, "not_after": ending.end.isoformat(), "subject": ending.subject,
        "file": ending.source,
    }  # fmt: skip
    if ending.kind is Kind.CRL:
        facts["hours"] = left // timedelta(hours=1)
        if left > timedelta(0):
            _LOG.warning(events.CRL_EXPIRING, **facts)
        else:
            _LOG.error(events.CRL_EXPIRED, **facts)
    elif left > timedelta(0):
        _LOG.warning(events.CERTIFICATE_EXPIRING, **facts)
    elif ending.kind is Kind.KEYSTORE:
        _LOG.error(events.CERTIFICATE_EXPIRED, **facts)
    else:
        # Bundles carry dead authorities along; nobody is shown them.
        _LOG.warning(events.CERTIFICATE_EXPIRED, **facts)


def _of_keystores(material: Material) -> Iterator[Ending]:
    for name, keystore in material.keystores.items():
        first = min(keystore.all, key=lambda certificate: certificate.not_valid_after_utc)
        yield Ending(
            kind=Kind.KEYSTORE, name=name, mark=fingerprint(first), subject=subject(first), source=keystore.source,
            end=first.not_valid_after_utc,
        )  # fmt: skip


def _of_truststores(material: Material) -> Iterator[Ending]:
    for name, truststore in material.truststores.items():
        for certificate in truststore.certificates:
            yield Ending(
                kind=Kind.TRUSTSTORE, name=name, mark=fingerprint(certificate), subject=subject(certificate),
                source=truststore.source, end=certificate.not_valid_after_utc,
            )  # fmt: skip


def _of_lists(material: Material) -> Iterator[Ending]:
    for name, truststore in material.truststores.items():
        for crl in truststore.crls or ():
            life = crl.ends - crl.begins
            yield Ending(
                kind=Kind.CRL, name=name, mark=crl.digest, subject=subject(crl.issuer), source=crl.source, end=crl.ends,
                warn_at=tuple(bound for bound in _WARN_OF_LISTS if bound * 2 <= life),
            )  # fmt: skip
