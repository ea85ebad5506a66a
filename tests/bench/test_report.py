"""A measurement is read rightly, and whoever gives wrong answers is not measured."""

import socket
import subprocess
import sys
import time

import pytest

from tests.bench.check import problems
from tests.bench.material import FORGED, REQUESTS, make
from tests.bench.measure import difference
from tests.bench.report import ratio, table
from tests.bench.sample import TRIALS, Sample
from tests.bench.templates import PEERS
from tests.ports import free_ports


def turn(target, number, cost):
    return Sample(target=target, round=number, figures={"cpu_us": cost, "rate": 1e6 / cost, "busy": 1.0}, failed=0)


@pytest.fixture
def material(tmp_path):
    return make(tmp_path)


@pytest.fixture
def open_door(material):
    """The port of a service that answers everybody and changes nothing, where a proxy should be."""
    plain, port = free_ports(2)
    command = [PEERS / "upstream.py", "{}", plain, port, material.folder / "server.pem"]
    with subprocess.Popen([sys.executable, *map(str, command)]) as process:
        for _ in range(1000):
            with socket.socket() as probe:
                if process.poll() is not None or not probe.connect_ex(("127.0.0.1", plain)):
                    break
            time.sleep(0.01)
        yield port
        process.terminate()


def test_ratios_are_taken_within_a_round():
    """A machine that became twice as slow between two rounds changes no ratio."""
    these = [turn("go", 1, 80), turn("go", 2, 160)]
    those = [turn("authproxy", 1, 40), turn("authproxy", 2, 80)]

    found = ratio("cpu_us", these, those)

    assert found is not None
    assert (found.median, found.least, found.most) == pytest.approx((2.0, 2.0, 2.0))


def test_a_round_that_one_of_two_missed_does_not_count():
    """Only rounds with both are compared; without any there is no ratio."""
    these = [turn("go", 1, 80), turn("go", 2, 500)]

    found = ratio("cpu_us", these, [turn("authproxy", 1, 40)])

    assert found is not None
    assert found.most == pytest.approx(2.0)
    assert ratio("cpu_us", these, []) is None


def test_the_table_is_aligned_and_begins_with_the_cheapest():
    """Every line has the same width, and figures stand under one another."""
    turns = [turn("naive", 1, 1234.5), turn("authproxy", 1, 41), turn("authproxy", 2, 43)]

    lines = table(TRIALS["requests"], turns).splitlines()

    assert len({len(line) for line in lines}) == 1
    assert [line.split()[0] for line in lines] == ["target", "authproxy", "naive"]
    assert lines[1].split()[1:3] == ["42.0", "41.0"]


def test_a_thread_that_ended_takes_nothing_back():
    """CPU time counts for threads that are there at the end, new ones from zero."""
    before = {(1, 1): 100, (1, 2): 900}
    after = {(1, 1): 150, (1, 3): 7}

    assert difference(before, after) == 57


def test_the_load_is_a_thousand_different_requests(material):
    """No two heads are alike, each has seven fields, a forged user id, and in turn one of the users."""
    heads = material.requests.read_bytes().split(b"\r\n\r\n")[:-1]

    assert len(set(heads)) == len(heads) == REQUESTS
    assert {len(head.split(b"\r\n")) for head in heads} == {8}
    assert all(f"X-User-Id: {FORGED}\r\n".encode() in head for head in heads)
    assert {head.rpartition(b" ")[2].decode() for head in heads} == {user.token for user in material.users}


def test_a_door_that_lets_everybody_in_is_not_measured(open_door, material):
    """The check names everything that such a proxy gets wrong."""
    found = problems(open_door, material)

    assert "answers 200 instead of 401 without a token" in found
    assert "answers 200 instead of 401 with a broken token" in found
    assert "lets a forged user id pass" in found


def test_a_door_that_is_not_there_is_not_measured(material):
    """A refused connection is a finding, not a crash."""
    (port,) = free_ports(1)

    found = problems(port, material)

    assert [text.partition(":")[0] for text in found] == ["does not answer"]
