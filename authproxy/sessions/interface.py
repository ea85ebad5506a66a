"""What every session store does, and what a kind of store is.

Stores keep, they never judge: whether a session has ended is for `authproxy.core.session` to say, which also finds out
what somebody else wrote into the store.
"""

from collections.abc import Callable
from datetime import timedelta
from enum import Enum
from typing import Final, Protocol, TypeVar, final

from authproxy.core.record import UserId
from authproxy.core.session import Session
from authproxy.kinds import Supplies
from authproxy.options import Options


@final
class Unread(Enum):
    """The type of `UNREAD`."""

    UNREAD = "unread"


UNREAD: Final = Unread.UNREAD
"""Not known without waiting: ask `get`. Unlike None, which says that there is no such session."""

# Half a second is what anybody may wait in vain, TLS and all. A machine whose processors are all busy gives a thread its
# turn a quarter of a second late: less than this would refuse people though nothing is wrong with the store.
DEADLINE: Final = timedelta(milliseconds=400)
"""For one answer of a store that says nothing else."""


class SessionStore(Protocol):
    """Keeps sessions under their keys, for one process or for many.

    Every change is whole or not at all, and what is deleted stays deleted: nothing but `put` makes a session.
    A failure is `SessionStoreUnavailable`, never None. Cancelling a call must leave the store usable; whether a change
    that was given up has been made is then unknown.
    """

    def peek(self, key: bytes) -> Session | Unread | None:
        """Return what is known without waiting, or `UNREAD`. Runs in the event loop, for every request: no I/O."""
        ...

    async def get(self, key: bytes) -> Session | None:
        """Return the session, ended or not, or None.

        Raises:
            SessionStoreUnavailable: The store cannot tell just now; so do all others here.
        """
        ...

    async def put(self, session: Session, per_user: int) -> int:
        """Keep a session that has just been made; return how many others of its user had to go for it.

        Of a user's sessions in a zone the oldest go until there are no more than `per_user`. Sessions that have ended
        before this one was made go too, whose ever they are, now or a minute later, so that nobody else need see to it.
        """
        ...

    async def touch(self, key: bytes, idle_ends: int) -> Session | None:
        """Give the session a new `idle_ends` and return it; None when it is not there, and then it is not made."""
        ...

    async def delete(self, key: bytes) -> bool:
        """End a session; tell whether it was there."""
        ...

    async def delete_user(self, zone: str, user_id: UserId) -> int:
        """End all sessions of a user in a zone; return how many."""
        ...

    async def sessions_of(self, zone: str, user_id: UserId | None) -> tuple[Session, ...]:
        """Return the sessions of a zone, or of one of its users, in the order in which they were made."""
        ...

    async def prune(self, now: int) -> int:
        """Remove sessions that have ended at `now`, in milliseconds; return how many."""
        ...

    async def aclose(self) -> None:
        """Give back what is held open; nobody asks this store any more. A second call does nothing."""
        ...


T = TypeVar("T", bound=Options)


@final
class SessionKind:
    """One word after `kind:`; what an entry point of the group `authproxy.sessions` names."""

    __slots__ = ("bounded", "deadline", "open", "options")

    options: type[Options]
    """The model of the kind's keys; `kind` is one of them, a Literal of the name under which the kind is known."""
    open: Callable[[Options, Supplies], SessionStore]
    """Opens a store with such options. Blocks; raises MaterialError or ConfigError.

    Runs outside the event loop, and for stores that are then thrown away, as `check` does: what has to be closed again
    (a file, a connection) is opened by the first question.
    """
    bounded: bool
    """True: nothing here ever waits on anything outside. Every other store gets a deadline and a short memory."""
    deadline: Callable[[Options], timedelta]
    """How long a store with such options may take for one answer, where it is not `bounded`."""

    def __init__(
        self,
        *,
        options: type[T],
        open: Callable[[T, Supplies], SessionStore],  # noqa: A002  the word that the reader of a plug-in expects
        bounded: bool = False,
        deadline: Callable[[T], timedelta] | None = None,
    ) -> None:
        def checked(given: Options) -> T:
            if not isinstance(given, options):
                raise TypeError(f"{options.__name__} expected, {type(given).__name__} given")
            return given

        self.options = options
        self.open = lambda given, supplies: open(checked(given), supplies)
        self.bounded = bounded
        self.deadline = lambda given: DEADLINE if deadline is None else deadline(checked(given))
