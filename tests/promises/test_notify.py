"""systemd's notify protocol, heard on a socket of the test's own."""

import itertools
import os
import signal
import socket
import time

import pytest

from tests.patience import PATIENCE

pytestmark = pytest.mark.promise


class Manager:
    """Listens as a service manager does."""

    def __init__(self, address):
        self.wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.wire.settimeout(PATIENCE)
        self.wire.bind("\0" + address[1:] if address.startswith("@") else str(address))

    def hear(self, *, beats=False):
        """The next message; signs of life are passed over, unless wanted."""
        while True:
            message = dict(line.split("=", 1) for line in self.wire.recv(8192).decode().split("\n"))
            if beats or "WATCHDOG" not in message:
                return message

    def hear_nothing_more(self):
        """What was on its way may still come; then `TimeoutError`."""
        for _ in range(3):
            self.wire.recv(8192)


@pytest.fixture
def manager(house, monkeypatch):
    """`manager(**environ)` listens for the house that is started next."""
    made = []

    def listen(address=None, **environ):
        address = address or str(house.directory / "notify")
        for name, value in {"NOTIFY_SOCKET": address, **environ}.items():
            monkeypatch.setenv(name, value)
        made.append(Manager(address))
        return made[-1]

    yield listen
    for one in made:
        one.wire.close()


def test_a_life_is_told_as_it_goes(house, manager):
    """Ready when it serves, reloading and ready again, stopping with the time it may take."""
    systemd = manager()
    running = house.spawn()
    ready = systemd.hear()
    # At once: whoever is told so may connect.
    assert house.ask("/", house.user).status == 200
    began = time.monotonic_ns() // 1000
    running.hup()
    reloading = systemd.hear()
    heard = time.monotonic_ns() // 1000
    again = systemd.hear()
    running.term()
    stopping = systemd.hear()

    where = f"on public (127.0.0.1:{house.port})"
    assert ready == {"READY": "1", "STATUS": f"serving generation 1 {where}"}
    assert began < int(reloading.pop("MONOTONIC_USEC")) < heard
    assert reloading == {"RELOADING": "1", "STATUS": "reloading"}
    assert again == {"READY": "1", "STATUS": f"last reload changed nothing; serving generation 2 {where}"}
    # drain: 5s, and 5 s for the rest.
    assert (stopping["STOPPING"], stopping["EXTEND_TIMEOUT_USEC"]) == ("1", "10000000")
    assert running.wait() == 0


def test_what_a_reload_rejected_is_told(house, manager):
    """In one line that `systemctl status` shows; the old generation serves on."""
    systemd = manager(f"@authproxy-{os.getpid()}-{house.port}")
    running = house.start()
    assert systemd.hear()["READY"] == "1"
    house.config["routes"][0]["upstream"] = "nowhere"
    house.save()
    running.hup()
    assert systemd.hear()["RELOADING"] == "1"
    rejected = systemd.hear()

    assert rejected["READY"] == "1"
    assert rejected["STATUS"].startswith("last reload rejected, config: ")
    assert "authproxy.yaml:21:13: routes[0].upstream: unknown upstream" in rejected["STATUS"]
    assert house.ask("/", house.user).status == 200


def test_a_reload_that_the_watch_makes_is_told_too(house, manager):
    """Nobody asked for it, and it swaps as much."""
    house.config["reload"] = {"watch": "1s"}
    systemd = manager()
    house.start()
    assert systemd.hear()["READY"] == "1"
    house.put_pair("server", house.pki.server())

    assert systemd.hear()["RELOADING"] == "1"
    assert systemd.hear()["STATUS"].startswith("last reload applied; ")


def test_a_start_that_fails_is_never_ready(house, manager):
    """Systemd sees the exit code alone."""
    systemd = manager()
    house.config["routes"][0]["upstream"] = "nowhere"
    running = house.spawn()

    assert running.wait() == 78
    systemd.wire.setblocking(False)
    with pytest.raises(BlockingIOError):
        systemd.wire.recv(8192)


def test_signs_of_life_come_while_the_loop_turns_and_no_longer(house, manager):
    """Also while a reload hangs in a file system; a process that stands still gives none."""
    systemd = manager(WATCHDOG_USEC="4000000")
    running = house.start()
    (house.directory / "authproxy.yaml").unlink()
    os.mkfifo(house.directory / "authproxy.yaml")
    # Somebody who could write and does not: whoever reads waits for him.
    silent = os.open(house.directory / "authproxy.yaml", os.O_RDWR)
    running.hup()
    assert systemd.hear()["READY"] == "1"
    assert systemd.hear()["RELOADING"] == "1"
    times = []
    for _ in range(3):
        assert systemd.hear(beats=True) == {"WATCHDOG": "1"}
        times.append(time.monotonic())
    assert max(after - before for before, after in itertools.pairwise(times)) < 4.0
    running.term(signal.SIGSTOP)
    systemd.wire.settimeout(4.0)
    with pytest.raises(TimeoutError):
        systemd.hear_nothing_more()
    systemd.wire.settimeout(PATIENCE)

    running.term(signal.SIGCONT)
    assert systemd.hear(beats=True) == {"WATCHDOG": "1"}
    os.close(silent)


def test_nobody_at_the_socket_is_no_reason_not_to_serve(house, monkeypatch):
    """One warning, and the house is open."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(house.directory / "nobody"))
    running = house.start()
    running.reload()

    assert house.ask("/", house.user).status == 200
    assert len(running.told("notify.failed")) == 1
