"""What one request costs without any I/O: microseconds, and opcodes by function.

    .venv/bin/python tests/bench/profile_hot_path.py

Requests and answers are fed to the real connections over transports in memory, so a change to the hot path can be
judged in seconds. Opcodes depend neither on the machine nor on its other users, but leave out what is spent in C;
the microseconds have that too.
"""

import asyncio
import gc
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final
from unittest.mock import patch

import click

from tests.bench.material import make
from tests.bench.memory import Way, lay

_BATCHES: Final = 10
_TRACED: Final = 256
_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one request, in microseconds of CPU time: the best batch, since others can only make it dearer."""

    whole: float
    asking: float
    """From the client's bytes to the write to the upstream."""
    answering: float
    """From the upstream's bytes to the write to the client."""


def time_requests(way: Way, count: int) -> Cost:
    """Let `count` requests pass in batches, as a whole and by halves."""
    batch = max(1, count // _BATCHES)
    whole = min(_whole(way, batch) for _ in range(_BATCHES))
    asking, answering = (min(half) for half in zip(*(_halves(way, batch) for _ in range(_BATCHES)), strict=True))
    # Reading the clock twice as often has made the halves dearer; their proportion is what they are measured for.
    share = asking / (asking + answering)
    return Cost(whole=whole, asking=whole * share, answering=whole * (1 - share))


def _whole(way: Way, count: int) -> float:
    begin = time.process_time_ns()
    for number in range(count):
        way.ask(number)
        way.answer()
    return (time.process_time_ns() - begin) / count / 1e3


def _halves(way: Way, count: int) -> tuple[float, float]:
    clock, asking, answering = time.process_time_ns, 0, 0
    for number in range(count):
        begin = clock()
        way.ask(number)
        between = clock()
        way.answer()
        asking += between - begin
        answering += clock() - between
    return asking / count / 1e3, answering / count / 1e3


def count_opcodes(way: Way) -> Counter[CodeType]:
    """Return how many opcodes every function executes while a number of requests pass, the way's own left out."""
    counted: Counter[CodeType] = Counter()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            counted[frame.f_code] += 1
        return trace

    before = sys.gettrace()
    # Traced, a request takes more than a millisecond; what is done once in each would seem to be done for every request.
    with patch.object(time, "time", repeat(time.time()).__next__):
        # Python 3.12 looks for a wish for opcodes only at the moment when tracing begins.
        sys._getframe().f_trace_opcodes = True
        sys.settrace(trace)
        try:
            for number in range(_TRACED):
                way.ask(number)
                way.answer()
        finally:
            sys.settrace(before)
    here = str(Path(__file__).parent)
    return Counter({code: count for code, count in counted.items() if not code.co_filename.startswith(here)})


def opcode_table(counted: Counter[CodeType], top: int, *, by_room: bool = False) -> str:
    """Return opcodes per request by function or by room, those with the most first."""
    summed: Counter[str] = Counter()
    for code, count in counted.items():
        module = _module(code)
        summed[module.rpartition("/")[0] or "elsewhere" if by_room else f"{module}  {code.co_qualname}"] += count
    lines = [f"{count / _TRACED:10.1f}  {name}" for name, count in summed.most_common(top)]
    rest = sum(count for _, count in summed.most_common()[top:])
    if rest:
        lines.append(f"{rest / _TRACED:10.1f}  in {len(summed) - top} more")
    lines.append(f"{counted.total() / _TRACED:10.1f}  opcodes per request")
    return "\n".join(lines)


def _module(code: CodeType) -> str:
    path = Path(code.co_filename)
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT / "authproxy") else path.name


async def profile(folder: Path, *, count: int, top: int, log: bool, by_room: bool, session: bool) -> None:
    """Print both figures."""
    way = await lay(make(folder), log=log, session=session)
    for number in range(_TRACED):
        way.ask(number)
        way.answer()
    # As the daemon does when it begins to serve.
    gc.collect()
    gc.freeze()
    click.echo(opcode_table(count_opcodes(way), top, by_room=by_room))
    click.echo()
    cost = time_requests(way, count)
    click.echo(f"{cost.whole:10.1f}  us per request without I/O")
    click.echo(f"{cost.asking:10.1f}  us of it until the upstream has the request")
    click.echo(f"{cost.answering:10.1f}  us of it until the client has the answer")
    way.check()


@click.command(help="What one request costs without any I/O: microseconds, and opcodes by function.")
@click.option("--requests", "count", type=click.IntRange(10), default=20_000, show_default=True, help="To be timed.")
@click.option("--top", type=click.IntRange(1), default=40, show_default=True, help="Functions to list.")
@click.option("--log/--no-log", default=True, show_default=True, help="Whether the access log is written.")
@click.option("--by-room", is_flag=True, help="List packages of the program, not functions.")
@click.option("--session", is_flag=True, help="Let users show the cookie of a session instead of their token.")
def main(*, count: int, top: int, log: bool, by_room: bool, session: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="authproxy-bench-") as path:
        asyncio.run(profile(Path(path), count=count, top=top, log=log, by_room=by_room, session=session))


if __name__ == "__main__":
    main()
