"""What must hold of every input whatever it was; each problem is one line that begins with the name of its rule."""

import json
import re
from typing import Final

from tests.fuzz.answers import check_answers
from tests.fuzz.forwarded import check_carried
from tests.fuzz.grammar import Case
from tests.fuzz.outcome import Outcome
from tests.fuzz.reader import Message, Reading, read_answers, read_requests

_EVENTS: Final = frozenset({"request.forwarded", "request.refused", "request.answered", "request.failed"})
_TOKEN_BEGIN: Final = re.compile(rb"(?i)(svc|web)_02").search
_TOKEN_IN_PATH: Final = re.compile(rb'(?i)"path":"[^"]*(svc|web)_02').search


def check(case: Case, outcome: Outcome) -> list[str]:
    """Return what is wrong; nothing when all is well."""
    problems = [f"inside: {crash}" for crash in outcome.crashes]
    asked = read_requests(case.sent)
    pairs = check_carried(case, asked, outcome, problems)
    answers = check_answers(case.sent, asked, pairs, outcome, problems)
    _check_log(asked, answers, outcome, problems)
    if case.expect is not None:
        statuses = tuple(answer.status for answer in answers)
        if statuses[: len(case.expect)] != case.expect:
            problems.append(f"expected: statuses {case.expect}, got {statuses}")
    return problems


def same_whatever_the_pieces(case: Case, one: Outcome, other: Outcome) -> list[str]:
    """Two runs of the same bytes in other pieces must come to the same; which limit a head breaks first may differ."""
    first, second = (_essence(case, outcome) for outcome in (one, other))
    return [] if first == second else [f"pieces: {first!r}, and in one piece {second!r}"]


_UNREAD_HEAD: Final = {414: 400, 431: 400}


def _essence(case: Case, outcome: Outcome) -> tuple[list[int], list[tuple[bytes, bytes, bytes]], str]:
    asked = read_requests(case.sent)
    methods = [request.method for request in asked.messages] + [b"HEAD" if b"HEAD " in asked.rest[:7] else b""]
    answers = read_answers(outcome.received, methods, ended=True).messages
    statuses = [_UNREAD_HEAD.get(answer.status, answer.status) for answer in answers if answer.status >= 200]
    whole = [read_requests(one.asked).messages[:1] for one in outcome.carried if one.whole]
    return statuses, [(one.method, one.target, one.body) for found in whole for one in found], outcome.end


def _check_log(asked: Reading, answers: list[Message], outcome: Outcome, problems: list[str]) -> None:
    if outcome.lines is None:
        return
    most = len(asked.messages) + (asked.state != "end")
    if len(outcome.lines) > most:
        problems.append(f"log: {len(outcome.lines)} lines for {most} requests: {outcome.lines!r}")
    own_pages = sum(answer.first(b"x-authproxy-response").startswith(b"own-page") for answer in answers)
    if len(outcome.lines) < len(answers) - own_pages:
        problems.append(f"log: {len(outcome.lines)} lines for {len(answers)} answers")
    for line in outcome.lines:
        try:
            said = json.loads(line)
        except ValueError as error:
            problems.append(f"log: {error}: {line!r}")
            continue
        if said["event"] not in _EVENTS:
            problems.append(f"log: {line!r}")
        if _TOKEN_BEGIN(line) and not _TOKEN_IN_PATH(line):
            problems.append(f"log: a token in {line!r}")
