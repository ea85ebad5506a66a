"""Who is calling, and what an upstream is told about it (RFC 6750)."""

from base64 import b64encode

import pytest

from tests.conformance.proxy import ALICE, BOB, GOOD, request, token

pytestmark = pytest.mark.promise

OURS = token("api", ALICE)
INVALID = b', error="invalid_token"'


def auth(value: str) -> bytes:
    """An Authorization line."""
    return f"Authorization: {value}\r\n".encode("latin-1")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "Token", "token", "TOKEN"])
@pytest.mark.parametrize("blanks", [" ", "   "])
def test_a_good_token_passes(wire, upstream, scheme, blanks):
    """Scheme in any letter case, one or more spaces; the credential ends here, the identity goes on."""
    assert wire.ask(request(auth=auth(scheme + blanks + OURS))).status == 200
    seen = upstream.request()
    assert seen.one("X-Authproxy-User") == ALICE.encode()
    assert seen.one("Remote-User") == b"alice"
    assert seen.one("X-Authproxy-Groups") == b"admins"
    assert seen.one("X-Authproxy-Method") == b"token"
    assert seen.one("Legacy-Login") == ALICE.encode()
    assert seen.all("Authorization") == []
    assert OURS.encode() not in seen.head


def test_a_token_in_capitals_passes(wire, upstream):
    """Letter case is free in a token."""
    assert wire.ask(request(auth=auth("Bearer " + OURS.upper()))).status == 200


def test_empty_facts_give_no_header(wire, upstream):
    """Bob has neither name nor group, and says so by silence."""
    assert wire.ask(request("GET / HTTP/1.1", auth=auth("Bearer " + token("api", BOB)))).status == 200
    seen = upstream.request()
    assert seen.one("X-Authproxy-User") == BOB.encode()
    assert seen.all("Remote-User") == seen.all("X-Authproxy-Groups") == []


@pytest.mark.parametrize(
    "value", ["Basic YWxpY2U6cHc=", "Digest x", "Bearer", "Bearer ", "", "Bearerx y", "Negotiate abc", OURS]
)
def test_without_a_credential_of_ours_the_challenge_is_bare(wire, fence, value):
    """401 that calls nothing invalid: nothing was shown."""
    answer = wire.ask(request(auth=auth(value)))

    assert answer.status == 401
    assert answer.one("WWW-Authenticate") == b'Bearer realm="api"'
    fence()


def _flip(text: str, position: int) -> str:
    other = "a" if text[position] != "a" else "b"
    return text[:position] + other + text[position + 1 :]


@pytest.mark.parametrize(
    "shown",
    [
        "x", "svc_", OURS + "x", OURS[:-1], _flip(OURS, 20), _flip(OURS, -3), OURS + " x", "x " + OURS, "\t" + OURS,
        token("api", ALICE, version=2), token("api", ALICE, version=4), token("web", ALICE), token("api", ALICE, prefix="web"),
        token("api", ALICE, prefix="other"), token("api", "00000000-0000-4000-8000-000000000000"), "svc_" + "x" * 5000,
        OURS.replace("_02", "_03", 1), OURS.replace("_", "-", 1),
    ],
)  # fmt: skip
def test_a_bad_token_is_called_invalid_and_nothing_more(wire, fence, shown):
    """Unknown, rotated, foreign or malformed: from outside all look the same."""
    answer = wire.ask(request(auth=auth("Bearer " + shown)))

    assert answer.status == 401
    assert answer.kind == "unauthenticated"
    assert answer.one("WWW-Authenticate") == b'Bearer realm="api"' + INVALID
    assert b"A valid credential is needed." in answer.body
    assert answer.one("Connection") is None
    fence()


def test_all_refusals_of_a_credential_are_alike(wire):
    """Byte for byte, but for id and date."""
    shown = [token("api", ALICE, version=2), token("api", "00000000-0000-4000-8000-000000000000"), "nonsense"]
    answers = [wire.ask(request(auth=auth("Bearer " + one))) for one in shown]

    for answer in answers:
        own = answer.one("X-Request-Id")
        assert own is not None
        assert answer.one("X-Authproxy-Response") == b"unauthenticated; id=" + own
        assert answer.body.replace(own, b"") == answers[0].body.replace(answers[0].one("X-Request-Id"), b"")
        assert [name for name, _ in answer.fields] == [name for name, _ in answers[0].fields]


