"""Who is calling, by client certificate: alone, in a token's place, together with one; and what upstreams are told."""

import json
import socket
import ssl
from base64 import b64encode
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests.conformance.cards import Cards, dns, issue, uri
from tests.conformance.conftest import _base
from tests.conformance.proxy import ALICE, BOB, request, start, token
from tests.conformance.upstream import TRUSTED
from tests.conformance.wire import Truncated, Wire, connect
from tests.patience import PATIENCE

pytestmark = pytest.mark.promise

CAROL = "33333333-2222-4333-8444-555555555555"
"""Disabled."""
DAVE = "44444444-2222-4333-8444-555555555555"
"""On the map, and in no catalog."""
NO_HASH = "0" * 128
PEOPLE = f"""
- {{user_id: {ALICE}, rotation_version: 0, hash: '{NO_HASH}', name: alice, groups: [admins]}}
- {{user_id: {BOB}, rotation_version: 7, hash: '{NO_HASH}', expires_at: 2020-01-01T00:00:00Z}}
- {{user_id: {CAROL}, rotation_version: 0, hash: '{NO_HASH}', disabled: true}}
"""
USERS = f"""
- {{user_id: {ALICE}, uri: spiffe://example.org/alice, dns: alice.example.org, cn: alice}}
- {{user_id: {BOB}, cn: [bob, Jürgen]}}
- {{user_id: {CAROL}, cn: carol}}
- {{user_id: {DAVE}, cn: dave}}
"""
MAPPED = {"trust": "ours", "from": ["uri", "dns", "cn"], "users": "users.yaml"}


def auth(user: str, zone: str = "api", version: int = 3, **more: str) -> bytes:
    return f"Authorization: Bearer {token(zone, user, version, **more)}\r\n".encode()


@pytest.fixture(scope="module")
def cards(tmp_path_factory):
    """The authorities of clients."""
    return Cards(
        tmp_path_factory.mktemp("cards"), issue(authority=True, cn="clients"), issue(authority=True, cn="others")
    )


@pytest.fixture(scope="module")
def proxy(material, recorder, cards, tmp_path_factory):
    """A zone for each way to be known; the listener believes one authority more than they do."""
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "ours.pem").write_bytes(cards.ours.certificate_pem())
    (folder / "both.pem").write_bytes(cards.ours.certificate_pem() + cards.others.certificate_pem())
    (folder / "people.yaml").write_text(PEOPLE)
    (folder / "users.yaml").write_text(USERS)
    base: dict[str, Any] = _base(recorder)
    zones = json.loads(json.dumps(base["zones"]))
    zones["api"] |= {"accepts": ["token", "certificate"], "certificate": MAPPED}
    zones["web"] |= {"require": ["certificate", "token"], "certificate": MAPPED}
    alone = {"accepts": ["certificate"], "catalog": "people"}
    zones["card"] = {**alone, "certificate": MAPPED}
    zones["own"] = {**alone, "certificate": {"trust": "ours", "from": ["cn"]}}
    zones["svid"] = {**alone, "certificate": {**MAPPED, "from": ["spiffe"]}}
    configuration = base | {
        "truststores": base["truststores"] | {"ours": {"file": "ours.pem"}, "both": {"file": "both.pem"}},
        "listeners": {"public": {"bind": "@public@", "client_certificates": {"mode": "optional", "trust": "both"}}},
        "catalogs": base["catalogs"] | {"people": {"kind": "file", "file": "people.yaml"}},
        "zones": zones,
        "routes": [
            *({"path": f"/{name}/", "zone": name, "upstream": "up"} for name in zones),
            {"path": "/admins/", "zone": "card", "upstream": "up", "allow": {"groups": ["admins"]}},
            {"path": "/keep/", "zone": "card", "upstream": "up", "unsafe_forward_credentials": True},
            {"path": "/public/", "public": True, "upstream": "up"},
        ],
        "identity": {
            "headers": {
                "X-Authproxy-User": "id",
                "Remote-User": "name",
                "X-Authproxy-Groups": "groups",
                "X-Authproxy-Method": "method",
                "X-Authproxy-Zone": "zone",
                "X-Authproxy-Version": "version",
                "X-Card": "certificate",
            }
        },
    }
    running = start(folder, material, configuration, ["public"], recorder)
    yield running
    running.stop()


