"""The reload road without its last step: everything a configuration needs, built and proven beside what is at work.

A start takes this road once, `authproxy check` stops at its end, and a reload takes it for every transaction.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from authproxy.core.stats import Stats
from authproxy.daemon.build import Built, Parts, build
from authproxy.daemon.catalogs import Opened, open_catalogs
from authproxy.daemon.certificate_users import ZoneUsers, read_users
from authproxy.daemon.material import (
    Material,
    Sources,
    open_sources,
    ops_context,
    read_keystores,
    read_truststores,
    server_contexts,
)
from authproxy.daemon.sessions import OpenedStore, open_stores
from authproxy.daemon.sessions import notes_of as shared_origins
from authproxy.daemon.tunnels import notes_of
from authproxy.daemon.zones import read_peppers
from authproxy.door.contexts import Contexts
from authproxy.errors import ConfigError, SecretError
from authproxy.keystore import Keystore, Truststore
from authproxy.settings import Loaded
from authproxy.upstream.means import Spawn

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A configuration, ready to be put to work."""

    sources: Sources
    """The settings, and the secrets that they refer to."""
    material: Material
    catalogs: Mapping[str, Opened]
    sessions: Mapping[str, OpenedStore]
    built: Built
    contexts: Mapping[str, Contexts]
    ops: ssl.SSLContext | None = None
    """What the ops endpoints speak TLS with."""

    @property
    def loaded(self) -> Loaded:
        """The settings."""
        return self.sources.loaded

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be known, one line each."""
        trust = self.material.truststores.items()
        told = (f"{self.loaded.where('truststores', name)}: {note}" for name, one in trust for note in one.notes)
        return (*self.loaded.notes, *self.sources.notes, *told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What preparing needs of the process."""

    environ: Mapping[str, str]
    stats: Stats
    spawn: Spawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What was read for one attempt."""

    sources: Sources
    keystores: Mapping[str, Keystore] = field(default_factory=dict)
    truststores: Mapping[str, Truststore] = field(default_factory=dict)
    users: Mapping[str, ZoneUsers] = field(default_factory=dict)


def read_inputs(workshop: Workshop, loaded: Loaded, now: datetime, before: Prepared | None) -> Inputs:
    """Read the keys, the trust and the peppers that a configuration names.

    Raises:
        ConfigError: with every problem, those of catalogs too, so that whoever starts with nothing there learns at once
            what all is missing; SecretError when a secret is among them.
    """
    sources = open_sources(loaded, workshop.environ)
    sources.notes.extend([*notes_of(loaded), *shared_origins(loaded)])
    old = before.material.keystores if before is not None else {}
    failed: list[ConfigError] = []

    def tried(read: Callable[[], dict[str, T]]) -> dict[str, T]:
        try:
            return read()
        except ConfigError as error:
            failed.append(error)
            return {}

    inputs = Inputs(
        sources=sources,
        keystores=tried(lambda: read_keystores(sources, now, old)),
        truststores=tried(lambda: read_truststores(sources, now)),
        users=tried(lambda: read_users(loaded)),
    )
    tried(lambda: read_peppers(sources))
    if failed:
        tried(lambda: open_catalogs(loaded, {}))
        problems = [problem for error in failed for problem in error.problems]
        raise (SecretError if any(isinstance(error, SecretError) for error in failed) else ConfigError)(*problems)
    return inputs


def prepare(workshop: Workshop, inputs: Inputs, generation: int, before: Prepared | None) -> Prepared:
    """Build everything, and prove every TLS context by a handshake in memory. Blocks; run it in a thread.

    Raises:
        ConfigError: with every problem of the first step that failed; nothing at work was touched.
    """
    loaded = inputs.sources.loaded
    material = Material(keystores=inputs.keystores, truststores=inputs.truststores, users=inputs.users)
    contexts = server_contexts(loaded, material)
    catalogs = open_catalogs(loaded, before.catalogs if before is not None else {})
    known = before.sessions if before is not None else {}
    sessions = open_stores(inputs.sources, material, known, workshop.stats)
    parts = Parts(
        sources=inputs.sources,
        material=material,
        catalogs={name: opened.catalog for name, opened in catalogs.items()},
        sessions={name: opened.store for name, opened in sessions.items()},
        stats=workshop.stats,
        spawn=workshop.spawn,
        previous=before.built.upstreams if before is not None else {},
        demands={name: one.demand for name, one in contexts.items()},
    )
    return Prepared(
        sources=inputs.sources,
        material=material,
        catalogs=catalogs,
        sessions=sessions,
        built=build(parts, generation),
        contexts=contexts,
        ops=ops_context(loaded, material),
    )
