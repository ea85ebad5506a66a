"""The quick ways to build a head for the upstream build what the long one builds, byte for byte."""

from base64 import b64encode
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authproxy.core.decision import Allow
from authproxy.core.match import Match
from authproxy.core.names import RequestNames
from authproxy.core.route import Pattern
from authproxy.edge.forward import carries_our_token, upstream_head
from authproxy.http1.request import HeadLimits, RequestHead, RequestReader
from authproxy.keystore import Demand, Truststore
from authproxy.runtime import CertificateRules, IdentityValue
from tests.edge import made

ALLOW = Allow(made.RECORD, "api", "token", 3, Match.PRIMARY, "id")
ID = (b"X-User-Id: ", IdentityValue.ID)
NAME = (b"X-User-Name: ", IdentityValue.NAME)
OURS = b"__Host-authproxy-web=" + b"a" * 43
TOKEN = made.GOOD.removeprefix(b"Authorization: Bearer ")
FOREIGN = TOKEN.replace(b"svc_", b"other_")
# More than a shape must come before a pattern is made for it.
OFTEN = 100


def usual(*lines: bytes, target: bytes = b"/a/b?c=d"):
    """A head that a pattern has taken, as those of clients that go on asking."""
    reader = RequestReader(RequestNames(), HeadLimits())
    data = b"\r\n".join([b"GET " + target + b" HTTP/1.1", b"Host: proxy.test:8443", *lines, b"", b""])
    for _ in range(OFTEN):
        reader.read(data[:-4])
    found = reader.take(data)
    assert found is not None
    assert found.is_usual
    return found


@pytest.mark.parametrize(
    ("identity", "allow", "cookies", "token", "more"),
    list(
        product(
            [(ID,), (ID, NAME), ()],
            [ALLOW, None],
            [None, OURS, b"a=b; " + OURS, b"a=b"],
            [False, True],
            [(), (b"Accept: */*", b"X-User-Name: evil", b"User-Agent: test")],
        )
    ),
)
def test_the_quick_way_builds_what_the_long_one_does(identity, allow, cookies, token, more):
    """For a caller who was let in or a route that let everybody in, with cookies of ours and of others."""
    lines = [*more, *([made.GOOD] if token else []), *([b"Cookie: " + cookies] if cookies else [])]
    plain = made.route()
    world = made.runtime(identity=identity, zones={"api": made.zone()})
    facts = made.facts(usual(*lines), made.listener((Pattern(None, "/"), plain)), world)
    facts.allow = allow
    long = replace(plain, upstream_host=facts.request.host)
    assert plain.is_plain
    assert not long.is_plain

    quick, again = upstream_head(facts, plain), upstream_head(facts, plain)

    assert quick is not None
    assert quick == again == upstream_head(facts, long)
    assert quick.startswith(b"GET /a/b?c=d HTTP/1.1\r\nHost: proxy.test:8443\r\n")
    assert quick.endswith(b"\r\n\r\n")
    assert quick.count(b"\r\n\r\n") == 1
    assert OURS not in quick
    assert b"Authorization" not in quick
    assert quick.count(b"X-User-Id: " + made.USER_TEXT.encode()) == int(ID in identity and allow is not None)


@pytest.mark.parametrize(
    ("value", "passes"),
    [
        (b"Basic YWxpY2U6cHc=", True),
        (b"Negotiate abc", True),
        (b"Basic " + b64encode(b"alice:" + TOKEN), False),
        (b"Hawk " + TOKEN, False),
    ],
)
@pytest.mark.parametrize(("method", "version"), [("session", 3), ("session", None), ("certificate", None)])
def test_whom_another_credential_let_in_may_show_the_upstream_one_of_its_own(value, passes, method, version):
    """As on a public route: what holds no token of ours passes as it came."""
    plain = made.route()
    facts = made.facts(
        made.head(b"Authorization: " + value),
        made.listener((Pattern(None, "/"), plain)),
        made.runtime(zones={"api": made.zone()}),
    )
    facts.allow = Allow(made.RECORD, "api", method, version, None, "")

    built = upstream_head(facts, plain)

    assert built is not None
    assert built.count(b"\r\nAuthorization: " + value + b"\r\n") == int(passes)
    assert built.count(b"\r\nAuthorization:") == int(passes)