@pytest.fixture
def present(proxy, material, cards, upstream):
    """`present(card, *between)` connects showing a certificate; None shows none."""
    opened = []

    def dial(card, *between):
        context = cards.context(material.client_context(), card, *between)
        wire = connect(proxy.ports["public"], context, source=upstream.source)
        opened.append(wire)
        return wire

    yield dial
    for wire in opened:
        wire.close()


@pytest.fixture
def fence_here(present, upstream):
    """Asserts that nothing reached the upstream so far."""

    def fence():
        assert present(None).ask(get("/public/fence")).status == 200
        assert [seen.target for seen in upstream.requests] == [b"/public/fence"]

    return fence


@pytest.fixture
def refused(present, proxy, fence_here):
    """`refused(card, request)` returns the answer and the reason in the log; the upstream has heard nothing."""

    def ask(card, data):
        answer = present(card).ask(data)
        fence_here()
        return answer, proxy.wait_access(answer.one("X-Request-Id"))["reason"]

    return ask


def get(path: str, *lines: str | bytes, auth: bytes = b"") -> bytes:
    return request(f"GET {path} HTTP/1.1", *lines, auth=auth)


# ---------------------------------------------------------------------- a certificate alone


def test_a_certificate_says_who_calls(present, cards, upstream, proxy):
    """Name, groups and method like a token's; a version is a token's, and none was shown."""
    answer = present(issue(cards.ours, cn="alice")).ask(get("/card/"))
    seen = upstream.request()

    assert answer.status == 200
    assert seen.one("X-Authproxy-User") == ALICE.encode()
    assert seen.one("Remote-User") == b"alice"
    assert seen.one("X-Authproxy-Groups") == b"admins"
    assert seen.one("X-Authproxy-Method") == b"certificate"
    assert seen.one("X-Authproxy-Zone") == b"card"
    assert seen.all("X-Authproxy-Version") == []
    line = proxy.wait_access(seen.one("X-Request-Id"))
    assert (line["user_id"], line["credential"], line["zone"]) == (ALICE, "certificate", "card")


def test_requests_of_one_connection_are_each_judged(present, cards, upstream):
    """The certificate counts for every one of them, in each zone by its rules."""
    wire = present(issue(cards.ours, cn="alice"))

    assert [wire.ask(get(path)).status for path in ("/card/", "/own/", "/card/", "/svid/", "/card/")] == [
        200, 401, 200, 403, 200,
    ]  # fmt: skip


@pytest.mark.parametrize("shown", [b"", auth(ALICE), b"Authorization: Basic YTpi\r\n"])
def test_without_a_certificate_401(present, fence_here, proxy, shown):
    """Where certificates alone count, a token of another zone is nothing; the challenge does not ask for one."""
    answer = present(None).ask(get("/card/", auth=shown))

    assert (answer.status, answer.kind) == (401, "unauthenticated")
    assert answer.all("WWW-Authenticate") == [b'ClientCertificate realm="card"']
    assert proxy.wait_access(answer.one("X-Request-Id"))["reason"] == "no-certificate"
    fence_here()


def test_names_of_every_kind_find_their_user(present, cards, upstream):
    """The first kind that the certificate has decides; hosts in any letter case."""
    for card, user in (
        (issue(cards.ours, uri("spiffe://example.org/alice")), ALICE),
        (issue(cards.ours, dns("Alice.Example.ORG"), cn="bob"), ALICE),
        (issue(cards.ours, cn="Jürgen"), BOB),
    ):
        assert present(card).ask(get("/card/")).status == 200
        assert upstream.request().one("X-Authproxy-User") == user.encode()
        upstream.requests.clear()


def test_an_intermediate_leads_to_the_zones_anchor(present, cards, upstream):
    """The chain that the handshake verified is what counts."""
    middle = issue(cards.ours, authority=True, cn="middle")

    assert present(issue(middle, cn="alice"), middle).ask(get("/card/")).status == 200


def test_an_end_of_the_token_is_none_of_the_certificate(present, cards, upstream):
    """The row's hash and expiry are a token's."""
    assert present(issue(cards.ours, cn="bob")).ask(get("/card/")).status == 200


