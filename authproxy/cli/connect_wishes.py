"""What `authproxy connect` is asked for."""

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from authproxy.settings.addresses import Address


class Wishes(TypedDict):
    """Its options."""

    keys: Path | None
    keys_env: str | None
    password_file: Path | None
    trust: Path | None
    remote: "Address"
    listen: "Address"
    allow_remote: bool
    port_file: Path | None
    verify: str
    pin: tuple[str, ...]
    server_name: str | None
    timeout: float
    probe: bool
    as_json: bool
