"""The load of new connections is read rightly, whoever makes it."""

import os
import shutil
import stat

import pytest

from tests.bench import hey
from tests.bench.load import Load, Style
from tests.bench.material import FORGED, make
from tests.bench.processes import Crew

SUMMARY = """
Summary:
  Total:\t2.9900 secs
  Requests/sec:\t546.8227

Response time histogram:
  0.004 [1]\t|
  0.007 [1499]\t|■■■■■■

Latency distribution:
  10% in 0.0046 secs
  50% in 0.0073 secs
  99% in 0.0204 secs

Status code distribution:
  [200]\t1500 responses
  [401]\t120 responses
  [503]\t15 responses

"""
ERRORS = """Error distribution:
  [7]\tGet "https://127.0.0.1:1/x": dial tcp 127.0.0.1:1: connect: connection refused
  [2]\tGet "https://127.0.0.1:1/x": EOF
"""


@pytest.fixture
def material(tmp_path):
    return make(tmp_path)


def test_answers_refusals_and_lost_connections_are_told_apart():
    """Whatever is no 200 is refused; errors have a list of their own, which looks much like that of the answers."""
    told = {"answers": 1635, "refused": 135, "p50": pytest.approx(7.3), "p99": pytest.approx(20.4)}

    assert hey.tally(SUMMARY) == {**told, "broken": 0}
    assert hey.tally(SUMMARY + ERRORS) == {**told, "broken": 9}


def test_nothing_answered_is_no_failure_to_read():
    """A target that takes no connection is told by its errors alone."""
    assert hey.tally(f"\nSummary:\n  Average:\t NaN secs\n\n{ERRORS}") == {
        "answers": 0, "refused": 0, "broken": 9, "p50": 0.0, "p99": 0.0,
    }  # fmt: skip


def test_what_is_no_summary_is_not_read():
    """A complaint about an option holds no figures."""
    assert hey.tally("flag provided but not defined: -z\nUsage: hey [options...] <url>\n") is None


def test_it_asks_what_the_first_head_asks(material):
    """Its target, name, token and forged identity, on connections of their own."""
    command = hey.command(8443, 16, material.requests, host="proxy.test", seconds="600s")

    assert command[-1] == "https://127.0.0.1:8443/api/v1/items/0?page=0"
    assert {"-disable-keepalive", "-c=16", "-z=600s", "-host=proxy.test"} < set(command)
    assert f"-H=Authorization: Bearer {material.users[0].token}" in command
    assert f"-H=X-User-Id: {FORGED}" in command
    assert not [one for one in command if one.startswith("-H=Host")]


@pytest.mark.parametrize("is_there", [True, False], ids=["hey", "own"])
def test_its_place_is_taken_where_it_is_not_installed(material, tmp_path, monkeypatch, is_there):
    """Whoever makes new connections is named in the results; others are kept, and hey is nobody for them."""
    tools = tmp_path / "tools"
    tools.mkdir()
    if is_there:
        (tools / "hey").touch(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tools))
    with Crew(tmp_path) as crew:
        fresh = Load(crew=crew, material=material, core=min(os.sched_getaffinity(0)), connections=16, style=Style.FRESH)
        paced = Load(crew=crew, material=material, core=fresh.core, connections=16, style=Style.PACED, rate=500)

    who = "hey" if is_there else "the bench's own client"
    assert (shutil.which("hey") is not None) is is_there
    assert fresh.description == f"{who}, 16 new connections at a time"
    assert paced.description.startswith("the bench's own client")
