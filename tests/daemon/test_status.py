"""The process knows how it is."""

from datetime import UTC, datetime

import pytest

from authproxy.daemon.status import Stage, Status

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ONE = datetime(2026, 1, 1, 13, tzinfo=UTC)


@pytest.mark.parametrize("stage", list(Stage))
def test_it_is_ready_while_it_serves_and_never_else(stage):
    """Starting, stopping and draining are no time for new work."""
    assert Status(started=NOON, stage=stage).is_ready is (stage is Stage.SERVING)


def test_a_new_one_is_not_ready():
    """Ready is something that must be said."""
    assert not Status(started=NOON).is_ready


def test_it_is_not_ready_while_a_session_store_is_away():
    """And says so, unless it does not serve anyway."""
    status = Status(started=NOON, stage=Stage.SERVING)
    assert status.word == "serving"
    status.away["browser"] = "redis db:6379: is away"

    assert not status.is_ready
    assert status.word == "sessions-away"
    status.stage = Stage.DRAINING
    assert status.word == "draining"


def test_a_failed_reload_does_not_make_it_unready():
    """The old state goes on, and so does the work."""
    status = Status(started=NOON, stage=Stage.SERVING)
    status.note("config", NOON, "authproxy.yaml: bad")

    assert status.is_ready


def test_the_last_outcome_of_each_part_is_kept_and_all_are_counted():
    """Success after failure clears the error; the counts stay."""
    status = Status(started=NOON)
    status.note("config", NOON, "bad")
    status.note("config", NOON, "still bad")
    status.note("config", ONE)
    status.note("catalog:users", NOON)

    assert status.parts["config"].success
    assert status.parts["config"].error == ""
    assert status.parts["config"].at == ONE
    assert status.reloads == {("config", "failed"): 2, ("config", "ok"): 1, ("catalog:users", "ok"): 1}
