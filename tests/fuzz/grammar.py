"""Makes requests and answers by grammar, then breaks them by grammar: what clients and upstreams may come up with."""

import itertools
import random
import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from tests.conformance.proxy import ALICE, BOB, token
from tests.fuzz.breaker import FORGED, IDENTITY, OK, SMUGGLED, Breaker

Step: TypeAlias = bytes | str
"""Bytes that arrive in one piece; `pause` and `resume`: the peer stops taking bytes, and goes on; `later`: a second and a
half passes; `drain`: the proxy is told to end."""

CREDENTIALS: Final = {
    ("api", ALICE): token("api", ALICE).encode(),
    ("api", BOB): token("api", BOB).encode(),
    ("web", ALICE): token("web", ALICE).encode(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What the upstream does with one request."""

    pieces: tuple[Step, ...] = ()
    """Its answer; empty: a good one."""
    when: str = "whole"
    """`whole`: once the request is whole; `head`: once its head is; `never`."""
    then: str = "keep"
    """The connection afterwards: `keep`, `close` (close_notify) or `cut`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One input: what a client sends on one connection, and what the upstream does."""

    client: tuple[Step, ...]
    ending: str = "lost"
    """The client afterwards: `lost`, `eof` (close_notify) or `wait` for what the proxy does."""
    scripts: tuple[Script, ...] = ()
    """For the requests that reach the upstream, in their order; then good answers."""
    trusted: bool = False
    """The client is a trusted proxy."""
    catalog: str = ""
    """`slow`: it must be waited for; `down`: waited for in vain."""
    dial: str = ""
    """`refused`: no new connection to an upstream can be had."""
    expect: tuple[int, ...] | None = None
    """The statuses that must come, where nothing was broken."""

    @property
    def sent(self) -> bytes:
        """All bytes of the client."""
        return b"".join(step for step in self.client if isinstance(step, bytes))


_METHODS: Final = (b"GET",) * 8 + (b"HEAD", b"HEAD", b"POST", b"POST", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")
_PATHS: Final = (
    b"/", b"/a", b"/a/b.c", b"/%61dmin/x", b"/a?b=c&d=%2e%2e", b"/-._~!$&'()*+,=:@", b"/a?//..;%00", b"/%C3%A9",
)  # fmt: skip
_HARMLESS: Final = (
    b"Accept: */*", b"User-Agent: curl/8", b"X-A:", b"x-b:  two  ", b"X-C: \xe9\xff", b"!#$%&'*+-.^_`|~1: x", b"X_D: u",
    b"Referer: https://a/?b", b"Origin: https://proxy.test", b"Traceparent: 00-1-1-01", b"Content-Type: text/plain",
    b"Cookie: a=b; c=d", b"Accept: text/html", b"X-Request-Id: id-1", b"Cache-Control: no-cache", b"Range: bytes=0-1",
)  # fmt: skip
_NO_TUNNEL: Final = re.compile(rb"(?i)\r\n(content-length|transfer-encoding):|HTTP/1\.0\r").search
_ASKED: Final = b"Upgrade: websocket\r\nConnection: Upgrade"
_HOPS: Final = (
    b"Connection: keep-alive", b"Connection: close", b"Connection: X-A, close", b"Keep-Alive: timeout=5",
    b"TE: trailers", b"TE: gzip", b"Trailer: X-A", b"Proxy-Connection: keep-alive", b"Connection: te, x-b",
    b"Upgrade: h2c", b"Connection: upgrade", _ASKED,
)  # fmt: skip
_REPORTS: Final = (
    b"X-Forwarded-For: 192.0.2.1", b"X-Forwarded-For: 192.0.2.1, 127.0.0.2", b"X-Forwarded-Proto: http",
    b"X-Forwarded-Host: a.test", b"X-Forwarded-Port: 80", b"Forwarded: for=192.0.2.1;proto=http",
    b'Forwarded: for="[2001:db8::1]"', b"X-Request-Id: from-a-proxy", b"X-Forwarded-For: unknown",
)  # fmt: skip


class Maker:
    """Makes cases from one random source; the same seed makes the same cases."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)
        self._breaker = Breaker(self.random)

    def case(self) -> Case:  # noqa: PLR0912  # every sort of case has its way
        """Make one input: a third of them is not broken."""
        rnd = self.random
        trusted = rnd.random() < 0.1
        requests: list[bytes] = []
        expect: list[int] = []
        methods: list[bytes] = []
        places: list[int] = []
        scripts: list[Script] = []
        closing = False
        for number in range(rnd.choice((1, 1, 1, 2, 3))):
            raw, status, forwarded, closes = self._request(number, trusted=trusted)
            requests.append(raw)
            if not closing:
                expect.append(status)
                methods += [raw.lstrip(b"\r\n").partition(b" ")[0]] if forwarded else []
                places += [len(expect) - 1] if forwarded else []
            closing = closing or closes
        kind = rnd.random()
        expected: tuple[int, ...] | None = tuple(expect)
        data = b"".join(requests)
        if kind < 0.2:
            # Both sides as they should be, with the upstream's answers in every form.
            for place, method in zip(places, methods, strict=True):
                if _ASKED in requests[place] and not _NO_TUNNEL(requests[place]) and rnd.random() < 0.8:
                    scripts.append(self._switch())
                    expect = [*expect[:place], 101]
                    break
                script, expect[place] = self._answer(method)
                scripts.append(script)
            expected = tuple(expect)
        elif kind < 0.5:
            expected = None
            scripts = [self._broken_answer(method) for method in methods]
        else:
            expected = None
            for _ in range(rnd.choice((1, 1, 1, 2, 2, 3, 5))):
                data = self._breaker.broken(data)
            if rnd.random() < 0.2:
                scripts = [self._broken_answer(b"GET") for _ in range(3)]
        catalog, dial = rnd.choice(("", "", "", "slow", "slow", "down")), "refused" if rnd.random() < 0.02 else ""
        client = self._pieces(data)
        if rnd.random() < 0.04:
            at = rnd.randrange(len(client) + 1)
            client = (*client[:at], rnd.choice(("later", "drain")), *client[at:])
        if catalog == "down" or dial or "drain" in client or (b"xpect" in data and "later" in client):
            expected = None
        return Case(
            client=client, ending=rnd.choice(("lost", "eof", "wait")), scripts=tuple(scripts), trusted=trusted,
            catalog=catalog, dial=dial, expect=expected,
        )  # fmt: skip

    # ------------------------------------------------------------------ what is well-formed

    def _own(self) -> tuple[bytes, int]:
        """Make a request that the proxy answers itself; return the status that it must get."""
        line, status = self.random.choice((
            (b"GET /healthz", 200), (b"HEAD /healthz?x", 200), (b"PURGE /healthz", 405), (b"OPTIONS *", 204),
            (b"TRACE /", 405), (b"GET /a//b", 400), (b"GET /%2e%2e/", 400), (b"GET /unusual/;//%2f", 401),
        ))  # fmt: skip
        return line + b" HTTP/1.1\r\nHost: proxy.test\r\nX-User-Id: " + FORGED + b"\r\n\r\n", status

    def _request(  # noqa: PLR0912  # one part of a request after the other
        self, number: int, *, trusted: bool
    ) -> tuple[bytes, int, bool, bool]:
        """Make a request; return the status that it must get, whether it goes upstream, and whether it is the last."""
        rnd = self.random
        if rnd.random() < 0.06:
            raw, status = self._own()
            return raw, status, False, False
        method = rnd.choice(_METHODS)
        place = rnd.choice((b"", b"", b"", b"", b"/public", b"/web", b"/admin", b"/once", b"/small", b"/keep"))
        path = place + rnd.choice(_PATHS)
        target = path + (b"&" if b"?" in path else b"?") + b"n=%d" % number
        http10 = rnd.random() < 0.1
        lines = [rnd.choice((b"Host: proxy.test", b"Host: proxy.test", b"host:\tPROXY.test:8443 ", b"Host: [::1]"))]
        auth, status = self._credential(place)
        if (place == b"/admin" or path.startswith(b"/%61dmin")) and status == 200 and b"11111111" not in self._user:
            status = 403
        lines += auth
        for source, most in ((_HARMLESS, 3), (IDENTITY, 2), (_HOPS, 1), (_REPORTS, 2 if trusted else 1)):
            for line in rnd.sample(source, rnd.randint(0, most)):
                lines.append(line if b":" in line else line + b": " + FORGED)
        lines = self._once(lines)
        body = b""
        if method in {b"POST", b"PUT", b"PATCH"} and rnd.random() < 0.8:
            payload = rnd.choice((b"", b"x", b"hello", b"a" * 1000, *SMUGGLED))
            if not http10 and rnd.random() < 0.5:
                lines.append(rnd.choice((b"Transfer-Encoding: chunked", b"transfer-encoding:CHUNKED")))
                body = self._chunked(payload)
            else:
                lines.append(b"Content-Length: %d" % len(payload))
                body = payload
            if rnd.random() < 0.2:
                lines.append(b"Expect: 100-continue")
        closes = http10 or any(re.match(rb"(?i)connection:.*close", line) for line in lines)
        if rnd.random() < 0.3 and trusted is False:
            # What comes often, in one order: heads of these shapes are read by patterns.
            lines = [
                b"Host: proxy.test",
                b"User-Agent: " + rnd.choice((b"curl/8", b"")),
                b"Accept: */*",
                *auth,
                *self._usual(lines),
            ]
            lines, closes = self._once(lines), http10
        else:
            rnd.shuffle(lines)
        if status != 200 and body:
            # Whether a refused body is read away depends on its framing.
            closes = True
        start = b"%b %b HTTP/1.%d" % (method, target, 0 if http10 else 1)
        blank = b"\r\n" if rnd.random() < 0.03 else b""
        return blank + b"\r\n".join((start, *lines, b"", b"")) + body, status, status == 200, closes

    def _usual(self, lines: list[bytes]) -> list[bytes]:
        """Return what stands behind the usual lines: framing, and one more sort of field at most."""
        framing = [line for line in lines if re.match(rb"(?i)(content-length|transfer-encoding|expect):", line)]
        return framing + self.random.choice(
            ([], [b"Connection: keep-alive"], [b"Cookie: a=b; c=d"], [b"X-User-Id: " + FORGED])
        )

    _user = b""

    def _credential(self, place: bytes) -> tuple[list[bytes], int]:
        rnd = self.random
        zone = "web" if place == b"/web" else "api"
        user = ALICE if zone == "web" else rnd.choice((ALICE, BOB))
        self._user = user.encode()
        good = CREDENTIALS[zone, user]
        if rnd.random() < 0.8:
            scheme = rnd.choice((b"Bearer ", b"Token ", b"bearer   ", b"BEARER "))
            return [b"Authorization: " + scheme + rnd.choice((good, good, good.upper()))], 200
        other = CREDENTIALS["api" if zone == "web" else "web", ALICE]
        bad = [
            [], [b"Authorization: Basic YTpi"], [b"Authorization: Bearer " + good[:-1] + b"b"],
            [b"Authorization: Bearer " + other], [b"Authorization: Bearer"], [b"Cookie: token=" + good],
        ]  # fmt: skip
        return rnd.choice(bad), 200 if place == b"/public" else 401

    @staticmethod
    def _once(lines: list[bytes]) -> list[bytes]:
        """Leave out what would make a second field of a kind that stands once."""
        seen: set[bytes] = set()
        kept = []
        for line in lines:
            name = line.partition(b":")[0].lower()
            if name in seen and name in {b"cookie", b"content-type", b"x-request-id", b"upgrade"}:
                continue
            seen.add(name)
            kept.append(line)
        return kept

    def _chunked(self, payload: bytes) -> bytes:
        rnd = self.random
        parts = []
        while payload:
            size = rnd.choice((1, 2, len(payload), len(payload)))
            piece, payload = payload[:size], payload[size:]
            digits = rnd.choice((b"%x", b"%X", b"0%x", b"0000%x")) % len(piece)
            parts.append(digits + rnd.choice((b"", b"", b";a", b";a=b", b';a="b;c"', b";" + b"e" * 255)) + b"\r\n")
            parts.append(piece + b"\r\n")
        parts.append(rnd.choice((b"0\r\n", b"000\r\n", b"0;last\r\n")))
        for _ in range(rnd.choice((0, 0, 1, 2))):
            parts.append(rnd.choice((b"X-T: t\r\n", b"X-User-Id: " + FORGED + b"\r\n", b"Content-Length: 3\r\n")))
        return b"".join((*parts, b"\r\n"))

    def _switch(self) -> Script:
        """Make a tunnel; what comes through it may be frames or anything."""
        rnd = self.random
        frames = b"".join(rnd.choice((b"\x81\x05hello", b"\x82\x7e\x00\x80" + b"x" * 128, b"\x88\x02\x03\xe8", b"\x01\x01a", OK))
                          for _ in range(rnd.randrange(4)))  # fmt: skip
        raw = b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n" + frames
        return Script(pieces=self._pieces(raw), then=rnd.choice(("keep", "close", "cut")))

    def _answer(self, method: bytes) -> tuple[Script, int]:
        """Make an answer that is in order; return the status that the client must get."""
        raw, status, then = self._answer_bytes(method)
        return Script(pieces=self._pieces(raw), then=then), status

    def _answer_bytes(self, method: bytes) -> tuple[bytes, int, str]:
        rnd = self.random
        status = rnd.choice((200, 200, 200, 201, 204, 206, 301, 304, 401, 404, 500, 503, 599))
        extra = rnd.sample(
            (b"Server: x", b"Set-Cookie: a=b", b"Set-Cookie: __Host-authproxy-s=1", b"X-Authproxy-User: x", b"X-A: \xe9",
             b"X-Request-Id: theirs", b"Connection: x-a", b"Connection: keep-alive", b"Keep-Alive: 1", b"Date: now",
             b"Proxy-Authenticate: Basic", b"Strict-Transport-Security: max-age=1", b"Upgrade: h2c", b"Trailer: X-T",
             b"X-Authproxy-Response: forbidden; id=1", b"Cache-Control: public"),
            rnd.randint(0, 4),
        )  # fmt: skip
        body = rnd.choice((b"", b"x", b"hello world", b"y" * 5000, OK))
        minor, then = 1, "keep"
        framing = rnd.choice(("length", "length", "chunked", "close"))
        if method == b"HEAD" or status in {204, 304}:
            framed = b""
            if framing == "length" and status != 204:
                extra.append(b"Content-Length: %d" % len(body))
            elif framing == "chunked":
                extra.append(b"Transfer-Encoding: chunked")
        elif framing == "length":
            framed = body
            extra.append(b"Content-Length: %d" % len(body))
        elif framing == "chunked":
            framed = self._chunked(body)
            extra.append(b"Transfer-Encoding: chunked")
        else:
            framed, then = body, "close"
            minor = rnd.choice((0, 1))
        before = b"".join(rnd.sample(
            (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", b"HTTP/1.1 102 P\r\n\r\n"),
            rnd.choice((0, 0, 0, 1, 2)),
        ))  # fmt: skip
        rnd.shuffle(extra)
        reason = rnd.choice((b" OK", b" ", b" Some Reason", b" \xe9"))
        head = b"\r\n".join((b"HTTP/1.%d %d%b" % (minor, status, reason), *extra, b"", b""))
        return before + head + framed, status, then

    def _broken_answer(self, method: bytes) -> Script:
        rnd = self.random
        if rnd.random() < 0.1:
            return Script(when="never", then=rnd.choice(("keep", "close", "cut")))
        if rnd.random() < 0.1:
            raw = b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nbytes of the upstream"
        else:
            raw = self._answer_bytes(rnd.choice((method, method, method, b"GET", b"HEAD")))[0]
        for _ in range(rnd.choice((0, 1, 1, 1, 2, 4))):
            raw = self._breaker.broken(raw)
        when = rnd.choice(("whole", "whole", "whole", "head"))
        return Script(pieces=self._pieces(raw), when=when, then=rnd.choice(("keep", "close", "cut")))

    def _pieces(self, data: bytes) -> tuple[Step, ...]:
        """Cut into the pieces in which bytes arrive, with halts of the other side's appetite between."""
        rnd = self.random
        cuts = sorted(rnd.randrange(len(data) + 1) for _ in range(rnd.choice((0, 0, 0, 1, 2, 5))))
        if rnd.random() < 0.02 and len(data) < 600:
            cuts = list(range(1, len(data)))
        ends = [0, *cuts, len(data)]
        pieces: list[Step] = [data[a:b] for a, b in itertools.pairwise(ends) if a < b]
        if rnd.random() < 0.05:
            pieces.insert(rnd.randrange(len(pieces) + 1), "pause")
            pieces.append("resume")
        return tuple(pieces)
