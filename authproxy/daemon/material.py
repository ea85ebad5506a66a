"""Reads what a configuration names: keys and trust. Nothing here changes what is at work."""

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.serialization import Encoding

from authproxy import keystore as keys
from authproxy.core.acl import Rule, UriPattern
from authproxy.core.secret import Secret
from authproxy.daemon.certificate_users import ZoneUsers
from authproxy.daemon.watched import look_at, material_files
from authproxy.door.contexts import Contexts
from authproxy.errors import ConfigError, MaterialError, SecretError
from authproxy.keystore import ClientCertificates, ClientMode, Keystore, Role, Truststore
from authproxy.keystore.deny import pin_digest
from authproxy.keystore.names import certificate_names
from authproxy.options import SecretRef, references
from authproxy.settings import Loaded
from authproxy.settings.peers import AllowRule
from authproxy.settings.peers import ClientCertificates as ClientSettings
from authproxy.settings.secrets import read_pepper, read_secret

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Keys and trust, read and checked."""

    keystores: Mapping[str, Keystore] = field(default_factory=dict)
    truststores: Mapping[str, Truststore] = field(default_factory=dict)
    users: Mapping[str, ZoneUsers] = field(default_factory=dict)
    """The map files of zones that know users by their certificates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where secrets come from, and what was found out on the way."""

    loaded: Loaded
    environ: Mapping[str, str]
    seen: Mapping[Path, str] = field(default_factory=dict)
    """What the files of material held just before any of them was read, see `watched.look_at`."""
    notes: list[str] = field(default_factory=list)
    """What is accepted but should be known, one line each."""

    remembered: dict[tuple[str | int, ...], Secret[bytes]] = field(default_factory=dict)
    """What was read, by its place in the configuration."""

    def secret(self, reference: SecretRef, *path: str | int) -> Secret[bytes]:
        """Return the secret that the configuration refers to at `path`; raises SecretError."""
        if path not in self.remembered:
            where = self.loaded.where(*path)
            self.remembered[path] = read_secret(reference, self.environ, where=where, notes=self.notes)
        return self.remembered[path]

    def optional(self, reference: SecretRef | None, *path: str | int) -> Secret[bytes] | None:
        """Return the secret that the configuration refers to at `path`, or None; raises SecretError."""
        return None if reference is None else self.secret(reference, *path)

    def pepper(self, reference: SecretRef, *path: str | int) -> Secret[bytes]:
        """Return the pepper that the configuration refers to at `path`; raises SecretError."""
        if path not in self.remembered:
            where = self.loaded.where(*path)
            self.remembered[path] = read_pepper(reference, self.environ, where=where, notes=self.notes)
        return self.remembered[path]


def open_sources(loaded: Loaded, environ: Mapping[str, str]) -> Sources:
    """Return where the material of these settings comes from; what changes from now on, a watch will notice."""
    return Sources(loaded=loaded, environ=environ, seen=look_at(material_files(loaded.settings, environ)))


def gather(loaded: Loaded, section: str, names: Mapping[str, object], read: Callable[[str], T]) -> dict[str, T]:
    """Return `read(name)` for every name, or raise one ConfigError with every problem.

    Raises:
        ConfigError: some could not be read; SecretError when a secret is among them.
    """
    found: dict[str, T] = {}
    problems: list[str] = []
    exposed = False
    for name in names:
        try:
            found[name] = read(name)
        except ConfigError as error:
            exposed = exposed or isinstance(error, SecretError)
            problems += [_placed(loaded.where(section, name), problem) for problem in error.problems]
        except MaterialError as error:
            problems.append(f"{loaded.where(section, name)}: {error}")
        except Exception as error:  # noqa: BLE001  # a plug-in may raise anything, and must not stop what else is read
            problems.append(f"{loaded.where(section, name)}: failed with {type(error).__name__}: {error}")
    if problems:
        raise SecretError(*problems) if exposed else ConfigError(*problems)
    return found


def _placed(where: str, problem: str) -> str:
    # A problem that already names its place in a configuration file keeps it.
    return problem if problem.startswith(where.partition(":")[0] + ":") else f"{where}: {problem}"


def read_keystores(sources: Sources, now: datetime, old: Mapping[str, Keystore]) -> dict[str, Keystore]:
    """Return every keystore, checked for the roles that the configuration gives it.

    One that is unchanged since `old` is not judged again: if it has expired meanwhile, it warns and stays.

    Raises:
        ConfigError: with every problem.
    """
    loaded = sources.loaded

    def read(name: str) -> Keystore:
        made = read_keystore(name, sources)
        roles = _roles(loaded, name)
        notes = (*made.notes, *keys.remarks(made, roles))
        sources.notes.extend(f"{loaded.where('keystores', name)}: {note}" for note in notes)
        before = old.get(name)
        names = _names_for(loaded, name)
        if before is not None:
            names |= {host for host in _hosts_served_with(loaded, name) if before.covers(host)}
        moment = now
        if before is not None and before.fingerprint == made.fingerprint:
            # Everything but the end of its days is judged as at a start.
            moment = min(now, made.not_after - timedelta(seconds=1))
        for role in roles:
            keys.check(made, role, moment, sorted(names) if role is Role.SERVER else ())
        return made

    return gather(loaded, "keystores", loaded.settings.keystores, read)


def read_keystore(name: str, sources: Sources) -> Keystore:
    """Return one keystore, not judged for any role; raises MaterialError or SecretError."""
    settings = sources.loaded.settings.keystores[name]
    password = sources.optional(settings.password, "keystores", name, "password")
    if settings.file is not None:
        key_password = sources.optional(settings.key_password, "keystores", name, "key_password")
        opening = keys.Opening(password=password, key_password=key_password, alias=settings.alias)
        return keys.load_file(name, settings.file, opening)
    if settings.certificate is not None and settings.key is not None:
        return keys.load_pem_pair(name, settings.certificate, settings.key, password)
    variable = settings.env or ""
    text = sources.environ.get(variable)
    if text is None:
        raise SecretError(f"environment variable {variable}: is not set")
    return keys.load_text(name, text, f"${variable}", password)


def _roles(loaded: Loaded, name: str) -> list[Role]:
    settings = loaded.settings
    showing = {one.mode for one in settings.listeners.values() if name in {one.keystore, *one.sni.values()}}
    serving = bool(showing - {"tcp"}) or (settings.ops is not None and settings.ops.keystore == name)
    presenting = any(upstream.keystore == name for upstream in settings.upstreams.values()) or any(
        ("keystores", name) == (section, shown)
        for options in (*settings.sessions.values(), *settings.catalogs.values())
        for _, section, shown in references(options)
    )
    return [Role.SERVER] * serving + [Role.TCP] * ("tcp" in showing) + [Role.CLIENT] * presenting


def _names_for(loaded: Loaded, name: str) -> set[str]:
    """Return the host names for which the configuration chooses this keystore by name."""
    return {
        host
        for listener in loaded.settings.listeners.values()
        for host, chosen in listener.sni.items()
        if chosen == name
    }  # fmt: skip


def _hosts_served_with(loaded: Loaded, name: str) -> set[str]:
    """Return the hosts of routes that are served on listeners whose keystore this is."""
    serving = {key for key, listener in loaded.settings.listeners.items() if listener.keystore == name}
    return {route.host for route in loaded.settings.routes if route.host and serving & set(route.listeners)}


def read_truststores(sources: Sources, now: datetime) -> dict[str, Truststore]:
    """Return every truststore. One that cannot be read never falls back to the system's.

    Raises:
        ConfigError: with every problem.
    """
    loaded = sources.loaded
    return gather(
        loaded, "truststores", loaded.settings.truststores, lambda name: read_truststore(sources, name, now)
    )  # fmt: skip


def read_truststore(sources: Sources, name: str, now: datetime, before: Truststore | None = None) -> Truststore:
    """Return one truststore with whom it refuses, `before` being the one at work; raises MaterialError or SecretError."""
    settings = sources.loaded.settings.truststores[name]
    password = sources.optional(settings.password, "truststores", name, "password")
    refusals = keys.Refusals(crls=settings.crls, deny=settings.deny)
    return keys.with_refusals(keys.load_truststore(name, settings.file, password), refusals, now, before)


def server_contexts(loaded: Loaded, material: Material) -> dict[str, Contexts]:
    """Return the TLS contexts of every listener that speaks TLS, each proven by a handshake in memory.

    Raises:
        ConfigError: with every problem.
    """
    listeners = {name: one for name, one in loaded.settings.listeners.items() if one.mode != "redirect"}

    def build(name: str) -> Contexts:
        listener = listeners[name]
        own = listener.keystore or ""
        is_strict = listener.tls is not None and listener.tls.minimum == "1.3"
        minimum = ssl.TLSVersion.TLSv1_3 if is_strict else ssl.TLSVersion.TLSv1_2
        tickets = None if listener.tls is None else listener.tls.session_tickets
        client = client_rules(listener.client_certificates, material)

        def context(keystore: str) -> ssl.SSLContext:
            made = keys.server_context(material.keystores[keystore], minimum=minimum, client=client, tickets=tickets)
            if listener.mode == "tcp":
                # Whatever is spoken in there, it is not for us to say that it is HTTP.
                made.set_alpn_protocols([])
            keys.self_test(made, material.keystores[keystore])
            return made

        by_keystore = {keystore: context(keystore) for keystore in dict.fromkeys((own, *listener.sni.values()))}
        named = {host: by_keystore[keystore] for host, keystore in listener.sni.items()}
        demand = demand_of(listener.client_certificates, material, tuple(by_keystore))
        return Contexts(default=by_keystore[own], names=named, demand=demand)

    return gather(loaded, "listeners", listeners, build)


def ops_context(loaded: Loaded, material: Material) -> ssl.SSLContext | None:
    """Return the TLS context of the ops endpoints, proven likewise; None where they speak no TLS.

    Raises:
        ConfigError: it cannot be made.
    """
    settings = loaded.settings.ops
    if settings is None or settings.keystore is None:
        return None
    own = material.keystores[settings.keystore]

    def build(_: str) -> ssl.SSLContext:
        client = client_rules(settings.client_certificates, material)
        made = keys.server_context(own, minimum=ssl.TLSVersion.TLSv1_2, client=client)
        keys.self_test(made, own)
        return made

    return gather(loaded, "ops", {"keystore": settings}, build)["keystore"]


def public_key_of(keystore: Keystore) -> str:
    """Return the SHA-256 of the public key that a keystore shows."""
    return certificate_names(keystore.leaf.public_bytes(Encoding.DER)).spki


def demand_of(settings: ClientSettings, material: Material, shown: Sequence[str]) -> keys.Demand | None:
    """Return what whoever has shaken hands must meet where these keystores are shown, the default one first.

    Raises:
        MaterialError: certificates are asked for, and nobody is named who may issue them.
    """
    client = client_rules(settings, material)
    if client.mode is ClientMode.NONE:
        return None
    return keys.Demand(
        is_required=client.mode is ClientMode.REQUIRED,
        trust=keys.believed(material.keystores[shown[0]], client),
        own_keys=frozenset(public_key_of(material.keystores[name]) for name in shown),
        allow=None if settings.allow is None else tuple(map(_rule, settings.allow)),
        intermediates=settings.intermediates,
        closes=settings.on_revoke == "close",
    )


def _rule(settings: AllowRule) -> Rule:
    return Rule(
        cn=settings.cn,
        ou=settings.ou,
        dns=settings.dns,
        email=settings.email,
        uri=None if settings.uri is None else UriPattern.parse(settings.uri),
        ip=settings.ip,
        issuer=settings.issuer,
        spki=None if settings.spki is None else pin_digest(settings.spki),
        fingerprint=settings.fingerprint,
    )


def client_rules(settings: ClientSettings, material: Material) -> ClientCertificates:
    """Return what a listener demands of its clients' certificates."""
    trust = None if settings.trust is None else material.truststores[settings.trust]
    return ClientCertificates(mode=ClientMode(settings.mode), trust=trust)
