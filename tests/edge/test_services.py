"""What all connections share."""

from datetime import UTC, datetime, timedelta

from authproxy.edge.services import RequestIds, WallClock

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_wall_clock_is_read_again_after_a_millisecond() -> None:
    """A jump of the clock, either way, is seen by the first request after that."""
    told = iter([START, START + timedelta(hours=1), START - timedelta(days=1)])
    clock = WallClock(lambda: next(told))

    assert clock.moment == START
    assert clock.until <= 0.0
    assert clock.look(5.0) == clock.moment == START + timedelta(hours=1)
    assert 5.0009 < clock.until <= 5.001
    assert clock.look(5.001) == START - timedelta(days=1)


def test_request_ids_are_never_the_same() -> None:
    """32 hex digits, across draws."""
    ids = RequestIds()
    drawn = {ids.next() for _ in range(1000)}

    assert len(drawn) == 1000
    assert all(len(one) == 32 and not one.translate(None, b"0123456789abcdef") for one in drawn)
