"""The question that a browser asks before a page of another origin may call (Fetch Standard, 3.3.2), answered here.

It carries no credential and never will, so it is answered without one, and the upstream hears nothing of it. What is
answered is the configuration: no byte of the question comes back but an origin that the configuration names.
"""

from typing import Final

from authproxy.edge.refusal import Refusal
from authproxy.http1.lines import value_of
from authproxy.http1.request import RequestHead
from authproxy.runtime import Preflight

_ORIGIN: Final = b"origin"
_METHOD: Final = b"access-control-request-method"
# Caches keep no answer of ours; this is for those that think otherwise.
_VARY: Final = b"Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n"


def answer_preflight(rules: Preflight, head: RequestHead) -> Refusal | None:
    """Return the answer to a preflight; None for any other request, which needs what every request needs."""
    if head.method != b"OPTIONS":
        return None
    origins, methods = _values(head, _ORIGIN), _values(head, _METHOD)
    if not origins or not methods:
        return None
    if len(origins) > 1 or len(methods) > 1:
        return Refusal(status=400, reason="malformed-request", detail="a preflight with two origins or two methods")
    origin = b"*" if b"*" in rules.origins else origins[0]
    if origin not in rules.origins:
        return Refusal(status=403, reason="origin-not-allowed", lines=_VARY)
    return Refusal(
        status=204, reason="", lines=b"Access-Control-Allow-Origin: %b\r\n%b%b" % (origin, rules.lines, _VARY)
    )


def _values(head: RequestHead, name: bytes) -> list[bytes]:
    return [value_of(line) for line in head.lines if line.partition(b":")[0].lower() == name]