@pytest.mark.parametrize(
    "raw",
    [
        request(f"GET /?token={OURS} HTTP/1.1", auth=b""),
        request(f"GET /?access_token={OURS} HTTP/1.1", auth=b""),
        request("GET / HTTP/1.1", f"Cookie: token={OURS}; Authorization={OURS}", auth=b""),
        request("GET / HTTP/1.1", f"X-Api-Key: {OURS}", f"X-Authorization: Bearer {OURS}", auth=b""),
        request("GET / HTTP/1.1", f"Proxy-Authorization: Bearer {OURS}", auth=b""),
        request("POST / HTTP/1.1", "Content-Type: application/x-www-form-urlencoded",
                f"Content-Length: {len(OURS) + 13}", body=f"access_token={OURS}".encode(), auth=b""),
    ],
)  # fmt: skip
def test_a_token_elsewhere_is_never_read(wire, fence, raw):
    """Not in the query, a cookie, a form or another field."""
    answer = wire.ask(raw)

    assert answer.status == 401
    assert answer.one("WWW-Authenticate") == b'Bearer realm="api"'
    fence()


def test_zones_are_isolated(wire, upstream):
    """The same user, another zone, another token."""
    assert wire.ask(request("GET /web/ HTTP/1.1", auth=auth("Bearer " + token("web", ALICE)))).status == 200
    answer = wire.ask(request("GET /web/ HTTP/1.1"))

    assert answer.status == 401
    assert answer.one("WWW-Authenticate") == b'Bearer realm="web"' + INVALID


@pytest.mark.parametrize("agent", ["", "curl/8", "kube-probe/1.30", "GoogleHC/1.0", "ELB-HealthChecker/2.0"])
def test_no_user_agent_opens_anything(wire, fence, agent):
    """The decision is the same for all."""
    assert wire.ask(request("GET / HTTP/1.1", f"User-Agent: {agent}", auth=b"")).status == 401
    fence()


@pytest.mark.parametrize(
    "value",
    ["Bearer " + OURS, "bearer " + OURS.upper(), "Token " + token("web", ALICE), "Bearer   " + OURS, "Bearer svc_broken",
     "TOKEN web_x", "Bearer\t" + OURS, OURS, "Basic " + OURS, "Negotiate,Bearer " + OURS, 'Digest username="' + OURS + '"',
     "Bearer" + chr(0xA0) + OURS, "ApiKey x," + token("web", ALICE).upper(), "Hawk " + token("api", ALICE, prefix="other") + OURS,
     "Basic " + b64encode(b"alice:" + OURS.encode()).decode()],
)  # fmt: skip
def test_our_tokens_do_not_pass_public_routes(wire, upstream, value):
    """Of any zone, whole or broken: an upstream that nobody guards has no use for it."""
    assert wire.ask(request("GET /public/ HTTP/1.1", auth=auth(value))).status == 200
    seen = upstream.request()
    assert seen.all("Authorization") == []
    assert seen.all("X-Authproxy-User") == []


@pytest.mark.parametrize(
    "value",
    ["Basic YWxpY2U6cHc=", "Bearer eyJhbGciOi.J9.x", "Token abc", "Digest x=y", "Bearer svcx_1", 'Digest username="svc_backup"',
     "Bearer " + token("api", ALICE, prefix="other"), "svc_1"],
)  # fmt: skip
def test_foreign_credentials_pass_public_routes(wire, upstream, value):
    """They are the upstream's own affair."""
    assert wire.ask(request("GET /public/ HTTP/1.1", auth=auth(value))).status == 200
    assert upstream.request().one("Authorization") == value.encode()


def test_a_route_may_forward_the_credential(wire, upstream):
    """`unsafe_forward_credentials`."""
    assert wire.ask(request("GET /keep/ HTTP/1.1")).status == 200
    assert upstream.request().one("Authorization") == b"Bearer " + OURS.encode()


@pytest.mark.parametrize("target", ["/", "/public/"])
def test_other_cookies_pass_unchanged(wire, upstream, target):
    """Byte for byte, odd ones too."""
    cookie = 'a=b; c="d e";f; =g; x=y=z;;'
    assert wire.ask(request(f"GET {target} HTTP/1.1", f"Cookie: {cookie}")).status == 200
    assert upstream.request().one("Cookie") == cookie.encode()


@pytest.mark.parametrize("target", ["/", "/public/"])
@pytest.mark.parametrize(
    ("cookie", "left"),
    [
        ("a=b; __Host-authproxy-web=" + "A" * 43 + "; c=d", [b"a=b; c=d"]),
        ("__host-AUTHPROXY-x=1;a=__Host-authproxy-web", [b"a=__Host-authproxy-web"]),
        ("__Host-authproxy-web=" + "A" * 43, []),
    ],
)
def test_our_cookies_end_here(wire, upstream, target, cookie, left):
    """Of whatever zone and in whatever letter case, beside others or alone."""
    assert wire.ask(request(f"GET {target} HTTP/1.1", f"Cookie: {cookie}")).status == 200
    assert upstream.request().all("Cookie") == left


