"""What the author of a session store writes; checked by mypy, and run by tests/sessions/test_registry.py.

An entry point makes it known:

    [project.entry-points."authproxy.sessions"]
    etcd = "example_etcd:kind"
"""

from datetime import timedelta
from typing import Literal

from typing_extensions import override

from authproxy.core.record import UserId
from authproxy.core.session import Session
from authproxy.errors import SessionStoreUnavailable
from authproxy.kinds import ClientTls, Supplies
from authproxy.options import Duration, KeystoreName, Options, SecretRef, TruststoreName
from authproxy.sessions.interface import UNREAD, SessionKind, SessionStore, Unread


class EtcdOptions(Options):
    """Sessions in an etcd."""

    kind: Literal["etcd"]
    """Where the sessions are."""
    host: str
    """One of its members."""
    password: SecretRef
    """For signing in there."""
    trust: TruststoreName = None
    """The truststore that its certificate must lead to; that there is one of this name is checked with the file."""
    keystore: KeystoreName = None
    """The keystore shown to it; that it may be shown to servers is checked, too."""
    timeout: Duration = timedelta(milliseconds=300)
    """For one answer."""


class EtcdSessions(SessionStore):
    """Connects when it is first asked; the program puts a deadline and a short memory around it."""

    def __init__(self, options: EtcdOptions, password: bytes, tls: ClientTls) -> None:
        self._host = options.host
        self._password = password
        self._tls = tls

    @override
    def peek(self, key: bytes) -> Unread:
        return UNREAD

    @override
    async def get(self, key: bytes) -> Session | None:
        raise SessionStoreUnavailable(f"{self._host}: not connected")

    @override
    async def put(self, session: Session, per_user: int) -> int:
        raise SessionStoreUnavailable(f"{self._host}: not connected")

    @override
    async def touch(self, key: bytes, idle_ends: int) -> Session | None:
        raise SessionStoreUnavailable(f"{self._host}: not connected")

    @override
    async def delete(self, key: bytes) -> bool:
        raise SessionStoreUnavailable(f"{self._host}: not connected")

    @override
    async def delete_user(self, zone: str, user_id: UserId) -> int:
        raise SessionStoreUnavailable(f"{self._host}: not connected")

    @override
    async def sessions_of(self, zone: str, user_id: UserId | None) -> tuple[Session, ...]:
        raise SessionStoreUnavailable(f"{self._host}: not connected")

    @override
    async def prune(self, now: int) -> int:
        raise SessionStoreUnavailable(f"{self._host}: not connected")

    @override
    async def aclose(self) -> None:
        """Nothing is open."""


def open_etcd(options: EtcdOptions, supplies: Supplies) -> EtcdSessions:
    """Return a store; whatever it is given here is compared at a reload, and when it has changed another one is opened."""
    password = supplies.secret(options.password, "password").reveal()
    return EtcdSessions(options, password, supplies.tls(trust=options.trust, keystore=options.keystore))


kind = SessionKind(options=EtcdOptions, open=open_etcd, deadline=lambda options: options.timeout)


class OtherOptions(Options):
    """Options of another kind."""

    kind: Literal["other"]
    """Where the sessions are."""


# An opener for other options is found out by the type checker; strict mypy complains if it were not.
wrong = SessionKind(options=OtherOptions, open=open_etcd)  # type: ignore[arg-type]
