"""A reload: three transactions, each all or nothing, none in the way of another.

(1) the configuration with its keystores, (2) trust, (3) each catalog. So a broken certificate never delays a
revocation, and a garbled token file never delays a certificate.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from authproxy.daemon.certificate_users import read_users_again
from authproxy.daemon.material import gather, open_sources, read_keystores, read_truststore
from authproxy.daemon.outcome import Outcome, Result
from authproxy.daemon.prepare import Inputs, Prepared, Workshop, prepare
from authproxy.errors import ConfigError
from authproxy.keystore import Truststore
from authproxy.settings import Loaded

CONFIG = "config"
TRUST = "trust"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What a reload made of transactions 1 and 2."""

    prepared: Prepared
    """What to put to work: new where it could be had, old where not."""
    errors: dict[str, str]
    """Why a part stays as it was, by part; one line each."""


def attempt(
    workshop: Workshop, load: Callable[[], Loaded] | None, before: Prepared, now: datetime, generation: int
) -> Attempt:
    """Read everything anew and build it beside what is at work. Blocks; run it in a thread.

    When the new configuration cannot be used (or `load` is None, since it has just turned out so), the old one is
    built again with its own secrets and with the trust that could be read: a removed authority is out even while the
    configuration is broken.
    """
    errors: dict[str, str] = {}
    material = before.material
    old = Inputs(
        sources=before.sources,
        keystores=material.keystores,
        truststores=material.truststores,
        users=material.users,
    )
    inputs = old if load is None else _read_config(workshop, load, old, now, errors)
    inputs = _read_trust(inputs, old, now, errors)
    tries = [(CONFIG, inputs)]
    if inputs.sources is not before.sources:
        tries.append((TRUST, _read_trust(old, old, now, {})))
    for part, chosen in tries:
        try:
            return Attempt(prepared=prepare(workshop, chosen, generation, before), errors=errors)
        except ConfigError as error:
            errors.setdefault(part, one_line(error))
    # Not even the old configuration could be built again with the new trust.
    errors.setdefault(TRUST, errors.get(CONFIG, "nothing could be built"))
    return Attempt(prepared=before, errors=errors)


def _read_config(
    workshop: Workshop, load: Callable[[], Loaded], old: Inputs, now: datetime, errors: dict[str, str]
) -> Inputs:
    try:
        sources = open_sources(load(), workshop.environ)
        keystores = read_keystores(sources, now, old.keystores)
    except ConfigError as error:
        errors[CONFIG] = one_line(error)
        return old
    except Exception as error:  # noqa: BLE001  # whatever it is, trust is read all the same
        errors[CONFIG] = f"failed with {type(error).__name__}: {error}"
        return old
    return Inputs(sources=sources, keystores=keystores)


def _read_trust(inputs: Inputs, old: Inputs, now: datetime, errors: dict[str, str]) -> Inputs:
    """Read every truststore and every map of certificate names.

    One that cannot be read stays what it was, if it is still meant to be that file.
    """
    loaded, before = inputs.sources.loaded, old.sources.loaded.settings.truststores
    stores: dict[str, Truststore] = {}
    problems: list[str] = []
    lost = False

    def read(name: str) -> Truststore:
        return read_truststore(inputs.sources, name, now, old.truststores.get(name))

    for name, settings in loaded.settings.truststores.items():
        try:
            stores |= gather(loaded, "truststores", {name: settings}, read)
        except ConfigError as error:
            problems += error.problems
            if before.get(name) == settings and name in old.truststores:
                stores[name] = old.truststores[name]
            else:
                lost = True
    users, mistakes, is_lost = read_users_again(loaded, old.users)
    problems += mistakes
    lost = lost or is_lost
    if problems:
        errors[TRUST] = "; ".join(problems)
    if lost and inputs is not old:
        # The new configuration names trust that cannot be had: it cannot be used either.
        errors.setdefault(CONFIG, errors[TRUST])
        return _read_trust(old, old, now, {})
    return replace(inputs, truststores=stores, users=users)


def outcomes_of(before: Prepared, after: Prepared, errors: Mapping[str, str]) -> list[Outcome]:
    """Return how transactions 1 and 2 ended: `errors` stayed as they were, others changed what is at work or not."""
    changed = {
        CONFIG: _config_of(before) != _config_of(after),
        TRUST: _trust_of(before) != _trust_of(after),
    }
    return [_outcome(part, errors.get(part, ""), is_new=new) for part, new in changed.items()]


def _config_of(prepared: Prepared) -> tuple[object, ...]:
    return prepared.loaded.settings, prepared.material.keystores, prepared.sources.remembered


def _trust_of(prepared: Prepared) -> tuple[object, ...]:
    return prepared.material.truststores, prepared.material.users


def _outcome(part: str, error: str, *, is_new: bool) -> Outcome:
    if error:
        return Outcome(part=part, result=Result.REJECTED, error=error)
    return Outcome(part=part, result=Result.APPLIED if is_new else Result.UNCHANGED)


def one_line(error: ConfigError) -> str:
    """Return all problems as one line for the log."""
    return "; ".join(error.problems)
