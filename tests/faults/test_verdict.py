"""An experiment passes only when everything holds; what was not measured does not hold."""

import math
from dataclasses import replace

import pytest

from tests.faults.broken import Record
from tests.faults.f07_upstream_faults import EXPECTED, judge
from tests.faults.run import EXPERIMENTS
from tests.faults.verdict import Figure, Report, Sample, quantile, summarize, table

FIGURE = Figure(name="time", value=10, limit=10)


@pytest.mark.parametrize(
    ("sense", "value", "holds"),
    [("<=", 10, True), ("<=", 10.1, False), (">=", 10, True), (">=", 9.9, False), ("=", 10, True), ("=", 9, False),
     ("<=", math.nan, False), (">=", math.nan, False), ("=", math.nan, False), ("<=", math.inf, False)],
)  # fmt: skip
def test_a_figure_holds_up_to_its_limit(sense, value, holds):
    """The limit itself is allowed."""
    assert replace(FIGURE, sense=sense, value=value).holds() is holds


@pytest.mark.parametrize(
    ("sense", "noisy", "value", "holds"),
    [("<=", True, 50, True), ("<=", True, 51, False), ("<=", False, 11, False),
     (">=", True, 2, True), (">=", True, 1.9, False), (">=", False, 9, False), ("=", True, 11, False)],
)  # fmt: skip
def test_relaxed_stretches_only_what_depends_on_the_machine(sense, noisy, value, holds):
    """Five times the limit, for times and rates; never for counts."""
    assert replace(FIGURE, sense=sense, noisy=noisy, value=value).holds(relaxed=True) is holds


def test_one_bad_figure_fails_the_report():
    """And no figure at all is no success."""
    report = Report(fault="F00", title="nothing")
    assert report.verdict() == "FAIL"
    report.at_most("memory", 1, 2)
    assert report.verdict() == "PASS"
    report.exactly("failed", 1, 0)
    assert report.verdict() == report.verdict(relaxed=True) == "FAIL"
    report.skipped = "no tool"
    assert report.verdict() == "SKIP"


def test_the_table_shows_what_is_bad():
    """Each figure has a line, with value, limit and mark."""
    report = Report(fault="F00", title="nothing", done="this and that")
    report.at_most("memory", 12.345, 10, "MiB")
    lines = table([report], relaxed=False).splitlines()

    assert lines[0] == "F00  nothing: this and that"
    assert lines[1].split() == ["memory", "12.3", "MiB", "<=", "10", "TOO", "BAD"]
    assert lines[-1].strip() == "FAIL"


def sample(at, seconds=0.001, outcome="ok", *, fresh=False):
    return Sample(at=at, seconds=seconds, fresh=fresh, outcome=outcome)


def test_a_window_counts_what_was_due_within():
    """From its begin on, up to its end."""
    window = summarize([sample(0.9), sample(1.0), sample(1.9), sample(2.0)], 1.0, 2.0)

    assert (window.sent, window.ok, window.failed) == (2, 2, 0)


def test_slow_and_failed_are_told_apart():
    """Two seconds are allowed; the outcome decides what failed."""
    window = summarize([sample(1, 2.0), sample(1, 2.1), sample(1, 0.1, "502"), sample(1, 0.1, "cut", fresh=True)], 0, 2)

    assert window.outcomes == {"ok": 2, "502": 1, "cut": 1}
    assert (window.ok, window.slow, window.failed, window.failed_kept) == (2, 1, 2, 1)
    assert (window.worst, window.p50) == (2.1, 2.0)


def test_an_empty_window_has_no_times():
    """NaN keeps no limit, so that a checker that sent nothing proves nothing."""
    window = summarize([], 0, 1)

    assert math.isnan(window.p99)
    assert math.isnan(window.worst_kept)


@pytest.mark.parametrize(("share", "value"), [(0, 1), (0.5, 50), (0.99, 99), (1, 100)])
def test_quantiles_are_values_that_were_seen(share, value):
    """The nearest rank."""
    assert quantile(list(range(1, 101)), share) == value


def seen(**found):
    return {kind: {"seen": {min(EXPECTED[kind]): 4}, "longest": 0.5} for kind in EXPECTED} | found


def spoil_nothing(told, broken):
    """Leave all as it should be."""


def clean_end(told, broken):
    told["reset-in-body"]["seen"] = {"truncated": 3, "clean": 1}


def too_long(told, broken):
    told["stall-in-body"]["longest"] = 30


def post_twice(told, broken):
    broken["reset-after-request"].asked["/x/POST/1"] = 2


def get_thrice(told, broken):
    broken["reset-after-request"].asked["/x/GET/1"] = 3


def stranger_asked(told, broken):
    broken["wrong-name"].asked["/x/GET/1"] = 1


def used_again(told, broken):
    broken["garbage-head"].reused = 1


def left_open(told, broken):
    broken["stall-in-body"].left_open = 1


def not_played(told, broken):
    broken["garbage-head"].errors.append(ValueError("no"))


@pytest.mark.parametrize(
    "spoil",
    [clean_end, too_long, post_twice, get_thrice, stranger_asked, used_again, left_open, not_played, spoil_nothing],
)
def test_upstream_faults_are_judged(spoil):
    """Each thing that must not happen fails the experiment."""
    told, broken = seen(), {kind: Record() for kind in EXPECTED}
    spoil(told, broken)
    report = Report(fault="F07", title="upstream faults")
    judge(report, told, broken)

    assert report.verdict() == ("PASS" if spoil is spoil_nothing else "FAIL")


def test_every_experiment_is_found():
    """By the names that the specification gives them."""
    assert list(EXPERIMENTS) == [
        "F01",
        "F02",
        "F04",
        "F07",
        "F08",
        "F09",
        "F12",
        "F13",
        "F14",
        "F16",
        "F17",
        "F19",
        "F20",
    ]
