"""What refusals look like: one shape for all, whatever the reason."""

import json
import re
from dataclasses import replace

import pytest

from authproxy.core.colour import Colour
from authproxy.core.decision import Deny, Reason
from authproxy.core.pages import Look, make_pages
from authproxy.core.record import UserId
from authproxy.edge.page import BUILT_IN, TEXTS
from authproxy.edge.refusal import (
    MISDIRECTED,
    NO_CONTENT,
    TOO_MANY_TUNNELS,
    AnswerClass,
    Refusal,
    class_of,
    refusal_bytes,
    refuse_access,
    refuse_credential,
    refuse_failures,
    refuse_for_upstream,
    refuse_overload,
    refuse_unavailable,
    told,
)
from tests.edge.made import head

CLASSES = {
    "unauthenticated": {302, 401}, "forbidden": {403}, "bad-request": {400, 404, 405, 415, 417, 421, 501}, "unavailable": {500, 503},
    "limit": {408, 413, 414, 429, 431}, "upstream": {502, 504}, "own-page": {200, 204, 303, 308},
}  # fmt: skip
PHRASES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 413: "Content Too Large", 414: "URI Too Long", 415: "Unsupported Media Type", 417: "Expectation Failed",
    421: "Misdirected Request", 429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
    501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}  # fmt: skip
ID = b"0123abc"
BROWSER = b"Accept: text/html,*/*"


def answered(refusal, *lines, start=b"GET / HTTP/1.1", close=False, hsts=None, pages=BUILT_IN):
    """Status line, field lines and body."""
    raw = refusal_bytes(refusal, head(*lines, start=start), ID, close=close, hsts=hsts, pages=pages)
    block, end, body = raw.partition(b"\r\n\r\n")
    assert end
    first, *fields = block.split(b"\r\n")
    return first, fields, body


