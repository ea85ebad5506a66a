"""What must hold of everything that the client gets."""

from typing import Final

from tests.fuzz.outcome import Carried, Outcome
from tests.fuzz.reader import HOP_BY_HOP, Message, Reading, fold, read_answers

STATUSES: Final = frozenset({204, 400, 401, 403, 404, 405, 408, 413, 414, 417, 421, 429, 431, 501, 502, 503, 504})
"""What the proxy says in its own name: the refusal table's, and the answer to `OPTIONS *`."""

_GOING_AWAY: Final = b"\x88\x02\x03\xe9"


def check_answers(
    sent: bytes, asked: Reading, pairs: dict[int, list[Carried]], outcome: Outcome, problems: list[str]
) -> list[Message]:
    """Read what the client got; return the final answers."""
    # What is no request may be answered once more, as is what has not ended.
    begun = asked.rest.removeprefix(b"\r\n")
    methods = [request.method for request in asked.messages] + [b"HEAD" if begun.startswith(b"HEAD ") else b""]
    reading = read_answers(outcome.received, methods, ended=outcome.end == "clean")
    if reading.state == "bad":
        problems.append(f"answer: {reading.problem}; the client got {outcome.received[:2000]!r}")
        return []
    final = [answer for answer in reading.messages if answer.status >= 200 or answer.status == 101]
    for answer in reading.messages:
        if answer not in final and answer.status not in {100, 103}:
            problems.append(f"answer: an interim {answer.status}")
    for number, answer in enumerate(final):
        _check_answer(number, answer, asked, pairs.get(number, []), outcome, problems)
    if final and final[-1].framing != "tunnel":
        if not final[-1].whole and outcome.end == "clean":
            problems.append(f"answer: a clean end of an answer that is not whole: {outcome.received[-500:]!r}")
        if reading.rest and outcome.end == "clean":
            problems.append(f"answer: bytes behind the last one: {reading.rest[:500]!r}")
    if reading.state == "tunnel":
        number = len(final) - 1
        behind = sent[asked.messages[number].end :]
        _check_tunnel((reading.rest, behind), asked.messages[number], pairs.get(number), problems)
    return final


def _check_answer(  # noqa: PLR0912, PLR0917  # one rule after the other
    number: int, answer: Message, asked: Reading, carried: list[Carried], outcome: Outcome, problems: list[str]
) -> None:
    request = asked.messages[number] if number < len(asked.messages) else None
    kinds = answer.all(b"x-authproxy-response")
    if len(kinds) > 1:
        problems.append("answer: two X-Authproxy-Response")
    if kinds:
        if kinds[0].startswith(b"own-page") and answer.status in {200, 503}:
            # The health page, which aiohttp answers.
            return
        if answer.status not in STATUSES:
            problems.append(f"answer: our own {answer.status}")
        if answer.all(b"cache-control") != [b"no-store"] or len(answer.all(b"x-request-id")) != 1:
            problems.append(f"answer: our own without no-store or an id: {answer.fields!r}")
        if answer.status == 401 and len(answer.all(b"www-authenticate")) != 1:
            problems.append("answer: a 401 without a challenge")
        return
    if not carried or request is None:
        problems.append(f"answer: {answer.status} that nobody gave: {answer.fields!r}")
        return
    if len(answer.all(b"x-request-id")) != 1:
        problems.append("answer: passed on without one X-Request-Id")
    if request.minor == 0 and answer.framing == "chunked":
        problems.append("answer: chunks for HTTP/1.0")
    last = carried[-1]
    given = read_answers(last.sent, [request.method], ended=last.end == "clean")
    theirs = next((one for one in given.messages if one.status >= 200 or one.status == 101), None)
    if theirs is None or theirs.status != answer.status:
        problems.append(f"answer: {answer.status}, and the upstream gave {last.sent[:1000]!r}")
        return
    if answer.whole and answer.status != 101 and (not theirs.whole or theirs.body != answer.body):
        problems.append(f"answer: whole, and the upstream's is not the same: {last.sent[:1000]!r}")
    if not theirs.body.startswith(answer.body) and answer.status != 101:
        problems.append("answer: another body")
    for name, value in answer.fields:
        low = name.lower()
        if low in {b"x-request-id", b"connection", b"transfer-encoding", b"upgrade", b"content-length"}:
            continue
        if (name, value) not in theirs.fields:
            problems.append(f"answer: a field that nobody gave: {name!r}")
        if low in (HOP_BY_HOP | theirs.options | {b"te"}) - {b"close"} or fold(name).startswith(b"X_AUTHPROXY_"):
            problems.append(f"answer: {name!r} passed on")
        if low == b"set-cookie" and value.lower().startswith(b"__host-authproxy"):
            problems.append("answer: a cookie of ours")


def _check_tunnel(
    streams: tuple[bytes, bytes], request: Message, carried: list[Carried] | None, problems: list[str]
) -> None:
    rest, behind = streams
    if not carried:
        problems.append("tunnel: to nobody")
        return
    given = read_answers(carried[-1].sent, [b"GET"], ended=True)
    # A WebSocket is told that the proxy ends (RFC 6455, 7.4.1).
    if not given.rest.startswith(rest.removesuffix(_GOING_AWAY)):
        problems.append(f"tunnel: the client got {rest[:500]!r}, the upstream sent {given.rest[:500]!r}")
    if not behind.startswith(carried[-1].tunnelled):
        problems.append(f"tunnel: the upstream got {carried[-1].tunnelled[:500]!r}, the client sent {behind[:500]!r}")
    if b"upgrade" not in request.options:
        problems.append("tunnel: nobody asked for it")
