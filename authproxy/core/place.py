"""Where somebody listens or is reached: a host and a port, or a Unix socket."""

from dataclasses import dataclass
from ipaddress import ip_address

from typing_extensions import override


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One such place; as text it is what logs and messages call it."""

    host: str = ""
    """A name or an address; empty for a Unix socket."""
    port: int = 0
    unix: str = ""
    """The path of a Unix socket; empty for TCP."""

    @override
    def __str__(self) -> str:
        if self.unix:
            return f"unix:{self.unix}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Return whether `host` is `localhost` or a loopback address; other names are not looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
