"""What goes upstream: hop-by-hop fields end here, identity is ours alone, addresses are rebuilt (RFC 9110, 7.6)."""

import re

import pytest

from tests.conformance.proxy import GOOD, TRUSTED, post, request
from tests.conformance.upstream import folded

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
     "Transfer-Encoding", "Content-Type", "Expect", "SSL-Client-Cert", "X-Pomerium-Claim-Email"],
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
    "X-Client-IP", "X-Cluster-Client-IP",
]  # fmt: skip
SPELLINGS = [
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
    "name", ["X-Authproxyx", "XAuthproxy-User", "Remoted-User", "X-Forwardedx", "My-Remote-User", "Proximity", "X-Api-Version"]
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


# ---------------------------------------------------------------------- addresses

FORGED = [
    "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: http", "X-Forwarded-Host: evil.test", "X-Forwarded-Port: 1",
    "X-Real-IP: 192.0.2.7", "Forwarded: for=192.0.2.7;host=evil.test;proto=http",
]  # fmt: skip


@pytest.mark.parametrize("change", [str, str.lower, lambda line: line.replace("-", "_")])
def test_a_stranger_is_not_believed_about_addresses(wire, proxy, upstream, change):
    """All of it is dropped and told anew."""
    assert wire.ask(request("GET / HTTP/1.1", *[change(line) for line in FORGED])).status == 200
    seen = upstream.request()
    assert seen.one("X-Forwarded-For") == seen.one("X-Real-IP") == b"127.0.0.1"
    assert seen.one("X-Forwarded-Proto") == b"https"
    assert seen.one("X-Forwarded-Host") == b"proxy.test"
    assert seen.one("X-Forwarded-Port") == b"%d" % proxy.ports["public"]
    assert seen.one("Forwarded") == b'for=127.0.0.1;proto=https;host="proxy.test"'
    assert b"192.0.2.7" not in seen.head
    assert b"evil" not in seen.head


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        (["192.0.2.7"], "192.0.2.7"), (["203.0.113.1, 192.0.2.7"], "192.0.2.7"), (["203.0.113.1", "192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, 10.0.0.1"], "192.0.2.7"), (["203.0.113.1,192.0.2.7 , 10.1.1.1,10.0.0.1"], "192.0.2.7"),
        (["10.0.0.1, 10.0.0.2"], "10.0.0.1"), (["2001:db8::1"], "2001:db8::1"), (["nonsense"], TRUSTED),
        (["203.0.113.1, nonsense"], TRUSTED), (["203.0.113.1, nonsense, 10.0.0.1"], "10.0.0.1"), ([""], TRUSTED), ([], TRUSTED),
    ],
)  # fmt: skip
def test_a_trusted_peers_chain_is_read_from_right_to_left(dial, upstream, chain, client):
    """The first address that is no trusted proxy's is the client's; what is malformed is not believed."""
    lines = [f"X-Forwarded-For: {part}" for part in chain]

    assert dial(source=TRUSTED).ask(request("GET / HTTP/1.1", *lines)).status == 200
    seen = upstream.request()
    assert seen.one("X-Real-IP") == client.encode()
    assert seen.one("X-Forwarded-For", ).split(b", ")[-1] == TRUSTED.encode()


def test_a_trusted_peers_chain_is_extended(dial, upstream):
    """Nothing that it says is lost."""
    lines = ["X-Forwarded-For: 203.0.113.1", "X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.7;proto=http"]

    assert dial(source=TRUSTED).ask(request("GET / HTTP/1.1", *lines)).status == 200
    seen = upstream.request()
    assert re.split(rb"\s*,\s*", seen.one("X-Forwarded-For")) == [b"203.0.113.1", b"192.0.2.7", TRUSTED.encode()]
    assert seen.one("Forwarded").startswith(b"for=192.0.2.7;proto=http, for=127.0.0.2;proto=https")


def test_a_trusted_peer_is_believed_about_scheme_host_and_port(dial, upstream):
    """As the client saw them."""
    lines = ["X-Forwarded-Proto: http", "X-Forwarded-Host: outside.test", "X-Forwarded-Port: 80"]

    assert dial(source=TRUSTED).ask(request("GET / HTTP/1.1", *lines)).status == 200
    seen = upstream.request()
    assert seen.one("X-Forwarded-Proto") == b"http"
    assert seen.one("X-Forwarded-Host") == b"outside.test"
    assert seen.one("X-Forwarded-Port") == b"80"
    assert seen.one("Host") == b"proxy.test"


@pytest.mark.parametrize(
    "line", ["X-Forwarded-Proto: ftp", "X-Forwarded-Host: a b", 'X-Forwarded-Host: a";x="y', "X-Forwarded-Port: x", "X-Forwarded-Port: "]
)
def test_a_trusted_peers_nonsense_is_not_passed_on(dial, proxy, upstream, line):
    """What does not parse is told anew."""
    assert dial(source=TRUSTED).ask(request("GET / HTTP/1.1", line)).status == 200
    seen = upstream.request()
    assert seen.one("X-Forwarded-Proto") == b"https"
    assert seen.one("X-Forwarded-Host") == b"proxy.test"
    assert seen.one("X-Forwarded-Port") == b"%d" % proxy.ports["public"]


