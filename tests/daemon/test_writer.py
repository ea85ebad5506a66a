"""The access log reaches its file in order; who cannot keep up loses lines, not time."""

import os
import stat
import time
from pathlib import Path

import pytest

from authproxy.daemon.writer import LogWriter
from authproxy.errors import MaterialError
from tests.patience import PATIENCE, SOON


def wait_for(look):
    ends = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < ends
        time.sleep(0.005)


def test_lines_arrive_in_order_and_whole(tmp_path):
    """All of them by the time of `close`."""
    writer = LogWriter(tmp_path / "access.log")
    for number in range(200):
        writer.write(b"%d\n" % number)
    writer.close()

    assert (tmp_path / "access.log").read_bytes() == b"".join(b"%d\n" % number for number in range(200))
    assert writer.dropped == 0


def test_an_existing_file_is_continued(tmp_path):
    """A restart loses nothing."""
    (tmp_path / "access.log").write_bytes(b"yesterday\n")
    writer = LogWriter(tmp_path / "access.log")
    writer.write(b"today\n")
    writer.close()

    assert (tmp_path / "access.log").read_bytes() == b"yesterday\ntoday\n"


def test_a_new_file_is_not_for_everybody(tmp_path):
    """It tells who asked for what."""
    LogWriter(tmp_path / "access.log").close()

    assert stat.S_IMODE((tmp_path / "access.log").stat().st_mode) & 0o007 == 0


def test_a_rotated_file_goes_on_under_its_name(tmp_path):
    """Lines after `reopen` are in the new file, lines before it in the old one."""
    path = tmp_path / "access.log"
    writer = LogWriter(path)
    writer.write(b"before\n")
    wait_for(lambda: path.read_bytes() == b"before\n")
    path.rename(tmp_path / "access.log.1")
    writer.reopen()
    writer.write(b"after\n")
    writer.close()

    assert (tmp_path / "access.log.1").read_bytes() == b"before\n"
    assert path.read_bytes() == b"after\n"


def test_a_file_that_cannot_be_opened_again_leaves_the_old_one(tmp_path):
    """Lines still have a place."""
    folder = tmp_path / "logs"
    folder.mkdir()
    writer = LogWriter(folder / "access.log")
    folder.rename(tmp_path / "moved")
    writer.reopen()
    writer.write(b"line\n")
    writer.close()

    assert (tmp_path / "moved" / "access.log").read_bytes() == b"line\n"


def test_a_reader_that_stands_still_costs_counted_lines_and_no_time(tmp_path):
    """`write` never waits; every line either arrives or is counted."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = LogWriter(pipe)
    batch = b"x" * 1023 + b"\n"
    began = time.monotonic()
    for _ in range(2000):
        writer.write(batch)
    took = time.monotonic() - began

    # It has nothing to do but to count; the pipe takes the first 64 of them.
    assert took < SOON
    assert writer.dropped > 1000
    arrived = 0
    os.set_blocking(reader, False)
    ends = time.monotonic() + PATIENCE
    while arrived + writer.dropped < 2000 and time.monotonic() < ends:
        try:
            arrived += os.read(reader, 1 << 20).count(b"\n")
        except BlockingIOError:
            time.sleep(0.01)
    writer.close()
    os.close(reader)
    assert arrived + writer.dropped == 2000


def test_a_full_disk_costs_counted_lines():
    """The thread goes on with the next batch."""
    with Path("/dev/full").open("wb") as full:
        writer = LogWriter(Path(f"/proc/self/fd/{full.fileno()}"))
        writer.write(b"one\ntwo\n")
        writer.write(b"three\n")
        wait_for(lambda: writer.dropped == 3)
        writer.close()

    assert writer.dropped == 3


def test_a_file_that_cannot_be_opened_is_told(tmp_path):
    """With its path and the reason, in our words."""
    with pytest.raises(MaterialError, match=r"nowhere/access\.log: cannot be opened: no such file or directory"):
        LogWriter(tmp_path / "nowhere" / "access.log")


@pytest.mark.parametrize(("target", "number"), [("stdout", 1), ("stderr", 2)])
def test_streams_are_written_to_directly(capfd, target, number):
    """Standard output and standard error stay open behind the writer."""
    writer = LogWriter(target)
    writer.write(b"a line\n")
    writer.close()
    captured = capfd.readouterr()

    assert (captured.out if number == 1 else captured.err) == "a line\n"
    os.fstat(number)