def test_a_resumed_session_is_known_too(proxy, present, material, cards, upstream):
    """TLS 1.2 resumes without showing the certificate again: the chain of the first handshake counts."""
    card = issue(cards.ours, cn="alice")
    context = cards.context(material.client_context(), card)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    first = connect(proxy.ports["public"], context, source=upstream.source)
    assert first.ask(get("/card/")).status == 200
    again = present_again(proxy, context, first.sock.session, upstream.source)

    assert again.sock.session_reused
    assert again.ask(get("/card/")).status == 200
    first.close()
    again.close()


def present_again(proxy, context, session, source):
    """Connect with a session of before."""
    raw = socket.create_connection(("127.0.0.1", proxy.ports["public"]), PATIENCE, (source, 0))
    return Wire(sock=context.wrap_socket(raw, server_hostname="proxy.test", session=session))


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("mallory", 401, "unknown-certificate"),
        ("ALICE", 401, "unknown-certificate"),
        (ALICE, 401, "unknown-certificate"),
        ("dave", 401, "unknown-user"),
        ("carol", 401, "user-disabled"),
        ("", 403, "certificate-name-refused"),
        ("alice\n", 403, "certificate-name-refused"),
        ("alice\r\nX-Authproxy-User: root", 403, "certificate-name-refused"),
        ("alice\0.evil", 403, "certificate-name-refused"),
        ("\u202eecila", 403, "certificate-name-refused"),
        ("alice\u200b", 403, "certificate-name-refused"),
        (" alice", 403, "certificate-name-refused"),
        ("x" * 257, 403, "certificate-name-refused"),
    ],
)
def test_other_names_are_refused(refused, cards, name, status, reason):
    """401 for somebody whom nobody knows, 403 for what is no name; the reason stands in the log only."""
    answer, told = refused(issue(cards.ours, cn=name), get("/card/"))

    assert (answer.status, told) == (status, reason)
    assert answer.kind == {401: "unauthenticated", 403: "forbidden"}[status]
    assert reason.encode() not in answer.body


@pytest.mark.parametrize(
    ("names", "subject", "reason"),
    [
        (
            [uri("spiffe://example.org/alice"), uri("spiffe://example.org/bob")],
            {"cn": "alice"},
            "certificate-ambiguous",
        ),
        ([uri("spiffe://example.org/alice")] * 2, {}, "certificate-ambiguous"),
        ([dns("alice.example.org"), dns("x.example.org")], {"cn": "alice"}, "certificate-ambiguous"),
        ([], {"cn": "alice", "cn2": "bob"}, "certificate-ambiguous"),
        ([x509.RFC822Name("alice@example.org")], {}, "certificate-unnamed"),
        ([dns("*.example.org")], {}, "certificate-name-refused"),
        ([uri("spiffe://example.org/a b")], {}, "certificate-name-refused"),
    ],
)
def test_two_names_or_none_are_403(refused, cards, names, subject, reason):
    """A later kind does not help."""
    answer, told = refused(issue(cards.ours, *names, **subject), get("/card/"))

    assert (answer.status, told) == (403, reason)


def test_a_broken_extension_ends_the_connection(present, cards, upstream):
    """Whatever OpenSSL makes of it, nobody is known by half a certificate."""
    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\x30\x07\x87\x05\x01\x02\x03\x04\x05")

    with pytest.raises(Truncated):
        present(issue(cards.ours, cn="alice", extra=broken)).ask(get("/card/"))
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("uris", "status"),
    [
        (["spiffe://example.org/alice"], 200),
        (["spiffe://example.org/mallory"], 401),
        (["spiffe://example.org/alice", "https://example.org/"], 403),
        (["spiffe://example.org/../alice"], 403),
        (["spiffe://EXAMPLE.org/alice"], 403),
        (["spiffe://example.org"], 403),
        (["https://example.org/alice"], 403),
    ],
)
def test_spiffe_ids_are_exact(present, cards, upstream, uris, status):
    """One, with a good trust domain and path."""
    assert present(issue(cards.ours, *map(uri, uris))).ask(get("/svid/")).status == status


