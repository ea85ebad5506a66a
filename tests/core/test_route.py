"""Routes against a naive model: every route is looked at, the best one is taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.route import NoRoute, Pattern, RouteTable

HOSTS = ["a.test", "b.a.test", "c.b.a.test", "test", "x", "[::1]"]
SEGMENTS = ["a", "b", "ab", "a b", "é"]
PATTERN_PATHS = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=3).map(lambda parts: "/" + "/".join(parts))
PATTERNS = st.builds(
    Pattern,
    st.sampled_from([None, "a.test", "b.a.test", "*.a.test", "*.test", "*.b.a.test"]),
    st.builds(lambda path, slash: path if path == "/" else path + slash, PATTERN_PATHS, st.sampled_from(["", "/"])),
    st.booleans(),
)
PATHS = st.builds(
    lambda parts, slash: ("/" + "/".join(parts) + (slash if parts else "")).encode(),
    st.lists(st.sampled_from(SEGMENTS), max_size=5),
    st.sampled_from(["", "/"]),
)


def matches_host(pattern: str | None, host: str) -> int | None:
    """How exact the match is; None when there is none."""
    if pattern is None:
        return 0
    if pattern.startswith("*."):
        return len(pattern) if host.endswith(pattern[1:]) and len(host) >= len(pattern) else None
    return 1000 if host == pattern else None


def matches_path(pattern: Pattern, path: bytes) -> int | None:
    """How exact the match is; None when there is none."""
    own = pattern.path.encode()
    if pattern.exact:
        return 1000 if path == own else None
    own = own.rstrip(b"/")
    return len(own) if path == own or path.startswith(own + b"/") else None


def model(patterns: list[Pattern], host: str, path: bytes) -> object:
    """The best of all routes: by host first, then by path."""
    best: tuple[int, int, int] | None = None
    known = False
    for number, pattern in enumerate(patterns):
        by_host = matches_host(pattern.host, host)
        if by_host is None:
            continue
        known = True
        by_path = matches_path(pattern, path)
        if by_path is not None and (best is None or (by_host, by_path) > best[:2]):
            best = (by_host, by_path, number)
    if best is not None:
        return f"route {best[2]}"
    return NoRoute.NO_MATCH if known else NoRoute.UNKNOWN_HOST


def unique(patterns: list[Pattern]) -> list[Pattern]:
    """One route for one host and path, as the configuration demands."""
    seen: dict[object, Pattern] = {}
    for one in patterns:
        seen.setdefault((one.host, one.path if one.exact else one.path.rstrip("/"), one.exact), one)
    return list(seen.values())


@given(st.lists(PATTERNS, max_size=8).map(unique), st.sampled_from(HOSTS), PATHS)
def test_the_table_agrees_with_the_model(patterns, host, path):
    """Exact host before the longest wildcard before none; then the exact path, then the longest prefix."""
    table = RouteTable([(pattern, f"route {number}") for number, pattern in enumerate(patterns)])
    wanted = model(patterns, host, path)
    if not patterns:
        wanted = NoRoute.UNKNOWN_HOST

    assert table.find(host, path) == wanted


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"/a", True),
        (b"/a/", True),
        (b"/a/b", True),
        (b"/ab", False),
        (b"/", False),
        (b"/A", False),
        (b"/x/a", False),
        (b"/a//", True),
    ],
)
@pytest.mark.parametrize("pattern", ["/a", "/a/"])
def test_a_prefix_is_matched_by_whole_segments(pattern, path, found):
    """With or without a slash at the end of the pattern."""
    table = RouteTable([(Pattern(None, pattern), "route")])

    assert table.find("x", path) == ("route" if found else NoRoute.NO_MATCH)


def test_no_routes_lead_nowhere():
    """No route, no way through."""
    assert RouteTable([]).find("x", b"/") is NoRoute.UNKNOWN_HOST


@pytest.mark.parametrize(
    ("host", "known"), [("a.test", True), ("x.b.test", True), ("b.test", False), ("c.test", False), ("", False)]
)
def test_a_host_is_known_when_a_route_is_for_it(host, known):
    """Whatever the path; without a host every host is."""
    routes = [(Pattern("a.test", "/deep/below"), "exact"), (Pattern("*.b.test", "/"), "wildcard")]

    assert RouteTable(routes).knows(host) is known
    assert RouteTable([*routes, (Pattern(None, "/"), "any")]).knows(host)


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        ([Pattern(None, "/")], "route 0"), ([Pattern(None, "/", exact=True)], None), ([Pattern(None, "/a")], None),
        ([Pattern("a.test", "/")], None), ([Pattern("*.a.test", "/")], None), ([], None),
        ([Pattern(None, "/"), Pattern(None, "/a")], None), ([Pattern(None, "/"), Pattern(None, "/a", exact=True)], None),
        ([Pattern(None, "/"), Pattern("a.test", "/")], None), ([Pattern(None, "/"), Pattern("*.a.test", "/")], None),
    ],
)  # fmt: skip
def test_only_a_route_that_takes_everything_takes_it_unasked(patterns, found):
    """Whatever its host and path: there is no other route that could be meant."""
    table = RouteTable([(pattern, f"route {number}") for number, pattern in enumerate(patterns)])

    assert table.catch_all == found
    if found is not None:
        assert table.find("any.test", b"/any/path") == found


DEEP = [
    (Pattern(None, "/a"), "a"), (Pattern(None, "/a/b/c"), "abc"), (Pattern(None, "/a/b/c", exact=True), "exact"),
    (Pattern("h.test", "/x/y"), "host"), (Pattern("*.test", "/x"), "short"), (Pattern("*.b.test", "/x"), "long"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("host", "path", "found"),
    [
        ("z", b"/a", "a"), ("z", b"/a/", "a"), ("z", b"/a/b", "a"), ("z", b"/a/b/", "a"), ("z", b"/a/b/c", "exact"), ("z", b"/a/b/c/", "abc"),
        ("z", b"/a/b/c/d/e/f", "abc"), ("z", b"/a/b/cd", "a"), ("z", b"/ab/b/c", None), ("z", b"/", None), ("z", b"/b/a", None),
        ("h.test", b"/x/y", "host"), ("h.test", b"/x/y/z", "host"), ("h.test", b"/x/yz", "short"), ("h.test", b"/x", "short"),
        ("h.test", b"/a/z", "a"), ("c.b.test", b"/x", "long"), ("b.test", b"/x", "short"), ("test", b"/x", None), (".test", b"/x", None),
        ("xtest", b"/x", None), ("z", b"/x", None), ("long.example", b"/x", None), ("a.b.tests", b"/x", None),
    ],
)  # fmt: skip
def test_the_deepest_prefix_of_the_most_exact_host_wins(host, path, found):
    """And where it has none for the path, the less exact ones are asked."""
    assert RouteTable(DEEP).find(host, path) == (found or NoRoute.NO_MATCH)
    assert RouteTable(list(reversed(DEEP))).find(host, path) == (found or NoRoute.NO_MATCH)


@pytest.mark.parametrize(
    ("host", "path", "found"),
    [
        ("h.test", b"/x/y", "host"), ("h.test", b"/x/z", "short"), ("h.test", b"/a", NoRoute.NO_MATCH), ("z", b"/x", NoRoute.UNKNOWN_HOST),
        ("test", b"/x", NoRoute.UNKNOWN_HOST), (".test", b"/x", NoRoute.UNKNOWN_HOST), ("c.b.test", b"/x/", "long"),
    ],
)  # fmt: skip
def test_without_a_route_for_every_host_some_are_unknown(host, path, found):
    """421, and not 404."""
    table = RouteTable([(pattern, route) for pattern, route in DEEP if pattern.host is not None])

    assert table.find(host, path) == found
    assert table.knows(host) is (found is not NoRoute.UNKNOWN_HOST)


def test_prefixes_without_a_route_at_the_root():
    """What no prefix leads to is nobody's; a root takes what is left."""
    table = RouteTable([(Pattern(None, "/a/b"), "ab")])
    assert table.find("h", b"/a/b/c") == "ab"
    assert table.find("h", b"/a") is NoRoute.NO_MATCH
    assert table.find("h", b"/") is NoRoute.NO_MATCH

    rooted = RouteTable(
        [(Pattern(None, "/a/b"), "ab"), (Pattern(None, "/"), "root"), (Pattern(None, "/", exact=True), "home")]
    )
    assert [rooted.find("h", path) for path in (b"/a/b", b"/a", b"/", b"/x/y/z")] == ["ab", "root", "home", "root"]
