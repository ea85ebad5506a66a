"""Paths that have one reading pass byte for byte; all others are refused (RFC 3986, 3.3)."""

import pytest

from tests.conformance.proxy import ALICE, request, token

pytestmark = pytest.mark.promise

REFUSED = [
    # dot segments: plain, encoded once, encoded twice, mixed, with parameters
    "/.", "/..", "/./a", "/../a", "/a/.", "/a/..", "/a/./b", "/a/../b", "/%2e", "/%2e%2e", "/a/%2E%2E/b", "/a/.%2e/b",
    "/a/%2e./b", "/%252e%252e/a", "/a/%252e/b", "/a/%25%32%65/b", "/a/..;x/b", "/a/..;/b", "/a/.;x=1/b", "/..;",
    "/a/%2e%2e;x/b", "/a/..%3bx/b", "/a/%2e%2e%3b/b",
    # separators in disguise
    "/a%2fb", "/a%2Fb", "/a%252fb", "/a%252Fb", "/a%25%32%66b", "/a%5cb", "/a%5Cb", "/a%255cb", "/a\\b", "/\\a",
    "/a/..\\b", "/a/..%5cb", "/a/..%2fb", "/%2fa", "/%2f%2fa", "/a%2f",
    # ends of strings and control bytes
    "/a%00b", "/a%2500b", "/%00", "/a%0ab", "/a%0d%0ab", "/a%09b", "/a%1fb", "/a%7fb",
    # parameters and empty segments
    "/a;x", "/;", "/a;/b", "/;/a", "//", "//a", "/a//b", "/a//", "/a///b", "//proxy.test/a",
    # broken escapes
    "/%", "/a%", "/a%2", "/a%zz", "/a%g0", "/a%0g", "/a%u002e", "/%%41", "/a%-1",
]  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "/public"])
@pytest.mark.parametrize("path", REFUSED)
def test_two_readings_are_none(wire, fence, prefix, path):
    """400, with and without a query, on guarded and on public routes."""
    for query in ("", "?a=b"):
        answer = wire.ask(request(f"GET {prefix}{path}{query} HTTP/1.1"))
        assert answer.status == 400
        assert answer.kind == "bad-request"
    fence()


@pytest.mark.parametrize(
    "target",
    [
        "/", "/a", "/a/", "/.a", "/..a", "/a.", "/a..", "/a/...", "/a/.well-known/x", "/%61", "/a%20b", "/a%25b", "/a%2525",
        "/%2ea", "/a%2e", "/a.%62", "/a%c3%a9", "/a%ff", "/a%80", "/%3f", "/a%3bb", "/%23", "/a~b", "/a:b", "/@",
        "/a?../..", "/a?b//c", "/a?%2f%5c%00;\\", "/a?", "/a??b", "/a?/../b", "/?..",
    ],
)  # fmt: skip
def test_one_reading_passes_byte_for_byte(wire, upstream, target):
    """What is forwarded is what the client wrote, never a normal form of it."""
    assert wire.ask(request(f"GET {target} HTTP/1.1")).status == 200
    assert upstream.request().target == target.encode()


@pytest.mark.parametrize(
    "target",
    [
        "/unusual/a;x=1",
        "/unusual//a",
        "/unusual/a//b//",
        "/unusual/a%2fb",
        "/unusual/a%2Fb;c",
        "/unusual/%2f",
        "/unusual/;",
    ],
)
def test_a_route_may_ask_for_unusual_paths(wire, upstream, target):
    """Semicolons, double and encoded slashes pass where the route says so."""
    assert wire.ask(request(f"GET {target} HTTP/1.1")).status == 200
    assert upstream.request().target == target.encode()


@pytest.mark.parametrize(
    "path",
    ["..", "a/../b", "%2e%2e/a", "..;x/a", "a;/../b", "a%2f..%2fb", "a%2f%2e%2e", "%252e", "a%252fb", "a%5cb", "a\\b", "a%00",
     "a%255cb", "a%2500", "a%", "a%0a", "a//../b"],
)  # fmt: skip
def test_the_rest_never_passes(wire, fence, path):
    """Not even on a route that asks for all three unusual forms."""
    assert wire.ask(request(f"GET /unusual/{path} HTTP/1.1")).status == 400
    fence()