@pytest.mark.parametrize(("user", "status"), [(ALICE, 200), (BOB, 403)])
def test_a_route_admits_groups(wire, upstream, user, status):
    """403 for who is known and not admitted, without a challenge."""
    answer = wire.ask(request("GET /admin/ HTTP/1.1", auth=auth("Bearer " + token("api", user))))

    assert answer.status == status
    assert answer.all("WWW-Authenticate") == []


def test_the_reason_stands_in_the_log_only(wire, proxy):
    """Found by the id that the client sees; the token is nowhere."""
    shown = token("api", ALICE, version=2)
    answer = wire.ask(request("GET /secret?query=private HTTP/1.1", "Cookie: c=private", auth=auth("Bearer " + shown)))
    line = proxy.wait_access(answer.one("X-Request-Id"))

    assert line["reason"] == "token-rotated"
    assert line["user_id"] == ALICE
    assert b"rotated" not in answer.body
    assert shown not in str(proxy.access)
    assert "private" not in str(proxy.access) + "".join(proxy.log)
    assert OURS not in str(proxy.access) + "".join(proxy.log)


# ---------------------------------------------------------------------- answers of the proxy's own


@pytest.mark.parametrize(
    ("raw", "status", "kind"),
    [
        (request(auth=b""), 401, "unauthenticated"),
        (request("GET /admin/ HTTP/1.1", auth=auth("Bearer " + token("api", BOB))), 403, "forbidden"),
        (request("GET /a//b HTTP/1.1"), 400, "bad-request"),
        (request("PUT /methods/ HTTP/1.1"), 405, "bad-request"),
        (request("GET x HTTP/1.1"), 400, "bad-request"),
        (request("GET /" + "a" * 9000 + " HTTP/1.1"), 414, "limit"),
        (request("GET /refused/ HTTP/1.1"), 502, "upstream"),
    ],
)
def test_own_answers_say_so(dial, raw, status, kind):
    """Class and id, never cached, and without a word about the upstream."""
    answer = dial().ask(raw)
    own = answer.one("X-Request-Id")

    assert answer.status == status
    assert own is not None
    assert answer.one("X-Authproxy-Response") == kind.encode() + b"; id=" + own
    assert answer.one("Cache-Control") == b"no-store"
    assert answer.one("Content-Type") is not None
    assert answer.one("Content-Length") == str(len(answer.body)).encode()
    assert b"127.0.0.1" not in answer.body
    assert own in answer.body


def test_a_refusal_of_head_has_no_body(wire):
    """The fields are those of the GET."""
    answer = wire.ask(request("HEAD / HTTP/1.1", auth=b""))

    assert answer.status == 401
    assert wire.ask(request("HEAD / HTTP/1.1", auth=b"")).status == 401


def test_refusals_do_not_end_the_connection(wire, upstream):
    """Where the next request has a certain beginning, it is read."""
    for raw in (
        request(auth=b""),
        request("GET /a//b HTTP/1.1"),
        request("PUT /methods/ HTTP/1.1"),
        request("GET /refused/ HTTP/1.1"),
    ):
        assert wire.ask(raw).one("Connection") is None

    assert wire.ask(request()).status == 200


def test_refusals_name_hsts_where_it_is_on(dial, upstream):
    """On the proxy's own answers, and on the upstream's that lack it."""
    year = b"max-age=31536000"
    wire = dial("hosts")
    host = request().replace(b"proxy.test", b"app.example.org")
    own = b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\nContent-Length: 0\r\n\r\n"
    upstream.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", own)

    assert wire.ask(request()).one("Strict-Transport-Security") == year
    assert wire.ask(host).one("Strict-Transport-Security") == year
    assert wire.ask(host).one("Strict-Transport-Security") == b"max-age=1"
    assert dial().ask(request(auth=b"")).all("Strict-Transport-Security") == []


@pytest.mark.parametrize("own", [b"", b"Strict-Transport-Security: max-age=1\r\n"])
@pytest.mark.parametrize(("path", "said"), [("/brief/", [b"max-age=60"]), ("/bare/", [])])
def test_a_route_decides_about_hsts_for_both(dial, upstream, own, path, said):
    """What it sets stands once, and what it removes comes from nobody."""
    upstream.answer(b"HTTP/1.1 200 OK\r\n" + own + b"Content-Length: 0\r\n\r\n")

    raw = request(f"GET {path} HTTP/1.1").replace(b"proxy.test", b"app.example.org")
    answer = dial("hosts").ask(raw)
    assert (answer.status, answer.all("Strict-Transport-Security")) == (200, said)


def test_good_in_one_request_is_nothing_in_the_next(wire, upstream):
    """Every request shows its own credential."""
    assert wire.ask(request(auth=GOOD)).status == 200
    assert wire.ask(request(auth=b"")).status == 401
    assert len(upstream.requests) == 1
