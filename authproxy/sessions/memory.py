"""Kind `memory`: sessions in this process, gone when it ends."""

from typing import Final, Literal, final

from typing_extensions import override

from authproxy.core.record import UserId
from authproxy.core.session import Session
from authproxy.kinds import Supplies
from authproxy.options import Options
from authproxy.sessions.interface import SessionKind, SessionStore

_MINUTE: Final = 60_000


class MemoryOptions(Options):
    """Sessions in this process, gone when it ends."""

    kind: Literal["memory"]
    """Where the sessions are."""


@final
class MemorySessions(SessionStore):
    """Sessions that are always at hand; each call is one step of the event loop."""

    def __init__(self) -> None:
        self._sessions: Final[dict[bytes, Session]] = {}
        self._of_user: Final[dict[tuple[str, UserId], set[bytes]]] = {}
        self._pruned = 0

    @override
    def peek(self, key: bytes) -> Session | None:
        """Return the session; it is always known."""
        return self._sessions.get(key)

    @override
    async def get(self, key: bytes) -> Session | None:
        """Return what `peek` returns."""
        return self._sessions.get(key)

    @override
    async def put(self, session: Session, per_user: int) -> int:
        """Keep it. Every session is looked at once a minute, for those that have ended."""
        if session.created >= self._pruned + _MINUTE:
            self._pruned = session.created
            self._prune(session.created)
        self._sessions[session.key] = session
        self._of_user.setdefault((session.zone, session.user_id), set()).add(session.key)
        others = [known for known in self._sorted(session.zone, session.user_id) if known.key != session.key]
        surplus = others[: max(0, len(others) + 1 - per_user)]
        for known in surplus:
            self._drop(known.key)
        return len(surplus)

    @override
    async def touch(self, key: bytes, idle_ends: int) -> Session | None:
        """Replace it by one that is the same but for its idle end."""
        known = self._sessions.get(key)
        if known is None:
            return None
        self._sessions[key] = touched = known._replace(idle_ends=idle_ends)
        return touched

    @override
    async def delete(self, key: bytes) -> bool:
        """Forget it."""
        return self._drop(key)

    @override
    async def delete_user(self, zone: str, user_id: UserId) -> int:
        """Forget them."""
        return sum(self._drop(session.key) for session in self._sorted(zone, user_id))

    @override
    async def sessions_of(self, zone: str, user_id: UserId | None) -> tuple[Session, ...]:
        """Return them, the oldest first."""
        return tuple(self._sorted(zone, user_id))

    @override
    async def prune(self, now: int) -> int:
        """Look at every session."""
        return self._prune(now)

    @override
    async def aclose(self) -> None:
        """Do nothing: nothing is open."""

    def _sorted(self, zone: str, user_id: UserId | None) -> list[Session]:
        if user_id is None:
            found = [session for session in self._sessions.values() if session.zone == zone]
        else:
            found = [self._sessions[key] for key in self._of_user.get((zone, user_id), ())]
        return sorted(found, key=lambda session: (session.created, session.key))

    def _prune(self, now: int) -> int:
        ended = [key for key, session in self._sessions.items() if min(session.idle_ends, session.ends) <= now]
        return sum(self._drop(key) for key in ended)

    def _drop(self, key: bytes) -> bool:
        session = self._sessions.pop(key, None)
        if session is None:
            return False
        owner = (session.zone, session.user_id)
        self._of_user[owner].discard(key)
        if not self._of_user[owner]:
            del self._of_user[owner]
        return True


def _open(_options: MemoryOptions, _supplies: Supplies) -> SessionStore:
    return MemorySessions()


kind = SessionKind(options=MemoryOptions, open=_open, bounded=True)
