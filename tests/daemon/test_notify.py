"""What a service manager is told, and that whatever becomes of it nobody notices."""

import contextlib
import socket
import uuid
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from authproxy.daemon.notify import ServiceManager
from authproxy.daemon.outcome import Outcome, Result
from tests.patience import PATIENCE

PID = 4711
APPLIED = Outcome(part="config", result=Result.APPLIED)
UNCHANGED = Outcome(part="trust", result=Result.UNCHANGED)
REJECTED = Outcome(part="config", result=Result.REJECTED, error="a.yaml:3:5: routes: no such\nzone")


class Ear:
    """A service manager's end, at a path or an abstract name."""

    def __init__(self, address):
        self.address = address
        self.wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.wire.settimeout(PATIENCE)
        self.wire.bind("\0" + address[1:] if address.startswith("@") else address)

    def hear(self):
        return dict(line.split("=", 1) for line in self.wire.recv(8192).decode().split("\n"))

    def is_quiet(self):
        self.wire.setblocking(False)
        try:
            self.wire.recv(8192)
        except BlockingIOError:
            return True
        finally:
            self.wire.settimeout(PATIENCE)
        return False


class Clock:
    now_ns = 1_000_000_000

    def __call__(self):
        return self.now_ns


@pytest.fixture
def ear(tmp_path):
    made = Ear(str(tmp_path / "notify"))
    yield made
    made.wire.close()


@pytest.fixture
def manager():
    """`manager(ear, WATCHDOG_USEC=...)` is what the daemon talks to."""
    with contextlib.ExitStack() as stack:

        def make(address, clock=None, **environ):
            address = address.address if isinstance(address, Ear) else address
            made = ServiceManager({"NOTIFY_SOCKET": address, **environ}, PID, clock or Clock())
            stack.callback(made.close)
            return made

        yield make


def test_ready_comes_with_a_status(manager, ear):
    """In one datagram."""
    manager(ear).ready("serving generation 1 on public (127.0.0.1:1)")

    assert ear.hear() == {"READY": "1", "STATUS": "serving generation 1 on public (127.0.0.1:1)"}


def test_an_abstract_socket_will_do(manager):
    """As containers get it."""
    ear = Ear(f"@authproxy-{uuid.uuid4()}")
    with contextlib.closing(ear.wire):
        manager(ear).ready("serving")

        assert ear.hear()["READY"] == "1"


def test_a_reload_is_two_messages(manager, ear):
    """The first tells when it began, in microseconds; the second how it ended."""
    told = manager(ear)
    told.reloading()
    told.reloaded((APPLIED, UNCHANGED), "serving generation 2")

    assert ear.hear() == {"RELOADING": "1", "MONOTONIC_USEC": "1000000", "STATUS": "reloading"}
    assert ear.hear() == {"READY": "1", "STATUS": "last reload applied; serving generation 2"}


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ((UNCHANGED,), "last reload changed nothing; serving"),
        ((REJECTED, UNCHANGED), "last reload rejected, config: a.yaml:3:5: routes: no such zone; serving"),
    ],
)
def test_a_reload_says_how_it_ended(manager, ear, outcomes, status):
    """On one line: a line of its own would be a field of its own."""
    manager(ear).reloaded(outcomes, "serving")

    assert ear.hear() == {"READY": "1", "STATUS": status}


def test_a_message_cannot_forge_a_field(manager, ear):
    """Whatever file names and errors hold."""
    bad = Outcome(part="config", result=Result.REJECTED, error="x\nMAINPID=1\r\nFDSTORE=1\u2028WATCHDOG=trigger")
    manager(ear).reloaded((bad,), "serving")

    assert set(ear.hear()) == {"READY", "STATUS"}


def test_a_long_message_is_cut(manager, ear):
    """Systemd drops a datagram of more than 4096 bytes, and READY with it; four bytes are the longest character."""
    bad = Outcome(part="config", result=Result.REJECTED, error="\U0001f600" * 5000)
    manager(ear).reloaded((bad,), "serving")

    message = ear.wire.recv(65536)
    assert message.startswith(b"READY=1\nSTATUS=last reload rejected, config: ")
    assert len(message) <= 4096


def test_what_is_no_text_is_told_all_the_same(manager, ear):
    """A file name of other bytes than UTF-8 is a lone surrogate in Python."""
    manager(ear).ready("serving \udcff")

    assert ear.hear()["STATUS"] == "serving ?"