@pytest.mark.parametrize(
    "line",
    ["Forwarded: for=192.0.2.7", 'Forwarded: for="192.0.2.7:4711"', "Forwarded: For=192.0.2.7;proto=https, for=10.0.0.1"],
)
def test_a_trusted_peer_may_speak_forwarded_alone(dial, upstream, line):
    """RFC 7239 says the same as X-Forwarded-For."""
    assert dial(source=TRUSTED).ask(request("GET / HTTP/1.1", line)).status == 200
    assert upstream.request().one("X-Real-IP") == b"192.0.2.7"


@pytest.mark.parametrize("name", ["X-Forwarded-Prefix", "X-Forwarded-User", "X-Forwarded-Client-Cert", "X_Forwarded_For"])
def test_trust_in_addresses_is_no_trust_in_identity(dial, upstream, name):
    """The rest of the family ends here whoever sends it."""
    assert dial(source=TRUSTED).ask(request("GET / HTTP/1.1", f"{name}: forged")).status == 200
    assert b"forged" not in upstream.request().head


@pytest.mark.parametrize(
    ("source", "lines", "status"),
    [
        ("", ["X-Forwarded-For: 192.0.2.7"], 403), ("", ["X-Real-IP: 192.0.2.7"], 403), (TRUSTED, [], 403),
        (TRUSTED, ["X-Forwarded-For: 192.0.2.7"], 200), (TRUSTED, ["X-Forwarded-For: 192.0.2.7, 203.0.113.1"], 403),
        (TRUSTED, ["X-Forwarded-For: 192.0.3.0"], 403), (TRUSTED, ["X-Forwarded-For: 192.0.2.255, 10.0.0.9"], 200),
        (TRUSTED, ["X-Forwarded-For: ::ffff:192.0.2.7"], 200),
    ],
)  # fmt: skip
def test_networks_are_asked_about_the_client(dial, upstream, source, lines, status):
    """`allow.networks`: the address behind trusted proxies, and nobody else's word."""
    assert dial(source=source).ask(request("GET /near/ HTTP/1.1", *lines)).status == status


# ---------------------------------------------------------------------- request id

MADE = re.compile(rb"[0-9a-f]{32}").fullmatch


def test_every_request_has_an_id_of_its_own(wire, proxy, upstream):
    """Forwarded, answered and logged."""
    answers = [wire.ask(request()) for _ in range(3)]
    ids = [answer.one("X-Request-Id") for answer in answers]

    assert len(set(ids)) == 3
    assert all(MADE(one) for one in ids)
    assert [seen.one("X-Request-Id") for seen in upstream.requests] == ids
    assert proxy.wait_access(ids[2])["status"] == 200


def test_a_strangers_id_is_not_taken(wire, upstream):
    """Else it could be made to look like another request in the log."""
    answer = wire.ask(request("GET / HTTP/1.1", "X-Request-Id: mine"))

    assert MADE(answer.one("X-Request-Id"))
    assert upstream.request().one("X-Request-Id") == answer.one("X-Request-Id")


@pytest.mark.parametrize("value", ["a", "A-b_c.9", "x" * 64])
def test_a_trusted_peers_id_is_taken(dial, upstream, value):
    """1 to 64 harmless characters."""
    answer = dial(source=TRUSTED).ask(request("GET / HTTP/1.1", f"x-request-id: {value}"))

    assert answer.one("X-Request-Id") == value.encode()
    assert upstream.request().one("X-Request-Id") == value.encode()


@pytest.mark.parametrize("value", ["", "x" * 65, "a b", 'a"b', "a/b", "\xe9", "a,b"])
def test_a_trusted_peers_odd_id_is_made_anew(dial, upstream, value):
    """What could break a log line is not taken."""
    answer = dial(source=TRUSTED).ask(request("GET / HTTP/1.1", f"X-Request-Id: {value}"))

    assert MADE(answer.one("X-Request-Id"))
    assert upstream.request().one("X-Request-Id") == answer.one("X-Request-Id")


def test_an_upstreams_id_is_not_passed_on(wire, upstream):
    """One id for one request."""
    upstream.answer(b"HTTP/1.1 200 OK\r\nX-Request-Id: theirs\r\nContent-Length: 0\r\n\r\n")

    assert MADE(wire.ask(request()).one("X-Request-Id"))


def test_framing_is_written_once(wire, upstream):
    """Our own, never beside the client's."""
    wire.ask(post(b"hello", "Content-Type: text/plain"))
    seen = upstream.request()

    assert seen.like("Content-Length") == [(b"Content-Length", b"5")]
    assert seen.like("Transfer-Encoding") == []
    assert seen.one("Content-Type") == b"text/plain"
