"""Asks one Redis, by scripts: with a deadline, without a second try, and not at all while it is away.

Needs the package `redis`, of which connections are used and no client: that one would try again after failures (a
stopped Redis then takes six seconds to fail), and its pool loses a connection when who waits for it gives up twice.

`_connection_arguments` and `_connect` are the two private names of that package which are used;
tests/sessions/test_redis_tls.py finds out when they change.
"""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final, final

from redis.asyncio.connection import AbstractConnection, Connection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import BusyLoadingError, NoScriptError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from typing_extensions import override

from authproxy.core.place import Place
from authproxy.core.secret import Secret
from authproxy.errors import SessionStoreUnavailable
from authproxy.kinds import ClientTls
from authproxy.sessions.circuit import Circuit
from authproxy.sessions.redis_scripts import Script

_MOST_TEXT: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which Redis to ask, as whom, and how."""

    place: Place
    database: int
    username: str | None
    password: Secret[bytes] | None
    tls: ClientTls | None
    server_name: str
    """What its certificate must hold."""
    seconds: float
    """For one answer."""
    connections: int
    """At most."""


@final
class _Credentials(CredentialProvider):
    """Keeps the password out of every attribute and `repr` of the package."""

    def __init__(self, username: str | None, password: Secret[bytes] | None) -> None:
        self._username: Final = username
        self._password: Final = password

    @override
    def get_credentials(self) -> tuple[str, str] | tuple[str]:
        password = "" if self._password is None else self._password.reveal().decode("utf-8", "surrogateescape")
        return (password,) if self._username is None else (self._username, password)


@final
class _TcpConnection(Connection):
    """A connection over TCP, in TLS with a context of our own."""

    def __init__(self, target: Target, **facts: object) -> None:
        self._target: Final = target
        super().__init__(host=target.place.host, port=target.place.port, **facts)  # type: ignore[arg-type]

    @override
    def _connection_arguments(self) -> Mapping[str, object]:
        plain = {"host": self._target.place.host, "port": self._target.place.port}
        tls = self._target.tls
        if tls is None:
            return plain
        return plain | {
            "ssl": tls.context,
            "server_hostname": self._target.server_name,
            "ssl_handshake_timeout": self._target.seconds,
        }

    @override
    async def _connect(self) -> None:
        await super()._connect()  # type: ignore[no-untyped-call]
        tls, writer = self._target.tls, self._writer
        if tls is None or writer is None:
            return
        refusal = tls.refusal(writer.get_extra_info("ssl_object"))
        if refusal:
            raise RedisConnectionError(refusal)


def _connection(target: Target) -> AbstractConnection:
    facts = {
        "db": target.database,
        "socket_timeout": target.seconds,
        "socket_connect_timeout": target.seconds,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
        "protocol": 2,
        # It would be told name and version of the package, which needs a right more.
        "driver_info": None,
    }
    if target.username is not None or target.password is not None:
        facts["credential_provider"] = _Credentials(target.username, target.password)
    if target.place.unix:
        return UnixDomainSocketConnection(path=target.place.unix, **facts)
    return _TcpConnection(target, **facts)


@final
class RedisClient:
    """A few connections, opened when needed and kept; a question has one of them for itself."""

    def __init__(self, target: Target) -> None:
        self._target: Final = target
        self._name: Final = f"redis {target.place}"
        self._circuit: Final = Circuit(monotonic)
        self._room: Final = asyncio.Semaphore(target.connections)
        self._idle: Final[list[AbstractConnection]] = []
        self._closed = False

    async def run(self, script: Script, base: str, *arguments: str | int) -> object:
        """Return what a script answers for the keys below `base`.

        Raises:
            SessionStoreUnavailable: It did not, and nobody can say whether it was run.
        """
        if self._closed:
            raise SessionStoreUnavailable(f"{self._name}: is closed")
        if not self._circuit.lets_through():
            raise SessionStoreUnavailable(f"{self._name}: is away; once a second it is tried again")
        try:
            async with asyncio.timeout(self._target.seconds), self._room:
                answer = await self._run(script, (1, base, *arguments))
        except (TimeoutError, RedisTimeoutError) as error:
            self._circuit.failed()
            text = f"{self._name}: did not answer within {self._target.seconds * 1000:.0f}ms"
            raise SessionStoreUnavailable(text) from error
        except ResponseError as error:
            # It is there, and says no: read-only, out of memory, not allowed.
            self._circuit.answered()
            raise self._unavailable(error) from error
        except (RedisError, OSError) as error:
            self._circuit.failed()
            raise self._unavailable(error) from error
        self._circuit.answered()
        return answer

    async def aclose(self) -> None:
        """Close what is idle, and what is in use once it has its answer."""
        self._closed = True
        while self._idle:
            await _end(self._idle.pop())

    async def _run(self, script: Script, arguments: tuple[str | int, ...]) -> object:
        connection = await self._usable() or await self._opened()
        whole = False
        try:
            try:
                answer = await _ask(connection, "EVALSHA", script.sha, *arguments)
            except NoScriptError:
                answer = await _ask(connection, "EVAL", script.text, *arguments)
            whole = True
        except BusyLoadingError:
            raise
        except ResponseError:
            whole = True
            raise
        finally:
            # Whatever else happened, an answer may still be under way: nobody else must get it.
            if whole and not self._closed:
                self._idle.append(connection)
            else:
                await _end(connection)
        return answer

    async def _opened(self) -> AbstractConnection:
        connection = _connection(self._target)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except ResponseError as error:
            # Where nobody may sign in, or not into this database, there is nothing to ask.
            await _end(connection)
            raise RedisConnectionError(str(error)) from error
        except BaseException:
            await _end(connection)
            raise
        return connection

    async def _usable(self) -> AbstractConnection | None:
        """Return a connection that is idle and stands, and end those that do not."""
        while self._idle:
            connection = self._idle.pop()
            with suppress(RedisError, OSError):
                if connection.is_connected and not await connection.can_read():
                    return connection
            await _end(connection)
        return None

    def _unavailable(self, error: Exception) -> SessionStoreUnavailable:
        cause = error.__cause__ or error.__context__
        text = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else str(error)
        line = " ".join(text.split()) or type(error).__name__
        return SessionStoreUnavailable(f"{self._name}: {line[:_MOST_TEXT]}")


async def _ask(connection: AbstractConnection, *command: str | int) -> object:
    await connection.send_command(*command)
    answer: object = await connection.read_response()
    return answer


async def _end(connection: AbstractConnection) -> None:
    with suppress(RedisError, OSError):
        await connection.disconnect(nowait=True)
