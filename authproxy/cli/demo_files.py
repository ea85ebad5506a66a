"""What the demo lays out on the disk: all that a small installation has, so that it can be read and copied."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from authproxy.catalogs.append import append
from authproxy.core.pepper import Pepper
from authproxy.core.record import TokenRecord, UserId, user_id_text
from authproxy.core.secret import Secret
from authproxy.core.token import SECRET_BYTES, generate
from authproxy.keystore.generate import (
    Algorithm,
    Validity,
    alternative_name,
    combined_file,
    new_authority,
    new_server,
)
from authproxy.keystore.writing import PUBLIC_MODE, NewFile, write_all

USER_NAME: Final = "alice"
_PREFIX: Final = "svc"
_WEB_PREFIX: Final = "web"
_SECRET_MODE: Final = 0o600
_PEPPER_BYTES: Final = 32
_FIRST_VERSION: Final = 1
_DAYS: Final = 90
_NAMES: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the demo keeps what, and where it listens."""

    root: Path
    """The directory, absolute."""
    port: int
    ops_port: int
    legacy_port: int

    @property
    def url(self) -> str:
        """Return what the demo asks for."""
        return f"https://localhost:{self.port}/hello"

    @property
    def page(self) -> str:
        """Return where people sign in."""
        return f"https://localhost:{self.port}/admin"

    @property
    def config(self) -> Path:
        """Return the configuration."""
        return self.root / "authproxy.yaml"

    @property
    def authority(self) -> Path:
        """Return the root certificate: whom curl believes, and whom the proxy believes about the service."""
        return self.root / "ca.pem"

    @property
    def legacy_keys(self) -> Path:
        """Return certificate and key of the service."""
        return self.root / "legacy.pem"

    @property
    def users(self) -> Path:
        """Return the token file."""
        return self.root / "tokens.yaml"

    @property
    def people(self) -> Path:
        """Return the token file of those who sign in."""
        return self.root / "people.yaml"

    @property
    def bearer(self) -> Path:
        """Return the header line with the token, for `curl -H @FILE`: what is an argument, every user can read."""
        return self.root / "bearer"

    @property
    def token(self) -> Path:
        """Return the token alone."""
        return self.root / "token"

    @property
    def access_log(self) -> Path:
        """Return where the line of each request goes."""
        return self.root / "access.log"

    @property
    def events_log(self) -> Path:
        """Return where everything else goes that the proxy has to say."""
        return self.root / "events.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """The user, as somebody who is told all of it once."""

    user_id: str
    token: Secret[str]
    """The one to sign in with."""


def furnish(place: Place, now: datetime) -> Guest:
    """Write keys, peppers, one user with a token of each zone, and the configuration; return the user.

    Raises:
        MaterialError: a file cannot be written.
    """
    validity = Validity.of_days(now, _DAYS)
    authority = new_authority("authproxy demo CA", validity, Algorithm.EC_P256)
    names = [alternative_name(name) for name in _NAMES]
    user_id = UserId(uuid4().bytes)
    api, web = _Credential(user_id, _PREFIX), _Credential(user_id, _WEB_PREFIX)
    write_all([
        NewFile(path=place.authority, data=authority.certificate_pem(), mode=PUBLIC_MODE),
        *(
            NewFile(path=path, data=combined_file(new_server(authority, names, validity, Algorithm.EC_P256)))
            for path in (place.root / "server.pem", place.legacy_keys)
        ),
        NewFile(path=place.root / "pepper", data=api.pepper_file, mode=_SECRET_MODE),
        NewFile(path=place.root / "web.pepper", data=web.pepper_file, mode=_SECRET_MODE),
        NewFile(path=place.token, data=f"{api.token}\n".encode(), mode=_SECRET_MODE),
        NewFile(path=place.bearer, data=f"Authorization: Bearer {api.token}\n".encode(), mode=_SECRET_MODE),
        NewFile(path=place.config, data=config_text(place).encode(), mode=PUBLIC_MODE),
    ])  # fmt: skip
    append(place.users, api.record)
    append(place.people, web.record)
    return Guest(user_id=user_id_text(user_id), token=Secret(web.token))


class _Credential:
    """A new pepper, and a new token under it."""

    def __init__(self, user_id: UserId, prefix: str) -> None:
        pepper, secret = secrets.token_bytes(_PEPPER_BYTES), secrets.token_bytes(SECRET_BYTES)
        self.pepper_file: Final = b"hex:%b\n" % pepper.hex().encode()
        self.token: Final = generate(prefix, _FIRST_VERSION, user_id, secret)
        self.record: Final = TokenRecord(
            user_id=user_id,
            name=USER_NAME,
            groups=("staff",),
            rotation_version=_FIRST_VERSION,
            hash=Pepper(Secret(pepper)).digest(user_id, _FIRST_VERSION, secret),
        )


def config_text(place: Place) -> str:
    """Return the configuration: what a newcomer should copy, with a word about each line."""
    return f"""\
# The whole configuration of the demo. To make it yours, change what says localhost or 127.0.0.1.
#
#   authproxy check -c authproxy.yaml         is it right, and is everything it names usable?
#   authproxy config show -c authproxy.yaml   the same with every default filled in
#
# Relative paths start at this file's directory. A secret never stands here, only where it is.

version: 1

keystores:     # private keys with their certificates
  main: {{file: server.pem}}

truststores:   # who is believed
  internal: {{file: ca.pem}}

listeners:     # where clients knock; 0.0.0.0:8443 would let other machines in
  public: {{bind: 127.0.0.1:{place.port}, keystore: main}}

catalogs:      # where users stand; looked at every 5 seconds, and at SIGHUP
  users:  {{kind: file, file: tokens.yaml, poll: 5s}}
  people: {{kind: file, file: people.yaml, poll: 5s}}

sessions:      # where it is kept who has signed in
  browser: {{kind: sqlite, file: sessions.db}}

zones:         # who may come in: these users, with tokens {_PREFIX}_... hashed with this pepper
  api: {{prefix: {_PREFIX}, peppers: [{{file: pepper}}], catalog: users}}
  web:         # people sign in with a token {_WEB_PREFIX}_... on a page of the proxy, then have a cookie
    accepts: [session]
    prefix: {_WEB_PREFIX}
    peppers: [{{file: web.pepper}}]
    catalog: people
    session: {{idle: 4h, absolute: 12h}}
    login: {{path: /auth/login, after: /admin, logout_path: /auth/logout, title: Sign in to the demo}}

upstreams:     # the service behind; its certificate must hold the name in the URL
  legacy: {{urls: [https://localhost:{place.legacy_port}], trust: internal}}

routes:        # what goes where; a path without a route is a 404
  - {{path: /admin, zone: web, upstream: legacy}}
  - {{path: /, zone: api, upstream: legacy}}

identity:      # what the service is told; every copy that a client sends is removed
  headers: {{X-Authproxy-User: id, Remote-User: name, X-Authproxy-Method: method}}

ops:           # what monitoring asks: /livez /readyz /metrics /status
  bind: 127.0.0.1:{place.ops_port}

logging:       # a line of JSON for each request; everything else goes to standard error
  access: access.log
"""
