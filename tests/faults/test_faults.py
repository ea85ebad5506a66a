"""A short form of the fault experiments that every run of the tests can afford; `make faults` does all, and in full."""

import pytest

from tests.faults.lab import Size
from tests.faults.run import experiment
from tests.faults.verdict import table

pytestmark = [pytest.mark.promise, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.mark.parametrize("name", ["F07", "F12", "F16"])
def test_good_clients_are_served_whatever_happens(name):
    """The small size, and only what does not depend on how busy the machine is: other tests run at the same time."""
    report = experiment(name, Size(quick=True, rate=100))

    assert report.figures
    assert [one for one in report.broken() if not one.noisy] == [], table([report], relaxed=False)
