"""Breaks messages by grammar: their lines, names, blanks, numbers, framing, ends."""

import random
import re
from collections.abc import Callable
from typing import Final

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FORGED: Final = b"mallory"
"""What a client claims to be."""
IDENTITY: Final = (
    b"X-User-Id", b"x-user-id", b"X_User_Id", b"X.User.Id", b"X-User_Id", b"Remote-User", b"REMOTE_USER", b"Remote.User",
    b"X-Authproxy-Groups", b"X_Authproxy_Groups", b"X-Authproxy-Anything", b"X-Forwarded-User", b"X-Auth-Request-User",
    b"Proxy", b"Proxy-Authorization", b"X-Original-URL", b"X-Rewrite-Url", b"X-HTTP-Method-Override", b"X-Remote-User",
    b"Tailscale-User-Login", b"Cf-Access-Jwt-Assertion", b"Ssl-Client-S-Dn", b"X-Goog-Authenticated-User-Email",
    b"Content_Length", b"Transfer_Encoding", b"Transfer.Encoding", b"X-Real-IP", b"True-Client-Ip",
)  # fmt: skip
SMUGGLED: Final = (
    b"GET /smuggled HTTP/1.1\r\nHost: proxy.test\r\nX-User-Id: " + FORGED + b"\r\n\r\n",
    b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: proxy.test\r\nX-User-Id: " + FORGED + b"\r\n\r\n",
)
_BAD_PATHS: Final = (
    b"/../", b"/./", b"//", b";", b"%2f", b"%5c", b"%00", b"%2e%2e/", b"%252f", b"%25", b"%", b"%zz", b"\\", b"..;x/",
    b"%c0%ae", b"#", b"?", b"\x80", b"%0d%0a", b"*", b"/%70ublic/", b"/public/..", b"/public-x", b"http://a/",
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


class Breaker:
    """Breaks requests and answers; the same random source breaks them in the same way."""

    def __init__(self, source: random.Random) -> None:
        self.random = source
        self._mutations: tuple[Callable[[bytes], bytes], ...] = (
            self._repeat_line, self._drop_line, self._swap_lines, self._case, self._blank, self._bad_byte, self._number,
            self._add_framing, self._add_identity, self._truncate, self._line_end, self._fold, self._huge, self._version,
            self._path, self._splice, self._slice, self._add_framing, self._body, self._chunk_line,
        )  # fmt: skip

    def broken(self, data: bytes) -> bytes:
        """Return the message with one thing about it broken."""
        return self.random.choice(self._mutations)(data)

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
        return data[: one.start()] + self._not_quite(value) + data[one.end() :]

    def _chunk_line(self, data: bytes) -> bytes:
        """Break the size of a chunk."""
        begin = data.find(b"\r\n\r\n")
        found = [one for one in re.finditer(rb"(?m)^[0-9A-Fa-f]+(?=[;\r])", data) if one.start() > begin > 0]
        if not found:
            return self._add_framing(data)
        one = self.random.choice(found)
        return data[: one.start()] + self._not_quite(int(one[0], 16)) + data[one.end() :]

    def _not_quite(self, value: int) -> bytes:
        return self.random.choice(
            (b"%d" % (value + 1), b"%d" % max(0, value - 1), b"0%d" % value, b"+%d" % value, b"-%d" % value, b"0x%x" % value,
             b"%d " % value, b"%d,%d" % (value, value), b"9" * 18, b"9" * 19, b"f" * 15, b"f" * 16, b"", b"%d.0" % value,
             b"1_0", b"%x" % value, b"00000000000000000000%d" % value)
        )  # fmt: skip

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
        noise = rnd.choice(
            (*SMUGGLED, b"\r\n", b"\r\n\r\n", OK, b"\x16\x03\x01\x02\x00", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        )
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
        broken = self.random.choice((self._bad_byte, self._number, self._line_end, self._slice, self._truncate))(
            body[4:]
        )
        return b"\r\n".join(lines) + body[:4] + broken
