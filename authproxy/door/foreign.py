"""What somebody is told who does not speak TLS where TLS is spoken: in HTTP, if that is what it speaks."""

import re
from typing import Final

_ADVICE: Final = b"This port speaks TLS: ask for https://, please\n"
# With what every answer of the proxy's own says; the id stands beside the reason in the log.
_HTTP: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n"
    b"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
    b"X-Authproxy-Response: bad-request; id=%%b\r\nX-Request-Id: %%b\r\n\r\n%b" % (len(_ADVICE), _ADVICE)
)
# SETTINGS, which must come first (RFC 9113, 3.4), then GOAWAY with INADEQUATE_SECURITY (7) and the advice.
_HTTP2: Final = b"\0\0\0\4\0\0\0\0\0" + b"\0\0%c\7\0\0\0\0\0\0\0\0\0\0\0\0\x0c%b" % (8 + len(_ADVICE), _ADVICE)
_PREFACE: Final = b"PRI *"
ENOUGH: Final = 5
"""So many bytes tell: a TLS record's header has as many, so that OpenSSL has failed by then."""
# Methods are capitals by custom, whatever they are. A record's first byte is 22, so nothing that is TLS looks so.
_METHOD: Final = re.compile(rb"[A-Z]{5}|[A-Z]{3,4} ")
_BEGUN: Final = re.compile(rb"[A-Z]{0,4}")


def is_unclear(first: bytes) -> bool:
    """Tell whether more must come before anybody can say whether this is HTTP."""
    return len(first) < ENOUGH and _BEGUN.fullmatch(first) is not None


def answer_to(first: bytes, request_id: str) -> bytes:
    """Return what to send to whoever began so; empty: nothing would be understood."""
    if first.startswith(_PREFACE):
        return _HTTP2
    told = request_id.encode()
    return _HTTP % (told, told) if _METHOD.match(first) else b""
