"""Addresses are rebuilt, trusted peers are believed about them; request ids (RFC 7239)."""

import re

import pytest

from tests.conformance.proxy import post, request
from tests.conformance.upstream import TRUSTED

pytestmark = pytest.mark.promise


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
    assert seen.one("X-Forwarded-For") == seen.one("X-Real-IP") == upstream.source.encode()
    assert seen.one("X-Forwarded-Proto") == b"https"
    assert seen.one("X-Forwarded-Host") == b"proxy.test"
    assert seen.one("X-Forwarded-Port") == b"%d" % proxy.ports["public"]
    assert seen.one("Forwarded") == b'for=%b;proto=https;host="proxy.test"' % upstream.source.encode()
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
    assert (
        seen.one(
            "X-Forwarded-For",
        ).split(b", ")[-1]
        == TRUSTED.encode()
    )


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
    "line",
    [
        "X-Forwarded-Proto: ftp",
        "X-Forwarded-Host: a b",
        'X-Forwarded-Host: a";x="y',
        "X-Forwarded-Port: x",
        "X-Forwarded-Port: ",
    ],
)
def test_a_trusted_peers_nonsense_is_not_passed_on(dial, proxy, upstream, line):
    """What does not parse is told anew."""
    assert dial(source=TRUSTED).ask(request("GET / HTTP/1.1", line)).status == 200
    seen = upstream.request()
    assert seen.one("X-Forwarded-Proto") == b"https"
    assert seen.one("X-Forwarded-Host") == b"proxy.test"
    assert seen.one("X-Forwarded-Port") == b"%d" % proxy.ports["public"]


@pytest.mark.parametrize("value", ['for="192.0.2.7', 'for=192.0.2.7;by="', '"', r'for="a\"b";x="c"', r'for="a\"'])
def test_no_open_quote_takes_our_own_word_into_it(dial, upstream, value):
    """A Forwarded of a trusted peer that has two readings is told anew; a good one beside it stays."""
    lines = [f"Forwarded: {value}", 'Forwarded: for="192.0.2.8"']
    assert dial(source=TRUSTED).ask(request("GET / HTTP/1.1", *lines)).status == 200
    assert upstream.request().one("Forwarded").startswith(b'for="192.0.2.8", for=127.0.0.2;proto=https')


@pytest.mark.parametrize(
    "line",
    [
        "Forwarded: for=192.0.2.7",
        'Forwarded: for="192.0.2.7:4711"',
        "Forwarded: For=192.0.2.7;proto=https, for=10.0.0.1",
    ],
)
def test_a_trusted_peer_may_speak_forwarded_alone(dial, upstream, line):
    """RFC 7239 says the same as X-Forwarded-For."""
    assert dial(source=TRUSTED).ask(request("GET / HTTP/1.1", line)).status == 200
    assert upstream.request().one("X-Real-IP") == b"192.0.2.7"


@pytest.mark.parametrize(
    "name", ["X-Forwarded-Prefix", "X-Forwarded-User", "X-Forwarded-Client-Cert", "X_Forwarded_For"]
)
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


@pytest.mark.parametrize("source", ["", TRUSTED])
def test_of_two_ids_none_is_taken(dial, upstream, source):
    """Whoever sends them: one is made, and stands once."""
    answer = dial(source=source).ask(request("GET / HTTP/1.1", "X-Request-Id: mine", "x-request-id: mine"))

    assert MADE(answer.one("X-Request-Id"))
    assert upstream.request().one("X-Request-Id") == answer.one("X-Request-Id")


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
