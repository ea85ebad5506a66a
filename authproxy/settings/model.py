"""The whole of the settings, with the catalog kinds that this installation knows."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, create_model
from pydantic_core import core_schema

from authproxy.options import LocalPath, Options, Whole, meant
from authproxy.settings.addresses import Cidr, ControlSocket, UnixSocket
from authproxy.settings.listeners import Keystore, Listener, Truststore
from authproxy.settings.pages import Pages
from authproxy.settings.routes import Route
from authproxy.settings.section import Section
from authproxy.settings.service import Identity, Limits, Logging, Ops, Reload, Timeouts
from authproxy.settings.upstreams import Upstream
from authproxy.settings.words import Name
from authproxy.settings.zones import Zone

CONTROL_NAME: Final = "control.sock"


def _one_worker(value: object) -> object:
    if meant(value) != 1 or isinstance(meant(value), bool):
        raise ValueError("only 1 is available in this version")
    return 1


def _version(value: object) -> object:
    # For Python 1 is 1.0 and True, and so it is for a Literal.
    return str(value) if isinstance(value, bool | float) else meant(value)


class Settings(Section):
    """Everything an operator says, checked, with every default filled in."""

    # Built when used: what is validated is the subclass that `model_for` makes.
    model_config = ConfigDict(defer_build=True)

    version: Annotated[Literal[1], BeforeValidator(_version)]
    """The version of this file's rules: 1."""
    include: tuple[LocalPath, ...] = ()
    """Further files; a name in a map, and any other key but `routes`, stands in one file only."""
    keystores: Mapping[Name, Keystore] = {}
    """Private keys with their certificates, by name."""
    truststores: Mapping[Name, Truststore] = {}
    """Authorities that are believed, by name."""
    listeners: Mapping[Name, Listener] = {}
    """Where clients knock, by name; at least one."""
    catalogs: Mapping[Name, Options] = {}
    """Where token records come from, by name; `kind` says how."""
    sessions: Mapping[Name, Options] = {}
    """Where browser sessions are kept, by name; `kind` says how."""
    zones: Mapping[Name, Zone] = {}
    """Who may come in, by name; isolated from one another."""
    upstreams: Mapping[Name, Upstream] = {}
    """The services behind, by name; a URL alone is enough."""
    routes: tuple[Route, ...] = ()
    """Which request goes where; the order means nothing; at least one."""
    identity: Identity = Identity()
    """What upstreams are told about the caller."""
    pages: Pages = Pages()
    """How the pages look that people are shown."""
    trusted_proxies: tuple[Cidr, ...] = ()
    """Networks whose `X-Forwarded-*` and `Forwarded` are believed."""
    limits: Limits = Limits()
    """How large a request's head may be, and how many connections there may be."""
    timeouts: Timeouts = Timeouts()
    """How long a client may take."""
    workers: Annotated[Whole, BeforeValidator(_one_worker)] = 1
    """Processes that share the work: 1."""
    ops: Ops | None = None
    """Where operators and monitoring ask; off by default."""
    logging: Logging = Logging()
    """What is written down."""
    reload: Reload = Reload()
    """When keys, certificates, trust and secrets are read again without a signal."""
    control: ControlSocket | None = None
    """The socket on which `authproxy reload` asks, for this user, root and the socket's group; by default in `state`."""
    state: LocalPath | None = None
    """The directory for what the proxy itself must keep: the control socket; created with mode 0700, none by default."""

    @property
    def control_at(self) -> UnixSocket | None:
        """Where to listen for whoever controls the process: `control`, else the state directory."""
        if self.control is not None or self.state is None:
            return self.control
        return UnixSocket(str(self.state / CONTROL_NAME))


LATER_KINDS: Final[Mapping[str, frozenset[str]]] = {
    "catalogs": frozenset({"sqlite", "postgres", "redis", "http"}),
    "sessions": frozenset(),
}
"""By family, a section whose values are of kinds."""


class OneOf:
    """Stands beside a type in `Annotated`: the value is of the kind that its key `kind` names."""

    def __init__(self, kinds: Mapping[str, type[Options]]) -> None:
        self.kinds = kinds

    def __get_pydantic_core_schema__(self, _: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Return the schema that tells kinds apart; tags are in angle brackets, for they are no keys of the file."""
        return core_schema.tagged_union_schema(
            {f"<{kind}>": handler.generate_schema(options) for kind, options in self.kinds.items()},
            discriminator=_kind_tag,
        )


def _kind_tag(value: object) -> str | None:
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    return f"<{kind}>" if isinstance(kind, str) else None


Kinds: TypeAlias = Mapping[str, Mapping[str, type[Options]]]
"""By section, the options of each kind."""


def kinds_of(catalogs: Mapping[str, type[Options]], sessions: Mapping[str, type[Options]] | None) -> Kinds:
    """Return the kinds of both families; without kinds of sessions their section stays empty."""
    return {"catalogs": catalogs} | ({} if sessions is None else {"sessions": sessions})


def model_for(kinds: Kinds) -> type[Settings]:
    """Return Settings whose `catalogs` and `sessions` are of these kinds, by section.

    For the same kinds it is the same class, so that values compare.
    """
    return _model_for(tuple((section, tuple(found.items())) for section, found in kinds.items()))


@cache
def _model_for(kinds: tuple[tuple[str, tuple[tuple[str, type[Options]], ...]], ...]) -> type[Settings]:
    fields = {section: _field(section, dict(found)) for section, found in kinds}
    made: type[Settings] = create_model("Settings", __base__=Settings, __doc__=Settings.__doc__, **fields)  # type: ignore[call-overload]
    return made


def _field(section: str, kinds: Mapping[str, type[Options]]) -> tuple[object, object]:
    kind = Annotated[Options, OneOf(kinds)]
    description = Settings.model_fields[section].description
    return Mapping[Name, kind], Field(default_factory=dict[str, Options], description=description)
