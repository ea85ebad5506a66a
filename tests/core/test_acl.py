"""Rules about names: whole and exact, all parts of a rule, any rule of a list."""

from datetime import UTC, datetime

import pytest

from authproxy.core.acl import Rule, UriPattern
from authproxy.core.certificate import CertificateNames

NAMES = {
    "uris": ("spiffe://example.org/dev/one", "https://example.org/"),
    "dns": ("one.example.org", "Two.Example.org"),
    "emails": ("One@Example.org",),
    "ips": ("192.0.2.7", "2001:db8::7"),
    "common_names": ("one",),
    "units": ("Development", "Bank"),
    "issuer": "CN=root,O=Example",
}


def names(**more):
    when = datetime(2026, 1, 1, tzinfo=UTC)
    fixed = {"fingerprint": "f" * 64, "spki": "e" * 64, "serial": 1, "not_before": when, "not_after": when}
    return CertificateNames(**{**fixed, **NAMES, **more})


def rule(**parts):
    uri = parts.pop("uri", None)
    return Rule(uri=None if uri is None else UriPattern.parse(uri), **parts)


@pytest.mark.parametrize(
    "parts",
    [
        {"cn": "one"}, {"ou": "Bank"}, {"dns": "one.example.org"}, {"dns": "two.example.org"}, {"email": "One@example.org"},
        {"uri": "https://example.org/"}, {"uri": "spiffe://example.org/dev/*"}, {"ip": "2001:db8::7"},
        {"issuer": "CN=root,O=Example"}, {"spki": "e" * 64}, {"fingerprint": "f" * 64},
        {"cn": "one", "ou": "Bank", "ip": "192.0.2.7", "issuer": "CN=root,O=Example"},
    ],
)  # fmt: skip
def test_a_rule_admits_whom_it_names(parts):
    """By each part, and by all of them together; hosts in any letter case."""
    assert rule(**parts).admits(names())


@pytest.mark.parametrize(
    "parts",
    [
        {"cn": "On"}, {"cn": "ONE"}, {"ou": "bank"}, {"dns": "example.org"}, {"dns": "x.one.example.org"},
        {"email": "one@example.org"}, {"uri": "spiffe://example.org/dev"}, {"ip": "192.0.2.70"}, {"issuer": "CN=root"},
        {"spki": "f" * 64}, {"fingerprint": "e" * 64}, {"cn": "one", "ou": "Elsewhere"}, {"cn": "other", "ou": "Bank"},
    ],
)  # fmt: skip
def test_a_rule_admits_nobody_else(parts):
    """No part of a name is the name, and one part that does not hold is enough."""
    assert not rule(**parts).admits(names())


@pytest.mark.parametrize("part", ["cn", "ou", "dns", "email", "ip", "spki", "fingerprint", "issuer"])
def test_who_has_no_such_name_is_not_admitted(part):
    """Nothing is equal to a name that is not there."""
    nobody = names(
        uris=(), dns=(), emails=(), ips=(), common_names=(), units=(), issuer="", spki="0" * 64, fingerprint="0" * 64
    )
    assert not rule(**{part: "x"}).admits(nobody)
    assert not rule(uri="a:b/*").admits(nobody)


def test_two_common_names_are_none():
    """Which of them would be meant?"""
    assert not rule(cn="one").admits(names(common_names=("one", "two")))


@pytest.mark.parametrize(
    ("pattern", "uri", "expected"),
    [
        ("spiffe://a/dev/*", "spiffe://a/dev/x", True),
        ("spiffe://a/dev/*", "spiffe://a/dev/x-1._~@", True),
        ("spiffe://a/dev/*", "spiffe://a/dev/", False),
        ("spiffe://a/dev/*", "spiffe://a/dev", False),
        ("spiffe://a/dev/*", "spiffe://a/dev/x/y", False),
        ("spiffe://a/dev/*", "spiffe://a/dev/..", False),
        ("spiffe://a/dev/*", "spiffe://a/dev/.", False),
        ("spiffe://a/dev/*", "spiffe://a/dev/...", True),
        ("spiffe://a/dev/*", "spiffe://a/dev/%2e%2e", False),
        ("spiffe://a/dev/*", "spiffe://a/dev/x?y", False),
        ("spiffe://a/dev/*", "spiffe://a/dev/x#y", False),
        ("spiffe://a/dev/*", "spiffe://a/dev/x\n", False),
        ("spiffe://a/dev/*", "spiffe://b/dev/x", False),
        ("spiffe://a/dev/*", "spiffe://a/Dev/x", False),
        ("spiffe://a/*/x", "spiffe://a/b/x", True),
        ("spiffe://a/*/x", "spiffe://a/b/c/x", False),
        ("spiffe://a/dev/**", "spiffe://a/dev/x", True),
        ("spiffe://a/dev/**", "spiffe://a/dev/x/y/z", True),
        ("spiffe://a/dev/**", "spiffe://a/dev/x//z", False),
        ("spiffe://a/dev/**", "spiffe://a/dev/x/../z", False),
        ("spiffe://a/dev/**", "spiffe://a/dev/", False),
        ("spiffe://a/dev/**", "spiffe://a/dev", False),
        ("spiffe://a/**", "spiffe://a", False),
        ("spiffe://a/dev", "spiffe://a/dev", True),
        ("urn:x:y", "urn:x:y", True),
        ("urn:x:y", "urn:x:z", False),
        ("spiffe://a/*", "spiffe:/a/b", False),
    ],
)
def test_a_wildcard_is_a_segment(pattern, uri, expected):
    """Never none, never a part of one, never one that leads elsewhere."""
    assert UriPattern.parse(pattern).matches(uri) is expected


@pytest.mark.parametrize(
    "pattern",
    ["", "x", "a:", ":x", "1:x", "spiffe://*/x", "spiffe://a*/x", "*://a", "a://b/**/c", "a://b/x*", "a://b/***", "a://b/ c", "a://b/\x07", "a://b/c\n", "a://b/ü", "*:x"],
)  # fmt: skip
def test_what_is_no_pattern_is_refused(pattern):
    """With the cure."""
    with pytest.raises(ValueError, match=r"must be|compared whole|stands"):
        UriPattern.parse(pattern)
