"""What tunnels need of the process."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from authproxy.door.kept import Kept
from authproxy.keystore import Refused
from authproxy.runtime import Current
from authproxy.tunnel.ended import Ended
from authproxy.upstream.means import Spawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Made once by `daemon`."""

    current: Current
    connections: set[Kept]
    """Every open client connection."""
    spawn: Spawn
    monotonic: Callable[[], float]
    now: Callable[[], datetime]
    report: Callable[[Ended], None]
    """Writes a tunnel's line."""
    on_revoked: Callable[[str, str, Refused], None]
    """Told a listener, a client's address, and why a reload shuts it out."""
    on_crash: Callable[[BaseException], None]
