"""How two runs of a reload ended together, and which of them speaks."""

import pytest

from authproxy.daemon.outcome import Outcome, Result, Try, is_rejected, merged

APPLIED, UNCHANGED, REJECTED = Result.APPLIED, Result.UNCHANGED, Result.REJECTED


def one(part, result):
    return Outcome(part=part, result=result)


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (REJECTED, APPLIED, APPLIED),
        (REJECTED, REJECTED, REJECTED),
        (REJECTED, UNCHANGED, UNCHANGED),
        (APPLIED, UNCHANGED, APPLIED),
        (APPLIED, REJECTED, REJECTED),
        (UNCHANGED, APPLIED, APPLIED),
        (UNCHANGED, UNCHANGED, UNCHANGED),
    ],
)
def test_the_second_run_decides(first, second, together):
    """But what the first has put to work is not nothing."""
    assert merged([one("trust", first)], [one("trust", second)]) == (one("trust", together),)


def test_parts_that_one_run_alone_has_seen_are_kept():
    """The first has read catalogs; the second has found new ones."""
    ended = merged([one("config", REJECTED), one("catalog:a", APPLIED)], [one("config", APPLIED), one("b", UNCHANGED)])

    assert {outcome.part: outcome.result for outcome in ended} == {
        "config": APPLIED, "catalog:a": APPLIED, "b": UNCHANGED,
    }  # fmt: skip


def test_a_rejection_is_found_among_the_parts_that_are_asked_for():
    """Of any part, if none is named."""
    outcomes = [one("config", APPLIED), one("catalog:a", REJECTED)]

    assert is_rejected(outcomes)
    assert not is_rejected(outcomes, "config", "trust")
    assert is_rejected(outcomes, "catalog:a")


@pytest.mark.parametrize(
    ("material_only", "again", "failures", "everything"),
    [(False, False, True, True), (False, True, False, False), (True, False, False, False), (True, True, True, False)],
)
def test_one_run_of_the_two_tells_failures(material_only, again, failures, everything):
    """The first where somebody asked, the last where nobody did."""
    how = Try(material_only=material_only, again=again)

    assert (how.tells_failures, how.tells_everything) == (failures, everything)
