"""The one place where a refusal or a failure becomes a response.

From outside every refusal of a credential looks the same; the exact reason stands in the log, found by the id
that the client sees.
"""

import json
from dataclasses import dataclass, replace
from email.utils import formatdate
from enum import Enum, unique
from http import HTTPStatus
from typing import Final

from authproxy.core.decision import Deny, Reason
from authproxy.core.pages import Pages, Told
from authproxy.edge.answer import status_line
from authproxy.edge.page import BUILT_IN, wants_page
from authproxy.http1.request import RequestHead


@unique
class AnswerClass(Enum):
    """What `X-Authproxy-Response` says, so that an operator can tell the proxy's 403 from the application's."""

    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    BAD_REQUEST = "bad-request"
    LIMIT = "limit"
    UPSTREAM = "upstream"
    UNAVAILABLE = "unavailable"
    OWN_PAGE = "own-page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that this proxy gives itself."""

    status: int
    reason: str
    """For log and metrics."""
    detail: str = ""
    """For the log only."""
    lines: bytes = b""
    """Further field lines, with CRLF."""
    close: bool = False
    """The connection cannot go on: what follows on it has no certain reading."""
    user: str = ""
    """Whom the credential claimed to be, for the log only."""
    body: bytes | None = None
    """A page of the proxy's own, whose type is among `lines`; None: what the status says."""
    login: str = ""
    """Where people sign in, for a page that has asked by a script; empty where that would not help."""

    def plus(self, lines: bytes) -> "Refusal":
        """Return the same with further field lines."""
        return replace(self, lines=self.lines + lines)

    def because(self, detail: str, user: str = "", reason: str = "") -> "Refusal":
        """Return the same with more for the log."""
        return replace(self, detail=detail, user=user, reason=reason or self.reason)


_CLASSES: Final = {
    200: AnswerClass.OWN_PAGE, 204: AnswerClass.OWN_PAGE, 303: AnswerClass.OWN_PAGE, 308: AnswerClass.OWN_PAGE,
    302: AnswerClass.UNAUTHENTICATED,
    401: AnswerClass.UNAUTHENTICATED, 403: AnswerClass.FORBIDDEN,
    408: AnswerClass.LIMIT, 413: AnswerClass.LIMIT, 414: AnswerClass.LIMIT, 429: AnswerClass.LIMIT,
    431: AnswerClass.LIMIT, 502: AnswerClass.UPSTREAM, 504: AnswerClass.UPSTREAM,
    # A coding that is not read: whoever sends it must send something else, and nothing here is out of order.
    501: AnswerClass.BAD_REQUEST,
}  # fmt: skip

# One text a status, whatever the cause.
_MESSAGES: Final = {
    400: "The request is malformed.",
    401: "A valid credential is needed.",
    403: "You may not do this.",
    404: "There is nothing here.",
    405: "This method is not allowed here.",
    408: "The request took too long.",
    413: "The request's body is too large.",
    414: "The request's address is too long.",
    415: "The body is of a type that is not read here.",
    417: "This expectation cannot be met.",
    421: "This server does not answer for that host.",
    429: "This is too much for now; please try again later.",
    431: "The request's head is too large.",
    500: "Something went wrong in the proxy.",
    501: "This transfer coding is not supported.",
    502: "The service behind did not answer as it should.",
    503: "The service is not available just now.",
    504: "The service behind took too long to answer.",
}

_NAMES: Final = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 413: "Content Too Large", 414: "URI Too Long", 415: "Unsupported Media Type", 417: "Expectation Failed",
    421: "Misdirected Request", 429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
    501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}  # fmt: skip

_HELP: Final = "whoever looks after the service."
_AGAIN: Final = f"Try again in a moment; if it goes on, tell {_HELP}"
# What a person is told, who may meet these while following a link: what happened, and what to do about it.
_FOR_PEOPLE: Final = {
    403: (
        "You may not see this page",
        f"It is not open to you, or not from where you are now. If you need it, ask {_HELP}",
    ),
    404: ("There is nothing here", "The address may be misspelt, or the page may have moved."),
    421: ("This server does not answer for that host", "The address may be misspelt: check the host in it."),
    502: ("The service did not answer as it should", f"This is not your fault. {_AGAIN}"),
    503: ("The service is not available just now", f"This is not your fault. {_AGAIN}"),
    504: ("The service took too long to answer", f"What you asked for may still be going on. {_AGAIN}"),
}

# Redirections, which nobody reads.
_EMPTY: Final = frozenset({302, 303, 308})

NO_CONTENT: Final = Refusal(status=204, reason="")
"""The answer to `OPTIONS *` (RFC 9110, 9.3.7)."""

_RETRY_AFTER: Final = b"Retry-After: 1\r\n"


