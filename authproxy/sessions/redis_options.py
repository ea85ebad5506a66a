"""The keys of kind `redis`, and its URL."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, PlainSerializer, PlainValidator, WithJsonSchema, model_validator
from typing_extensions import override

from authproxy.core.place import Place, is_loopback
from authproxy.options import Duration, Flag, KeystoreName, Options, SecretRef, TruststoreName, Whole, duration_text

_PORT: Final = 6379
_MOST_CONNECTIONS: Final = 256
_MOST_DATABASES: Final = 99_999
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_.])?|[0-9a-f:.]*:[0-9a-f:.]*")
_DATABASE: Final = re.compile(r"/?|/(?P<number>[0-9]{1,5})")
_PREFIX: Final = re.compile(r"[A-Za-z0-9_.:{}/-]{1,64}")
_SHORTEST: Final = timedelta(milliseconds=10)
_LONGEST: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisUrl:
    """Where a Redis is."""

    tls: bool
    place: Place
    username: str | None
    database: int

    @override
    def __str__(self) -> str:
        if self.place.unix:
            return str(self.place)
        user = "" if self.username is None else f"{self.username}@"
        database = f"/{self.database}" if self.database else ""
        return f"{'rediss' if self.tls else 'redis'}://{user}{self.place}{database}"


def parse_redis_url(value: object) -> RedisUrl:
    """Return where `rediss://[user@]host[:port][/database]`, `redis://...` or `unix:/path` leads.

    Messages never repeat what stands there: it may hold a password, which is refused.
    """
    if isinstance(value, RedisUrl):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a URL such as rediss://redis.internal:6379")  # noqa: TRY004  pydantic collects these
    if value.startswith("unix:"):
        path = value.removeprefix("unix:")
        if path.startswith("//") or not path.startswith("/") or "\0" in path:
            raise ValueError("the path of a unix socket is absolute: unix:/run/redis/redis.sock")
        return RedisUrl(tls=False, place=Place(unix=path), username=None, database=0)
    if not value.startswith(("redis://", "rediss://")):
        raise ValueError("must begin with rediss:// (or redis:// on this machine, or unix:/path)")
    return _over_tcp(value)


def _over_tcp(value: str) -> RedisUrl:
    wanted = "must be rediss://host:port, such as rediss://redis.internal:6379"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(wanted) from None
    if parts.password is not None:
        raise ValueError("a URL carries no password: add `password: {file: PATH}`")
    database = _DATABASE.fullmatch(parts.path)
    if database is None or "?" in value or "#" in value:
        raise ValueError("ends after the number of the database, such as rediss://redis.internal:6379/0")
    if not _HOST.fullmatch(parts.hostname or "") or port == 0:
        raise ValueError(wanted)
    return RedisUrl(
        tls=parts.scheme == "rediss",
        place=Place(host=str(parts.hostname), port=port or _PORT),
        username=None if parts.username is None else unquote(parts.username),
        database=int(database["number"] or "0"),
    )


def _some_time(value: timedelta) -> timedelta:
    if not _SHORTEST <= value <= _LONGEST:
        raise ValueError(f"must be between {duration_text(_SHORTEST)} and {duration_text(_LONGEST)}")
    return value


def _some(value: int) -> int:
    if not 1 <= value <= _MOST_CONNECTIONS:
        raise ValueError(f"must be between 1 and {_MOST_CONNECTIONS}")
    return value


def _number(value: int) -> int:
    if not 0 <= value <= _MOST_DATABASES:
        raise ValueError(f"must be between 0 and {_MOST_DATABASES}")
    return value


def _prefix(value: str) -> str:
    if not _PREFIX.fullmatch(value):
        raise ValueError("is made of letters, digits and _ . : { } / -, at most 64, such as authproxy:")
    return value


def _server_name(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError("must be one host, in lower case, such as redis.internal")
    return value


def _user(value: str) -> str:
    if not value or not value.isprintable():
        raise ValueError("must be the name of an ACL user")
    return value


class RedisOptions(Options):
    """Sessions in a Redis, or what speaks like one, which proxies on several machines may share."""

    kind: Literal["redis"]
    """Where the sessions are."""
    url: Annotated[
        RedisUrl,
        PlainValidator(parse_redis_url),
        PlainSerializer(str),
        WithJsonSchema({"type": "string", "examples": ["rediss://redis.internal:6379", "unix:/run/redis/redis.sock"]}),
    ]
    """Where it is: `rediss://host:port/database` (TLS), `unix:/path`, or `redis://` on this machine."""
    username: Annotated[str, AfterValidator(_user)] | None = None
    """Who signs in there, if not the user `default`; may stand in the URL instead."""
    password: SecretRef | None = None
    """The password of that user."""
    database: Annotated[Whole, AfterValidator(_number)] | None = None
    """The number of the database; may stand in the URL instead; by default 0."""
    trust: TruststoreName = None
    """The truststore that its certificate must lead to; `system`, the default, for the system's own authorities."""
    server_name: Annotated[str, AfterValidator(_server_name)] | None = None
    """The name that its certificate must hold; by default the host of the URL."""
    keystore: KeystoreName = None
    """The keystore shown to it, where it wants a client certificate."""
    prefix: Annotated[str, AfterValidator(_prefix)] = "authproxy:"
    """What the names of all keys begin with: another one for each installation that shares the database."""
    timeout: Annotated[Duration, AfterValidator(_some_time)] = timedelta(milliseconds=250)
    """For one answer, a connection that must be opened included; then whoever waits gets 503."""
    connections: Annotated[Whole, AfterValidator(_some)] = 16
    """How many connections a worker opens at most."""
    unsafe_remote_plaintext: Flag = False
    """Allow `redis://` to another machine: the password and who is signed in cross the network readable and forgeable."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        url = self.url
        if not (url.tls or url.place.unix or is_loopback(url.place.host) or self.unsafe_remote_plaintext):
            raise ValueError(
                "redis:// to another machine is readable and forgeable on the way: use rediss://, "
                "or add `unsafe_remote_plaintext: true`"
            )
        for key in ("trust", "server_name", "keystore"):
            if getattr(self, key) is not None and not url.tls:
                raise ValueError(f"{key} has no effect without TLS: begin the URL with rediss://, or take it away")
        if self.username is not None and url.username is not None:
            raise ValueError("the user stands in the URL too: keep one")
        if self.database is not None and url.database:
            raise ValueError("the database stands in the URL too: keep one")
        return self

    @property
    def user(self) -> str | None:
        """Who signs in, wherever that was said; None: the user `default`."""
        return self.username if self.username is not None else self.url.username

    @property
    def number(self) -> int:
        """The database, wherever that was said."""
        return self.database if self.database is not None else self.url.database
