"""What goes upstream: hop-by-hop fields end here, identity is ours alone (RFC 9110, 7.6)."""

from collections.abc import Callable

import pytest

from tests.conformance.proxy import GOOD, request
from tests.conformance.upstream import TRUSTED, folded

pytestmark = pytest.mark.promise


# ---------------------------------------------------------------------- hop-by-hop


@pytest.mark.parametrize(
    "line",
    ["Connection: close", "Connection: keep-alive", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive",
     "Proxy-Authorization: Basic x", "Proxy-Authenticate: x", "Proxy-Anything: x", "TE: gzip", "TE: trailers, gzip", "Trailer: X-A",
     "Upgrade: h2c", "Upgrade: websocket", "Proxy: http://evil.test", "HTTP2-Settings: x\r\nConnection: http2-settings"],
)  # fmt: skip
def test_hop_by_hop_fields_end_here(wire, upstream, line):
    """None of them reaches the upstream."""
    assert wire.ask(request("GET / HTTP/1.1", *line.split("\r\n"), "X-Kept: 1")).status == 200
    seen = upstream.request()
    assert seen.all(line.partition(":")[0]) == []
    assert seen.all("Connection") == []
    assert seen.one("X-Kept") == b"1"


def test_te_trailers_passes_as_our_own(wire, upstream):
    """The one transfer coding that a client may ask for through us."""
    assert wire.ask(request("GET / HTTP/1.1", "TE: trailers", "Connection: TE")).status == 200
    seen = upstream.request()
    assert seen.one("TE") == b"trailers"
    assert (seen.one("Connection") or b"").lower() == b"te"


@pytest.mark.parametrize(
    "lines",
    [["Connection: X-Mine", "X-Mine: 1"], ["X-Mine: 1", "Connection: close, x-mine"], ["Connection: ,, X-MINE ,", "x-mine: 1"],
     ["Connection: close", "X-Mine: 1", "Connection: x-mine"], ["Connection: X-Mine", "X-Mine: 1", "x-mine: 2"]],
)  # fmt: skip
def test_fields_that_connection_names_end_here(wire, upstream, lines):
    """In any letter case, on any line, repeated or not."""
    assert wire.ask(request("GET / HTTP/1.1", *lines)).status == 200
    assert upstream.request().all("X-Mine") == []


@pytest.mark.parametrize(
    "option",
    ["Host", "Authorization", "Cookie", "X-Authproxy-User", "x-authproxy-user", "X_Authproxy_User", "X-Authproxy-Anything",
     "Remote-User", "Legacy-Login", "LEGACY_LOGIN", "X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Request-Id", "Content-Length",
     "Transfer-Encoding", "Content-Type", "Expect", "SSL-Client-Cert", "X-Pomerium-Claim-Email", "Origin", "Sec-Fetch-Site"],
)  # fmt: skip
@pytest.mark.parametrize("form", ["{}", "close, {}", "{},close", "keep-alive,\t{} , x"])
def test_connection_names_nothing_that_is_relied_on(wire, fence, option, form):
    """A client cannot take a field away behind the proxy's back: 400."""
    answer = wire.ask(request("GET / HTTP/1.1", f"Connection: {form.format(option)}"))

    assert answer.status == 400
    fence()


@pytest.mark.parametrize("value", ["a b", "a;b", '"a"', "(x)", "x=y", "\xe9"])
def test_connection_options_are_tokens(wire, fence, value):
    """What is no list of tokens has no certain reading."""
    assert wire.ask(request("GET / HTTP/1.1", f"Connection: {value}")).status == 400
    fence()


# ---------------------------------------------------------------------- identity family

