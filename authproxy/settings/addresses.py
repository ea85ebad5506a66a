"""Addresses as an operator writes them: where to listen, where to forward, which networks."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Final, TypeAlias

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from typing_extensions import override

from authproxy.core.place import is_loopback

# unix(7): sun_path has 108, of which the last is a zero.
_LONGEST_PATH: Final = 107
_PORT_MAX: Final = 65535
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_HOST_PORT: Final = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:\[\]]*))(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Tcp:
    """A host (name or address, IPv6 without brackets) and a port; port 0 lets the system choose."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can be at the other end."""
        return is_loopback(self.host)

    @override
    def __str__(self) -> str:
        return f"{_bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """The absolute path of a Unix socket."""

    path: str

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can be at the other end: it always is."""
        return True

    @override
    def __str__(self) -> str:
        return f"unix:{self.path}"


Address: TypeAlias = Tcp | UnixSocket
Network: TypeAlias = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Url:
    """Where an upstream is: over TLS, or in plaintext on this machine or by an explicit wish."""

    tls: bool
    address: Address

    @override
    def __str__(self) -> str:
        if isinstance(self.address, UnixSocket):
            return str(self.address)
        return f"{'https' if self.tls else 'http'}://{self.address}"


def parse_bind(value: object) -> Address:
    """Return the address that `host:port`, `[v6]:port` or `unix:/path` names."""
    if isinstance(value, Tcp | UnixSocket):
        return value
    if isinstance(value, str) and value.startswith("systemd:"):
        raise ValueError("systemd: is not available in this version: bind to host:port or unix:/path")
    if isinstance(value, str) and value.startswith("unix:"):
        return _unix(value)
    port = str(value).removeprefix("*").removeprefix(":") if isinstance(value, int | str) else ""
    if port.isascii() and port.isdigit() and not isinstance(value, bool):
        raise ValueError(f"needs an address: 0.0.0.0:{port[:5]} for everybody, 127.0.0.1:{port[:5]} for this machine")
    found = _HOST_PORT.fullmatch(value) if isinstance(value, str) else None
    if found is None or found["port"] is None:
        raise ValueError("must be host:port, [v6]:port or unix:/path, such as 0.0.0.0:8443")
    return Tcp(_host(found), _port(found["port"]))


def parse_control(value: object) -> UnixSocket:
    """Return the Unix socket that `unix:/path` names."""
    if isinstance(value, UnixSocket):
        return value
    if not isinstance(value, str) or not value.startswith("unix:"):
        raise ValueError("must be a unix socket, such as unix:/run/authproxy/control.sock: nobody else is to reach it")
    return _unix(value)


def parse_target(value: object) -> Address:
    """Return where `host:port`, `[v6]:port` or `unix:/path` leads."""
    if isinstance(value, Tcp | UnixSocket):
        return value
    if isinstance(value, str) and value.startswith("unix:"):
        return _unix(value)
    found = _HOST_PORT.fullmatch(value) if isinstance(value, str) else None
    if found is None or found["port"] is None:
        raise ValueError("must be host:port or unix:/path, such as 127.0.0.1:7888")
    return Tcp(_host(found), _port_there(found["port"], "127.0.0.1:7888"))


def parse_url(value: object) -> Url:
    """Return where `https://host:port`, `http://host:port` or `unix:/path` leads; user, path and query are refused."""
    if isinstance(value, Url):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a URL such as https://legacy.internal:9443")  # noqa: TRY004  pydantic collects these
    if value.startswith("unix:"):
        return Url(tls=False, address=_unix(value))
    scheme, separator, rest = value.partition("://")
    if not separator or scheme.lower() not in {"https", "http"}:
        raise ValueError("must begin with https:// (or http:// on this machine, or unix:/path)")
    if "@" in rest:
        raise ValueError("a URL carries no user or password: set the route's headers.request instead")
    if any(sign in rest for sign in "/?#"):
        raise ValueError("a URL ends after the port: paths are the route's business (path, strip_prefix, rewrite)")
    found = _HOST_PORT.fullmatch(rest)
    if found is None:
        raise ValueError("must be scheme://host:port, such as https://legacy.internal:9443")
    tls = scheme.lower() == "https"
    port = _port_there(found["port"] or ("443" if tls else "80"), "https://legacy.internal:9443")
    return Url(tls=tls, address=Tcp(_host(found), port))


def parse_network(value: object) -> Network:
    """Return the network that `10.0.0.0/8`, `fd00::/8` or a single address names."""
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a network such as 10.0.0.0/8")  # noqa: TRY004  pydantic collects these
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        raise ValueError("must be a network such as 10.0.0.0/8, or an address") from None
    if "/" in value and ip_address(value.partition("/")[0]) != network.network_address:
        raise ValueError(f"has bits set behind its prefix: write {network}")
    return network


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _host(found: re.Match[str]) -> str:
    if found["v6"] is not None:
        if not isinstance(_ip(found["v6"]), IPv6Address):
            raise ValueError("what stands in brackets must be an IPv6 address, such as [::1]:8443")
        return str(found["v6"]).lower()
    host = str(found["host"]).lower()
    if _ip(host) is None and (not _HOST_NAME.fullmatch(host) or host.replace(".", "").isdigit()):
        raise ValueError("the host must be a name in ASCII or an address, such as legacy.internal:9443")
    return host


def _port(text: str) -> int:
    if int(text) > _PORT_MAX:
        raise ValueError(f"a port is at most {_PORT_MAX}")
    return int(text)


def _port_there(text: str, example: str) -> int:
    # To bind to 0 means any port; to connect to it means a slip.
    if not (port := _port(text)):
        raise ValueError(f"needs the port that the service listens on, such as {example}")
    return port


def _unix(value: str) -> UnixSocket:
    path = value.removeprefix("unix:")
    if path.startswith("//") or not path.startswith("/") or "\0" in path:
        raise ValueError("the path of a unix socket is absolute: unix:/run/authproxy/name.sock")
    if len(path.encode(errors="surrogateescape")) > _LONGEST_PATH:
        raise ValueError(f"the path of a unix socket has at most {_LONGEST_PATH} bytes")
    return UnixSocket(path)


def _schema(*examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": list(examples)})


Bind = Annotated[
    Address,
    PlainValidator(parse_bind),
    PlainSerializer(str),
    _schema("0.0.0.0:8443", "[::]:8443", "unix:/run/authproxy/public.sock"),
]
"""Where to listen."""

ControlSocket = Annotated[
    UnixSocket, PlainValidator(parse_control), PlainSerializer(str), _schema("unix:/run/authproxy/control.sock")
]
"""Where to take orders."""

Target = Annotated[
    Address, PlainValidator(parse_target), PlainSerializer(str), _schema("127.0.0.1:7888", "unix:/run/app.sock")
]
"""Where a tcp listener carries its clients' bytes."""

UpstreamUrl = Annotated[
    Url, PlainValidator(parse_url), PlainSerializer(str), _schema("https://legacy.internal:9443", "unix:/run/app.sock")
]
"""Where to forward."""

Cidr = Annotated[Network, PlainValidator(parse_network), PlainSerializer(str), _schema("10.0.0.0/8", "fd00::/8")]
"""A network, or one address."""
