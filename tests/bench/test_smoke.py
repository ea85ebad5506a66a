"""The tools that measure work on any machine; what they measure is nobody's promise."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent
PATIENCE = 120

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * PATIENCE)]


@pytest.fixture
def environ(tmp_path):
    """An environment in which every temporary file lies in the folder of the test."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AUTHPROXY_", "COVERAGE_", "COV_CORE_"))}
    return {**clean, "TMPDIR": str(tmp_path)}


def run(environ, program, *args):
    command = [sys.executable, BENCH / program, *args]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)


def left_behind(folder):
    """Files in `folder`, and processes that were started with something in it."""
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands.append(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue
    return [*map(str, folder.iterdir()), *(command for command in commands if str(folder) in command)]


def rows(output):
    """The table's lines by target: microseconds, and failed requests."""
    found = re.findall(r"^(authproxy|naive) +(\d+\.\d) .* (\d+)$", output, re.MULTILINE)
    return {name: (float(cost), int(failed)) for name, cost, failed in found}


@pytest.mark.parametrize("path", [os.environ["PATH"], "/nonexistent"], ids=["with-what-is-installed", "with-nothing"])
def test_the_smoke_run_ends_with_a_table(environ, tmp_path, path):
    """Two targets are measured, with the tools of the machine or without any, and nothing stays behind."""
    done = run(environ | {"PATH": path}, "run.py", "--smoke")

    assert done.returncode == 0, done.stdout + done.stderr
    table = rows(done.stdout)
    assert set(table) == {"authproxy", "naive"}
    assert all(cost > 0 and not failed for cost, failed in table.values())
    assert re.search(r"^openssl +OpenSSL \d", done.stdout, re.MULTILINE)
    assert left_behind(tmp_path) == []


def test_what_is_not_installed_is_said(environ, tmp_path):
    """A target without its program is left out by name; the others are measured, and the JSON holds every turn."""
    result = tmp_path / "result.json"
    options = ["--rounds=2", "--seconds=0.3", "--connections=4", "--only=go,authproxy", f"--json={result}"]

    done = run(environ | {"PATH": "/nonexistent"}, "run.py", *options)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^left out +go: go is not installed$", done.stdout, re.MULTILINE)
    told = json.loads(result.read_text())
    assert told["requests"]["left_out"] == {"go": "go is not installed"}
    turns = [(one["target"], one["round"]) for one in told["requests"]["samples"]]
    assert turns == [("authproxy", 1), ("authproxy", 2)]


def test_every_test_has_a_table(environ, tmp_path):
    """All that can be measured is, without any tool of the machine; nothing fails, and nothing stays behind."""
    result = tmp_path / "result.json"
    options = ["--test=handshakes,latency,paced,memory,bodies", "--rounds=1", "--seconds=0.3", "--idle=50"]

    done = run(
        environ | {"PATH": "/nonexistent"}, "run.py", *options, "--only=authproxy,tunnel", "--connections=4",
        f"--json={result}",
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(result.read_text())
    assert set(told) == {"handshakes", "latency", "paced", "memory", "bodies"}
    assert all([one["failed"] for one in test["samples"]] == [0, 0] for test in told.values())
    assert {one["held"] for one in told["memory"]["samples"]} == {50}
    assert all(value >= 0 for test in told.values() for one in test["samples"] for value in list(one.values())[3:])
    assert re.search(
        r"^p99 ms of others' requests meanwhile +at most 50 +[\d.]+ +(kept|MISSED)$", done.stdout, re.MULTILINE
    )
    result.unlink()
    assert left_behind(tmp_path) == []


def test_an_unknown_target_is_refused(environ):
    """A misspelt target is not taken for one that is missing."""
    done = run(environ, "run.py", "--only=authproxi")

    assert done.returncode == 2
    assert "there is no 'authproxi' (known: authproxy, authproxy-session, naive," in done.stderr


def test_a_signal_in_the_middle_of_a_start_loses_nobody(environ, tmp_path):
    """A program that was forked, but not yet noted, when the signal came is ended like all others."""
    script = """
import contextlib, os, pathlib, signal, sys
from tests.bench.processes import Crew

class Interrupted(Crew):
    def _in_child(self, mask):
        os.kill(os.getppid(), signal.SIGTERM)
        super()._in_child(mask)

signal.signal(signal.SIGTERM, lambda *_: sys.exit())
with contextlib.suppress(SystemExit), Interrupted(pathlib.Path(sys.argv[1])) as crew:
    crew.start("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"], min(os.sched_getaffinity(0)))
    print("nobody was interrupted")
try:
    print("left", os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("alone")
"""
    done = subprocess.run([sys.executable, "-c", script, tmp_path], env=environ, capture_output=True, text=True)

    assert (done.stdout, done.stderr) == ("alone\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminate"])
def test_an_interrupted_run_leaves_nothing(environ, tmp_path, number):
    """Whoever loses patience finds neither a process nor a file of it."""
    command = [sys.executable, str(BENCH / "run.py"), "--only=authproxy,naive", "--seconds=60"]
    with subprocess.Popen(command, env=environ | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True) as bench:
        assert bench.stdout is not None
        for line in bench.stdout:
            if line.startswith("starting naive"):
                break
        before = left_behind(tmp_path)
        bench.send_signal(number)
        code = bench.wait(PATIENCE)

    assert before
    assert code == 128 + number
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "line"),
    [(["--top=5"], r"authproxy/http1/request\.py  RequestReader\.\w+"), (["--by-room"], "authproxy/http1")],
    ids=["by-function", "by-room"],
)
def test_the_profile_has_both_figures(environ, tmp_path, options, line):
    """Opcodes by function or room and microseconds by half come out, and the parts are the whole."""
    done = run(environ, "profile_hot_path.py", "--requests=200", *options)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^ +[\d.]+  {line}$", done.stdout, re.MULTILINE)
    *parts, opcodes = [float(n) for n in re.findall(r"^ *([\d.]+)  (?!us)", done.stdout, re.MULTILINE)]
    assert sum(parts) == pytest.approx(opcodes, abs=1)
    whole, asking, answering = map(float, re.findall(r"^ *([\d.]+)  us", done.stdout, re.MULTILINE))
    assert asking + answering == pytest.approx(whole, abs=0.2)
    assert left_behind(tmp_path) == []
