"""The quick ways to build a head for the upstream build what the long one builds, byte for byte."""

from base64 import b64encode
from dataclasses import replace
from itertools import product

import pytest

from authproxy.core.decision import Allow
from authproxy.core.match import Match
from authproxy.core.names import RequestNames
from authproxy.core.route import Pattern
from authproxy.edge.forward import carries_our_token, upstream_head
from authproxy.http1.request import HeadLimits, RequestReader
from authproxy.runtime import IdentityValue
from tests.edge import made

ALLOW = Allow(made.RECORD, "api", "token", 3, Match.PRIMARY, "id")
ID = (b"X-User-Id: ", IdentityValue.ID)
NAME = (b"X-User-Name: ", IdentityValue.NAME)
OURS = b"__Host-authproxy-web=" + b"a" * 43
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
    facts = made.facts(usual(*lines), made.listener((Pattern(None, "/"), plain)), made.runtime(identity=identity))
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


TOKEN = made.GOOD.removeprefix(b"Authorization: Bearer ")
FOREIGN = TOKEN.replace(b"svc_", b"other_")


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