def refuse_credential(zone: str, deny: Deny, user: str = "", *, tokens: bool = True) -> Refusal:
    """Return the 401 for a missing or bad credential.

    `error="invalid_token"` only when a token was presented (RFC 6750, 3.1). Where none would help (`tokens` is
    False), the challenge is the one that draft-thomson-http2-client-certs names for certificates: a 401 needs one.
    """
    if not tokens:
        lines = b'WWW-Authenticate: ClientCertificate realm="%b"\r\n' % zone.encode()
        return Refusal(status=401, reason=deny.reason.value, detail=deny.detail, lines=lines, user=user)
    challenge = b'WWW-Authenticate: Bearer realm="%b"' % zone.encode()
    if deny.presented:
        challenge += b', error="invalid_token"'
    lines = challenge + b"\r\nVary: Authorization\r\n"
    return Refusal(status=401, reason=deny.reason.value, detail=deny.detail, lines=lines, user=user)


def refuse_failures(deny: Deny, seconds: int, user: str = "") -> Refusal:
    """Return the 429 for a bad credential of a source that has shown too many; never for one that verifies."""
    lines = b"Retry-After: %d\r\nVary: Authorization\r\n" % seconds
    return Refusal(status=429, reason="too-many-failures", detail=deny.reason.value, lines=lines, user=user)


MISDIRECTED: Final = Refusal(status=421, reason="other-server-name")
"""The answer to a request for a host that the handshake was not for: another certificate would have been shown there."""
TOO_MANY_TUNNELS: Final = Refusal(status=503, reason="too-many-websockets", lines=_RETRY_AFTER)
"""The answer to a user who has as many upgraded connections open as he may; no 429, since his credential verifies."""


def refuse_access(reason: Reason, user: str = "", detail: str = "") -> Refusal:
    """Return the 403 for somebody who is known and not admitted, or whose certificate names nobody for sure."""
    return Refusal(status=403, reason=reason.value, detail=detail, user=user)


def refuse_unavailable(reason: str, detail: str = "") -> Refusal:
    """Return the 503 for a dependency that the decision needs: never a pass, never a 401."""
    return Refusal(status=503, reason=reason, detail=detail, lines=_RETRY_AFTER)


def refuse_overload() -> Refusal:
    """Return the 503 for a connection beyond the limit."""
    return Refusal(status=503, reason="too-many-connections", lines=_RETRY_AFTER, close=True)


def refuse_for_upstream(status: int, reason: str, detail: str, *, close: bool) -> Refusal:
    """Return the 502 or 504 for an upstream that failed, or the 503 for one that was not even tried."""
    lines = _RETRY_AFTER if status == HTTPStatus.SERVICE_UNAVAILABLE else b""
    return Refusal(status=status, reason=reason, detail=detail, lines=lines, close=close)


def class_of(status: int) -> AnswerClass:
    """Return what `X-Authproxy-Response` says of a status."""
    fallback = AnswerClass.BAD_REQUEST if status < 500 else AnswerClass.UNAVAILABLE  # noqa: PLR2004  # server errors
    return _CLASSES.get(status, fallback)


def told(status: int) -> Told | None:
    """Return what a person is told of a status; None: no page is made of it."""
    if status not in _FOR_PEOPLE:
        return None
    title, message = _FOR_PEOPLE[status]
    may_pass = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return Told(status=status, phrase=_NAMES[status], title=title, message=message, may_pass=may_pass)


def refusal_bytes(  # noqa: PLR0913  # all that an answer depends on
    refusal: Refusal, head: RequestHead, request_id: bytes, *, close: bool, hsts: bytes | None, pages: Pages = BUILT_IN
) -> bytes:
    """Return the whole response: a page for a person's browser, JSON for everybody else."""
    status = refusal.status
    page = told(status)
    if refusal.body is not None:
        lines, body = b"Content-Length: %d\r\n" % len(refusal.body), refusal.body
    elif page is not None and wants_page(head):
        # Trying again would be a GET: it is no offer to whoever has sent a form.
        page = replace(page, may_pass=page.may_pass and head.method != b"POST")
        lines, body = pages.refused_page.lines, pages.refused(page, request_id.decode("ascii"))
        lines += b"Content-Length: %d\r\n" % len(body)
    else:
        lines, body = _content(status, request_id.decode("ascii"), refusal.login)
    return b"".join((
        status_line(status),
        b"\r\nDate: %b\r\n" % formatdate(usegmt=True).encode(),
        lines,
        b"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
        refusal.lines,
        b"X-Authproxy-Response: %b; id=%b\r\nX-Request-Id: %b\r\n" % (
            class_of(status).value.encode(), request_id, request_id,
        ),
        hsts or b"",
        b"Connection: close\r\n\r\n" if close else b"\r\n",
        b"" if head.method == b"HEAD" else body,
    ))  # fmt: skip


def _content(status: int, request_id: str, login: str) -> tuple[bytes, bytes]:
    """Return what a program gets: the lines about the body, and the body."""
    if status == HTTPStatus.NO_CONTENT:
        return b"", b""
    if status in _EMPTY:
        return b"Content-Length: 0\r\n", b""
    text = {"error": _NAMES[status], "message": _MESSAGES[status], "request_id": request_id}
    if login:
        text["login"] = login
    body = json.dumps(text).encode() + b"\n"
    return b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body), body
