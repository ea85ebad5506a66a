"""The real process over real TLS: fewer inputs a second than in memory, and nothing left out."""

import contextlib
import time
from collections import deque
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from tests.conformance.proxy import ALICE, BOB, Material, Proxy, start
from tests.conformance.upstream import HEADS, RecordingUpstream, Seen, Turn, receive
from tests.conformance.wire import Wire
from tests.fuzz.breaker import OK
from tests.fuzz.grammar import Case, Script
from tests.fuzz.memory import configuration, good_request
from tests.fuzz.oracles import check
from tests.fuzz.outcome import Carried, Outcome
from tests.fuzz.reader import read_answers, read_requests

_STEP: Final = 0.02
_QUIET: Final = 0.06
_LATE: Final = 1.5
_SPARE: Final = 12
_LOOK_AFTER_EVERY: Final = 10
# Idle connections to upstreams, and what a process opens once.
_DESCRIPTORS: Final = 64
_TIMES: Final = {"connect": "2s", "response_head": "400ms", "idle": "400ms"}


class Process:
    """A proxy with short times, and a recording upstream behind it."""

    def __init__(self, folder: Path) -> None:
        material = Material.make()
        self._upstream = RecordingUpstream(material.upstream_context(folder))
        settings = configuration(self._upstream.port, "@public@")
        upstreams = settings["upstreams"]
        assert isinstance(upstreams, dict)
        for one in upstreams.values():
            one["timeouts"] = _TIMES
        settings["timeouts"] = {"head": "400ms", "body_idle": "400ms", "keep_alive": "400ms", "tunnel_idle": "400ms"}
        self._proxy: Proxy = start(folder, material, settings, ["public"], self._upstream)
        self._read_log = len(self._proxy.log)
        self._begun_with = self._descriptors()
        self._number = 0
        self._carried: list[tuple[Carried, Seen]] = []

    async def problems_of(self, case: Case) -> list[str]:
        """Carry one input, and now and then a good request; return what is wrong with either."""
        case = replace(case, trusted=False)
        problems = check(case, self._run(case))
        self._number += 1
        if problems or not self._number % _LOOK_AFTER_EVERY:
            after = Case(client=(good_request(ALICE, 1), good_request(BOB, 2)), expect=(200, 200))
            problems += [f"afterwards: {problem}" for problem in check(after, self._run(after))]
        return problems

    async def close(self) -> list[str]:
        """End both; return what was left behind."""
        deadline = time.monotonic() + 5
        while (left := self._descriptors() - self._begun_with) > _DESCRIPTORS and time.monotonic() < deadline:
            time.sleep(0.1)
        problems = [f"inside: {left} descriptors left"] if left > _DESCRIPTORS else []
        self._proxy.stop()
        self._upstream.stop()
        return problems + [f"inside: {line}" for line in self._proxy.log[self._read_log :] if "crashed" in line]

    def _descriptors(self) -> int:
        return len(list(Path(f"/proc/{self._proxy.process.pid}/fd").iterdir()))

    def _run(self, case: Case) -> Outcome:
        self._upstream.reset()
        self._carried = []
        scripts = [*case.scripts, *[Script()] * _SPARE]
        self._upstream.scripts = deque(partial(self._answer, script) for script in scripts)
        # Not a trusted proxy's: a request of an earlier input that comes late is told by its client's address.
        source = self._upstream.source
        wire = self._proxy.connect(source=source)
        for step in case.client:
            if isinstance(step, bytes):
                wire.send(step)
        received = self._read(wire, case)
        if case.ending == "lost":
            wire.reset()
        else:
            wire.close()
        self._settle()
        for carried, seen in self._carried:
            carried.asked, carried.whole = seen.head + HEADS + seen.framed, seen.whole
        news = self._proxy.log[self._read_log :]
        self._read_log += len(news)
        crashes = [f"said in the log: {line}" for line in news]
        crashes += [f"the upstream cannot read what the proxy writes: {error!r}" for error in self._upstream.errors]
        return Outcome(
            received=received, end=wire.end, carried=[one for one, _ in self._carried], crashes=crashes, peer=source
        )  # fmt: skip

    def _read(self, wire: Wire, case: Case) -> bytes:
        """Read all answers there can be; longer only while one is missing."""
        asked = read_requests(case.sent)
        wanted = len(asked.messages) + (asked.state == "bad")
        methods = [request.method for request in asked.messages] + [b""]
        wire.sock.settimeout(_STEP)
        begun = last = time.monotonic()
        while True:
            try:
                if not wire._more():
                    return bytes(wire.buffer)
                last = time.monotonic()
            except TimeoutError:
                pass
            reading = read_answers(bytes(wire.buffer), methods, ended=True)
            final = sum(answer.status >= 200 for answer in reading.messages)
            if final >= wanted and reading.state == "end" and asked.state == "end":
                return bytes(wire.buffer)
            quiet = time.monotonic() - last
            if quiet > (_QUIET if final >= wanted else _LATE) or time.monotonic() - begun > 2 * _LATE:
                return bytes(wire.buffer)

    def _settle(self) -> None:
        """Wait until every request is whole or its connection has ended."""
        upstream = self._upstream
        with upstream._changed:
            upstream._changed.wait_for(
                lambda: all(seen.whole or seen.connection in upstream.ends for seen in upstream.requests), _LATE
            )

    def _answer(self, script: Script, turn: Turn) -> None:
        seen = turn.seen
        carried = Carried(connection=seen.connection, asked=b"", whole=False)
        self._carried.append((carried, seen))
        if script.when == "head":
            self._send(turn, script, carried)
        turn.read_body()
        if script.when == "whole":
            self._send(turn, script, carried)
        if b"101" in carried.sent[:20]:
            while True:
                receive(turn.sock, turn.buffer)
        if script.then == "close":
            carried.end = "clean"
            turn.close()
        elif script.then == "cut":
            carried.end = "cut"
            turn.cut()

    @staticmethod
    def _send(turn: Turn, script: Script, carried: Carried) -> None:
        pieces = script.pieces or (OK[:-2] if turn.seen.method == b"HEAD" else OK,)
        if script.then != "keep":
            carried.end = "clean" if script.then == "close" else "cut"
        for piece in pieces:
            if isinstance(piece, bytes):
                carried.sent += piece
                with contextlib.suppress(OSError):
                    turn.send(piece)
