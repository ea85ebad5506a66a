"""What must hold of every input whatever it was; each problem is one line that begins with the name of its rule."""

import asyncio
import json
import re
from http import HTTPMethod
from typing import Final, cast

from aiohttp import hdrs, http_exceptions
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser

from tests.conformance.proxy import ALICE
from tests.fuzz.grammar import CREDENTIALS, Case
from tests.fuzz.outcome import Carried, Outcome
from tests.fuzz.reader import Message, Reading, read_answers, read_requests

STATUSES: Final = frozenset({204, 400, 401, 403, 404, 405, 408, 413, 414, 417, 421, 429, 431, 501, 502, 503, 504})
"""What the proxy says in its own name: the refusal table's, and the answer to `OPTIONS *`."""
_IDENTITY: Final = {b"X_USER_ID", b"REMOTE_USER", b"X_AUTHPROXY_GROUPS"}
# As the specification lists them, not as the program does.
_FAMILIES: Final = re.compile(
    rb"X_AUTHPROXY_|X_FORWARDED_|REMOTE_|X_REMOTE_|SSL_CLIENT_|X_SSL_CLIENT_|X_AMZN_OIDC_|X_GOOG_|CF_ACCESS_|TAILSCALE_|"
    rb"X_POMERIUM_|X_AUTH_REQUEST_|X_AUTHENTIK_|X_VOUCH_|X_WEBAUTH_|PROXY_|X_ORIGINAL_|X_REWRITE_|X_HTTP_METHOD|"
    rb"(PROXY|TRUE_CLIENT_IP|X_CLIENT_IP|CF_CONNECTING_IP|X_REAL_IP|X_USER_ID)$"
)
_ADDRESS: Final = {
    b"X_FORWARDED_FOR", b"X_FORWARDED_PROTO", b"X_FORWARDED_HOST", b"X_FORWARDED_PORT", b"X_REAL_IP", b"FORWARDED",
}  # fmt: skip
_FRAMING_NAMES: Final = {b"CONTENT_LENGTH", b"TRANSFER_ENCODING", b"HOST", b"CONNECTION", b"UPGRADE", b"EXPECT", b"TE"}
_HOP_BY_HOP: Final = frozenset({b"keep-alive", b"trailer", b"proxy-connection", b"proxy-authenticate"})
_KNOWN_METHODS: Final = frozenset(str(method) for method in (*HTTPMethod, *hdrs.METH_ALL))
# aiohttp refuses a second one of these; the standard lets recipients choose.
_ONCE_FOR_AIOHTTP: Final = (b"user-agent", b"content-location", b"content-range", b"etag", b"max-forwards", b"server")
_OUR_TOKEN: Final = re.compile(rb"(?i)\s*(bearer|token)\s+(svc|web)_02").match
_CREDENTIAL: Final = re.compile(rb"(?i)(?:bearer|token) +(\S+)").fullmatch
_EVENTS: Final = frozenset({"request.forwarded", "request.refused", "request.answered", "request.failed"})


def fold(name: bytes) -> bytes:
    """The name as CGI spells it."""
    return re.sub(rb"[^A-Z0-9]", b"_", name.upper())


def check(case: Case, outcome: Outcome) -> list[str]:
    """Return what is wrong; nothing when all is well."""
    problems = [f"inside: {crash}" for crash in outcome.crashes]
    asked = read_requests(case.sent)
    pairs = _check_carried(case, asked, outcome, problems)
    answers = _check_answers(asked, pairs, outcome, problems)
    _check_log(asked, answers, outcome, problems)
    if case.expect is not None:
        statuses = tuple(answer.status for answer in answers)
        if statuses[: len(case.expect)] != case.expect:
            problems.append(f"expected: statuses {case.expect}, got {statuses}")
    return problems


# ---------------------------------------------------------------- what went upstream


def _check_carried(case: Case, asked: Reading, outcome: Outcome, problems: list[str]) -> dict[int, list[Carried]]:
    """Find the client's request behind everything that was forwarded; return what was carried for each by number."""
    pairs: dict[int, list[Carried]] = {}
    number = 0
    for carried in outcome.carried:
        reading = read_requests(carried.asked, strict=True)
        if not reading.messages or reading.state == "bad" or len(reading.messages) > 1:
            problems.append(f"forwarded: not one request: {reading.problem} {carried.asked[:2000]!r}")
            continue
        forwarded = reading.messages[0]
        found, why = None, "the client sent no such request"
        # A request may be tried twice: once on a connection that turned out dead.
        for candidate in range(max(0, number - 1), len(asked.messages)):
            request = asked.messages[candidate]
            again = candidate in pairs
            if (request.method, request.target) != (forwarded.method, forwarded.target):
                continue
            if again and (len(pairs[candidate]) > 1 or request.body or pairs[candidate][0].sent):
                why = "sent twice"
                continue
            wrong = _differs(case, request, forwarded, outcome.peer)
            if not wrong:
                found = candidate
                break
            why = wrong
        if found is None:
            problems.append(f"forwarded: {why}: {carried.asked[:2000]!r}")
            continue
        pairs.setdefault(found, []).append(carried)
        number = found + 1
        request = asked.messages[found]
        if request.whole:
            _ask_llhttp(case.sent[request.start : request.end], request, "client's", problems)
        _ask_llhttp(carried.asked, forwarded, "forwarded", problems)
    return pairs


