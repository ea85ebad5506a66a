"""The sections about the proxy as a whole: identity, limits, timeouts, ops, logging."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema

from authproxy.options import Duration, Flag, Size, Whole, duration_text, meant, parse_path, size_text
from authproxy.settings.addresses import Bind
from authproxy.settings.peers import ClientCertificates
from authproxy.settings.section import Section, Wait, bounded
from authproxy.settings.words import HeaderName, Name

IdentityValue: TypeAlias = Literal["id", "name", "groups", "method", "zone", "version", "certificate"]
_MOST: Final = 1_000_000
_SOONEST: Final = timedelta(seconds=1)
_LATEST: Final = timedelta(days=1)
_STREAMS: Final = ("stdout", "stderr", "off")


class Identity(Section):
    """What an upstream is told about the caller."""

    LATER = frozenset({"assertion"})

    headers: Mapping[HeaderName, IdentityValue] = {"X-Authproxy-User": "id"}
    """Header names and what each carries: id, name, groups, method, zone, version or certificate (as Envoy's XFCC)."""


def _parse_count(value: object) -> str | int:
    if value == "auto":
        return "auto"
    value = meant(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
        raise ValueError(f"must be auto, or a whole number between 1 and {_MOST}")
    return value


def _parse_cap(value: object) -> str | int:
    if value == "off":
        return "off"
    value = meant(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
        raise ValueError(f"must be off, or a whole number between 1 and {_MOST}")
    return value


Count = Annotated[
    str | int,
    PlainValidator(_parse_count),
    WithJsonSchema({"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": _MOST}]}),
]
Cap = Annotated[
    str | int,
    PlainValidator(_parse_cap),
    WithJsonSchema({"anyOf": [{"const": "off"}, {"type": "integer", "minimum": 1, "maximum": _MOST}]}),
]


class Limits(Section):
    """How large a request's head may be, how many connections there may be, and how much of something one client may have."""

    head: Annotated[Size, bounded(1024, 1024 * 1024, size_text)] = 32 * 1024
    """The whole head of a request."""
    line: Annotated[Whole, bounded(256, 65536)] = 8190
    """One line of it, in bytes; by default at most `head`."""
    fields: Annotated[Whole, bounded(8, 1000)] = 100
    """How many header fields."""
    connections: Count = "auto"
    """Client connections in all; auto: 80 % of the file descriptors, halved, since each may need one to an upstream."""
    connections_per_source: Count = "auto"
    """Connections from one address (IPv6: one /64), but for `trusted_proxies`; auto: half of `connections`."""
    handshakes: Annotated[Whole, bounded(1, 100_000)] = 200
    """TLS handshakes at the same time; one more ends the one that has been at it the longest."""
    requests_per_connection: Cap = 1000
    """Requests that one connection may carry before it is closed, in good order; or `off`."""
    body_rate: Cap = 500
    """Bytes a second at which a request's body must come on the whole, once it has taken 20 s; or `off`."""
    failures_per_minute: Cap = 20
    """Bad credentials of one source (an address, a /64 of IPv6); further ones get 429, good ones never do; or `off`."""
    websockets_per_user: Cap = 64
    """Upgraded connections that a user of a zone may have open; further ones get 503; or `off`."""


class Timeouts(Section):
    """How long a client may take."""

    handshake: Wait = timedelta(seconds=10)
    """For the TLS handshake."""
    head: Wait = timedelta(seconds=10)
    """From the first byte of a request until the end of its head."""
    body_idle: Wait = timedelta(seconds=30)
    """Between two pieces of a request's body."""
    keep_alive: Wait = timedelta(seconds=75)
    """How long a connection without a request is kept."""
    client_write: Wait = timedelta(seconds=60)
    """How long a client may take no byte of its answer."""
    connection_life: Wait = timedelta(hours=1)
    """How old a connection may get, and up to a tenth more; it is closed with the next answer. Upgraded ones and those of mode tcp go on."""
    tunnel_idle: Wait = timedelta(minutes=10)
    """How long an upgraded connection (a WebSocket), or one of mode tcp, may be silent."""
    drain: Duration = timedelta(seconds=30)
    """How long requests in progress may go on after the signal to end."""
    pre_stop: Duration = timedelta(0)
    """How long to go on accepting after that signal, not ready any more, so that balancers notice."""


class Ops(Section):
    """Where operators and monitoring ask."""

    bind: Bind
    """The address of `/livez`, `/readyz`, `/metrics` and `/status`."""
    keystore: Name | None = None
    """The keystore shown there; needed where the address is not of this machine."""
    client_certificates: ClientCertificates = ClientCertificates()
    """Whether askers show certificates; `required` where the address is not of this machine."""
    unsafe_open_ops: Flag = False
    """Answer anybody on an address that others can reach: metrics tell of zones, routes and traffic."""


def _parse_access(value: object, info: ValidationInfo[Mapping[str, Path] | None]) -> str | Path:
    if value in _STREAMS:
        return str(value)
    if isinstance(value, str) and "/" not in value and "." not in value:
        raise ValueError(f"must be {', '.join(_STREAMS)} or a file, such as ./access.log")
    return parse_path(value, info)


class Logging(Section):
    """What is written down."""

    LATER = frozenset({"audit", "audit_on_failure"})

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important events that are logged, on standard error."""
    access: Annotated[
        str | Path,
        PlainValidator(_parse_access),
        PlainSerializer(str),
        WithJsonSchema({"type": "string", "examples": ["stdout", "off", "/var/log/authproxy/access.log"]}),
    ] = "stdout"
    """Where the line of each request goes: stdout, stderr, off, or a file."""


def _watch(every: timedelta) -> timedelta:
    if every and not _SOONEST <= every <= _LATEST:
        raise ValueError(
            f"must be 0s (never), or between {duration_text(_SOONEST)} and {duration_text(_LATEST)}, "
            f"is {duration_text(every)}"
        )
    return every


class Reload(Section):
    """What is read again without a signal."""

    watch: Annotated[Duration, AfterValidator(_watch)] = timedelta(seconds=30)
    """How often to look whether files of keys, certificates, trust or secrets have changed; 0s: only when told."""
