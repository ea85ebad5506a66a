"""For every row of the wire's table, how to break it by hand: a file, what stands there, and what to put in its place.

Most rows are kept by more than one line of code; the line that is broken here is the one that the row is about.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Break:
    """One edit of the program. The old text stands exactly once in the file, else the break is out of date."""

    path: str
    old: str
    new: str


BREAKS: Final[dict[str, Break]] = {
    # ---------------------------------------------------------------- 1. Request head
    "METHOD SP target SP HTTP/1.1 CRLF": Break(
        "edge/forward.py",
        'head.method, head.target, host, head.passed, cookie, where, facts.request_id,\n            b"" if',
        'head.method, head.path, host, head.passed, cookie, where, facts.request_id,\n            b"" if',
    ),
    "HTTP/1.0: closed, forwarded as 1.1": Break("http1/request.py", "head.http10 = head.close = True", "head.http10 = True"),
    "other versions, blanks, tabs": Break("http1/request.py", 'if version != b"HTTP/1.0":', "if False:"),
    "a malformed HEAD is answered as HEAD": Break("edge/carrier.py", 'b"HEAD" if begun.startswith(b"HEAD ") else b""', 'b""'),
    "one leading CRLF, no more": Break("edge/connection.py", "if self._blank_line:", "if False:"),
    "methods: tokens, per route, CONNECT and TRACE": Break("edge/gate.py", "if method in NEVER:", "if False:"),
    "target: origin-form, 8190 bytes": Break("http1/request.py", "return _TARGET_TOO_LONG", "return None"),
    "OPTIONS *": Break("edge/decide.py", "return NO_CONTENT", "return None"),
    "paths with two readings": Break("core/path.py", 'if twice.count(b"/") != decoded.count(b"/"):', "if False:"),
    "unusual_path": Break("edge/gate.py", "if unusual and not unusual <= route.unusual:", "if unusual:"),
    "decided on the once-decoded path, by whole segments": Break(
        "edge/gate.py", "decoded, unusual = path\n", "unusual = path.unusual\n"
    ),
    "the client's bytes are forwarded": Break("edge/forward.py", "target = head.target\n", 'target = head.target.replace(b"%", b"%25")\n'),
    "field line": Break("http1/request.py", "if block.translate(None, PLAIN) != ENDS[fields]:", "if False:"),
    "head 32 KiB, line 8190, 100 fields": Break("http1/request.py", "if len(lines) - 1 > limits.fields or (", "if ("),
    "Host": Break("http1/request.py", "if host not in _GOOD_HOSTS and not _is_host(host):", "if False:"),
    "fields that stand once": Break("http1/shape.py", 'names.COOKIE: "Cookie", ', ""),
    "names with _ or .": Break(
        "core/names.py", "if name.lower() == special[0] else DROP", "if name.lower() == special[0] else PASS"
    ),
    # ---------------------------------------------------------------- 2. Framing
    "Content-Length: 1 to 18 digits, once": Break(
        "http1/fields.py", 'return Malformed(400, "Content-Length is not 1 to 18 digits")', 'value = b"0"'
    ),
    "Transfer-Encoding: chunked, alone, 1.1": Break(
        "http1/fields.py", 'return Malformed(400, "both Content-Length and Transfer-Encoding")', "pass"
    ),
    "chunk lines": Break("http1/chunked.py", 'raise BadChunk("chunk longer than its size")', "pass"),
    "trailers": Break("http1/chunked.py", "            self._check_trailer(line)", "            pass"),
    "one request at a time, in order": Break("edge/connection.py", 'b"" if end == len(data) else data[end:]', 'b""'),
    "a body cut short is never completed": Break(
        "edge/outcome.py",
        "        self._release()\n        if connection is not None:\n            connection.abort()",
        "        self._release()\n        if connection is not None:\n            connection.close()",
    ),
    "Expect": Break("edge/forward.py", 'lines += b"Expect: 100-continue\\r\\n"', "pass"),
    "body_methods": Break("edge/gate.py", "if head.method not in route.body_methods:", "if False:"),
    "a refused body": Break("edge/own_answer.py", "isinstance(body, ChunkedReader) or body.left", "body.left"),
    "reuse": Break("edge/outcome.py", "elif self._is_early:", "elif False:"),
    # ---------------------------------------------------------------- 3. What goes upstream
    "hop-by-hop": Break(
        "core/names.py",
        '    "Content-Type": CONTENT_TYPE,\n    "Keep-Alive": DROP,',
        '    "Content-Type": CONTENT_TYPE,\n    "Keep-Alive": PASS,',
    ),
    "Connection names what is relied on": Break(
        "http1/fields.py", "if not is_token(word) or table.is_relied_on(word):", "if not is_token(word):"
    ),
    "identity family": Break(
        "core/names.py",
        "or folded in self._identity:\n                return DROP",
        "or folded in self._identity:\n                return PASS",
    ),
    "our tokens and cookies": Break(
        "edge/forward.py", "not (decided or carries_our_token(", "not (decided and carries_our_token("
    ),
    "X-Forwarded-* and kin": Break(
        "edge/connection.py", "if runtime.trusted and is_within(self._peer.address, runtime.trusted):", "if runtime.trusted:"
    ),
    "X-Request-Id": Break("edge/gate.py", "and _REQUEST_ID(value) is not None", ""),
    "everything else": Break("core/names.py", "            return DROP\n        return PASS\n", "            return DROP\n        return DROP\n"),
    "3. What goes upstream: Host": Break("edge/forward.py", "route.upstream_host or head.host", "head.host"),
    "a route's own fields": Break(
        "edge/forward.py", 'in lines if fold(line.partition(b":")[0]) not in rules.dropped', 'in lines if line.partition(b":")[0] not in rules.dropped'
    ),
    # ---------------------------------------------------------------- 4. The answer
    "a head within 64 KiB": Break("http1/answer.py", "MAX_ANSWER_HEAD: Final = 64 * 1024", "MAX_ANSWER_HEAD: Final = 65 * 1024"),
    "bodies": Break(
        "edge/exchange.py", "framed = self._framed(data, complete=complete) if self._chunked_out else data", "framed = data"
    ),
    "1xx": Break("edge/exchange.py", "HTTPStatus.CONTINUE.value, HTTPStatus.EARLY_HINTS.value", "HTTPStatus.CONTINUE.value"),
    "101": Break("upstream/connection.py", "if self._upgrade is None or offered != self._upgrade.lower():", "if self._upgrade is None:"),
    "an upgrade answered with anything else": Break(
        "edge/exchange.py", 'bodiless=request.method == b"HEAD", upgrade=upgrade', "bodiless=True, upgrade=upgrade"
    ),
    "malformed, wrong length, bytes behind": Break(
        "upstream/connection.py",
        "            if left < 0:\n                self._fail(Failure.MALFORMED, _TOO_LONG)",
        "            if False:\n                self._fail(Failure.MALFORMED, _TOO_LONG)",
    ),
    "close-delimited": Break(
        "upstream/connection.py", "state is State.UNTIL_CLOSE and self._ended", "state is State.UNTIL_CLOSE and not self._ended"
    ),
    "HEAD, 204, 304": Break("edge/answer.py", 'request.method == b"HEAD" or status in BODILESS', 'request.method == b"HEAD"'),
    "tried again": Break("edge/outcome.py", "failure is Failure.CLOSED and not self._retried and", "failure is Failure.CLOSED and"),
    "502, 504, JSON or a page": Break("edge/refusal.py", "502: AnswerClass.UPSTREAM", "502: AnswerClass.UNAVAILABLE"),
    "an answer before the end of the request": Break(
        "edge/exchange.py", "request.close = request.close or not self.request_done", "request.close = request.close"
    ),
    # ---------------------------------------------------------------- 5. Time and size
    "handshake": Break("door/acceptor.py", "begun + self.handshake", "begun + 60"),
    "head": Break("edge/carrier.py", 'Malformed(408, "head took too long")', 'Malformed(400, "head took too long")'),
    "body": Break("edge/exchange.py", 'status=408, reason="body-timeout"', 'status=400, reason="body-timeout"'),
    "max_body": Break(
        "edge/connection.py", "facts.received + len(payload) > limit", "facts.received + len(payload) >= limit"
    ),
    "answer": Break("edge/exchange.py", "self._fail(Failure.HEAD_TIMEOUT,", "self._fail(Failure.REFUSED,"),
    "idle connections and tunnels": Break(
        "edge/tunnel.py", 'self.end("drained" if self._closing else "tunnel-idle")', "self._touch()"
    ),
    "others are not held up": Break(
        "edge/connection.py",
        "        self._buffer = data\n        self.line.unhold()\n        if data.count",
        '        self._buffer = data\n        __import__("time").sleep(60)\n        if data.count',
    ),
    # ---------------------------------------------------------------- 6. Credentials
    "Bearer or Token": Break("core/bearer.py", "(?is:(?:bearer|token) +", "(?s:(?:bearer|token) +"),
    "other schemes, or none": Break("edge/refusal.py", "if deny.presented:", "if True:"),
    "bad tokens": Break(
        "edge/refusal.py", """challenge += b', error="invalid_token"'""", """challenge += b', error="%b"' % deny.reason.value.encode()"""
    ),
    "never in query, cookie or form": Break(
        "edge/decide.py",
        "ask(zone.rules, head.authorization, head.token)",
        'ask(zone.rules, head.authorization or b"Bearer " + head.target.partition(b"=")[2], head.token)',
    ),
    "own answers": Break("edge/refusal.py", 'b"Cache-Control: no-store\\r\\n', 'b"'),
    # ---------------------------------------------------------------- Own pages
    "health": Break("edge/connection.py", "if head.path == listener.health:", "if False:"),
    # ---------------------------------------------------------------- files that hold one promise each
    "test_certificates.py": Break("edge/certified.py", "if _names(rules, facts, question.user_id, now):", "if True:"),
    "test_lifetime.py": Break("edge/connection.py", "if left <= 0:", "if False:"),
    "test_limits.py": Break("edge/decide.py", "        if seconds:", "        if False:"),
    "test_preflight.py": Break("edge/preflight.py", "if origin not in rules.origins:", "if False:"),
    "test_redirect.py": Break("edge/redirect.py", "if not leads.routes.knows(host):", "if False:"),
}  # fmt: skip
"""By row; where two sections have a row of one name, the later one's begins with its section."""
