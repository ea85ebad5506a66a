"""Who may act with a credential that the browser adds by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.origin import SAFE_METHODS, is_same_origin, may_act, own_origin

HOST = b"admin.example.org"
OWN = b"https://admin.example.org"


@pytest.mark.parametrize(
    ("site", "origin", "same"),
    [
        (b"same-origin", None, True),
        (b"same-origin", b"null", True),
        (b"same-origin", OWN, True),
        (b"same-site", OWN, False),
        (b"cross-site", OWN, False),
        (b"none", OWN, False),
        (b"", OWN, False),
        (b"Same-Origin", OWN, False),
        (b"same-origin, same-origin", OWN, False),
        (None, OWN, True),
        (None, None, False),
        (None, b"", False),
        (None, b"null", False),
        (None, b"http://admin.example.org", False),
        (None, b"https://admin.example.org:8443", False),
        (None, b"https://admin.example.org/", False),
        (None, b"https://admin.example.org.evil.example", False),
        (None, b"https://evil.admin.example.org", False),
        (None, b"https://admin.example.org, https://admin.example.org", False),
        (None, b"admin.example.org", False),
    ],
)
def test_sec_fetch_site_decides_and_without_it_the_origin(site, origin, same):
    """A form of this origin's own page, and nothing else."""
    assert is_same_origin(site, origin, HOST) is same
    assert may_act(site, origin, HOST) is (same or site == b"none")


def test_what_a_person_typed_may_act_but_not_sign_in():
    """`none`: no page had a part in it. No person types a POST to the login."""
    assert may_act(b"none", None, HOST)
    assert may_act(b"none", b"https://evil.example", HOST)
    assert not is_same_origin(b"none", None, HOST)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (b"admin.example.org:443", b"https://admin.example.org"),
        (b"Admin.Example.ORG", b"https://admin.example.org"),
        (b"admin.example.org:8443", b"https://admin.example.org:8443"),
        (b"admin.example.org:1443", b"https://admin.example.org:1443"),
        (b"[2001:db8::1]:443", b"https://[2001:db8::1]"),
        (b"[::443]", b"https://[::443]"),
        (b"127.0.0.1:8443", b"https://127.0.0.1:8443"),
    ],
)
def test_the_own_origin_is_written_as_browsers_write_it(host, origin):
    """RFC 6454, 6.2: lower case, no default port."""
    assert own_origin(host) == origin
    assert is_same_origin(None, origin, host)


@given(st.sampled_from([b"null", OWN + b".", OWN + b"@evil", b"https://" + HOST + b":444"]) | st.binary(max_size=40))
def test_no_other_origin_is_the_own(origin):
    """Compared whole."""
    assert is_same_origin(None, origin, HOST) is (origin == OWN)


def test_methods_that_change_nothing():
    """RFC 9110, 9.2.1."""
    assert {b"GET", b"HEAD", b"OPTIONS", b"TRACE"} == SAFE_METHODS