def test_without_a_map_the_name_is_the_user_id(present, cards, upstream):
    """And nothing else is anybody."""
    assert present(issue(cards.ours, cn=ALICE)).ask(get("/own/")).status == 200
    assert upstream.request().one("X-Authproxy-User") == ALICE.encode()
    assert present(issue(cards.ours, cn="alice")).ask(get("/own/")).status == 401
    assert present(issue(cards.ours, cn=DAVE)).ask(get("/own/")).status == 401


def test_groups_count(present, cards, upstream):
    """Alice is an admin, Bob is known and no admin."""
    assert present(issue(cards.ours, cn="alice")).ask(get("/admins/")).status == 200
    assert present(issue(cards.ours, cn="bob")).ask(get("/admins/")).status == 403


def test_another_truststore_is_not_the_zones(present, cards, proxy, fence_here):
    """The listener let it in; the zone does not know its authority, whatever name it gave."""
    answer = present(issue(cards.others, cn="alice")).ask(get("/card/"))

    assert answer.status == 401
    assert proxy.wait_access(answer.one("X-Request-Id"))["reason"] == "certificate-untrusted"
    fence_here()


def test_an_authority_of_our_name_is_another(present, cards, upstream):
    """Names are nothing, keys are: it does not even shake hands."""
    imposter = issue(cards.others, authority=True, cn="clients")

    with pytest.raises(ssl.SSLError):
        present(issue(imposter, cn="alice"), imposter).ask(get("/card/"))
    assert upstream.requests == []


# ---------------------------------------------------------------------- certificate or token


def test_a_token_or_a_certificate(present, cards, upstream):
    """Either will do."""
    for card, line, user, method in (
        (issue(cards.ours, cn="alice"), b"", ALICE, b"certificate"),
        (None, auth(BOB), BOB, b"token"),
        (issue(cards.others, cn="alice"), auth(BOB), BOB, b"token"),
    ):
        answer = present(card).ask(get("/api/", auth=line))
        seen = upstream.request()
        upstream.requests.clear()
        assert answer.status == 200
        assert (seen.one("X-Authproxy-User"), seen.one("X-Authproxy-Method")) == (user.encode(), method)


def test_a_token_outranks_a_certificate(present, cards, upstream, proxy):
    """The token decides alone, and the log says so."""
    answer = present(issue(cards.ours, cn="alice")).ask(get("/api/", auth=auth(BOB)))
    seen = upstream.request()

    assert answer.status == 200
    assert seen.one("X-Authproxy-User") == BOB.encode()
    assert seen.one("X-Authproxy-Method") == b"token"
    assert proxy.wait_access(seen.one("X-Request-Id"))["credential"] == "token"


@pytest.mark.parametrize(
    "line",
    [auth(ALICE, version=4), auth(ALICE, "web"), b"Authorization: Bearer nonsense\r\n", b"Authorization: Bearer\r\n",
     b"Authorization: bearer \r\n", b"Authorization: Token\tx\r\n", b"Authorization: Token svc_\r\n"],
)  # fmt: skip
def test_a_bad_token_never_falls_back_to_the_certificate(present, cards, fence_here, line):
    """401, however good the certificate."""
    assert present(issue(cards.ours, cn="alice")).ask(get("/api/", auth=line)).status == 401
    fence_here()


@pytest.mark.parametrize("path", ["/api/", "/card/", "/keep/"])
def test_another_scheme_is_no_token(present, cards, upstream, path):
    """The certificate decides, and the field is the upstream's affair."""
    wire = present(issue(cards.ours, cn="alice"))

    assert wire.ask(get(path, auth=b"Authorization: Basic YTpi\r\n")).status == 200
    assert upstream.request().one("Authorization") == b"Basic YTpi"


@pytest.mark.parametrize(
    "line",
    [
        auth(ALICE, "web"), auth(ALICE), b"Authorization: Bearer svc_1\r\n",
        b"Authorization: Basic " + b64encode(b"x:" + auth(ALICE).split()[-1]) + b"\r\n",
    ],
)  # fmt: skip
def test_a_token_of_ours_ends_here_where_certificates_alone_count(present, cards, upstream, line):
    """Of whatever zone, whole or broken."""
    assert present(issue(cards.ours, cn="alice")).ask(get("/card/", auth=line)).status == 200
    assert upstream.request().all("Authorization") == []