def dateless(fields):
    """The fields without Date, which must be there."""
    dates = [field for field in fields if field.startswith(b"Date: ")]
    assert len(dates) == 1
    assert re.fullmatch(rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", dates[0])
    return [field for field in fields if field not in dates]


@pytest.mark.parametrize("status", sorted(PHRASES))
@pytest.mark.parametrize("close", [True, False])
def test_a_program_gets_json(status, close):
    """Status, message and id, never cached; the connection's end is said."""
    first, fields, body = answered(
        Refusal(status=status, reason="secret-reason", detail="secret detail", lines=b"X-More: 1\r\n", user="u"),
        close=close,
    )
    said = json.loads(body)

    assert first.startswith(b"HTTP/1.1 %d " % status)
    assert dateless(fields) == [
        b"Content-Type: application/json", b"Content-Length: %d" % len(body), b"Cache-Control: no-store",
        b"X-Content-Type-Options: nosniff", b"X-More: 1",
        b"X-Authproxy-Response: %b; id=0123abc" % class_of(status).value.encode(), b"X-Request-Id: 0123abc",
        *([b"Connection: close"] if close else []),
    ]  # fmt: skip
    assert (said["error"], said["request_id"]) == (PHRASES[status], "0123abc")
    assert said["message"][-1] == "."
    assert b"secret" not in body
    assert body.endswith(b"}\n")


def test_messages_are_for_their_status_alone():
    """No two statuses have the same."""
    messages = [json.loads(answered(Refusal(status=status, reason=""))[2])["message"] for status in PHRASES]

    assert len(set(messages)) == len(messages)


@pytest.mark.parametrize("status", sorted(PHRASES))
@pytest.mark.parametrize("start", [b"GET / HTTP/1.1", b"HEAD / HTTP/1.1", b"POST / HTTP/1.1"])
def test_a_person_gets_a_page_where_a_person_may_come(status, start):
    """Who follows a link may meet these refusals; a form's POST, or any other status, is answered as a program's."""
    _, fields, body = answered(Refusal(status=status, reason=""), BROWSER, start=start)
    is_page = status in {403, 404, 421, 502, 503, 504} and not start.startswith(b"POST")

    assert (b"Content-Type: text/html; charset=utf-8" in fields) is is_page
    assert (b"Content-Type: application/json" in fields) is not is_page
    if start.startswith(b"HEAD"):
        assert body == b""
        assert b"Content-Length: 0" not in fields
    elif is_page:
        assert b"Content-Length: %d" % len(body) in fields
        assert PHRASES[status].encode() in body
        assert b"0123abc" in body
        assert str(status).encode() in body
        csp = next(field for field in fields if field.startswith(b"Content-Security-Policy: "))
        assert b"default-src 'none'" in csp


def test_a_page_has_the_look_that_is_configured():
    """Its name, and the policy that allows its own style by hash and no script."""
    own = make_pages(TEXTS, Look(name="Example Water Works", accent=Colour(1, 2, 3)))

    _, fields, body = answered(Refusal(status=404, reason=""), BROWSER, pages=own)

    assert b"Example Water Works" in body
    assert b"--accent: #010203" in body
    csp = next(field for field in fields if field.startswith(b"Content-Security-Policy: "))
    assert b"style-src 'sha256-" in csp
    assert b"script" not in csp
    assert b"unsafe" not in csp
    assert csp not in answered(Refusal(status=404, reason=""), BROWSER)[1]


def test_a_person_is_told_what_to_do():
    """In words of its own for every status that has a page."""
    pages = [told(status) for status in range(200, 600)]
    texts = [text for one in pages if one is not None for text in (one.title, one.message)]

    assert {one.status for one in pages if one is not None} == {403, 404, 421, 502, 503, 504}
    assert all(
        one.phrase == PHRASES[one.status] and one.may_pass is (one.status >= 500) for one in pages if one is not None
    )
    assert len({one.title for one in pages if one is not None}) == 6
    assert all(text for text in texts)


@pytest.mark.parametrize("status", [403, 404, 421, 502, 503, 504])
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_trying_again_is_offered_where_it_may_help(status, method):
    """Of what is the service's fault, and to who follows a link: it would be a GET, and a form is none."""
    start = method + b" / HTTP/1.1"

    _, fields, body = answered(Refusal(status=status, reason=""), BROWSER, b"Sec-Fetch-Mode: navigate", start=start)

    assert b"Content-Type: text/html; charset=utf-8" in fields
    assert (b">Try again<" in body) is (status >= 500 and method == b"GET")


def test_a_head_is_answered_with_the_length_of_what_a_get_would_get():
    """And without a body."""
    _, fields, body = answered(Refusal(status=401, reason=""))
    _, same, none = answered(Refusal(status=401, reason=""), start=b"HEAD / HTTP/1.1")

    assert b"Content-Length: %d" % len(body) in fields
    assert dateless(fields) == dateless(same)
    assert none == b""


def test_no_content_has_none():
    """204 has neither length nor body."""
    assert Refusal(status=204, reason="") == NO_CONTENT
    first, fields, body = answered(NO_CONTENT)
    assert (first, body) == (b"HTTP/1.1 204 No Content", b"")
    assert not [field for field in fields if field.lower().startswith(b"content-length")]


@pytest.mark.parametrize(("status", "phrase"), [(302, b"Found"), (303, b"See Other"), (308, b"Permanent Redirect")])
def test_a_redirect_says_that_its_body_is_empty(status, phrase):
    """To people and programs alike."""
    for lines in ([], [BROWSER]):
        first, fields, body = answered(Refusal(status=status, reason="", lines=b"Location: https://a/\r\n"), *lines)

        assert (first, body) == (b"HTTP/1.1 %d %b" % (status, phrase), b"")
        assert b"Content-Length: 0" in fields
        assert b"Location: https://a/" in fields


@pytest.mark.parametrize("status", [200, 403])
def test_a_page_of_the_proxy_s_own_is_sent_as_it_is(status):
    """Whatever its status would say by itself, to people and programs; its type is among its lines."""
    page = Refusal(status=status, reason="", body=b"<p>Sign in</p>", lines=b"Content-Type: text/html\r\n")

    for lines in ([], [BROWSER]):
        _, fields, body = answered(page, *lines)

        assert body == b"<p>Sign in</p>"
        assert [field for field in fields if field.startswith(b"Content-")] == [
            b"Content-Length: 14",
            b"Content-Type: text/html",
        ]
        assert answered(page, *lines, start=b"HEAD / HTTP/1.1")[2] == b""


def test_a_script_is_told_where_people_sign_in():
    """And of no login where there is none."""
    assert json.loads(answered(Refusal(status=401, reason="", login="/auth/login"))[2])["login"] == "/auth/login"
    assert "login" not in json.loads(answered(Refusal(status=401, reason=""))[2])


def test_more_for_the_log_changes_nothing_else():
    """The reason stays where no other is given."""
    refusal = Refusal(status=401, reason="a", lines=b"X: 1\r\n", close=True)

    assert refusal.because("detail", "user") == replace(refusal, detail="detail", user="user")
    assert refusal.because("detail", reason="b") == replace(refusal, detail="detail", reason="b")


def test_hsts_is_said_where_it_is_on():
    """The listener's own line."""
    _, fields, _ = answered(Refusal(status=401, reason=""), hsts=b"Strict-Transport-Security: max-age=1\r\n")
    assert b"Strict-Transport-Security: max-age=1" in fields

    _, fields, _ = answered(Refusal(status=401, reason=""))
    assert not [field for field in fields if field.startswith(b"Strict")]


@pytest.mark.parametrize(("name", "statuses"), CLASSES.items())
def test_operators_are_told_whose_answer_it_is(name, statuses):
    """`X-Authproxy-Response`: one of seven words."""
    assert {class_of(status) for status in statuses} == {AnswerClass(name)}
    assert sum(len(one) for one in CLASSES.values()) == len(PHRASES) + 5
    assert {one.value for one in AnswerClass} == set(CLASSES)


def test_a_status_without_a_word_of_its_own_has_its_class_of_statuses():
    """499 is the client's fault, 500 the server's."""
    assert class_of(499) is AnswerClass.BAD_REQUEST
    assert class_of(500) is AnswerClass.UNAVAILABLE


# ---------------------------------------------------------------------- which refusal for what

USER = UserId(bytes(16))


def test_the_challenge_says_invalid_only_of_what_was_shown():
    """RFC 6750, 3.1."""
    bare = refuse_credential("api", Deny(Reason.NO_CREDENTIAL, presented=False))
    shown = refuse_credential("api", Deny(Reason.TOKEN_EXPIRED, presented=True, user_id=USER), "u")

    assert bare == Refusal(
        status=401, reason="no-credential", lines=b'WWW-Authenticate: Bearer realm="api"\r\nVary: Authorization\r\n'
    )
    assert shown == Refusal(
        status=401, reason="token-expired", user="u",
        lines=b'WWW-Authenticate: Bearer realm="api", error="invalid_token"\r\nVary: Authorization\r\n',
    )  # fmt: skip


def test_where_no_token_helps_the_challenge_is_for_a_certificate():
    """A 401 needs one (RFC 9110, 15.5.2); nothing depends on Authorization there."""
    deny = Deny(Reason.NO_CERTIFICATE, presented=True, user_id=USER, detail="why")

    assert refuse_credential("api", deny, "u", tokens=False) == Refusal(
        status=401, reason="no-certificate", detail="why", user="u",
        lines=b'WWW-Authenticate: ClientCertificate realm="api"\r\n',
    )  # fmt: skip


def test_too_many_failures_say_when_to_come_back():
    """And nothing of the credential."""
    assert refuse_failures(Deny(Reason.TOKEN_MISMATCH, presented=True), 7, "u") == Refusal(
        status=429, reason="too-many-failures", detail="token-mismatch", user="u",
        lines=b"Retry-After: 7\r\nVary: Authorization\r\n",
    )  # fmt: skip


def test_each_failure_has_its_refusal():
    """Retry-After goes with every 503 and with nothing else."""
    again = b"Retry-After: 1\r\n"

    assert refuse_access(Reason.NOT_ALLOWED, "u") == Refusal(status=403, reason="not-allowed", user="u")
    assert Refusal(status=421, reason="other-server-name") == MISDIRECTED
    assert Refusal(status=503, reason="too-many-websockets", lines=again) == TOO_MANY_TUNNELS
    assert refuse_unavailable("a", "b") == Refusal(status=503, reason="a", detail="b", lines=again)
    assert refuse_overload() == Refusal(status=503, reason="too-many-connections", lines=again, close=True)
    for close in (True, False):
        assert refuse_for_upstream(502, "a", "b", close=close) == Refusal(
            status=502, reason="a", detail="b", close=close
        )
        assert refuse_for_upstream(504, "a", "b", close=close) == Refusal(
            status=504, reason="a", detail="b", close=close
        )
        assert refuse_for_upstream(503, "a", "b", close=close) == Refusal(
            status=503, reason="a", detail="b", lines=again, close=close
        )
