"""Makes requests and answers by grammar, then breaks them by grammar: what clients and upstreams may come up with."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from tests.conformance.proxy import ALICE, BOB, token

Step: TypeAlias = bytes | str
"""Bytes that arrive in one piece; or `pause` and `resume`: the peer stops taking bytes, and goes on."""

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FORGED: Final = b"mallory"
"""What a client claims to be."""
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
    expect: tuple[int, ...] | None = None
    """The statuses that must come, where nothing was broken."""

    @property
    def sent(self) -> bytes:
        """All bytes of the client."""
        return b"".join(step for step in self.client if isinstance(step, bytes))


_METHODS: Final = (b"GET",) * 8 + (b"HEAD", b"HEAD", b"POST", b"POST", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")
_PATHS: Final = (
    b"/", b"/a", b"/a/b.c", b"/%61dmin/x", b"/a?b=c&d=%2e%2e", b"/-._~!$&'()*+,=:@", b"/a?//..;%00", b"/caf%C3%A9",
)  # fmt: skip
_BAD_PATHS: Final = (
    b"/../", b"/./", b"//", b";", b"%2f", b"%5c", b"%00", b"%2e%2e/", b"%252f", b"%25", b"%", b"%zz", b"\\", b"..;x/",
    b"%c0%ae", b"#", b"?", b"\x80", b"%0d%0a", b"*", b"/%70ublic/", b"/public/..", b"/public-x", b"http://a/",
)  # fmt: skip
IDENTITY: Final = (
    b"X-User-Id", b"x-user-id", b"X_User_Id", b"X.User.Id", b"X-User_Id", b"Remote-User", b"REMOTE_USER", b"Remote.User",
    b"X-Authproxy-Groups", b"X_Authproxy_Groups", b"X-Authproxy-Anything", b"X-Forwarded-User", b"X-Auth-Request-User",
    b"Proxy", b"Proxy-Authorization", b"X-Original-URL", b"X-Rewrite-Url", b"X-HTTP-Method-Override", b"X-Remote-User",
    b"Tailscale-User-Login", b"Cf-Access-Jwt-Assertion", b"Ssl-Client-S-Dn", b"X-Goog-Authenticated-User-Email",
    b"Content_Length", b"Transfer_Encoding", b"Transfer.Encoding", b"X-Real-IP", b"True-Client-Ip",
)  # fmt: skip
_HARMLESS: Final = (
    b"Accept: */*", b"User-Agent: curl/8", b"X-A:", b"x-b:  two  ", b"X-C: \xe9\xff", b"!#$%&'*+-.^_`|~1: x", b"X_D: u",
    b"Referer: https://a/?b", b"Origin: https://proxy.test", b"Traceparent: 00-1-1-01", b"Content-Type: text/plain",
    b"Cookie: a=b; c=d", b"Accept: text/html", b"X-Request-Id: id-1", b"Cache-Control: no-cache", b"Range: bytes=0-1",
)  # fmt: skip
_HOPS: Final = (
    b"Connection: keep-alive", b"Connection: close", b"Connection: X-A, close", b"Keep-Alive: timeout=5",
    b"TE: trailers", b"TE: gzip", b"Trailer: X-A", b"Proxy-Connection: keep-alive", b"Connection: te, x-b",
    b"Upgrade: h2c", b"Connection: upgrade",
)  # fmt: skip
_REPORTS: Final = (
    b"X-Forwarded-For: 192.0.2.1", b"X-Forwarded-For: 192.0.2.1, 127.0.0.2", b"X-Forwarded-Proto: http",
    b"X-Forwarded-Host: a.test", b"X-Forwarded-Port: 80", b"Forwarded: for=192.0.2.1;proto=http",
    b'Forwarded: for="[2001:db8::1]"', b"X-Request-Id: from-a-proxy", b"X-Forwarded-For: unknown",
)  # fmt: skip
_FRAMING: Final = (
    b"Content-Length: 0", b"Content-Length: 5", b"Content-Length: +5", b"Content-Length: 5, 5", b"Content-Length: 5 5",
    b"Content-Length: 0x5", b"Content-Length: 1_0", b"Content-Length: -1", b"Content-Length:", b"content-length: 005",
    b"Content-Length: 999999999999999999", b"Content-Length: 9999999999999999999", b"Content-Length : 5",
    b"Transfer-Encoding: chunked", b"transfer-encoding: Chunked", b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: chunked;a", b"Transfer-Encoding:", b"Transfer-Encoding : chunked", b" Transfer-Encoding: chunked",
    b"Transfer-Encoding\t: chunked", b"X-A: b\r\n Transfer-Encoding: chunked", b"X-A: b\nTransfer-Encoding: chunked",
    b"X-A: b\rTransfer-Encoding: chunked", b"Transfer_Encoding: chunked", b"Transfer-Encoding: xchunked",
    b"Expect: 100-continue", b"Expect: 200-ok", b"Upgrade: websocket\r\nConnection: Upgrade", b"Connection: host",
    b"Connection: content-length", b"Connection: transfer-encoding", b"Connection: x-user-id", b"Connection: \xff",
    b"Host: other.test", b"Host: a@b", b"Host:", b"Authorization: Bearer x", b"Cookie: again=1", b"Content-Type: a/b",
)  # fmt: skip
_BLANKS: Final = (b"", b" ", b"  ", b"\t", b" \t ", b"\x0b", b"\x0c", b"\xa0", b"\x85", b"\x00", b"\r")
_BAD_BYTES: Final = (
    b"\x00", b"\r", b"\n", b"\r\n", b"\r\r\n", b"\n\r", b"\x0b", b"\x1f", b"\x7f", b"\x80", b"\xff", b" ", b"\t", b":", b",",
    b";", b'"', b"(", b"/", b"@", b"\r\n\r\n", b"\r\n ", b"\r\n\t",
)  # fmt: skip
_ENDS: Final = (b"\r", b"\n", b"\r\n\r\n", b"\r\r\n", b"\n\r", b"", b" \r\n", b"\r\n ", b"\x00\r\n")
_VERSIONS: Final = (
    b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b"HTTP/1.1 ", b"HTTP/01.1", b"HTTP/1.10", b"HTTP/11", b"HTTPS/1.1", b"",
)  # fmt: skip
_SMUGGLED: Final = (
    b"GET /smuggled HTTP/1.1\r\nHost: proxy.test\r\nX-User-Id: " + FORGED + b"\r\n\r\n",
    b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: proxy.test\r\nX-User-Id: " + FORGED + b"\r\n\r\n",
)


class Maker:
    """Makes cases from one random source; the same seed makes the same cases."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)
        self._mutations: tuple[Callable[[bytes], bytes], ...] = (
            self._repeat_line, self._drop_line, self._swap_lines, self._case, self._blank, self._bad_byte, self._number,
            self._add_framing, self._add_identity, self._truncate, self._line_end, self._fold, self._huge, self._version,
            self._path, self._splice, self._slice, self._add_framing, self._body,
        )  # fmt: skip

    def case(self) -> Case:
        """Make one input: a third of them is not broken."""
        rnd = self.random
        trusted = rnd.random() < 0.1
        requests, scripts, expect = [], [], []
        closing = False
        for number in range(rnd.choice((1, 1, 1, 2, 3))):
            raw, method, status, closes = self._request(number, trusted=trusted)
            requests.append(raw)
            if not closing:
                expect.append(status)
                if status == 200:
                    scripts.append(Script())
            closing = closing or closes
        kind = rnd.random()
        expected: tuple[int, ...] | None = tuple(expect)
        data = b"".join(requests)
        if kind < 0.2:
            # Both sides as they should be, with the upstream's answers in every form.
            made = [self._answer(method) for method in self._methods_of(requests, expect)]
            scripts = [script for script, _ in made]
            statuses = iter([status for _, status in made])
            expected = tuple(next(statuses) if status == 200 else status for status in expect)
        elif kind < 0.5:
            expected = None
            scripts = [self._broken_answer(method) for method in self._methods_of(requests, expect)]
        else:
            expected = None
            for _ in range(rnd.choice((1, 1, 1, 2, 2, 3, 5))):
                data = rnd.choice(self._mutations)(data)
            if rnd.random() < 0.2:
                scripts = [self._broken_answer(b"GET") for _ in range(3)]
        ending = rnd.choice(("lost", "eof", "wait"))
        return Case(
            client=self._pieces(data), ending=ending, scripts=tuple(scripts), trusted=trusted, expect=expected
        )  # fmt: skip

    # ------------------------------------------------------------------ what is well-formed

    @staticmethod
    def _methods_of(requests: list[bytes], expect: list[int]) -> list[bytes]:
        pairs = zip(requests, expect, strict=False)
        return [raw.lstrip(b"\r\n").partition(b" ")[0] for raw, status in pairs if status == 200]

    def _request(self, number: int, *, trusted: bool) -> tuple[bytes, bytes, int, bool]:
        """Make a request; return its method, the status that it must get, and whether it ends the connection."""
        rnd = self.random
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
            payload = rnd.choice((b"", b"x", b"hello", b"a" * 1000, *_SMUGGLED))
            if not http10 and rnd.random() < 0.5:
                lines.append(rnd.choice((b"Transfer-Encoding: chunked", b"transfer-encoding:CHUNKED")))
                body = self._chunked(payload)
            else:
                lines.append(b"Content-Length: %d" % len(payload))
                body = payload
            if rnd.random() < 0.2:
                lines.append(b"Expect: 100-continue")
        closes = http10 or any(re.match(rb"(?i)connection:.*close", line) for line in lines)
        rnd.shuffle(lines)
        if status != 200 and body:
            # Whether a refused body is read away depends on its framing.
            closes = True
        start = b"%b %b HTTP/1.%d" % (method, target, 0 if http10 else 1)
        blank = b"\r\n" if rnd.random() < 0.03 else b""
        return blank + b"\r\n".join((start, *lines, b"", b"")) + body, method, status, closes

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
            parts.append(digits + rnd.choice((b"", b"", b";a", b";a=b", b' ; a="b;c"', b";" + b"e" * 255)) + b"\r\n")
            parts.append(piece + b"\r\n")
        parts.append(rnd.choice((b"0\r\n", b"000\r\n", b"0;last\r\n")))
        for _ in range(rnd.choice((0, 0, 1, 2))):
            parts.append(rnd.choice((b"X-T: t\r\n", b"X-User-Id: " + FORGED + b"\r\n", b"Content-Length: 3\r\n")))
        return b"".join((*parts, b"\r\n"))

    def _answer(self, method: bytes) -> tuple[Script, int]:
        """Make an answer that is in order; return the status that the client must get."""
        rnd = self.random
        raw, status, then = self._answer_bytes(method)
        when = "whole"
        return Script(pieces=self._pieces(raw), when=when, then=then), status

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
            raw = rnd.choice(self._mutations)(raw)
        when = rnd.choice(("whole", "whole", "whole", "head"))
        return Script(pieces=self._pieces(raw), when=when, then=rnd.choice(("keep", "close", "cut")))

    def _pieces(self, data: bytes) -> tuple[Step, ...]:
        """Cut into the pieces in which bytes arrive, with halts of the other side's appetite between."""
        rnd = self.random
        cuts = sorted(rnd.randrange(len(data) + 1) for _ in range(rnd.choice((0, 0, 0, 1, 2, 5))))
        if rnd.random() < 0.02 and len(data) < 600:
            cuts = list(range(1, len(data)))
        ends = [0, *cuts, len(data)]
        pieces: list[Step] = [data[a:b] for a, b in zip(ends, ends[1:], strict=False) if a < b]
        if rnd.random() < 0.05:
            pieces.insert(rnd.randrange(len(pieces) + 1), "pause")
            pieces.append("resume")
        return tuple(pieces)

    # ------------------------------------------------------------------ what breaks it

    def _lines(self, data: bytes) -> tuple[list[bytes], bytes]:
        head, gap, body = data.partition(b"\r\n\r\n")
        return head.split(b"\r\n"), gap + body

    def _any(self, lines: list[bytes]) -> int:
        return self.random.randrange(len(lines))

    def _repeat_line(self, data: bytes) -> bytes:
        lines, body = self._lines(data)
        lines.insert(self._any(lines) + 1, self.random.choice(lines))
        return b"\r\n".join(lines) + body

    def _drop_line(self, data: bytes) -> bytes:
        lines, body = self._lines(data)
        del lines[self._any(lines)]
        return b"\r\n".join(lines) + body

    def _swap_lines(self, data: bytes) -> bytes:
        lines, body = self._lines(data)
        a, b = self._any(lines), self._any(lines)
        lines[a], lines[b] = lines[b], lines[a]
        return b"\r\n".join(lines) + body

    def _case(self, data: bytes) -> bytes:
        lines, body = self._lines(data)
        at = self._any(lines)
        lines[at] = self.random.choice((bytes.upper, bytes.lower, bytes.swapcase))(lines[at])
        return b"\r\n".join(lines) + body

    def _blank(self, data: bytes) -> bytes:
        lines, body = self._lines(data)
        at = self._any(lines)
        places = [found.start() for found in re.finditer(rb"[: ]|$", lines[at])]
        place = self.random.choice(places)
        width = self.random.choice((0, 1))
        lines[at] = lines[at][:place] + self.random.choice(_BLANKS) + lines[at][place + width :]
        return b"\r\n".join(lines) + body

    def _bad_byte(self, data: bytes) -> bytes:
        place = self.random.randrange(len(data) + 1)
        return data[:place] + self.random.choice(_BAD_BYTES) + data[place + self.random.choice((0, 0, 1)) :]

    def _number(self, data: bytes) -> bytes:
        found = list(re.finditer(rb"(?<![0-9A-Za-z_])[0-9a-f]{1,6}(?![0-9A-Za-z_])", data))
        if not found:
            return self._bad_byte(data)
        one = self.random.choice(found)
        value = int(one[0], 16) if not one[0].isdigit() else int(one[0])
        new = self.random.choice(
            (b"%d" % (value + 1), b"%d" % max(0, value - 1), b"0%d" % value, b"+%d" % value, b"-%d" % value, b"0x%x" % value,
             b"%d " % value, b"%d,%d" % (value, value), b"9" * 18, b"9" * 19, b"f" * 15, b"f" * 16, b"", b"%d.0" % value,
             b"1_0", b"%x" % value, b"00000000000000000000%d" % value)
        )  # fmt: skip
        return data[: one.start()] + new + data[one.end() :]

    def _insert(self, data: bytes, line: bytes) -> bytes:
        lines, body = self._lines(data)
        lines.insert(self._any(lines) + 1, line)
        return b"\r\n".join(lines) + body

    def _add_framing(self, data: bytes) -> bytes:
        return self._insert(data, self.random.choice(_FRAMING))

    def _add_identity(self, data: bytes) -> bytes:
        return self._insert(data, self.random.choice(IDENTITY) + self.random.choice((b": ", b":", b":\t")) + FORGED)

    def _truncate(self, data: bytes) -> bytes:
        return data[: self.random.randrange(len(data) + 1)]

    def _line_end(self, data: bytes) -> bytes:
        places = [found.start() for found in re.finditer(rb"\r\n", data)]
        if not places:
            return data
        place = self.random.choice(places)
        return data[:place] + self.random.choice(_ENDS) + data[place + 2 :]

    def _fold(self, data: bytes) -> bytes:
        return self._insert(data, self.random.choice((b" folded: x", b"\tx", b" ", b" Transfer-Encoding: chunked")))

    def _huge(self, data: bytes) -> bytes:
        rnd = self.random
        lines, body = self._lines(data)
        kind = rnd.randrange(4)
        if kind == 0:
            lines[1:1] = [b"X-%d: y" % number for number in range(rnd.choice((60, 99, 101, 300, 1200)))]
        elif kind == 1:
            at = self._any(lines)
            lines[at] += b"z" * rnd.choice((8000, 8190, 9000, 33000, 70000))
        elif kind == 2:
            body += b"w" * rnd.choice((1024, 70000))
        else:
            lines[1:1] = [b"X-L: " + b"y" * 8000] * rnd.choice((3, 4, 5, 9))
        return b"\r\n".join(lines) + body

    def _version(self, data: bytes) -> bytes:
        return re.sub(rb"HTTP/1\.[01]", lambda _: self.random.choice(_VERSIONS), data, count=1)

    def _path(self, data: bytes) -> bytes:
        found = re.search(rb" (/[^ ]*)", data)
        if found is None:
            return self._bad_byte(data)
        place = self.random.randint(found.start(1), found.end(1))
        return data[:place] + self.random.choice(_BAD_PATHS) + data[place:]

    def _splice(self, data: bytes) -> bytes:
        rnd = self.random
        place = rnd.choice((len(data), rnd.randrange(len(data) + 1)))
        noise = rnd.choice((*_SMUGGLED, b"\r\n", b"\r\n\r\n", OK, b"\x16\x03\x01\x02\x00", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
        return data[:place] + noise + data[place:]

    def _slice(self, data: bytes) -> bytes:
        a, b = sorted((self.random.randrange(len(data) + 1), self.random.randrange(len(data) + 1)))
        b = min(b, a + 200)
        return data[:b] + data[a:b] + data[b:] if self.random.random() < 0.5 else data[:a] + data[b:]

    def _body(self, data: bytes) -> bytes:
        """Break what is behind the head: chunk lines, trailers, lengths."""
        lines, body = self._lines(data)
        if len(body) < 5:
            return self._bad_byte(data)
        broken = self.random.choice((self._bad_byte, self._number, self._line_end, self._slice, self._truncate))(body[4:])
        return b"\r\n".join(lines) + body[:4] + broken


def shrink_candidates(case: Case) -> list[Case]:
    """Smaller cases that may show the same, the boldest first."""
    found = []
    if len(case.client) > 1 or case.expect is not None:
        found.append(replace(case, client=(case.sent,), expect=None))
    if case.scripts:
        found.append(replace(case, scripts=(), expect=None))
        found.extend(
            replace(case, scripts=case.scripts[:at] + case.scripts[at + 1 :], expect=None) for at in range(len(case.scripts))
        )
    if case.trusted:
        found.append(replace(case, trusted=False))
    for at, step in enumerate(case.client):
        found.append(replace(case, client=case.client[:at] + case.client[at + 1 :], expect=None))
        if isinstance(step, bytes):
            for less in _less(step):
                found.append(replace(case, client=(*case.client[:at], less, *case.client[at + 1 :]), expect=None))
    for number, script in enumerate(case.scripts):
        joined = b"".join(piece for piece in script.pieces if isinstance(piece, bytes))
        for less in ((joined,) if len(script.pieces) > 1 else ()) + tuple(_less(joined)):
            smaller = replace(script, pieces=(less,))
            found.append(
                replace(case, scripts=(*case.scripts[:number], smaller, *case.scripts[number + 1 :]), expect=None)
            )
    return found


def _less(data: bytes) -> list[bytes]:
    lines = data.split(b"\r\n")
    shorter = [b"\r\n".join(lines[:at] + lines[at + 1 :]) for at in range(len(lines)) if len(lines) > 1]
    size = len(data) // 2
    while size:
        shorter += [data[:at] + data[at + size :] for at in range(0, len(data), size)]
        size //= 2
        if len(data) > 400 and size < len(data) // 64:
            break
    return shorter