@pytest.mark.parametrize("line", [auth(ALICE, prefix="other"), b"Authorization: Bearer eyJhbGciOi.J9.x\r\n"])
def test_what_others_gave_out_goes_on_to_them(present, cards, upstream, line):
    """Where certificates alone count, a token in the field may be what the upstream asks for."""
    assert present(issue(cards.ours, cn="alice")).ask(get("/card/", auth=line)).status == 200
    assert upstream.request().all("Authorization") == [line.partition(b": ")[2].rstrip()]


def test_neither_is_a_bare_challenge(present, proxy, fence_here):
    """Nothing was shown."""
    answer = present(None).ask(get("/api/"))

    assert (answer.status, answer.one("WWW-Authenticate")) == (401, b'Bearer realm="api"')
    assert proxy.wait_access(answer.one("X-Request-Id"))["reason"] == "no-credential"
    fence_here()


def test_a_certificate_that_names_nobody_is_not_called_a_bad_token(present, cards, upstream):
    """However often: nothing can be guessed with one connection's certificate."""
    wire = present(issue(cards.ours, cn="mallory"))

    for _ in range(25):
        answer = wire.ask(get("/api/"))
        assert (answer.status, answer.one("WWW-Authenticate")) == (401, b'Bearer realm="api"')


# ---------------------------------------------------------------------- both


def test_both_of_one_user_pass(present, cards, upstream):
    """And the upstream hears of the token."""
    assert present(issue(cards.ours, cn="alice")).ask(get("/web/", auth=auth(ALICE, "web"))).status == 200
    seen = upstream.request()

    assert seen.one("X-Authproxy-User") == ALICE.encode()
    assert (seen.one("X-Authproxy-Method"), seen.one("X-Authproxy-Version")) == (b"token", b"3")


@pytest.mark.parametrize(
    ("name", "line", "expected"),
    [
        ("alice", auth(BOB, "web"), (401, "user-mismatch")),
        ("bob", auth(ALICE, "web"), (401, "user-mismatch")),
        ("alice", b"", (401, "no-credential")),
        ("alice", auth(ALICE, "web", version=2), (401, "token-rotated")),
        ("mallory", auth(ALICE, "web"), (401, "unknown-certificate")),
        ("alice\n", auth(ALICE, "web"), (403, "certificate-name-refused")),
        (None, auth(ALICE, "web"), (401, "no-certificate")),
        (None, b"", (401, "no-certificate")),
    ],
)
def test_one_of_the_two_is_not_enough(refused, cards, name, line, expected):
    """Nor are both, of two users."""
    answer, told = refused(None if name is None else issue(cards.ours, cn=name), get("/web/", auth=line))

    assert (answer.status, told) == expected


def test_another_authority_is_not_enough(present, cards, fence_here):
    """The token is good, the certificate is not the zone's."""
    assert present(issue(cards.others, cn="alice")).ask(get("/web/", auth=auth(ALICE, "web"))).status == 401
    fence_here()


def test_a_found_token_does_not_tell_that_it_is_good(present, cards, upstream):
    """With another's certificate it looks like any bad one; without a certificate nothing is said of it."""

    def looks(answer):
        kept = [(k, v) for k, v in answer.fields if k not in {b"Date", b"X-Request-Id", b"X-Authproxy-Response"}]
        return answer.status, kept, json.loads(answer.body) | {"request_id": ""}

    bob = issue(cards.ours, cn="bob")
    good, bad = auth(ALICE, "web"), auth(ALICE, "web", version=2)

    assert looks(present(bob).ask(get("/web/", auth=good))) == looks(present(bob).ask(get("/web/", auth=bad)))
    assert looks(present(None).ask(get("/web/", auth=good))) == looks(present(None).ask(get("/web/", auth=bad)))


# ---------------------------------------------------------------------- what the client says of itself