@pytest.mark.parametrize("target", ["/admin/x", "/%61dmin/x", "/adm%69n/x", "/%61%64%6d%69%6e/x", "/admin", "/admin?x"])
def test_routes_match_the_decoded_path(wire, fence, target):
    """An escape does not lead around a stricter route: bob is no admin."""
    bob = f"Authorization: Bearer {token('api', '99999999-8888-4777-8666-555555555555')}\r\n".encode()

    answer = wire.ask(request(f"GET {target} HTTP/1.1", auth=bob))

    assert answer.status == 403
    assert answer.kind == "forbidden"
    fence()


@pytest.mark.parametrize(
    "target", ["/public-admin", "/publicx/", "/publi", "/Public/x", "/PUBLIC/", "/public%20/", "/x/public/"]
)
def test_routes_match_whole_segments(wire, fence, target):
    """`/public/` opens neither `/public-admin` nor another letter case."""
    assert wire.ask(request(f"GET {target} HTTP/1.1", auth=b"")).status == 401
    fence()


@pytest.mark.parametrize(
    "target", ["/public", "/public/", "/public/a/b", "/%70ublic/", "/public?x", "/public/?x=/admin"]
)
def test_a_prefix_opens_itself_and_what_is_below(wire, upstream, target):
    """With or without the final slash."""
    assert wire.ask(request(f"GET {target} HTTP/1.1", auth=b"")).status == 200
    assert upstream.request().target == target.encode()


@pytest.mark.parametrize(
    ("target", "status"),
    [("/exact", 405), ("/exact?x", 405), ("/ex%61ct", 405), ("/exact/", 200), ("/exact/x", 200), ("/exactly", 200)],
)
def test_an_exact_route_is_its_path_alone(wire, upstream, target, status):
    """The exact route takes PURGE only, so a GET tells which route it was."""
    assert wire.ask(request(f"GET {target} HTTP/1.1")).status == status


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("/gone/a", "/a"), ("/gone", "/"), ("/gone/", "/"), ("/gone?x=1", "/?x=1"), ("/gone/a%20b?x", "/a%20b?x"),
        ("/%67one/a", "/a"), ("/g%6fn%65/%61", "/%61"), ("/old/a", "/new/a"), ("/old", "/new"), ("/old?x", "/new?x"),
        ("/%6fld/%61?%2f", "/new/%61?%2f"),
    ],
)  # fmt: skip
def test_a_rewrite_keeps_all_other_bytes(wire, upstream, target, wanted):
    """The prefix is replaced however it was spelt; escapes behind it stay as they are."""
    assert wire.ask(request(f"GET {target} HTTP/1.1")).status == 200
    assert upstream.request().target.rstrip(b"/") == wanted.encode().rstrip(b"/")


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("/some/gone/x?y", "/x?y"), ("/some/%67one/x", "/x"), ("/some/gone", "/"), ("/some/x", "/some/x"), ("/some/", "/some/"),
        ("/some", "/some"), ("/some/goner/x", "/some/goner/x"), ("/some/gone%20/x", "/some/gone%20/x"),
        ("/some//gone/x", "/some//gone/x"), ("/some%2Fgone/x", "/x"), ("/some%2fgone%25/x", "/some%2fgone%25/x"),
    ],
)  # fmt: skip
def test_a_prefix_that_is_not_there_is_not_stripped(wire, upstream, target, wanted):
    """Where only some paths of a route begin with it, the others go on as they are."""
    assert wire.ask(request(f"GET {target} HTTP/1.1")).status == 200
    assert upstream.request().target == wanted.encode()


@pytest.mark.parametrize("target", ["/some/gone%2Fx", "/some/gone%2fx", "/some/gone//x"])
def test_what_would_be_no_path_without_its_prefix_is_refused(wire, fence, target):
    """Unusual slashes may pass on that route, but nothing else may come of them."""
    assert wire.ask(request(f"GET {target} HTTP/1.1")).status == 400
    fence()


def test_an_unknown_user_learns_no_paths(wire, fence):
    """Without a credential an existing path and another one look the same."""
    first = wire.ask(request("GET /admin/x HTTP/1.1", auth=b""))
    second = wire.ask(request("GET /nothing-here HTTP/1.1", auth=b""))

    assert first.status == second.status == 401
    assert first.one("WWW-Authenticate") == second.one("WWW-Authenticate")
    assert ALICE.encode() not in first.body
    fence()
