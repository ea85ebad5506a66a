"""What each user has open."""

from authproxy.core.record import UserId
from authproxy.core.tally import Tally

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
