"""Standard streams that somebody has closed before us."""

import subprocess
import sys

import pytest

CLOSED = ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"]
# Ends with 0 when each of the three is open, what is printed goes nowhere, and no socket got one of their numbers.
LOOK = """
import os, socket, sys
from authproxy.cli.streams import open_missing_streams
open_missing_streams()
wire = socket.socket()
assert wire.fileno() > 2, wire
for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
    os.fstat(number)
    stream.write("x\\n") if number else stream.read(1)
    os.write(number, b"y") if number else os.read(number, 1)
    stream.flush()
os._exit(0)
"""


def shell(closed, *command):
    """What becomes of a command whose streams are closed so."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *command],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


@pytest.mark.parametrize("closed", ["", *CLOSED])
def test_no_socket_gets_the_number_of_a_standard_stream(closed):
    """What a library prints would go to whoever is at its other end."""
    ended = shell(closed, sys.executable, "-c", LOOK)

    assert (ended.returncode, ended.stderr.replace("x\n", "").replace("y", "")) == (0, "")


@pytest.mark.parametrize("closed", CLOSED)
def test_a_command_does_its_work_without_them(closed):
    """And ends well; what it prints to those that are open is whole."""
    ended = shell(closed, sys.executable, "-m", "authproxy", "version")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("authproxy") or ">&-" in closed.split()


def test_a_complaint_that_nobody_reads_leaves_its_exit_code():
    """For whatever has started us looks at that."""
    assert shell("2>&-", sys.executable, "-m", "authproxy", "check", "-c", "/nowhere/authproxy.yaml").returncode == 78


@pytest.mark.parametrize("command", [["version"], ["schema"], ["pepper", "new"]], ids=" ".join)
def test_a_full_disk_is_told_in_one_line(command):
    """With exit code 1, whether the output is longer than a buffer or not; it was a traceback."""
    ended = shell(">/dev/full", sys.executable, "-m", "authproxy", *command)

    assert (ended.returncode, ended.stderr) == (1, "authproxy: cannot write: no space left on device\n")
