"""Mutants that change nothing anybody could notice, by module and reason; `make mutants` tells how each is called."""

from typing import Final

EQUIVALENT: Final[dict[str, dict[str, list[str]]]] = {
    "authproxy/core/token.py": {
        "the tuple has one item: its first is its last": ["assemble: if crc32(body) != _checksum(data, 48)[0]:: 0-1"],
        "the range ends with 0 either way": [
            "generate: payload = ''.join((chr(_BASE32[number >> shift & 31]) for shift in range(415, -1, -5))): 1+1",
        ],
    },
    "authproxy/http1/fields.py": {
        "a head with this control byte was refused before": [
            ": _DIGITS: Final = b'0123456789': one more before b'0123456789'",
        ],
    },
    "authproxy/http1/lines.py": {
        "a dict is whole without it": ["Shapes.__init__: super().__init__(): not called"],
    },
    "authproxy/http1/shape.py": {
        "the list has one item: its first is its last": [
            "_pick: only = indices[0]: 0-1",
            "learn_request.first: return places.get(kind, [0])[0]: 0-1 (2)",
            "learn_answer: content_length=places.get(names.CONTENT_LENGTH, [0])[0]: 0-1 (2)",
            "learn_answer: transfer_encoding=places.get(names.TRANSFER_ENCODING, [0])[0]: 0-1 (2)",
        ],
    },
    "authproxy/edge/gate.py": {
        "only the quick way is left out: the long one finds the same": [
            "find_route: if by_path is not None and head.is_usual:: if False for by_path is not None and head.is_usual",
            "find_route: if quick is not None and quick.methods is None:: if False for quick is not None and quick.methods is None",
            "find_route: if not head.is_usual:: if True for not head.is_usual",
            "find_route: if worth_a_look(decoded) is not None:: if True for worth_a_look(decoded) is not None",
            "find_route: if route is None:: if True for route is None",
            "find_route: route = listener.routes.find(_HOSTS.get(head.host) or fold_host(head.host), decoded): without _HOSTS.get(head.host)",
        ],
        "the empty set is a part of every set": [
            "find_route: if unusual and (not unusual <= route.unusual):: without unusual",
        ],
    },
    "authproxy/edge/decide.py": {
        "only the quick way is left out: the long one finds the same": [
            "decide: if not is_usual and head.target == b'*':: without not is_usual",
            "decide: verdict = judge(zone.rules, question, known, now) if rules is None else judge_question(zon: if False for rules is None",
            "decide: if is_usual and route.allow is None and (not head.has_body) and (verdict.matched is not _G: if False for is_usual and route.allow is None and (not head.has_body) and (verdict.matched is not _GRACE)",
            "decide: route = facts.listener.whole if is_usual else None: if False for is_usual",
            "decide: if route is None:: if True for route is None",
            "decide: if not route.is_plain and (answer := _answer_itself(route, head)) is not None:: without not route.is_plain",
            "_decide_visitor: if head.is_usual and head.method in SAFE_METHODS and (route.allow is None) and (verdict.ma: if False for head.is_usual and head.method in SAFE_METHODS and (route.allow is None) and (verdict.matched is not _GRACE)",
            "_admitted: if head.upgrade is not None and wanted_upgrade(route, head) is not None and has_too_many_t: without head.upgrade is not None",
        ],
        "the clock is read once more than it need be": [
            "decide: now = clock.moment if facts.started < clock.until else clock.look(facts.started): if False for facts.started < clock.until",
            "_decide_visitor: now = clock.moment if facts.started < clock.until else clock.look(facts.started): if False for facts.started < clock.until",
        ],
        "a head that is usual has no body": [
            "decide: if is_usual and route.allow is None and (not head.has_body) and (verdict.matched is not _G: without not head.has_body",
            "decide: if is_usual and route.allow is None and (not head.has_body) and (verdict.matched is not _G: head.has_body is not negated",
        ],
        "only a route whose zone keeps sessions comes so far": [
            "_decide_visitor: if route is None or route.zone is None:: if False for route is None or route.zone is None",
            "_decide_visitor: if route is None or route.zone is None:: And in route is None or route.zone is None",
            "_decide_visitor: if route is None or route.zone is None:: without route is None",
            "_decide_visitor: if route is None or route.zone is None:: without route.zone is None",
            "_decide_visitor: return refuse_unavailable('crashed'): None",
        ],
    },
    "authproxy/core/match.py": {
        "a disabled record passes nobody, whatever else stands in it": [
            ": user_id=UserId(bytes(16)): 16+1",
            ": user_id=UserId(bytes(16)): 16-1",
            ": rotation_version=0: 0+1",
            ": rotation_version=0: 0-1",
        ],
    },
    "authproxy/core/failures.py": {
        "any number below 0 that is its own will do": [
            "source_of: return int(parsed) >> _HOST_BITS if isinstance(parsed, IPv6Address) else -1 - int(parsed): 1+1",
        ],
    },
    "authproxy/http1/body.py": {
        "what is cut at its end stays whole": [
            "LengthReader.feed: if len(data) <= self._left:: Lt in len(data) <= self._left"
        ],
    },
    "authproxy/core/path.py": {
        "only the quick way is left out: the long one finds the same": [
            "read_path: if worth_a_look(raw) is None:: if False for worth_a_look(raw) is None",
        ],
    },
    "authproxy/http1/websocket.py": {
        "only the quick way is left out: the long one finds the same": [
            "FrameTracker.feed: if not self._header and position + 1 < size:: if False for not self._header and position + 1 < size",
            "FrameTracker.feed: if not self._header and position + 1 < size:: 1+1",
            "FrameTracker.feed: if length & ~_MASKED < _LENGTH_16:: if False for length & ~_MASKED < _LENGTH_16",
        ],
        "what follows does what the next turn would": ["FrameTracker.feed: continue: passed"],
        "what is shorter than any frame has a length below 0, which no byte is": [
            "ends_in_close: return any((data[start] == 128 | _OPCODE_CLOSE and data[start + 1] == _MASKED | size - sta: 1+1 (2)",
        ],
    },
    "authproxy/core/route.py": {
        "only the quick way is left out: the long one finds the same": [
            "_Paths: deepest: int = 0: 0-1",
            "_Paths.find: route = self.exact.get(path) if self.exact else None: if True for self.exact",
            "_Paths.find: if self.deepest:: if True for self.deepest",
            "RouteTable.find: if self.by_path is not None:: if False for self.by_path is not None",
            "RouteTable.__init__: self.by_path: Callable[[bytes], R | None] | None = None if alone is None else alone.find: if True for alone is None",
        ],
        "the walk up begins further out": [
            "_Paths.find: key = b'/'.join(path.split(b'/', self.deepest + 1)[:self.deepest + 1]): one more before b'/' (2)",
            "_Paths.find: key = b'/'.join(path.split(b'/', self.deepest + 1)[:self.deepest + 1]): Sub in self.deepest + 1",
            "_Paths.find: key = b'/'.join(path.split(b'/', self.deepest + 1)[:self.deepest + 1]): 1+1",
            "_Paths.find: key = b'/'.join(path.split(b'/', self.deepest + 1)[:self.deepest + 1]): 1-1",
            "_Paths.find: key = b'/'.join(path.split(b'/', self.deepest + 1)[:self.deepest + 1]): 1+1 (2)",
        ],
    },
    "authproxy/http1/head.py": {
        "both are set at once": [
            "RequestHead.request_id: if self._all is None or self._shape is None or (not self._shape.request_id):: without self._all is None",
            "RequestHead.request_id: if self._all is None or self._shape is None or (not self._shape.request_id):: without self._shape is None",
            "RequestHead.forwarded: if self._all is None or self._shape is None:: And in self._all is None or self._shape is None",
            "RequestHead.forwarded: if self._all is None or self._shape is None:: without self._all is None",
            "RequestHead.forwarded: if self._all is None or self._shape is None:: without self._shape is None",
        ],
    },
    "authproxy/core/decision.py": {
        "only the quick way is left out: the long one finds the same": [
            "ask: if parts is not None:: if False for parts is not None"
        ],
        "nothing matches where there is no record": [
            "judge: if matched is None or record is None:: without record is None"
        ],
    },
    "authproxy/edge/refusal.py": {
        "no page is made of a 500": [
            "told: may_pass = status >= HTTPStatus.INTERNAL_SERVER_ERROR: Gt in status >= HTTPStatus.INTERNAL_SERVER_ERROR",
        ],
    },
    "authproxy/http1/answer.py": {
        "a head with this control byte was refused before": [
            ": _DIGITS: Final = b'0123456789': one more before b'0123456789'",
        ],
        "a status has three digits, the first of them no 0": [
            ": _STATUSES: Final = {b'%d' % number: (number, number >= _FINAL and number not in BODILESS) : 100-1",
            ": _STATUSES: Final = {b'%d' % number: (number, number >= _FINAL and number not in BODILESS) : 1000+1",
        ],
        "only the quick way is left out: the long one finds the same": [
            "AnswerReader.read_carefully: status = _KNOWN_LINES.get(lines[0]) or _status_of(lines[0]): without _KNOWN_LINES.get(lines[0])",
            "AnswerReader.read_carefully: status = _KNOWN_LINES.get(lines[0]) or _status_of(lines[0]): 0-1",
            "AnswerReader.read_carefully: if shape is None or fields != shape.fields or (not all(map(starts_with, lines, shape.prefi: if True for shape is None or fields != shape.fields or (not all(map(starts_with, lines, shape.prefixes)))",
            "AnswerReader.read_carefully: problem = None if status > 0 and shape.is_plain else _read_rest(head, lines, shape): if False for status > 0 and shape.is_plain",
            "AnswerReader.read: return self.read_carefully(block) if head is None or self.end != len(block) + len(_END) el: if True for head is None or self.end != len(block) + len(_END)",
            "AnswerReader.take: head.passed = passed if usual.is_one_run else b''.join([found[run] for run in usual.runs]): if False for usual.is_one_run",
        ],
        "a status is never 0 here, nor 1": [
            "AnswerReader.read_carefully: problem = None if status > 0 and shape.is_plain else _read_rest(head, lines, shape): GtE in status > 0",
            "AnswerReader.read_carefully: problem = None if status > 0 and shape.is_plain else _read_rest(head, lines, shape): 0+1",
            "AnswerReader.read_carefully: problem = None if status > 0 and shape.is_plain else _read_rest(head, lines, shape): 0-1",
            "_read_rest: if head.status < 0:: LtE in head.status < 0",
            "_read_rest: if head.status < 0:: 0+1",
            "_read_rest: if head.status < 0:: 0-1",
        ],
        "no pattern is made for a shape that may have a problem": [
            "AnswerReader.read_carefully: if problem is None:: if True for problem is None",
        ],
        "no options take nothing away": [
            "_read_rest: if shape.connection:: if True for shape.connection",
        ],
    },
    "authproxy/http1/chunked.py": {
        "only the quick way is left out: the long one finds the same": [
            ": _WHOLE_LINE: Final = re.compile(b'([0-9A-Fa-f]{1,15}+)\\\\r\\\\n').match: one more before b'([0-9A-Fa-f]{1,15}+)\\\\r\\\\n'",
            ": _WHOLE_LINE: Final = re.compile(b'([0-9A-Fa-f]{1,15}+)\\\\r\\\\n').match: 1+1 in '([0-9A-Fa-f]{1,'",
            ": _WHOLE_LINE: Final = re.compile(b'([0-9A-Fa-f]{1,15}+)\\\\r\\\\n').match: 15-1 in '([0-9A-Fa-f]{1,15}'",
            "ChunkedReader.feed: if self._state is _SIZE and (not self._line):: if False for self._state is _SIZE and (not self._line)",
            "ChunkedReader._take_whole: if end == begin or data[end:end + 2] != b'\\r\\n':: if True for end == begin or data[end:end + 2] != b'\\r\\n'",
            "ChunkedReader._take_whole: if end == begin or data[end:end + 2] != b'\\r\\n':: Sub in end + 2",
            "ChunkedReader._take_whole: if end == begin or data[end:end + 2] != b'\\r\\n':: 2+1",
            "ChunkedReader._take_whole: if end == begin or data[end:end + 2] != b'\\r\\n':: 2-1",
            "ChunkedReader._take_whole: if end == begin or data[end:end + 2] != b'\\r\\n':: one more before b'\\r\\n'",
        ],
        "it is set before it is read": [
            "ChunkedReader.__init__: self._left = 0: not set",
            "ChunkedReader.__init__: self._left = 0: 0+1",
            "ChunkedReader.__init__: self._left = 0: 0-1",
        ],
        "a number may have its line's end behind it": [
            "ChunkedReader._take_whole: end = begin + int(found[1], 16): 1-1",
        ],
    },
    "authproxy/core/names.py": {
        "a dict is whole without it": [
            "RequestNames.__init__: super().__init__(): not called",
            "AnswerNames.__init__: super().__init__(): not called",
        ],
    },
    "authproxy/http1/request.py": {
        "only the quick way is left out: the long one finds the same": [
            "RequestReader.read: return self.read_carefully(block) if head is None or self.end != len(block) + len(_END) el: if True for head is None or self.end != len(block) + len(_END)",
            "RequestReader.take: head.passed = passed if usual.is_one_run else b''.join([found[run] for run in usual.runs]): if False for usual.is_one_run",
            "RequestReader.take: if usual.has_more:: if True for usual.has_more",
            "RequestReader.read_carefully: if fields > self._fields or len(block) > self._line:: if True for fields > self._fields or len(block) > self._line",
            "RequestReader.read_carefully: if fields > self._fields or len(block) > self._line:: GtE in fields > self._fields",
            "RequestReader.read_carefully: if fields > self._fields or len(block) > self._line:: GtE in len(block) > self._line",
            "RequestReader.read_carefully: if target[:1] != b'/' or target.translate(None, _TARGET_BYTES) or method not in _USUAL_MET: if True for target[:1] != b'/' or target.translate(None, _TARGET_BYTES) or method not in _USUAL_METHODS",
            "RequestReader.read_carefully: if target[:1] != b'/' or target.translate(None, _TARGET_BYTES) or method not in _USUAL_MET: 1+1",
            "RequestReader.read_carefully: if target[:1] != b'/' or target.translate(None, _TARGET_BYTES) or method not in _USUAL_MET: 1-1",
            "RequestReader.read_carefully: if target[:1] != b'/' or target.translate(None, _TARGET_BYTES) or method not in _USUAL_MET: one more before b'/'",
            "RequestReader.read_carefully: if shape is None or fields != shape.fields or (not all(map(starts_with, lines, shape.prefi: if True for shape is None or fields != shape.fields or (not all(map(starts_with, lines, shape.prefixes)))",
            "RequestReader.read_carefully: if host not in _GOOD_HOSTS and (not _is_host(host)):: without host not in _GOOD_HOSTS",
            "RequestReader.read_carefully: if shape.is_reported:: if True for shape.is_reported",
            "RequestReader.read_carefully: problem = None if shape.is_plain else self._read_rest(head, lines, shape): if False for shape.is_plain",
            "RequestReader._read_rest: if problem is not None or not shape.connection:: without not shape.connection",
            ": _USUAL_METHODS: Final = frozenset({b'GET', b'HEAD', b'POST', b'PUT', b'PATCH', b'DELETE', : without b'GET'",
            ": _USUAL_METHODS: Final = frozenset({b'GET', b'HEAD', b'POST', b'PUT', b'PATCH', b'DELETE', : without b'HEAD'",
            ": _USUAL_METHODS: Final = frozenset({b'GET', b'HEAD', b'POST', b'PUT', b'PATCH', b'DELETE', : without b'POST'",
            ": _USUAL_METHODS: Final = frozenset({b'GET', b'HEAD', b'POST', b'PUT', b'PATCH', b'DELETE', : without b'PUT'",
            ": _USUAL_METHODS: Final = frozenset({b'GET', b'HEAD', b'POST', b'PUT', b'PATCH', b'DELETE', : without b'PATCH'",
            ": _USUAL_METHODS: Final = frozenset({b'GET', b'HEAD', b'POST', b'PUT', b'PATCH', b'DELETE', : without b'DELETE'",
            ": _USUAL_METHODS: Final = frozenset({b'GET', b'HEAD', b'POST', b'PUT', b'PATCH', b'DELETE', : without b'OPTIONS'",
            "_problem_of_size: if len(lines[0]) > limits.line and len(max(lines[0].split(b' '), key=len)) > limits.line:: without len(lines[0]) > limits.line",
            "_problem_of_size: if len(lines[0]) > limits.line and len(max(lines[0].split(b' '), key=len)) > limits.line:: GtE in len(lines[0]) > limits.line",
        ],
        "a head with such a byte was refused before": [
            ": _TARGET_BYTES: Final = bytes((c for c in range(33, 127) if c != ord('#'))): 33-1",
            ": _TARGET_BYTES: Final = bytes((c for c in range(33, 127) if c != ord('#'))): 127+1",
        ],
        "an IPv6 address, which it must be, has 2 to 45 characters": [
            ": _HOST: Final = re.compile(b'(?:' + NAME + b'|\\\\[(?P<address>[0-9A-Fa-f:.]{2,45})\\\\])' + PO: 2-1 in '|\\\\[(?P<address>[0-9A-Fa-f:.]{2,'",
            ": _HOST: Final = re.compile(b'(?:' + NAME + b'|\\\\[(?P<address>[0-9A-Fa-f:.]{2,45})\\\\])' + PO: 45+1 in '|\\\\[(?P<address>[0-9A-Fa-f:.]{2,45}'",
        ],
    },
    "authproxy/http1/usual.py": {
        "what an expression gives back, nothing behind it takes": [
            ": _VALUE: Final = b'[\\\\t\\\\x20-\\\\x7e\\\\x80-\\\\xff]*+': without the last of b'[\\\\t\\\\x20-\\\\x7e\\\\x80-\\\\xff]*+'",
            ": _OWS: Final = b'[ \\\\t]*+': without the last of b'[ \\\\t]*+'",
            ": _PLAIN: Final = b'(?:/[!$&-\\\\-0-:<=>@-\\\\[\\\\]-~][!$&-.0-:<=>@-\\\\[\\\\]-~]*+)*+/?+': without the last of b'(?:/[!$&-\\\\-0-:<=>@-\\\\[\\\\]-~][!$&-.0-:<=>@-\\\\[\\\\]-~]*+)*+/?+'",
            ": ANSWER_START: Final = b'HTTP/1\\\\.1 (?P<status>[1-9][0-9]{2})(?: [\\\\t\\\\x20-\\\\x7e\\\\x80-\\\\xff: without the last of b'HTTP/1\\\\.1 (?P<status>[1-9][0-9]{2})(?: [\\\\t\\\\x20-\\\\x7e\\\\x80-\\\\xff]*+)?+'",
            ": PORT: Final = b'(?::(?:[0-5]?[0-9]{1,4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[: without the last of b'(?::(?:[0-5]?[0-9]{1,4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])(?![0-9]))?+'",
            ": NAME: Final = b'[A-Za-z0-9._~\\\\-]{1,255}+': without the last of b'[A-Za-z0-9._~\\\\-]{1,255}+'",
            ": _REQUEST_FIELDS: Final = {names.HOST: _OWS + b'(?P<host>' + NAME + PORT + b')' + _OWS, nam: without the last of b'(?P<authorization>(?i:bearer|token) ++'",
        ],
        "there are as many kinds as names": [
            "Usual.__init__: strict=True: the opposite of True",
        ],
        "the last of one is the first of one": [
            "Usual.__init__: passed = runs[0] if self.is_one_run else 'none': 0-1",
        ],
    },
}
