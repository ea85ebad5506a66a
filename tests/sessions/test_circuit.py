"""What is away is not asked by everybody."""

import pytest

from authproxy.sessions.circuit import Circuit


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def circuit(clock):
    return Circuit(clock)


def test_it_opens_after_three_failures_in_a_row(circuit):
    """An answer between them begins the count anew."""
    for _ in range(2):
        circuit.failed()
    assert not circuit.is_open
    circuit.answered()
    for _ in range(2):
        circuit.failed()
    assert circuit.lets_through()
    circuit.failed()

    assert circuit.is_open
    assert not circuit.lets_through()


def test_one_a_second_may_try(circuit, clock):
    """However many ask, and whatever becomes of those that tried; failures that come late put nothing off."""
    for _ in range(3):
        circuit.failed()
    for _ in range(3):
        clock.now += 0.999
        assert not circuit.lets_through()
        circuit.failed()
        clock.now += 0.001
        assert [circuit.lets_through() for _ in range(5)] == [True, False, False, False, False]


def test_the_first_answer_closes_it(circuit, clock):
    """And three more failures open it again."""
    for _ in range(3):
        circuit.failed()
    clock.now += 1
    assert circuit.lets_through()
    circuit.answered()
    assert [circuit.lets_through() for _ in range(5)] == [True] * 5
    for _ in range(3):
        circuit.failed()

    assert not circuit.lets_through()
