"""Which TLS context a connection gets: one of this moment, by the name the client asks for."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from authproxy.core.server_names import ServerNames
from authproxy.keystore import Demand


@dataclass(frozen=True, slots=True, kw_only=True)
class Contexts:
    """The contexts of one listener, built together and swapped together."""

    default: ssl.SSLContext
    names: Mapping[str, ssl.SSLContext] = field(default_factory=dict)
    """Exact lower-case names and `*.suffix` patterns (one label). Separate contexts share no session tickets."""

    demand: Demand | None = None
    """What whoever has shaken hands must meet besides; None: nobody is asked for a certificate."""

    def choose(self, name: str | None) -> ssl.SSLContext:
        """Return the context for a server name; the default for none or an unknown one."""
        if name is None:
            return self.default
        return ServerNames(default=self.default, names=self.names).of(name)
