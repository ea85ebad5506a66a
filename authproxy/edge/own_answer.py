"""Sends what the proxy says in its own name, and decides whether the connection can go on after it."""

from http import HTTPStatus
from typing import Final

from authproxy import events
from authproxy.edge.facts import Facts, facts_of
from authproxy.edge.line import Line
from authproxy.edge.origin import Origin
from authproxy.edge.page import pages_of
from authproxy.edge.record import record
from authproxy.edge.refusal import Refusal, refusal_bytes
from authproxy.edge.services import Services
from authproxy.http1.body import LengthReader
from authproxy.http1.chunked import ChunkedReader
from authproxy.http1.request import RequestHead
from authproxy.runtime import Listener

# A refused request's small body is read away so that the connection can go on; a larger one ends it.
_SKIPPED_BODY: Final = 64 * 1024
_SERVER_ERROR: Final = 500


def unrouted_facts(services: Services, listener: Listener, origin: Origin, head: RequestHead) -> Facts:
    """Return what is known of a request that goes nowhere: nearly nothing when its head could not be read."""
    return facts_of(services.current.runtime, listener, head, services.ids.next(), origin, services.monotonic())


def send_refusal(
    services: Services, line: Line, facts: Facts, refusal: Refusal, body: LengthReader | ChunkedReader | None
) -> bool:  # fmt: skip
    """Answer, count and log; return whether the connection must close. `body`: what of the request is still to come."""
    head = facts.request
    unread = body is not None and (
        isinstance(body, ChunkedReader) or body.left > _SKIPPED_BODY or head.expect_continue
    )  # fmt: skip
    close = refusal.close or head.close or unread or services.current.ending
    pages = pages_of(facts.runtime)
    if facts.allow is not None and facts.allow.answer_lines:
        # The store has been told already: the browser must hear of its refreshed cookie whatever came after.
        refusal = refusal.plus(b"".join(facts.allow.answer_lines))
    line.send(refusal_bytes(refusal, head, facts.request_id, close=close, hsts=facts.listener.hsts, pages=pages))
    facts.user = refusal.user
    is_refused = refusal.status < _SERVER_ERROR or refusal.status == HTTPStatus.NOT_IMPLEMENTED
    event = events.REQUEST_REFUSED if is_refused else events.REQUEST_FAILED
    if refusal.status == HTTPStatus.PERMANENT_REDIRECT:
        event = events.REQUEST_REDIRECTED
    elif not refusal.reason:
        event = events.REQUEST_ANSWERED
    record(services, facts, event, refusal.status, services.monotonic(), refusal.reason, refusal.detail)
    return close
