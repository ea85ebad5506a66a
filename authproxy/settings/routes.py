"""Section `routes`: which request goes where, and who may make it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, Discriminator, Field, Tag

from authproxy.options import Duration, Flag, SecretRef, Size
from authproxy.settings.addresses import Cidr
from authproxy.settings.section import Section
from authproxy.settings.words import (
    Group,
    HeaderName,
    HeaderText,
    Host,
    Method,
    Name,
    Origin,
    Upgrade,
    UrlPath,
    at_least_one,
)


def _header_value_kind(value: object) -> str:
    # Tags in angle brackets are no keys: `settings.problems` leaves them out of what it prints.
    if value is None:
        return "<remove>"
    return "<reference>" if isinstance(value, Mapping | SecretRef) else "<text>"


def _at_most_a_day(value: timedelta) -> timedelta:
    # As Firefox, which remembers longest of all browsers.
    if value > timedelta(days=1):
        raise ValueError("must be at most 1d: no browser remembers longer")
    return value


HeaderValue: TypeAlias = Annotated[
    Annotated[HeaderText, Tag("<text>")] | Annotated[SecretRef, Tag("<reference>")] | Annotated[None, Tag("<remove>")],
    Discriminator(_header_value_kind),
]
UnusualPath: TypeAlias = Literal["semicolon", "double_slash", "encoded_slash"]


class Allow(Section):
    """Who of a zone may pass: any user or group listed, from any network listed."""

    users: Annotated[tuple[UUID, ...], at_least_one("user")] = ()
    """User ids."""
    groups: Annotated[tuple[Group, ...], at_least_one("group")] = ()
    """Groups, as the catalog names them."""
    networks: Annotated[tuple[Cidr, ...], at_least_one("network")] = ()
    """Networks that the client's address must be in."""


class Headers(Section):
    """Headers that are set, or with null removed."""

    request: Mapping[HeaderName, HeaderValue] = Field(default={}, repr=False)
    """On the way to the upstream: text, a secret's reference, or null."""
    response: Mapping[HeaderName, HeaderValue] = Field(default={}, repr=False)
    """On the way to the client: text, a secret's reference, or null."""


class Preflight(Section):
    """Browsers' question whether a page of another origin may call (CORS), answered here and never forwarded."""

    origins: Annotated[tuple[Origin, ...], at_least_one("origin")]
    """The origins whose pages may call, `https://host` or with a port; or `*` alone for every one."""
    methods: Annotated[tuple[Method, ...], at_least_one("method")]
    """The methods that they may use."""
    headers: tuple[HeaderName, ...] = ("Authorization", "Content-Type")
    """The request headers that they may set beside those that every page may set."""
    max_age: Annotated[Duration, AfterValidator(_at_most_a_day)] = timedelta(minutes=10)
    """How long a browser may remember the answer; 0 for not at all."""
    credentials: Flag = False
    """Whether browsers may add cookies of their own accord; a token that the page sets itself needs no such leave."""


class Route(Section):
    """Where requests of one host and path go. The exact host wins over a wildcard over none, then the longest path."""

    FILLED = frozenset({"listeners"})

    name: Name | None = None
    """The name in logs and metrics; by default host and path."""
    listeners: Annotated[tuple[Name, ...], at_least_one("listener")]
    """The listeners it is served on; by default all of mode http."""
    host: Host | None = None
    """The host it is for: exact, or `*.suffix`; by default any."""
    path: UrlPath
    """The path it is for, and everything under it by whole segments: `/a` is `/a` and `/a/b`, not `/ab`."""
    exact: Flag = False
    """Match the path alone, nothing under it."""
    methods: Annotated[tuple[Method, ...], at_least_one("method")] | None = None
    """The methods that are let through; by default any but CONNECT and TRACE."""
    zone: Name | None = None
    """The zone whose credentials are asked for; by default the only one."""
    public: Flag = False
    """Ask for no credential at all."""
    allow: Allow | None = None
    """Who of the zone may pass; by default everybody in it."""
    upstream: Name
    """The upstream that requests go to."""
    cross_origin: Literal["refuse", "allow"] = "refuse"
    """Whether pages of another origin may use somebody's session here for what changes something: unsafe methods, upgrades."""
    headers: Headers = Headers()
    """Headers that are set or removed on the way."""
    strip_prefix: UrlPath | None = None
    """Take this prefix off the path before forwarding; a path that does not begin with it goes on as it is."""
    rewrite: UrlPath | None = None
    """Put this in the place of the route's `path` before forwarding."""
    unusual_path: tuple[UnusualPath, ...] = ()
    """Let `;`, `//` or `%2F` pass in paths, which servers read in different ways."""
    unsafe_forward_credentials: Flag = False
    """Leave the Authorization header in place although this proxy's token is in it: the upstream can then use it."""
    upgrades: tuple[Upgrade, ...] = ("websocket",)
    """The protocols that a connection may be upgraded to, with a version if it has one; `[]` for none."""
    body_methods: tuple[Method, ...] = ("POST", "PUT", "PATCH")
    """The methods that may carry a body; others with a body are refused."""
    max_body: Size | None = None
    """The largest request body; by default any."""
    preflight: Preflight | None = None
    """Answer CORS preflights here, without a credential; Access-Control-Allow-Origin of other answers is the upstream's."""