@pytest.mark.parametrize("long", [False, True])
def test_where_a_token_let_the_caller_in_nothing_of_the_field_passes(long):
    """On the quick way and on the long one."""
    where = made.route(upstream_host=b"up" if long else None)
    facts = made.facts(usual(made.GOOD), made.listener((Pattern(None, "/"), where)))
    facts.allow = ALLOW

    assert b"Authorization" not in (upstream_head(facts, where) or b"Authorization")


@pytest.mark.parametrize(("value", "passes"), [(FOREIGN, True), (TOKEN, False)])
def test_a_token_of_others_passes_where_certificates_alone_count(value, passes):
    """It may be what the upstream asks for; one of ours, of whatever zone, ends here."""
    demand = Demand(is_required=True, trust=Truststore(name="t", certificates=(), source="t.pem"))
    cards = replace(made.zone(), certificates=CertificateRules(demand=demand, sources=(), users=None))
    where = made.route(zone=cards)
    facts = made.facts(
        usual(b"Authorization: Bearer " + value),
        made.listener((Pattern(None, "/"), where)),
        made.runtime(zones={"api": made.zone()}),
    )
    facts.allow = Allow(made.RECORD, "api", "certificate", None, None, "")

    built = upstream_head(facts, where)

    assert built is not None
    assert built.count(b"Authorization: Bearer " + value) == int(passes)


def test_the_quick_way_tells_of_the_host_that_was_asked_for():
    """Of another one than before, too: all connections of one address share what is said of it."""
    plain = made.route()
    where = made.listener((Pattern(None, "/"), plain))
    for host in (b"a.test", b"b.test", b"a.test:1", b"a.test"):
        head = usual()
        head.host = host
        found = upstream_head(made.facts(head, where, made.runtime(identity=(ID,))), plain)

        assert found is not None
        assert b"\r\nHost: " + host + b"\r\n" in found
        assert b"\r\nX-Forwarded-Host: " + host + b"\r\n" in found
        assert b';host="' + host + b'"\r\n' in found


# What fields say that are no more than carried on or dropped, and those that mean something; the first is a usual one.
OTHERS = [b" v", b"", b"\t\xff ", b" a:b", b" \0"]
VALUES = {
    b"host": [b" a.test", b"a.test:65535\t", b" a.test:65536", b" [::1]:1", b" [1::g]", b" a@b", b"", b" A_.~", b" a.test:"],
    b"connection": [
        b" close", b" keep-alive", b" Close", b"\tKeep-Alive", b" cLOSE", b" close ", b" keep-alive\t", b" close, keep-alive",
        b" keep-alive,close", b" x-a", b" close,X-A", b"", b",close,", b" closed", b" host", b" cookie", b" x-user-id",
        b" te, upgrade", b" close;x", b" close x",
    ],
    b"authorization": [b" Bearer " + TOKEN, b" token   " + TOKEN.upper(), b" Bearer\t" + TOKEN, b" Basic x", b"", TOKEN],
    b"cookie": [b" " + OURS, b" a=b; " + OURS + b";c=d", b"\ta=b ", b""],
    b"te": [b" gzip", b" trailers"],
    b"upgrade": [b" websocket", b" h2c"],
    b"expect": [b" 100-continue", b" 200-ok"],
    b"content-length": [b" 0", b" 5", b"05", b" +5", b"", b" 5,5", b" " + b"1" * 19],
}  # fmt: skip
NAMES = [
    b"Close", b"close", b"cLoSe", b"Keep-Alive", b"X-A", b"x-a", b"X_User.Id", b"Client-IP", b"TE", b"Upgrade", b"Expect",
    b"Authorization", b"Cookie", b"Content-Length", b"Content-Type", b"X-Request-Id", b"Forwarded",
]  # fmt: skip
HOSTS, CONNECTIONS = [b"Host", b"host"], [b"Connection", b"connection", b"CONNECTION"]
STARTS = [
    b"GET / HTTP/1.1", b"POST /a?b=//c HTTP/1.1", b"GET /a HTTP/1.0", b"HEAD /%61/;b HTTP/1.1", b"GET /a//b HTTP/1.1", b"get / HTTP/1.1",
    b"GET /a/.b HTTP/1.1", b'DELETE /a" HTTP/1.1', b"GET /# HTTP/1.1", b"GET  / HTTP/1.1", b"GET / HTTP/1.2",
]  # fmt: skip


