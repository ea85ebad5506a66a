"""A short run of the fuzzer is part of the tests, and the fuzzer sees what it is there to see."""

import re

import pytest

from authproxy.core import names
from authproxy.edge import carrier, connection, forward, outcome
from authproxy.edge.access_log import AccessLog
from authproxy.http1 import answer, chunked, fields, request, usual
from authproxy.upstream.pool import Upstream
from tests.conformance.proxy import ALICE
from tests.fuzz.grammar import Case, Script
from tests.fuzz.memory import good_request
from tests.fuzz.run import first_find, in_memory

INPUTS = 300

# A second or two each; far more only where the machine has other things to do.
pytestmark = pytest.mark.timeout(180)


def finds(folder, seed, most=INPUTS):
    """What a run finds: the problems of the first input that breaks a rule."""
    found = []

    async def work(world):
        found.append(await first_find(world, seed, most))
        return 0

    in_memory(folder, work)
    return found[0]


@pytest.mark.parametrize("seed", ["one", "two", "three"])
def test_made_up_inputs_break_no_rule(tmp_path, seed):
    """The same inputs every time; `make fuzz` makes others."""
    assert finds(tmp_path, seed) is None


def _identity_passes(patch):
    good = names.RequestNames.classify
    patch.setattr(
        names.RequestNames, "classify",
        lambda self, name: names.PASS if names.fold(name) == b"X_USER_ID" else good(self, name),
    )  # fmt: skip


def _both_framings_pass(patch):
    good = fields.read_framing

    def read(head, lines, shape):
        problem = good(head, lines, shape)
        if problem is not None and problem.problem.startswith("both"):
            head.chunked = head.has_body = True
            return None
        return problem

    patch.setattr(request, "read_framing", read)


def _any_number_is_a_size(patch):
    patch.setattr(chunked, "_HEX", chunked._HEX + b"+-x_ ")
    patch.setattr(chunked.ChunkedReader, "_read_size", _lax_size)


def _lax_size(self, line):
    self._left = int(re.sub(rb"[^0-9A-Fa-f]", b"", line.partition(b";")[0]) or b"0", 16)
    self._state = chunked._State.DATA if self._left else chunked._State.TRAILER


def _truncation_ends_cleanly(patch):
    patch.setattr(carrier.Carrier, "cut", carrier.Carrier.shut)


def _connections_leak(patch):
    patch.setattr(Upstream, "release", lambda self, connection: None)


def _our_token_passes(patch):
    patch.setattr(forward, "carries_our_token", lambda authorization, prefixes: False)


def _upstream_speaks_for_us(patch):
    good = names.AnswerNames.classify
    patch.setattr(
        names.AnswerNames, "classify",
        lambda self, name: names.PASS if name.lower().startswith(b"x-authproxy") else good(self, name),
    )  # fmt: skip
    patch.setattr("authproxy.upstream.connection._READER", answer.AnswerReader())


def _lines_are_written_twice(patch):
    good = AccessLog.add

    def add(self, *told):
        good(self, *told)
        good(self, *told)

    patch.setattr(AccessLog, "add", add)


def _hop_by_hop_passes(patch):
    good = fields.read_connection

    def read(head, options, upgrade, table):
        passed = head.passed
        problem = good(head, options, upgrade, table)
        head.passed = passed
        return problem

    patch.setattr(request, "read_connection", read)


def _patterns_take_any_line(patch):
    """The quick way reads what the careful one refuses."""
    patch.setattr(usual, "_VALUE", rb"[\x00-\x0c\x0e-\xff]*+")
    patch.setitem(usual._REQUEST_FIELDS, names.PASS, rb"[\x00-\x0c\x0e-\xff]*+")


def _a_retry_too_many(patch):
    patch.setattr(outcome, "is_repeatable", lambda head: True)


def _a_pipelined_request_is_lost(patch):
    good = connection.ClientConnection._dispatch

    def dispatch(self, runtime, listener, head):
        self._buffer = b"" if not head.has_body else self._buffer
        good(self, runtime, listener, head)

    patch.setattr(connection.ClientConnection, "_dispatch", dispatch)


@pytest.mark.parametrize(
    ("break_it", "rule"),
    [
        (_identity_passes, "forwarded: identity"),
        (_both_framings_pass, "forwarded: "),
        (_any_number_is_a_size, "forwarded: "),
        (_truncation_ends_cleanly, "answer: a clean end"),
        (_connections_leak, "inside: upstream connections"),
        (_our_token_passes, "forwarded: a token of ours"),
        (_upstream_speaks_for_us, "answer: "),
        (_lines_are_written_twice, "log: "),
        (_hop_by_hop_passes, "forwarded: hop-by-hop"),
        (_patterns_take_any_line, "answer: more answers than requests"),
        (_a_retry_too_many, "forwarded: sent twice"),
        (_a_pipelined_request_is_lost, "pieces: "),
    ],
)
def test_a_broken_proxy_is_found(tmp_path, monkeypatch, break_it, rule):
    """With one rule switched off within the proxy, a short run breaks the rule that stands against it."""
    break_it(monkeypatch)

    found = finds(tmp_path, "broken", 3000)

    assert found is not None
    assert any(problem.startswith(rule) for problem in found[2]), found


def _largest(start, size):
    """A head of so many bytes, with its end."""
    line = b"\r\nX-Last: "
    filler = b"".join(b"\r\nX-%d: " % number + b"a" * 7000 for number in range((size - len(start)) // 7200))
    return start + filler + line + b"a" * (size - len(start) - len(filler) - len(line)) + b"\r\n\r\n"


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_the_largest_heads_may_come_in_pieces(tmp_path, cut):
    """A limit counts what stands before the empty line, however much of that line has come."""
    good = good_request(ALICE, 1).removesuffix(b"\r\n\r\n")
    asked = [_largest(good, 32 * 1024 + more) for more in (0, 1)]
    given = _largest(b"HTTP/1.1 200 OK\r\nContent-Length: 0", 64 * 1024)
    cases = [
        Case(client=(asked[0][:-cut], asked[0][-cut:]), expect=(200,)),
        Case(client=(asked[1][:-cut], asked[1][-cut:]), expect=(431,)),
        Case(client=(good + b"\r\n\r\n",), scripts=(Script(pieces=(given[:-cut], given[-cut:])),), expect=(200,)),
    ]
    problems = []

    async def work(world):
        for case in cases:
            problems.extend(await world.problems_of(case))
        return 0

    in_memory(tmp_path, work)
    assert problems == []
