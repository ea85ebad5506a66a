"""What each user has open."""

from authproxy.core.decision import Allow
from authproxy.core.match import Match
from authproxy.core.record import TokenRecord, UserId
from authproxy.core.tally import Tally, owner_of

ALICE = ("api", UserId(b"a" * 16))
ELSEWHERE = ("web", UserId(b"a" * 16))


def test_what_is_added_and_removed_is_counted():
    """By zone and user; who has none is not remembered."""
    tally = Tally()
    tally.add(ALICE)
    tally.add(ALICE)
    tally.add(ELSEWHERE)

    assert (tally.of(ALICE), tally.of(ELSEWHERE)) == (2, 1)
    tally.remove(ALICE)
    assert tally.of(ALICE) == 1
    tally.remove(ALICE)
    tally.remove(ELSEWHERE)
    assert (tally.of(ALICE), tally.of(ELSEWHERE), len(tally)) == (0, 0, 0)


def test_a_count_never_falls_below_none():
    """One removed too many does not make room for one more."""
    tally = Tally()
    tally.remove(ALICE)
    tally.add(ALICE)

    assert tally.of(ALICE) == 1


def test_an_owner_is_a_user_of_a_zone():
    """The same id in another zone is somebody else."""
    record = TokenRecord(user_id=ALICE[1], rotation_version=1, hash=bytes(64))
    allow = Allow(record, "web", "token", 1, Match.PRIMARY, "pepper")

    assert owner_of(allow) == ELSEWHERE
    assert owner_of(allow) != ALICE
