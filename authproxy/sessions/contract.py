"""What every session store promises, as tests that any kind can run against itself.

Inherit and say how one is made; any test runner that collects methods called `test_...` will do:

```python
class TestMyStore(SessionContract):
    async def store(self) -> SessionStore:
        return MyStore(await an_empty_database())
```
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from authproxy.core.record import UserId
from authproxy.core.session import Session
from authproxy.sessions.interface import UNREAD, SessionStore

ALICE: Final = UserId(bytes.fromhex("550e8400e29b41d4a716446655440000"))
BOB: Final = UserId(b"\xff" * 16)
HOUR: Final = 3_600_000
NOW: Final = 1_800_000_000_000
_MANY: Final = 16
_CAP: Final = 10


def session(number: int, user_id: UserId = ALICE, *, zone: str = "web", created: int = NOW) -> Session:
    """Return a session, another one for each number; its seal is for nobody but `core.session` to look at."""
    key = bytes([number]) * 32
    return Session(
        key=key, zone=zone, user_id=user_id, version=number, current=number, created=created, ends=created + 12 * HOUR,
        idle_ends=created + 4 * HOUR, mac=key[::-1],
    )  # fmt: skip


def promise(kept: object, text: str) -> None:
    """Raise AssertionError with `text` unless `kept`; unlike `assert` it says something under every test runner."""
    if not kept:
        raise AssertionError(text)


class SessionContract:
    """Inherit as `Test...`; implement `store`."""

    async def store(self) -> SessionStore:
        """Return an open store without sessions; it is closed after the test."""
        raise NotImplementedError

    def _with(self, use: Callable[[SessionStore], Awaitable[None]]) -> None:
        async def run() -> None:
            store = await self.store()
            try:
                await use(store)
            finally:
                await store.aclose()

        asyncio.run(run())

    def test_what_is_put_is_found(self) -> None:
        """Every field comes back as it went in; of the extremes, too."""

        async def _use(store: SessionStore) -> None:
            largest = session(255, BOB, zone="a-zone")._replace(version=65535, current=65535, ends=2**63 - 1)
            smallest = Session(bytes(32), "z", UserId(bytes(16)), 0, 0, NOW, NOW + 1, NOW + 1, bytes(32))
            for made in (largest, smallest):
                await store.put(made, _CAP)
                promise(await store.get(made.key) == made, f"{made} went in, another came out")
            promise(await store.get(largest.key) == largest, "one session took another one's place")

        self._with(_use)

    def test_an_unknown_key_is_none(self) -> None:
        """For every question, and no exception."""

        async def _use(store: SessionStore) -> None:
            key = session(9).key
            promise(await store.get(key) is None, "a session nobody put")
            promise(await store.touch(key, NOW) is None, "touched a session nobody put")
            promise(await store.delete(key) is False, "deleted a session nobody put")
            promise(await store.delete_user("web", ALICE) == 0, "deleted sessions nobody put")
            promise(await store.sessions_of("web", None) == (), "listed sessions nobody put")
            promise(await store.prune(NOW) == 0, "pruned sessions nobody put")

        self._with(_use)

    def test_touching_changes_the_idle_end_alone(self) -> None:
        """And what is returned is what is found."""

        async def _use(store: SessionStore) -> None:
            made = session(1)
            await store.put(made, _CAP)
            touched = await store.touch(made.key, NOW + 5 * HOUR)
            promise(touched == made._replace(idle_ends=NOW + 5 * HOUR), "touching changed something else, or nothing")
            promise(await store.get(made.key) == touched, "another session was found than was touched")

        self._with(_use)

    def test_touching_never_brings_back(self) -> None:
        """Whoever signs out while a page of theirs is being refreshed is signed out."""

        async def _use(store: SessionStore) -> None:
            made = session(1)
            ends: tuple[Callable[[], Awaitable[object]], ...] = (
                lambda: store.delete(made.key),
                lambda: store.delete_user(made.zone, made.user_id),
                lambda: store.prune(made.ends),
            )
            for end in ends:
                await store.put(made, _CAP)
                await end()
                promise(await store.touch(made.key, made.ends) is None, "touched a session that was ended")
                promise(await store.get(made.key) is None, "a session came back")

        self._with(_use)

    def test_a_touch_beside_a_deletion_never_brings_back(self) -> None:
        """Both at once, many times, in either order."""

        async def _use(store: SessionStore) -> None:
            for number in range(_MANY):
                made = session(number)
                await store.put(made, _CAP)
                touch, delete = store.touch(made.key, made.ends), store.delete(made.key)
                await asyncio.gather(*((touch, delete) if number % 2 else (delete, touch)))
                promise(await store.get(made.key) is None, "a session outlived its deletion")

        self._with(_use)

    def test_a_refresh_beside_a_revocation_never_brings_back(self) -> None:
        """Nor one that was asked for before the revocation and answered after it."""

        async def _use(store: SessionStore) -> None:
            for number in range(_MANY):
                made = session(number)
                await store.put(made, _CAP)
                await asyncio.gather(
                    store.get(made.key),
                    store.touch(made.key, made.ends),
                    store.delete_user("web", ALICE),
                    store.touch(made.key, made.ends),
                    store.get(made.key),
                )
                known = store.peek(made.key)
                promise(known is None or known is UNREAD, "a session is still believed after its revocation")
                promise(await store.get(made.key) is None, "a session outlived its revocation")

        self._with(_use)

    def test_deleting_is_for_one(self) -> None:
        """The user's other session stays; a second time it was not there."""

        async def _use(store: SessionStore) -> None:
            await store.put(session(1), _CAP)
            await store.put(session(2), _CAP)
            promise(await store.delete(session(1).key) is True, "what was there was not deleted")
            promise(await store.delete(session(1).key) is False, "deleted twice")
            promise(await store.get(session(2).key) == session(2), "another session went too")

        self._with(_use)

    def test_a_users_sessions_end_together(self) -> None:
        """In that zone alone; nobody else's."""

        async def _use(store: SessionStore) -> None:
            others = (session(3, BOB), session(4, zone="api"))
            for made in (session(1), session(2), *others):
                await store.put(made, _CAP)
            promise(await store.delete_user("web", ALICE) == 2, "not both of the user's sessions ended")  # noqa: PLR2004
            promise(await store.sessions_of("web", ALICE) == (), "a session of the user is left")
            for other in others:
                promise(await store.get(other.key) == other, "somebody else's session ended")

        self._with(_use)

    def test_the_oldest_go_when_a_user_has_too_many(self) -> None:
        """Of that user in that zone; never the one that was just made, and a shorter cap shrinks at the next sign-in."""

        async def _use(store: SessionStore) -> None:
            kept = (session(200, BOB, created=NOW - 9), session(201, zone="api", created=NOW - 9))
            for made in kept:
                await store.put(made, 3)
            gone = [await store.put(session(number, created=NOW + number), 3) for number in range(5)]
            promise(gone == [0, 0, 0, 1, 1], "the number of those that had to go is wrong")
            left = tuple(session(number, created=NOW + number) for number in (2, 3, 4))
            promise(await store.sessions_of("web", ALICE) == left, "not the oldest went")
            late = session(9, created=NOW - 1)
            promise(await store.put(late, 1) == 3, "a smaller cap did not count")  # noqa: PLR2004
            promise(await store.sessions_of("web", ALICE) == (late,), "the new session went for older ones")
            for made in kept:
                promise(await store.get(made.key) == made, "somebody else's session went")

        self._with(_use)

    def test_pruning_removes_what_has_ended(self) -> None:
        """By either end, at that very millisecond; the rest stays."""

        async def _use(store: SessionStore) -> None:
            idle = session(1)._replace(idle_ends=NOW)
            absolute = session(2)._replace(idle_ends=NOW + HOUR, ends=NOW)
            alive = session(3)._replace(idle_ends=NOW + 1, ends=NOW + 1)
            for made in (idle, absolute, alive):
                await store.put(made._replace(created=NOW - HOUR), _CAP)
            promise(await store.prune(NOW - 1) == 0, "something went before its end")
            promise(await store.prune(NOW) == 2, "not what has ended went")  # noqa: PLR2004
            left = await store.sessions_of("web", None)
            promise([one.key for one in left] == [alive.key], "something else is left")

        self._with(_use)

    def test_nobody_need_prune(self) -> None:
        """Signing in removes what has ended, whose ever it is."""

        async def _use(store: SessionStore) -> None:
            await store.put(session(1, BOB), _CAP)
            await store.put(session(2, created=NOW + 13 * HOUR), _CAP)
            promise(await store.sessions_of("web", BOB) == (), "what has ended is still there")

        self._with(_use)

    def test_lists_are_in_order(self) -> None:
        """As they were made, of the zone or of one user."""

        async def _use(store: SessionStore) -> None:
            made = [session(number, ALICE if number % 2 else BOB, created=NOW - number) for number in range(6)]
            for one in made:
                await store.put(one, _CAP)
            promise(await store.sessions_of("web", None) == tuple(reversed(made)), "the order is wrong")
            promise(await store.sessions_of("web", BOB) == (made[4], made[2], made[0]), "the user's are wrong")
            promise(await store.sessions_of("api", None) == (), "sessions of another zone")

        self._with(_use)

    def test_peek_says_what_get_says_or_nothing(self) -> None:
        """Before and after a question: `UNREAD`, or the same."""

        async def _use(store: SessionStore) -> None:
            made = session(1)
            await store.put(made, _CAP)
            for wanted in (made, made):
                known = store.peek(made.key)
                promise(known is UNREAD or known == wanted, "peek contradicts get")
                promise(await store.get(made.key) == wanted, "get gave another session")
            await store.delete(made.key)
            known = store.peek(made.key)
            promise(known is UNREAD or known is None, "peek knows a session that was deleted")

        self._with(_use)

    def test_many_may_ask_at_once(self) -> None:
        """Answers do not get mixed up."""

        async def _use(store: SessionStore) -> None:
            made = [session(number, UserId(bytes([number]) * 16)) for number in range(_MANY)]
            await asyncio.gather(*(store.put(one, _CAP) for one in made))
            found = await asyncio.gather(*(store.get(one.key) for one in made * 3))
            promise(found == made * 3, "answers were mixed up")

        self._with(_use)

    def test_who_gives_up_harms_nobody(self) -> None:
        """After a question was cancelled the store answers the next one."""

        async def _use(store: SessionStore) -> None:
            await store.put(session(1), _CAP)
            for question in (store.get(session(1).key), store.put(session(2), _CAP), store.touch(session(1).key, NOW)):
                waiting = asyncio.ensure_future(question)
                await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
            promise(await store.delete(session(1).key), "no answer after a question was given up")

        self._with(_use)

    def test_closing_twice_is_closing(self) -> None:
        """`aclose` may be called again, and on a store that nobody asked."""

        async def _use(store: SessionStore) -> None:
            await store.aclose()
            await store.aclose()

        self._with(_use)
