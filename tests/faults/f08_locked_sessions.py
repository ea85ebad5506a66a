"""F08: another process locks the file of sessions: who signs in is told to come again, who is signed in goes on."""

import sqlite3
import time
from contextlib import closing
from uuid import UUID

from tests.faults.lab import Lab, Size
from tests.faults.verdict import Report, quantile
from tests.faults.visitors import AWAY, Answers, all_503, config, people, stalls, visit

_USERS = 8
_RATE = 40
_LOCK_AFTER = 2.0
_SOON = 20_000
# Of those who are signed in, these are in the second half of their session: the store is to be told of each request.
_OLD = range(_USERS // 2, _USERS)
_STALLS = 2


def run(size: Size) -> Report:
    """`BEGIN EXCLUSIVE` for ten seconds while people work, sign in, and are refreshed."""
    report = Report(fault="F08", title="locked session file")
    locked = size.of(3, 10)
    with Lab(size) as lab:
        file = lab.folder / "sessions.db"
        lab.start_services()
        lab.start_proxy(config(lab, {"kind": "sqlite", "file": str(file)}))
        lab.start_checker()
        visiting = people(lab, _USERS)
        visitors = lab.attack(visit, **visiting, rate=_RATE, seconds=size.phase + locked + 6)
        signed_in = visitors.wait_for(1, 20)["signed_in"]
        with lab.experiment():
            with closing(sqlite3.connect(file, isolation_level=None)) as other:
                other.execute("PRAGMA busy_timeout = 5000")
                other.execute("BEGIN EXCLUSIVE")
                _grow_old(other, [user["id"] for user in visiting["users"]])
                other.execute("COMMIT")
                other.execute("BEGIN EXCLUSIVE")
                begin = time.monotonic()
                time.sleep(locked)
                end = time.monotonic()
                other.execute("ROLLBACK")
            told = Answers(visitors.result())
            stalled = stalls(lab)
        report.done = f"BEGIN EXCLUSIVE for {locked} s; {_RATE} requests a second with sessions, every fifth a sign-in"
        report.exactly("signed in before", signed_in, _USERS)
        all_503(report, "signing in", told.between(begin + 0.1, end - 0.3, -1), 250)
        during = told.between(begin + 1, end - 0.3)
        for name, half in (("first", range(_OLD.start)), ("second", _OLD)):
            known = [one for one in during if one.who in half]
            slowest = sorted(one.seconds for one in known)
            report.at_least(f"in the {name} half of their time: asked", len(known), 5)
            report.exactly(f"in the {name} half: not served", sum(one.status != 200 for one in known), 0)
            report.at_most(f"in the {name} half: p99", quantile(slowest, 0.99) * 1000, 250, "ms", noisy=True)
        after = told.between(end + 1, float("inf"))
        report.at_least("asked a second after release", len(after), 5)
        report.exactly("503 a second after release", sum(one.status == AWAY for one in after), 0)
        report.exactly("neither 200 nor 303 then", sum(one.status not in {200, 303} for one in after), 0)
        report.at_most("the loop's timers more than 25 ms late", stalled, _STALLS, noisy=True)
        lab.others(report)
        lab.recovered(report)
    return report


def _grow_old(other: sqlite3.Connection, ids: list[str]) -> None:
    """Let these be in the second half of their session."""
    soon = int(time.time() * 1000) + _SOON
    for number in _OLD:
        other.execute("UPDATE sessions_1 SET idle_ends = ? WHERE user_id = ?", (soon, UUID(ids[number]).bytes))