def test_forged_identity_goes_no_further(present, cards, upstream):
    """Not beside a certificate, and not on a public route."""
    forged = ["X-Authproxy-User: root", "x_authproxy_user: root", "X-Authproxy-Method: token", "Remote-User: root",
              'X-Forwarded-Client-Cert: Hash=00;Subject="CN=root"', "x_forwarded_client_cert: Hash=00",
              "X-SSL-Client-DN: CN=root", 'X-Card: Hash=00;Subject="CN=root"', "x.card: Hash=root", "Client-Cert: :AA==:"]  # fmt: skip
    wire = present(issue(cards.ours, cn="alice"))

    assert wire.ask(get("/card/", *forged)).status == 200
    seen = upstream.request()
    assert seen.all("X-Authproxy-User") == [ALICE.encode()]
    assert seen.all("X-Authproxy-Method") == [b"certificate"]
    assert seen.all("Remote-User") == [b"alice"]
    assert b"root" not in seen.head
    assert b"client" not in seen.head.lower()
    assert seen.one("X-Card") is not None
    upstream.requests.clear()
    assert wire.ask(get("/public/", *forged)).status == 200
    assert b"root" not in upstream.request().head


def test_a_public_route_tells_of_nobody_whoever_shows_a_certificate(present, cards, upstream):
    """Nobody was asked."""
    assert present(issue(cards.ours, cn="alice")).ask(get("/public/")).status == 200
    assert upstream.request().all("X-Authproxy-User") == []


# ---------------------------------------------------------------------- what the upstream is told of the certificate


def test_the_certificate_is_told_as_envoy_tells_it(present, cards, upstream):
    """Of every connection that showed one, with the token's user too; on one connection the same each time."""
    card = issue(cards.ours, uri("spiffe://example.org/alice"), dns("a.example"), cn="al,ice")
    wire = present(card)
    digest = card.certificate.fingerprint(hashes.SHA256()).hex()
    told = f'Hash={digest};Subject="CN=al\\,ice";URI=spiffe://example.org/alice;DNS=a.example'

    for _ in range(2):
        assert wire.ask(get("/card/")).status == 200
        assert upstream.request().one("X-Card") == told.encode()
        upstream.requests.clear()
    assert wire.ask(get("/api/", auth=auth(BOB))).status == 200
    assert upstream.request().one("X-Card") == told.encode()


def test_hostile_names_are_told_harmlessly(present, cards, upstream):
    """They end neither line nor value; whoever has them needs a token."""
    card = issue(cards.ours, uri('https://a/"\r\nX-Authproxy-User: root;By=x'), cn='a"\r\nX-Authproxy-User: root')

    assert present(card).ask(get("/api/", auth=auth(BOB))).status == 200
    seen = upstream.request()
    assert seen.all("X-Authproxy-User") == [BOB.encode()]
    told = (seen.one("X-Card") or b"").split(b";Subject=")[1]
    assert told == b'"CN=a\\22\\0D\\0AX-Authproxy-User: root";URI="https://a/%22%0D%0AX-Authproxy-User:%20root;By=x"'


def test_without_a_certificate_nothing_is_told_of_one(present, upstream):
    """No header, rather than an empty one."""
    assert present(None).ask(get("/api/", auth=auth(BOB))).status == 200
    assert upstream.request().all("X-Card") == []


def test_a_public_route_tells_of_no_certificate(present, cards, upstream):
    """Nobody was asked there."""
    assert present(issue(cards.ours, cn="alice")).ask(get("/public/")).status == 200
    assert upstream.request().all("X-Card") == []


def test_behind_a_trusted_proxy_the_certificate_is_the_proxys(proxy, material, cards, upstream):
    """It is believed about the client's address, and is itself whom its certificate names, for each of its requests."""
    card = issue(cards.ours, cn="alice")
    wire = connect(proxy.ports["public"], cards.context(material.client_context(), card), source=TRUSTED)

    for address in ("203.0.113.5", "203.0.113.6"):
        assert wire.ask(get("/card/", f"X-Forwarded-For: {address}", "X-Card: Hash=00")).status == 200
        seen = upstream.request()
        assert seen.one("X-Authproxy-User") == ALICE.encode()
        assert seen.one("X-Forwarded-For") == f"{address}, {TRUSTED}".encode()
        assert (seen.one("X-Card") or b"").startswith(
            b"Hash=" + card.certificate.fingerprint(hashes.SHA256()).hex().encode()
        )
        upstream.requests.clear()
    wire.close()
