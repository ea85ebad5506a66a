"""What must hold of everything that the proxy sends upstream."""

import asyncio
import re
from http import HTTPMethod
from typing import Final, cast
from unittest import mock

from aiohttp import hdrs, http_exceptions
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser

from tests.conformance.proxy import ALICE
from tests.fuzz.grammar import CREDENTIALS, Case
from tests.fuzz.outcome import Carried, Outcome
from tests.fuzz.reader import HOP_BY_HOP, Message, Reading, fold, read_requests

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
_KNOWN_METHODS: Final = frozenset(str(method) for method in (*HTTPMethod, *hdrs.METH_ALL))
# aiohttp refuses a second one of these; the standard lets recipients choose.
_ONCE_FOR_AIOHTTP: Final = (b"user-agent", b"content-location", b"content-range", b"etag", b"max-forwards", b"server")
_OUR_TOKEN: Final = re.compile(rb"(?i)\s*(bearer|token)\s+(svc|web)_02").match
_CREDENTIAL: Final = re.compile(rb"(?i)(?:bearer|token) +(\S+)").fullmatch


def check_carried(case: Case, asked: Reading, outcome: Outcome, problems: list[str]) -> dict[int, list[Carried]]:
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


def _differs(  # noqa: PLR0911, PLR0912  # one rule after the other
    case: Case, request: Message, forwarded: Message, peer: str
) -> str:
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
    if b"upgrade" in options and (
        b"upgrade" not in request.options or forwarded.first(b"upgrade").lower() != b"websocket"
    ):
        return "an upgrade that was not asked for"
    names = {name.lower() for name, _ in forwarded.fields}
    named = request.options - {b"close", b"keep-alive", b"te", b"upgrade"}
    if names & (HOP_BY_HOP | named):
        return f"hop-by-hop: {names & (HOP_BY_HOP | named)!r}"
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


_ODD_EXTENSION: Final = re.compile(
    rb"""(?m)^[0-9A-Fa-f]+(?!(?:;[\w!#$%&'*+.^`|~-]+(?:=(?:[\w!#$%&'*+.^`|~-]+|"[^"\\\r\n]*"))?)*\r\n)[ \t;][^\r\n]*\r\n"""
).search
_TRAILER_COUNTED_TWICE: Final = re.compile(
    rb"(?i)\n(content-length|content-type|transfer-encoding|host|" + b"|".join(_ONCE_FOR_AIOHTTP) + rb")\s*:"
).search


class _Deaf(BaseProtocol):
    """The protocol that aiohttp's reader needs, connected to nothing."""


_LOOP: Final = mock.Mock(spec=asyncio.AbstractEventLoop)


def _ask_llhttp(data: bytes, message: Message, whose: str, problems: list[str]) -> None:
    """Let aiohttp's C parser read it: the same meaning, where it knows the method."""
    names = [name.lower() for name, _ in message.fields]
    if message.method.decode() not in _KNOWN_METHODS or any(names.count(name) > 1 for name in _ONCE_FOR_AIOHTTP):
        return
    body = data[message.body_start - message.start :]
    if message.framing == "chunked" and (_TRAILER_COUNTED_TWICE(body) or _ODD_EXTENSION(body)):
        # aiohttp refuses some of what is dropped here in any case: trailers of a name that its head has or that is framing,
        # and chunk extensions without a good name.
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