def _differs(case: Case, request: Message, forwarded: Message, peer: str) -> str:
    """Return how a forwarded request differs from what it should be, given the client's; empty when it does not."""
    folded: dict[bytes, list[bytes]] = {}
    for name, value in forwarded.fields:
        folded.setdefault(fold(name), []).append(value)
    for name in _FRAMING_NAMES:
        if len(folded.get(name, ())) > 1:
            return f"more than one {name!r}"
    ours = {name: folded[name] for name in _IDENTITY if name in folded}
    expected = _identity_of(request)
    if ours != expected:
        return f"identity {ours!r}, not {expected!r}"
    for name in folded:
        if _FAMILIES.match(name) and name not in _IDENTITY and name not in _ADDRESS:
            return f"field of a family: {name!r}"
    if folded.get(b"HOST") != request.all(b"host") or forwarded.minor != 1:
        return "another Host or version"
    if not case.trusted and folded.get(b"X_FORWARDED_FOR") != [peer.encode()]:
        return "not our X-Forwarded-For"
    for name in _ADDRESS:
        if len(folded.get(name, ())) > 1:
            return f"two of {name!r}"
    if len(folded.get(b"X_REQUEST_ID", ())) != 1:
        return "not one X-Request-Id"
    return _hops(request, forwarded) or _credentials(request, forwarded) or _bodies(request, forwarded)


def _hops(request: Message, forwarded: Message) -> str:
    options = forwarded.options
    if options - {b"upgrade", b"te"}:
        return f"Connection: {options!r}"
    if (b"upgrade" in options) != bool(forwarded.all(b"upgrade")) or (b"te" in options) != bool(forwarded.all(b"te")):
        return "Connection does not name what is there"
    if forwarded.all(b"te") not in ([], [b"trailers"]):
        return "TE"
    if b"upgrade" in options and (b"upgrade" not in request.options or forwarded.first(b"upgrade").lower() != b"websocket"):
        return "an upgrade that was not asked for"
    names = {name.lower() for name, _ in forwarded.fields}
    named = request.options - {b"close", b"keep-alive", b"te", b"upgrade"}
    if names & (_HOP_BY_HOP | named):
        return f"hop-by-hop: {names & (_HOP_BY_HOP | named)!r}"
    theirs = [(name.lower(), value) for name, value in request.fields]
    for name, value in forwarded.fields:
        folded = fold(name)
        if folded in _ADDRESS | _IDENTITY | _FRAMING_NAMES or folded == b"X_REQUEST_ID":
            continue
        if (name.lower(), value) not in theirs:
            return f"a field that nobody sent: {name!r}"
    return ""


def _credentials(request: Message, forwarded: Message) -> str:
    kept = request.decoded.split(b"/")[1:2] == [b"keep"]
    for value in forwarded.all(b"authorization"):
        if _OUR_TOKEN(value) and not kept:
            return "a token of ours"
    return ""


def _bodies(request: Message, forwarded: Message) -> str:
    if forwarded.whole and not request.whole:
        return "whole, and the client's is not"
    if forwarded.whole and forwarded.body != request.body:
        return "another body"
    if not request.body.startswith(forwarded.body):
        return "another body's beginning"
    if forwarded.framing != request.framing:
        return f"framing {forwarded.framing}, not {request.framing}"
    return ""


def _identity_of(request: Message) -> dict[bytes, list[bytes]]:
    """Return the identity fields that a request must carry, by its path and credential alone."""
    place = request.decoded.split(b"/")[1]
    if place == b"public":
        return {}
    zone = "web" if place == b"web" else "api"
    found = _CREDENTIAL(request.first(b"authorization"))
    shown = b"" if found is None else found[1].lower()
    for (of, user), good in CREDENTIALS.items():
        if of == zone and good.lower() == shown:
            lines = {b"X_USER_ID": [user.encode()]}
            return lines | ({b"REMOTE_USER": [b"alice"], b"X_AUTHPROXY_GROUPS": [b"admins"]} if user == ALICE else {})
    return {b"(a credential)": []}