def values_of(name):
    """What a field of this name may say."""
    return VALUES.get(name.lower(), OTHERS)


def block(start, fields):
    """A head without its empty line."""
    return b"\r\n".join([start, *(name + b":" + value for name, value in fields)])


def sent(head):
    """All that goes upstream for it, and whether the client's connection goes on."""
    plain = made.route()
    facts = made.facts(head, made.listener((Pattern(None, "/"), plain)), made.runtime(identity=(ID,)))
    facts.allow = ALLOW
    return upstream_head(facts, plain), head.close, head.has_body


@st.composite
def shapes(draw):
    """Names of fields, in any order: those that come once at most, and `Connection` up to twice."""
    names = draw(st.lists(st.sampled_from(NAMES), max_size=4, unique_by=bytes.lower))
    names += draw(st.lists(st.sampled_from(CONNECTIONS), max_size=2))
    return draw(st.permutations([*names, draw(st.sampled_from(HOSTS))]))


@settings(max_examples=150)
@given(shapes(), st.booleans())
def test_of_whatever_shape_a_head_is_the_same_goes_upstream(names, reported):
    """A reader that has learnt a shape finds what careful reading finds: of usual heads, and of all that is nearly so."""
    learnt, fresh = (RequestReader(RequestNames(["X-User-Id"]), HeadLimits(), reported=reported) for _ in range(2))
    usual = [values_of(name)[0] for name in names]
    for _ in range(OFTEN):
        learnt.read(block(STARTS[0], zip(names, usual, strict=True)))
    heads = [(start, usual) for start in STARTS]
    heads += [
        (STARTS[0], [*usual[:place], value, *usual[place + 1 :]])
        for place, name in enumerate(names)
        for value in values_of(name)
    ]
    for start, values in heads:
        head = block(start, zip(names, values, strict=True))
        careful, found = fresh.read_carefully(head), learnt.read(head)

        if isinstance(careful, RequestHead):
            assert isinstance(found, RequestHead)
            assert sent(found) == sent(careful)
        else:
            assert found == careful


@pytest.mark.parametrize(
    "value",
    [
        b"Bearer " + FOREIGN + TOKEN,
        b"Hawk " + FOREIGN + FOREIGN + TOKEN,
        b"Basic " + b64encode(b"alice:" + TOKEN),
        b"basic \t" + b64encode(TOKEN.upper() + b":"),
        b"BASIC " + b64encode(b"x:" + TOKEN).rstrip(b"="),
    ],
)
def test_a_token_of_ours_is_found_wherever_it_stands(value):
    """Right behind another one; as a user or a password, whose scheme writes them in base64."""
    assert carries_our_token(value, (b"web_", b"svc_"))
    assert not carries_our_token(value, (b"web_",))


@pytest.mark.parametrize(
    "value",
    [b"Basic YWxpY2U6cHc=", b"Basic x", b"Basic", b"Basic \xff\xff", b"Basic " + b64encode(b"alice:" + FOREIGN), FOREIGN + FOREIGN],
)  # fmt: skip
def test_credentials_of_others_are_theirs(value):
    """Whether they can be read or not."""
    assert not carries_our_token(value, (b"web_", b"svc_"))
