"""F09: Redis stops, dies, comes back and has forgotten everybody: 503 soon, and everything by itself."""

import contextlib
import http.client
import shutil
import signal
import socket
import threading
import time
from itertools import pairwise
from typing import Self

from tests.faults.lab import Lab, Size
from tests.faults.verdict import Report
from tests.faults.visitors import Answers, all_503, config, people, stalls, visit
from tests.redis_server import RedisServer

_USERS = 8
_RATE = 40
# A session is believed for less than that without asking.
_BELIEVED = 1.0
_RECOVERED = 2.0
_STALLS = 2


class Hangup:
    """Listens where Redis did, counts who comes, and hangs up."""

    def __init__(self, port: int) -> None:
        self.came: list[float] = []
        self._listening = socket.create_server(("127.0.0.1", port))
        self._listening.settimeout(0.05)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5)
        self._listening.close()

    def _run(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError):
                wire, _ = self._listening.accept()
                self.came.append(time.monotonic())
                wire.close()


def _status(lab: Lab, path: str) -> int:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", lab.ops_port, timeout=5)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status


def _unready(lab: Lab, seconds: float) -> float:
    """Wait so long; return after how many of them `/readyz` was 503, infinity when it never was."""
    begin, found = time.monotonic(), float("inf")
    while time.monotonic() - begin < seconds:
        if found == float("inf") and _status(lab, "/readyz") == 503:
            found = time.monotonic() - begin
        time.sleep(0.1)
    return found


def run(size: Size) -> Report:
    """SIGSTOP, SIGCONT, SIGKILL, somebody else on its port, a restart without a memory."""
    report = Report(fault="F09", title="Redis away")
    program = shutil.which("redis-server")
    if program is None:
        report.skipped = "redis-server is not installed"
        return report
    stopped = size.of(4, 10)
    with Lab(size) as lab, RedisServer(program, lab.folder) as redis:
        lab.start_services()
        lab.start_proxy(config(lab, {"kind": "redis", "url": redis.url}))
        lab.start_checker()
        seconds = size.phase + 2 * stopped + 14
        visiting = people(lab, _USERS)
        visitors = lab.attack(visit, **visiting, rate=_RATE, seconds=seconds)
        signed_in = visitors.wait_for(1, 20)["signed_in"]
        with lab.experiment():
            stop = time.monotonic()
            redis.signal(signal.SIGSTOP)
            unready = _unready(lab, stopped)
            live = _status(lab, "/livez")
            redis.signal(signal.SIGCONT)
            goes_on = time.monotonic()
            time.sleep(_RECOVERED + 1)
            ready_again = _status(lab, "/readyz")
            redis.signal(signal.SIGKILL)
            kill = time.monotonic()
            with Hangup(redis.port) as hangup:
                unready = max(unready, _unready(lab, stopped))
                gone = time.monotonic()
            redis.start()
            back = time.monotonic()
            told = Answers(visitors.result())
            ready_at_last = _status(lab, "/readyz")
            stalled = stalls(lab)
        report.done = f"stopped {stopped} s, then killed {stopped} s; {_RATE} requests a second with sessions"
        report.exactly("signed in before", signed_in, _USERS)
        all_503(report, "stopped", told.between(stop + _BELIEVED, goes_on - 0.5), 500)
        all_503(report, "killed", told.between(kill + _BELIEVED, gone - 0.5), 500)
        again = told.between(goes_on + _RECOVERED, kill)
        report.at_least("2 s after it goes on: asked", len(again), 5)
        report.exactly("2 s after it goes on: not served", sum(one.status not in {200, 303} for one in again), 0)
        after = told.between(back + _RECOVERED, float("inf"))
        known = [one for one in after if one.who >= 0]
        report.at_least("2 s after it is back, empty: asked", len(known), 5)
        report.exactly("2 s after it is back, empty: not 401", sum(one.status != 401 for one in known), 0)
        logins = [one for one in after if one.who < 0]
        report.exactly("2 s after it is back: sign-ins that fail", sum(one.status != 303 for one in logins), 0)
        came = hangup.came
        # The first three open the circuit; from then on there is one a second.
        gaps = [after - before for before, after in pairwise(came) if before > came[0] + 1]
        report.at_least("while it is away: shortest time between attempts", min(gaps, default=0), 0.9, "s")
        report.at_most("attempts in all", len(came), 3 + _RATE // 4 + stopped + 1)
        report.at_most("/readyz says 503 after", unready, 3.5, "s", noisy=True)
        report.exactly("/livez meanwhile", live, 200)
        report.exactly("/readyz when it goes on", ready_again, 200)
        report.exactly("/readyz when it is back", ready_at_last, 200)
        report.at_most("the loop's timers more than 25 ms late", stalled, _STALLS, noisy=True)
        events = lab.new_events()
        report.at_most("times the log says lost", events.get("sessions.lost", 0), 2)
        report.notes.append(f"{len(came)} attempts in {stopped} s while it was dead; log {events}")
        lab.others(report)
        lab.recovered(report)
    return report
