"""The steps between a head that was read and the question who is calling; every one may refuse."""

import re
from typing import Final

from authproxy.core.path import read_path, worth_a_look
from authproxy.core.route import NoRoute
from authproxy.edge.preflight import answer_preflight
from authproxy.edge.refusal import Refusal
from authproxy.http1.request import RequestHead
from authproxy.runtime import Listener, Route

NEVER: Final = frozenset({b"CONNECT", b"TRACE"})
"""Methods that are refused whatever a route says."""
_IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._\-]{1,64}").fullmatch

# Hosts as clients write them, mapped to their folded form without port. Bounded: a client can write any number.
_HOSTS: Final[dict[bytes, str]] = {}
_MAX_HOSTS: Final = 1024
_USUAL: Final[frozenset[str]] = frozenset()


def fold_host(host: bytes) -> str:
    """Return the host in lower case, without port and without the root's final dot."""
    text = host.decode("ascii").lower()
    name, bracket, _ = text.partition("]")
    folded = name + bracket if bracket else text.partition(":")[0].removesuffix(".")
    if len(_HOSTS) < _MAX_HOSTS:
        _HOSTS[host] = folded
    return folded


def accepted_id(value: bytes | None) -> bytes | None:
    """Return a trusted peer's request id when it is 1 to 64 harmless characters, else None."""
    return value if value is not None and _REQUEST_ID(value) is not None else None


def find_route(listener: Listener, head: RequestHead) -> Route | Refusal:  # noqa: C901  # every step may refuse
    """Return the route of a request, or why there is none."""
    by_path = listener.routes.by_path
    if by_path is not None and head.is_usual:
        # The way of most requests where no route is for certain hosts only.
        quick = by_path(head.path)
        if quick is not None and quick.methods is None:
            return quick
    method = head.method
    decoded, unusual = head.path, _USUAL
    if not head.is_usual:
        if method in NEVER:
            return Refusal(status=405, reason="method-never-allowed")
        if worth_a_look(decoded) is not None:
            path = read_path(decoded)
            if path is None:
                return Refusal(status=400, reason="ambiguous-path")
            decoded, unusual = path
    route: Route | NoRoute | None = listener.routes.catch_all
    if route is None:
        route = listener.routes.find(_HOSTS.get(head.host) or fold_host(head.host), decoded)
    if isinstance(route, NoRoute):
        status = 421 if route is NoRoute.UNKNOWN_HOST else 404
        return Refusal(status=status, reason=route.value)
    if unusual and not unusual <= route.unusual:
        return Refusal(status=400, reason="unusual-path")
    if route.methods is not None and method not in route.methods and not _is_preflight(route, head):
        allowed = b", ".join(sorted(route.methods))
        return Refusal(status=405, reason="method-not-allowed", lines=b"Allow: %b\r\n" % allowed)
    return route


def _is_preflight(route: Route, head: RequestHead) -> bool:
    """Tell whether this is a browser's question about a method, which need not be one of the route's methods itself."""
    return route.preflight is not None and answer_preflight(route.preflight, head) is not None


def check_body(route: Route, head: RequestHead) -> Refusal | None:
    """Return why the body that a request announces may not come, or None.

    Servers exist that leave the body of a GET on the connection, where it would be read as the next request, with an
    identity header of the client's making.
    """
    if head.method not in route.body_methods:
        return Refusal(status=400, reason="body-not-allowed", close=True)
    if route.max_body is not None and head.content_length > route.max_body:
        return Refusal(status=413, reason="body-too-large", close=True)
    return None


def is_repeatable(head: RequestHead) -> bool:
    """Tell whether sending a request a second time does what sending it once does (RFC 9110, 9.2.2)."""
    return head.method in _IDEMPOTENT and not head.has_body and head.upgrade is None