def test_the_end_is_told_with_the_time_it_takes(manager, ear):
    """In microseconds, so that a shorter TimeoutStopSec= does not cut the drain."""
    manager(ear).stopping(3, 35.5)

    assert ear.hear() == {
        "STOPPING": "1",
        "EXTEND_TIMEOUT_USEC": "35500000",
        "STATUS": "draining, 3 connections, at most 35.5 s",
    }


def test_a_reload_that_meets_the_end_says_nothing(manager, ear):
    """READY after STOPPING would call it off."""
    told = manager(ear)
    told.stopping(0, 1)
    ear.hear()
    told.reloading()
    told.reloaded((), "serving")

    assert ear.is_quiet()


def test_signs_of_life_come_twice_as_often_as_needed(manager, ear):
    """Not before half of the time has passed, and at that instant."""
    clock = Clock()
    told = manager(ear, clock, WATCHDOG_USEC="2000000", WATCHDOG_PID=str(PID))
    told.beat()
    assert ear.hear() == {"WATCHDOG": "1"}
    clock.now_ns += 1_000_000_000 - 1
    told.beat()
    assert ear.is_quiet()
    clock.now_ns += 1
    told.beat()

    assert ear.hear() == {"WATCHDOG": "1"}


def test_a_watchdog_for_any_process_counts(manager, ear):
    """Without WATCHDOG_PID the variable is meant for whoever reads it."""
    manager(ear, WATCHDOG_USEC="2000000").beat()

    assert ear.hear() == {"WATCHDOG": "1"}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(PID + 1)},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "²"},
    ],
    ids=str,
)
def test_no_sign_of_life_where_none_is_expected(manager, ear, environ):
    """Of another process, or of nobody."""
    manager(ear, **environ).beat()

    assert ear.is_quiet()


def test_nobody_is_told_without_the_variable():
    """And no socket is opened."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    told = ServiceManager({"WATCHDOG_USEC": "2000000"}, PID)
    with capture_logs() as logs:
        told.ready("serving")
        told.reloading()
        told.reloaded((APPLIED,), "serving")
        told.beat()
        told.stopping(0, 1)

    assert logs == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("vsock:2:1234", "neither a path nor an abstract name"),
        ("relative", "neither a path nor an abstract name"),
        ("/nonexistent/notify", "No such file"),
        ("/" + "x" * 200, "too long"),
        ("/dev/null", "refused"),
    ],
)
def test_a_useless_address_is_told_once_and_harms_nobody(manager, address, reason):
    """One warning, however much there would be to say."""
    with capture_logs() as logs:
        told = manager(address, WATCHDOG_USEC="2000000")
        for _ in range(3):
            told.ready("serving")
            told.beat()
        told.stopping(0, 1)

    [line] = logs
    assert (line["event"], line["socket"], line["log_level"]) == ("notify.failed", address, "warning")
    assert reason in line["error"]


def test_a_service_manager_that_came_back_is_heard_again(manager, tmp_path):
    """With a new socket at the same path, as after its own restart; each absence is told once."""
    address = str(tmp_path / "notify")
    with capture_logs() as logs:
        told = manager(address)
        for _ in range(2):
            told.ready("nobody hears")
            told.ready("nobody hears")
            ear = Ear(address)
            told.ready("back")
            assert ear.hear()["STATUS"] == "back"
            ear.wire.close()
            Path(address).unlink()

    assert [line["event"] for line in logs] == ["notify.failed"] * 2


def test_what_a_busy_service_manager_does_not_take_is_sent_later(manager, ear):
    """In order, without waiting for it; signs of life are not piled up."""
    told = manager(ear, WATCHDOG_USEC="2")
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.setblocking(False)
    filled = 0
    with contextlib.closing(sender), contextlib.suppress(BlockingIOError):
        while True:
            sender.sendto(b"FILL=1", ear.address)
            filled += 1
    told.reloading()
    told.reloaded((APPLIED,), "serving generation 2")
    told.beat()
    for _ in range(filled):
        assert ear.hear() == {"FILL": "1"}
    assert ear.is_quiet()
    told.beat()

    assert "RELOADING" in ear.hear()
    assert "READY" in ear.hear()
    assert "WATCHDOG" in ear.hear()
    assert ear.is_quiet()
