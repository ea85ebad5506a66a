"""Every connection is looked at, in slices between which others have their turn."""

import asyncio
import math
from types import SimpleNamespace

from authproxy.daemon.rounds import _SLICE, Rounds


class Connection:
    """Writes down what is done to it."""

    def __init__(self, log, *, due=False, broken=False):
        self.log = log
        self.line = SimpleNamespace(deadline=0.0 if due else math.inf)
        self.broken = broken
        self.seen = []

    def on_deadline(self):
        self.seen.append("deadline")

    def recheck(self):
        self.log.append(self)
        if self.broken:
            raise RuntimeError("no")
        self.seen.append("recheck")

    def watch(self, now):
        self.seen.append("watch")

    def crash(self, error):
        self.seen.append(str(error))


async def test_all_are_looked_at_a_slice_a_turn():
    """A thousand connections hold nobody up; a round that is under way is not begun again."""
    log: list[Connection] = []
    connections = [Connection(log) for _ in range(2 * _SLICE + 1)]
    rounds = Rounds(connections)

    rounds.go()
    assert len(log) == _SLICE
    rounds.go()
    assert len(log) == _SLICE
    await asyncio.sleep(0)
    assert len(log) == 2 * _SLICE
    await asyncio.sleep(0)

    assert log == connections
    assert all(one.seen == ["recheck", "watch"] for one in connections)


async def test_what_is_due_is_told_and_trouble_stays_where_it_is():
    """One that fails is crashed, and the next one is looked at all the same."""
    log: list[Connection] = []
    due, broken, last = Connection(log, due=True), Connection(log, broken=True), Connection(log)

    Rounds([due, broken, last]).go()

    assert due.seen == ["deadline", "recheck", "watch"]
    assert broken.seen == ["no"]
    assert last.seen == ["recheck", "watch"]
