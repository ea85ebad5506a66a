"""Memory is given back after a crowd has gone, once, and not while it goes."""

import pytest

from authproxy.daemon.memory import Trimmer, trim


@pytest.mark.parametrize(
    ("seen", "trims"),
    [
        ([0, 10, 999, 0, 0], 0),
        ([1000, 600, 600], 0),
        ([1000, 499, 499], 1),
        ([1000, 400, 300, 200, 100], 0),
        ([1000, 400, 300, 200, 200, 200, 200], 1),
        ([5000, 0, 0, 0, 5000, 0, 0], 2),
    ],
)
def test_once_for_each_crowd_that_has_gone(seen, trims):
    """Half of the most there were, a thousand at least, and when no more are going."""
    calls = []
    trimmer = Trimmer(lambda: calls.append(1))
    for connections in seen:
        trimmer.look(connections)

    assert len(calls) == trims


def test_giving_back_is_harmless():
    """Whatever the C library."""
    trim()