_BLANK_EXTENSION: Final = re.compile(rb"(?:^|\n)[0-9A-Fa-f]+(?:[ \t]*;[^\r\n]*)[ \t]|(?:^|\n)[0-9A-Fa-f]+[ \t]+;").search
_FRAMING_TRAILER: Final = re.compile(rb"(?i)\n(content-length|transfer-encoding)\s*:").search


class _Deaf(BaseProtocol):
    """The protocol that aiohttp's reader needs, connected to nothing."""


_LOOP: Final = asyncio.SelectorEventLoop()


def _ask_llhttp(data: bytes, message: Message, whose: str, problems: list[str]) -> None:
    """Let aiohttp's C parser read it: the same meaning, where it knows the method."""
    names = [name.lower() for name, _ in message.fields]
    if message.method.decode() not in _KNOWN_METHODS or any(names.count(name) > 1 for name in _ONCE_FOR_AIOHTTP):
        return
    body = data[message.body_start - message.start :]
    if message.framing == "chunked" and (_FRAMING_TRAILER(body) or _BLANK_EXTENSION(body)):
        # llhttp refuses what RFC 9112 lets a recipient take and what ends here anyway: framing among the trailers, and
        # blanks around chunk extensions (7.1.1).
        return
    loop = _LOOP
    parser = HttpRequestParser(
        _Deaf(loop), loop, 2**20, max_line_size=2**16, max_field_size=2**16, max_headers=200, auto_decompress=False
    )  # fmt: skip
    try:
        messages, upgraded, rest = parser.feed_data(data)
    except http_exceptions.HttpProcessingError as error:
        problems.append(f"llhttp: refuses the {whose} {data[:2000]!r}: {error!r}")
        return
    if len(messages) != 1:
        problems.append(f"llhttp: reads {len(messages)} requests in the {whose} {data[:2000]!r}")
        return
    head, payload = messages[0]
    same = (head.method.encode(), head.path.encode(), head.version.minor, head.chunked, list(head.raw_headers))
    ours = (message.method, message.target, message.minor, message.framing == "chunked", message.fields)
    if same != ours:
        problems.append(f"llhttp: reads the {whose} request as {same!r}, not {ours!r}")
    if upgraded:
        return
    buffer = cast("list[bytes]", list(getattr(payload, "_buffer", ())))
    if message.whole and (b"".join(buffer) != message.body or not payload.is_eof()):
        problems.append(f"llhttp: reads another body in the {whose} {data[:2000]!r}: {buffer!r} {rest!r}")


# ---------------------------------------------------------------- what the client got


def _check_answers(
    asked: Reading, pairs: dict[int, list[Carried]], outcome: Outcome, problems: list[str]
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
        _check_tunnel(reading.rest, len(final) - 1, asked, pairs, problems)
    return final


def _check_answer(
    number: int, answer: Message, asked: Reading, carried: list[Carried], outcome: Outcome, problems: list[str]
) -> None:
    request = asked.messages[number] if number < len(asked.messages) else None
    kinds = answer.all(b"x-authproxy-response")
    if len(kinds) > 1:
        problems.append("answer: two X-Authproxy-Response")
    if kinds:
        if kinds[0].startswith(b"own-page") and answer.status == 200:
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
        if low in (_HOP_BY_HOP | theirs.options | {b"te"}) - {b"close"} or fold(name).startswith(b"X_AUTHPROXY_"):
            problems.append(f"answer: {name!r} passed on")
        if low == b"set-cookie" and value.lower().startswith(b"__host-authproxy"):
            problems.append("answer: a cookie of ours")


def _check_tunnel(
    rest: bytes, number: int, asked: Reading, pairs: dict[int, list[Carried]], problems: list[str]
) -> None:
    carried = pairs.get(number)
    if not carried:
        problems.append("tunnel: to nobody")
        return
    given = read_answers(carried[-1].sent, [b"GET"], ended=True)
    if not given.rest.startswith(rest):
        problems.append(f"tunnel: the client got {rest[:500]!r}, the upstream sent {given.rest[:500]!r}")
    if b"upgrade" not in asked.messages[number].options:
        problems.append("tunnel: nobody asked for it")


# ---------------------------------------------------------------- what the log says


def _check_log(asked: Reading, answers: list[Message], outcome: Outcome, problems: list[str]) -> None:
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
        if b"svc_02" in line.lower() or b"web_02" in line.lower():
            if not re.search(rb'"path":"[^"]*(svc|web)_02', line, re.IGNORECASE):
                problems.append(f"log: a token in {line!r}")
