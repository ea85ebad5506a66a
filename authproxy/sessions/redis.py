"""Kind `redis`: sessions in a Redis, which proxies on several machines may share, and which outlives them."""

from typing import TYPE_CHECKING, Final, final

from typing_extensions import override

from authproxy.core.record import UserId
from authproxy.core.session import Session, session_of
from authproxy.errors import ConfigError, SessionStoreUnavailable
from authproxy.kinds import Supplies
from authproxy.sessions import redis_scripts as scripts
from authproxy.sessions.interface import UNREAD, SessionKind, SessionStore, Unread
from authproxy.sessions.redis_options import RedisOptions

if TYPE_CHECKING:
    from authproxy.sessions.redis_client import RedisClient

# Keys of another layout get another name: an older program beside a newer one goes on with its own.
_LAYOUT: Final = "1:"


@final
class RedisSessions(SessionStore):
    """Sessions under keys of one prefix, each question one script."""

    def __init__(self, client: "RedisClient", prefix: str) -> None:
        self._client: Final = client
        self._base: Final = prefix + _LAYOUT

    @override
    def peek(self, key: bytes) -> Unread:
        """Return `UNREAD`: it must be asked."""
        return UNREAD

    @override
    async def get(self, key: bytes) -> Session | None:
        """Return the session; what no session can be is none."""
        return _session(key, await self._run(scripts.GET, key.hex()))

    @override
    async def put(self, session: Session, per_user: int) -> int:
        """Remove what has ended, write, and count, all in one step."""
        ends = min(session.idle_ends, session.ends)
        return _count(await self._run(scripts.PUT, session.key.hex(), per_user, *_fields(session), ends))

    @override
    async def touch(self, key: bytes, idle_ends: int) -> Session | None:
        """Change the one field, unless the session is gone."""
        return _session(key, await self._run(scripts.TOUCH, key.hex(), idle_ends))

    @override
    async def delete(self, key: bytes) -> bool:
        """Remove it."""
        return _count(await self._run(scripts.DELETE, key.hex())) > 0

    @override
    async def delete_user(self, zone: str, user_id: UserId) -> int:
        """Remove them, all in one step."""
        return _count(await self._run(scripts.DELETE_USER, zone, user_id.hex()))

    @override
    async def sessions_of(self, zone: str, user_id: UserId | None) -> tuple[Session, ...]:
        """Return them, the oldest first; those of a zone are asked for in pages."""
        if user_id is not None:
            found = _sessions(await self._run(scripts.LIST_USER, zone, user_id.hex()))
        else:
            found, cursor = {}, "0"
            while True:
                match await self._run(scripts.LIST, cursor):
                    case [bytes(following), page]:
                        found |= _sessions(page)
                        cursor = following.decode()
                    case _:
                        raise SessionStoreUnavailable(_ODD)
                if cursor == "0":
                    break
        mine = (one for one in found.values() if one.zone == zone)
        return tuple(sorted(mine, key=lambda one: (one.created, one.key)))

    @override
    async def prune(self, now: int) -> int:
        """Remove what has ended, a few at a time, so that nobody waits for it."""
        gone, left = 0, 1
        while left:
            match await self._run(scripts.PRUNE, now):
                case [int(some), int(left)]:
                    gone += some
                case _:
                    raise SessionStoreUnavailable(_ODD)
        return gone

    @override
    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _run(self, script: scripts.Script, *arguments: str | int) -> object:
        return await self._client.run(script, self._base, *arguments)


_ODD: Final = "redis: gave an answer that its script cannot give"


def _fields(session: Session) -> tuple[str | int, ...]:
    return (
        session.zone, session.user_id.hex(), session.version, session.current, session.created, session.ends,
        session.idle_ends, session.mac.hex(),
    )  # fmt: skip


def _session(key: bytes, fields: object) -> Session | None:
    """Return what the fields of a hash say, or None when no session can have them: somebody else wrote them."""
    if not isinstance(fields, list) or len(fields) != len(scripts.FIELDS):
        return None
    try:
        zone, user, *numbers, mac = (bytes(field).decode("ascii") for field in fields)
        return session_of([key, zone, bytes.fromhex(user), *map(int, numbers), bytes.fromhex(mac)])
    except (TypeError, ValueError):
        return None


def _sessions(listed: object) -> dict[bytes, Session]:
    found: dict[bytes, Session] = {}
    for one in listed if isinstance(listed, list) else ():
        match one:
            case [bytes(name), fields]:
                try:
                    key = bytes.fromhex(name.decode())
                except ValueError:
                    continue
                session = _session(key, fields)
                if session is not None:
                    found[key] = session
            case _:
                continue
    return found


def _count(answer: object) -> int:
    if not isinstance(answer, int):
        raise SessionStoreUnavailable(_ODD)
    return answer


def _open(options: RedisOptions, supplies: Supplies) -> SessionStore:
    try:
        from authproxy.sessions.redis_client import RedisClient, Target  # noqa: PLC0415  an extra, and slow to import
    except ImportError as error:
        text = "kind redis needs a package that is not installed: pip install 'tls-authproxy[redis]'"
        raise ConfigError(text) from error
    url = options.url
    target = Target(
        place=url.place,
        database=options.number,
        username=options.user,
        password=None if options.password is None else supplies.secret(options.password, "password"),
        tls=supplies.tls(trust=options.trust, keystore=options.keystore) if url.tls else None,
        server_name=options.server_name or url.place.host,
        seconds=options.timeout.total_seconds(),
        connections=options.connections,
    )
    return RedisSessions(RedisClient(target), options.prefix)


kind = SessionKind(options=RedisOptions, open=_open, deadline=lambda options: options.timeout * 1.2)