OWN = ["X-Authproxy-User", "Remote-User", "X-Authproxy-Groups", "X-Authproxy-Method", "Legacy-Login"]
FAMILIES = [
    "X-Authproxy-Assertion", "X-Authproxy-Response", "X-Authproxy-Anything",
    # oauth2-proxy, Pomerium, Cloudflare, Google, AWS, Teleport
    "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username",
    "X-Forwarded-Access-Token", "GAP-Signature", "X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Redirect",
    "X-Pomerium-Jwt-Assertion", "X-Pomerium-Claim-Email", "X-Pomerium-Authorization", "Cf-Access-Jwt-Assertion",
    "Cf-Access-Authenticated-User-Email", "CF-Access-Client-Id", "X-Goog-IAP-JWT-Assertion",
    "X-Goog-Authenticated-User-Email", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Identity", "X-Amzn-Ava-User-Context",
    "Teleport-Jwt-Assertion",
    # authentik, Authelia, vouch, caddy-security, Tailscale, Kong, Traefik, nginx, linkerd, Grafana, Envoy
    "X-authentik-username", "X-authentik-jwt", "X-authentik-meta-jwks", "Remote-Groups", "Remote-Email", "Remote-Name",
    "Remote-Addr", "X-Remote-User", "X-Vouch-User", "X-Vouch-IdP-Claims-Sub", "X-Vouch-Token", "X-Token-User-Name",
    "X-Token-User-Roles", "X-Token-Subject", "Tailscale-User-Login", "Tailscale-App-Capabilities", "X-Consumer-ID",
    "X-Consumer-Username", "X-Credential-Identifier", "X-Anonymous-Consumer", "X-Forwarded-Tls-Client-Cert",
    "X-Forwarded-Tls-Client-Cert-Info", "SSL-Client-Verify", "SSL-Client-Subject-DN", "SSL-Client-Cert", "X-SSL-Client-Cert",
    "L5d-Client-Id", "X-WEBAUTH-USER", "X-Forwarded-Client-Cert",
    # addresses and requests rewritten behind our back
    "X-Forwarded-Prefix", "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-Uri", "X-Original-URL", "X-Original-Host",
    "X-Rewrite-URL", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "Proxy", "True-Client-IP",
    "X-Client-IP", "X-Cluster-Client-IP", "Client-IP", "Fastly-Client-IP", "X-Override-URL", "X-HTTP-Host-Override",
    "X-HTTP-Path-Override", "X-HTTP-DestinationURL", "X-Authenticated-Userid",
]  # fmt: skip
SPELLINGS: list[Callable[[str], str]] = [
    str, str.lower, str.upper, lambda name: name.replace("-", "_"), lambda name: name.replace("-", "."),
    lambda name: name.replace("-", "_", 1).lower(), lambda name: name.replace("-", ".", 1).upper(),
    lambda name: name.replace("-", "~"), lambda name: name.swapcase(),
]  # fmt: skip


@pytest.mark.parametrize("name", OWN + FAMILIES)
@pytest.mark.parametrize("target", ["/", "/public/"])
def test_no_spelling_of_an_identity_field_passes(wire, upstream, name, target):
    """Whatever a folding reader would take for it is removed; ours is set once where somebody was asked."""
    lines = list(dict.fromkeys(f"{change(name)}: forged" for change in SPELLINGS))

    assert wire.ask(request(f"GET {target} HTTP/1.1", *lines, "X-Kept: 1")).status == 200
    seen = upstream.request()
    assert b"forged" not in seen.head
    assert seen.one("X-Kept") == b"1"
    assert len(seen.like(name)) <= 1


@pytest.mark.parametrize("name", OWN)
def test_our_own_stands_exactly_once(wire, upstream, name):
    """However often the client sent it."""
    assert wire.ask(request("GET / HTTP/1.1", *[f"{name}: forged"] * 5)).status == 200
    assert len(upstream.request().like(name)) == 1
    assert upstream.request().one(name) is not None


def test_a_public_route_tells_of_nobody(wire, upstream):
    """Nobody was asked, so no identity is set, though a good token came along."""
    assert wire.ask(request("GET /public/ HTTP/1.1", auth=GOOD)).status == 200
    seen = upstream.request()
    assert not [name for name, _ in seen.fields if folded(name) in {folded(own.encode()) for own in OWN}]


@pytest.mark.parametrize(
    "name",
    ["X-Authproxyx", "XAuthproxy-User", "Remoted-User", "X-Forwardedx", "My-Remote-User", "Proximity", "X-Api-Version"],
)
def test_names_outside_the_families_pass(wire, upstream, name):
    """A family ends where its name does."""
    assert wire.ask(request("GET / HTTP/1.1", f"{name}: 1")).status == 200
    assert upstream.request().one(name) == b"1"


