"""What is made of failures and health checks: pure, with the clock as a value."""

from authproxy.upstream.standing import Standing


def ejected(now: float = 0.0) -> Standing:
    """An endpoint that could not be reached."""
    standing = Standing()
    assert standing.note_fault(unreachable=True)
    assert standing.eject(now, unreachable=True) == 1.0
    return standing


def test_an_endpoint_is_good_at_first():
    """Until something speaks against it."""
    assert Standing().is_good
    assert Standing().is_open(0.0)


def test_one_refused_connection_is_enough_and_three_failed_requests_in_a_row_are():
    """Two are not, and a success between them begins the count anew."""
    assert Standing().note_fault(unreachable=True)
    standing = Standing()
    assert [standing.note_fault(unreachable=False) for _ in range(3)] == [False, False, True]

    standing = Standing()
    standing.note_fault(unreachable=False)
    standing.note_fault(unreachable=False)
    standing.note_success()
    assert not standing.note_fault(unreachable=False)


def test_an_ejection_ends_at_its_very_instant():
    """For whoever comes first; the others wait for the outcome of the trial."""
    standing = ejected(now=100.0)

    assert not standing.is_open(100.999)
    assert standing.is_open(101.0)
    standing.note_use(101.0)
    assert not standing.is_open(101.999)
    assert standing.is_open(102.0)


def test_every_failed_trial_doubles_the_time_up_to_30_seconds():
    """1, 2, 4, 8, 16, 30, 30."""
    standing, now, times = ejected(), 0.0, []
    for _ in range(6):
        now = standing.until
        standing.note_use(now)
        assert standing.note_fault(unreachable=True)
        times.append(standing.eject(now, unreachable=True))

    assert times == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_what_fails_late_does_not_prolong_an_ejection():
    """Requests that were under way when it began say nothing new."""
    standing = ejected()

    assert not any(standing.note_fault(unreachable=False) for _ in range(50))
    assert standing.until == 1.0


def test_a_whole_answer_ends_an_ejection():
    """And all is forgotten."""
    standing = ejected()

    assert standing.note_success()
    assert standing.is_good
    assert not standing.note_success()


def test_a_connection_ends_an_ejection_for_want_of_one_and_no_other():
    """Who accepts connections and fails requests must answer one first."""
    assert ejected().note_connection()

    standing = Standing()
    for _ in range(3):
        standing.note_fault(unreachable=False)
    standing.eject(0.0, unreachable=False)
    assert not standing.note_connection()
    assert not standing.is_good


def test_two_checks_in_a_row_change_what_is_thought():
    """Either way; one does not, and neither do two that are apart."""
    standing = Standing()
    outcomes = [False, True, False, False, True, False, True, True]
    changes = [standing.note_check(passed=passed) for passed in outcomes]

    assert changes == [False, False, False, True, False, False, False, True]
    assert standing.is_healthy


def test_an_unhealthy_endpoint_is_never_open():
    """Whatever requests say."""
    standing = Standing()
    standing.note_check(passed=False)
    standing.note_check(passed=False)
    standing.note_success()

    assert not standing.is_open(1e9)
    assert not standing.is_good
