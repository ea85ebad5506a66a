"""Who is at the other end of a connection, as the connection itself proves it."""

from typing import NamedTuple


class Peer(NamedTuple):
    """What `door` learned of a client before the first byte of HTTP.

    Why a tuple: one is made for every connection, and a frozen dataclass takes ten times as long.
    """

    address: str
    """The client's IP address as text; empty for a Unix socket."""
    port: int
    """Its port; 0 for a Unix socket."""
    local_port: int
    """The port it came to; 0 for a Unix socket."""
    tls_version: str = ""
    """`TLSv1.3` or `TLSv1.2`."""
    cipher: str = ""
    """The cipher suite's name."""
    certificate: bytes | None = None
    """The client's certificate (DER), only when the handshake verified it."""
    server_name: str | None = None
    """The host that the client asked for in its handshake, where the certificate shown depends on that."""