@pytest.mark.parametrize("name", ["traceparent", "tracestate", "Origin", "Referer", "Accept", "User-Agent", "Range", "If-Match",
                                  "Content-Encoding", "Sec-Fetch-Site", "DNT", "Via", "Baggage", "Idempotency-Key"])  # fmt: skip
def test_end_to_end_fields_pass(wire, upstream, name):
    """Trace context and everything that is the application's."""
    assert wire.ask(request("GET / HTTP/1.1", f"{name}: a, b")).status == 200
    assert upstream.request().one(name) == b"a, b"


def test_fields_keep_their_order_and_spelling(wire, upstream):
    """End-to-end lines stand as the client wrote them."""
    names = [b"b", b"A", b"X-c", b"aCCept", b"x-D"]
    assert wire.ask(request("GET / HTTP/1.1", *[name + b": 1" for name in names])).status == 200
    assert [name for name, value in upstream.request().fields if value == b"1"] == names


def test_a_route_sets_and_removes_fields(wire, upstream):
    """On the way there and back; the client's own copy never stays beside ours."""
    upstream.answer(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Powered-By: x\r\nx-frame-options: ALLOW\r\nX-Kept: 1\r\n\r\n"
    )
    answer = wire.ask(request("GET /headers/ HTTP/1.1", "x-api-key: mine", "X-Unwanted: 1", "X-Kept: 1"))
    seen = upstream.request()

    assert seen.one("X-Api-Key") == b"sesame"
    assert seen.all("X-Unwanted") == []
    assert seen.one("X-Kept") == b"1"
    assert answer.one("X-Frame-Options") == b"DENY"
    assert answer.all("X-Powered-By") == []
    assert answer.one("X-Kept") == b"1"


@pytest.mark.parametrize("source", ["", TRUSTED])
def test_what_a_route_sets_or_removes_of_the_origin_is_not_told_twice(dial, upstream, source):
    """Two fields of a name have two readings; the rest is told as everywhere, of a trusted peer's report, too."""
    chain = "X-Forwarded-For: 203.0.113.1"
    lines = [chain, "X-Forwarded-Proto: http", "Forwarded: for=203.0.113.1", "X-Forwarded-Prefix: /x"]
    assert dial(source=source).ask(request("GET /told/ HTTP/1.1", *lines)).status == 200
    seen = upstream.request()

    told = {name: [value for _, value in seen.like(f"X-Forwarded-{name}")] for name in ("For", "Proto", "Prefix")}
    assert told == {"For": [b"192.0.2.9, " + TRUSTED.encode()], "Proto": [b"gopher"], "Prefix": [b"/told"]}
    assert seen.like("Forwarded") == seen.like("X-Forwarded-Port") == []
    assert seen.one("X-Forwarded-Host") == b"proxy.test"
    assert seen.one("X-Real-IP") == (b"203.0.113.1" if source else upstream.source.encode())
    assert seen.one("X-Request-Id")
    assert seen.one("X-Authproxy-User")


@pytest.mark.parametrize("name", ["X_Api_Key", "x.api.key", "X_UNWANTED"])
def test_a_field_that_a_route_sets_has_no_second_spelling(wire, upstream, name):
    """A folding upstream would read the client's `X_Api_Key` as the key that the route sets, or removes."""
    assert wire.ask(request("GET /headers/ HTTP/1.1", f"{name}: forged")).status == 200
    assert b"forged" not in upstream.request().head


def test_host_is_the_clients_or_the_upstreams(wire, upstream):
    """`host: upstream` names the upstream as its URL does."""
    assert wire.ask(request("GET /x HTTP/1.1")).status == 200
    assert wire.ask(request("GET /own/x HTTP/1.1")).status == 200

    assert upstream.request(1).one("Host") == b"proxy.test"
    assert upstream.request(2).one("Host") == b"127.0.0.1:%d" % upstream.port
    assert upstream.request(2).one("X-Forwarded-Host") == b"proxy.test"
