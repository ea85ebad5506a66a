"""Which name of a certificate counts: hostile ones never do."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.certificate import CertificateNames
from authproxy.core.client_name import MAX_NAME_BYTES, ClientName, Source, canonical, name_of, user_of
from authproxy.core.decision import Reason
from authproxy.core.record import UserId

DIGEST = "ab" * 32
ID = "550e8400-e29b-41d4-a716-446655440000"
ADDRESSES = [Source.URI, Source.SPIFFE, Source.DNS, Source.EMAIL]


def names(**more: object) -> CertificateNames:
    facts = {
        "fingerprint": DIGEST, "spki": DIGEST, "serial": 1,
        "not_before": datetime(2026, 1, 1, tzinfo=UTC), "not_after": datetime(2027, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    return CertificateNames(**(facts | more))  # type: ignore[arg-type]


def test_the_first_kind_that_the_certificate_has_decides():
    """What comes later in the list is not looked at, not even when the first finds nobody."""
    shown = names(dns=("a.example",), common_names=("alice",))

    assert name_of(shown, (Source.URI, Source.DNS, Source.CN)) == ClientName(Source.DNS, "a.example")
    assert name_of(shown, (Source.CN, Source.DNS)) == ClientName(Source.CN, "alice")


@pytest.mark.parametrize(
    ("source", "more"),
    [
        (Source.URI, {"uris": ("https://a.example/",)}),
        (Source.DNS, {"dns": ("a.example",)}),
        (Source.EMAIL, {"emails": ("a@a.example",)}),
        (Source.CN, {"common_names": ("alice",)}),
    ],
)
def test_each_kind_is_looked_for_in_its_place(source, more):
    """And nowhere else."""
    found = name_of(names(**more), (source,))

    assert found == ClientName(source, next(iter(more.values()))[0])
    assert (
        name_of(names(**more), tuple(set(Source) - {source, Source.SPIFFE, Source.FINGERPRINT}))
        is Reason.CERTIFICATE_UNNAMED
    )


def test_a_spiffe_id_is_a_uri_that_says_so():
    """Alone in its certificate."""
    shown = names(uris=("spiffe://example.org/a",), common_names=("alice",))

    assert name_of(shown, (Source.SPIFFE, Source.CN)) == ClientName(Source.URI, "spiffe://example.org/a")


def test_two_names_of_a_kind_are_nobodys():
    """Which of them would depend on the reader; a later kind does not help."""
    shown = names(uris=("https://a/", "https://b/"), common_names=("alice",))

    assert name_of(shown, (Source.URI, Source.CN)) is Reason.CERTIFICATE_AMBIGUOUS
    assert name_of(names(uris=("https://a/",) * 2), (Source.URI,)) is Reason.CERTIFICATE_AMBIGUOUS
    assert name_of(shown, (Source.CN,)) == ClientName(Source.CN, "alice")


def test_a_certificate_without_a_name_of_these_kinds_is_unnamed():
    """Nothing else is taken in its place; a fingerprint it always has."""
    shown = names(common_names=("alice",))

    assert name_of(shown, (Source.URI, Source.EMAIL)) is Reason.CERTIFICATE_UNNAMED
    assert name_of(shown, ()) is Reason.CERTIFICATE_UNNAMED
    assert name_of(shown, (Source.FINGERPRINT,)) == ClientName(Source.FINGERPRINT, DIGEST)


@pytest.mark.parametrize(
    "uris", [("spiffe://example.org/a", "https://a/"), ("https://a/", "SPIFFE://x/y"), ("spiffe://a/b", "spiffe://a/b")]
)
def test_beside_a_spiffe_id_stands_no_other_uri(uris):
    """X509-SVID, 2."""
    assert name_of(names(uris=uris), (Source.SPIFFE, Source.CN)) is Reason.CERTIFICATE_AMBIGUOUS


def test_other_uris_are_no_spiffe_ids():
    """A certificate that never claimed to be one may have another kind of name."""
    shown = names(uris=("https://a/", "https://b/"), common_names=("alice",))

    assert name_of(shown, (Source.SPIFFE, Source.CN)) == ClientName(Source.CN, "alice")


def test_an_authority_has_no_spiffe_id():
    """X509-SVID, 4.1: it signs for others and is none of them."""
    shown = names(uris=("spiffe://example.org/a",), is_authority=True)

    assert name_of(shown, (Source.SPIFFE,)) is Reason.CERTIFICATE_NAME_REFUSED
    assert name_of(shown, (Source.URI,)) == ClientName(Source.URI, "spiffe://example.org/a")


@pytest.mark.parametrize(
    "uri",
    [
        "spiffe://example.org/billing",
        "spiffe://a/b/c/D._-9",
        "spiffe://my_domain.example-1/x",
        f"spiffe://{'a' * 240}/b",
        "spiffe://a/...",
        "spiffe://a/.b",
    ],
)
def test_spiffe_ids_are_read(uri):
    """And compared with every other URI."""
    assert canonical(Source.SPIFFE, uri) == canonical(Source.URI, uri) == ClientName(Source.URI, uri)


@pytest.mark.parametrize(
    "uri",
    [
        "spiffe://example.org", "spiffe://example.org/", "spiffe:///a", "spiffe:a", "spiffe:/example.org/a",
        "spiffe://example.org//a", "spiffe://example.org/a/", "spiffe://example.org/a//b", "spiffe://example.org/./a",
        "spiffe://example.org/a/..", "spiffe://example.org/../a", "spiffe://example.org/a/.",
        "spiffe://Example.org/a", "SPIFFE://example.org/a", "spiffe://example.org:80/a", "spiffe://u@example.org/a",
        "spiffe://example.org/a?b", "spiffe://example.org/a#b", "spiffe://example.org/a%20b", "spiffe://exa%6dple/a",
        "spiffe://example.org/ä", "spiffe://[::1]/a", "https://example.org/a", "spiffe://example.org/a\n",
        f"spiffe://{'a' * 250}/b",
    ],
)  # fmt: skip
def test_broken_spiffe_ids_are_refused(uri):
    """SPIFFE-ID, 2: what has a second spelling, or says more than domain and path."""
    assert canonical(Source.SPIFFE, uri) is None
    if uri.lower().startswith("spiffe:"):
        assert name_of(names(uris=(uri,)), (Source.SPIFFE, Source.FINGERPRINT)) is Reason.CERTIFICATE_NAME_REFUSED


@pytest.mark.parametrize("source", [Source.URI, Source.DNS, Source.EMAIL, Source.CN])
@pytest.mark.parametrize(
    "text",
    [
        "", " ", "a\nb", "a\r\nX-Authproxy-User: root", "a\0b", "a\0", "\x7fa", "a\x85b", "a\tb", "\x1b[2Ja",
        "\u202eecila", "a\u2066b", "a\u200bb", "a\u200eb", "\ufeffa", "a\u00adb", "a\u2028b", "a\u00a0b", "a\u3000b",
        "a\ud800b", "a\ue000b", "a\U000e0041b", "\u0378", " a@b", "a@b ",
    ],
)  # fmt: skip
def test_hostile_names_are_nobodys(source, text):
    """Control characters, turned text, what shows nothing, blanks around, nothing at all: each of them is refused."""
    assert canonical(source, text) is None
    assert name_of(names(common_names=(text,)), (Source.CN,)) is Reason.CERTIFICATE_NAME_REFUSED


@pytest.mark.parametrize("source", [Source.URI, Source.DNS, Source.EMAIL])
@pytest.mark.parametrize("text", ["jürgen@example.org", "a b@c", "\u0430dmin@x"])
def test_addresses_are_visible_ascii(source, text):
    """Another alphabet has letters that look like these."""
    assert canonical(source, text) is None


@pytest.mark.parametrize(
    ("text", "good"),
    [("a" * MAX_NAME_BYTES, True), ("a" * (MAX_NAME_BYTES + 1), False), ("ü" * 128, True), ("ü" * 128 + "a", False)],
)
def test_a_name_has_256_bytes_at_most(text, good):
    """Bytes, not characters."""
    assert (canonical(Source.CN, text) is not None) == good


def test_each_kind_has_one_form():
    """Hosts in lower case, of an address its domain; a fingerprint with colons or without; others as they are."""
    assert canonical(Source.DNS, "A.Example.ORG") == ClientName(Source.DNS, "a.example.org")
    assert canonical(Source.EMAIL, "Alice@Example.ORG") == ClientName(Source.EMAIL, "Alice@example.org")
    assert canonical(Source.CN, "Jürgen, O=x") == ClientName(Source.CN, "Jürgen, O=x")
    colons = ":".join([DIGEST.upper()[:2]] * 32)
    assert canonical(Source.FINGERPRINT, colons) == ClientName(Source.FINGERPRINT, DIGEST)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (Source.DNS, "*.example.org"), (Source.DNS, "a*.example.org"), (Source.EMAIL, "alice"), (Source.EMAIL, "@b"),
        (Source.EMAIL, "a@"), (Source.FINGERPRINT, "ab" * 31), (Source.FINGERPRINT, "ab" * 33), (Source.FINGERPRINT, "zz" * 32),
    ],
)  # fmt: skip
def test_what_is_no_single_name_is_refused(source, text):
    """A wildcard is many hosts, half an address is none."""
    assert canonical(source, text) is None


@given(st.sampled_from([*ADDRESSES, Source.CN]), st.text())
def test_whatever_counts_is_harmless(source, text):
    """No accepted name could end a line, turn text, or be a second spelling of itself."""
    found = canonical(source, text)

    if found is not None:
        assert found.text.isprintable()
        assert found.text == found.text.strip()
        assert 0 < len(found.text.encode()) <= MAX_NAME_BYTES
        assert canonical(found.source, found.text) == found


def test_a_map_says_whose_a_name_is():
    """By kind and text; with a map, a user id in a certificate is a name like any."""
    alice = UserId(UUID(ID).bytes)
    users = {ClientName(Source.DNS, "a.example"): alice}

    assert user_of(ClientName(Source.DNS, "a.example"), users) == alice
    assert user_of(ClientName(Source.CN, "a.example"), users) is None
    assert user_of(ClientName(Source.CN, ID), users) is None


@pytest.mark.parametrize(
    ("name", "known"),
    [
        (ClientName(Source.CN, ID), True),
        (ClientName(Source.CN, ID.upper()), True),
        (ClientName(Source.URI, "urn:uuid:" + ID), True),
        (ClientName(Source.DNS, ID), True),
        (ClientName(Source.URI, "spiffe://example.org/" + ID), False),
        (ClientName(Source.CN, ID.replace("-", "")), False),
        (ClientName(Source.CN, "{" + ID + "}"), False),
        (ClientName(Source.CN, ID + "0"), False),
        (ClientName(Source.EMAIL, ID + "@example.org"), False),
        (ClientName(Source.FINGERPRINT, DIGEST), False),
    ],
)
def test_without_a_map_the_name_is_the_user_id(name, known):
    """In full and in one of its two spellings."""
    assert user_of(name, None) == (UUID(ID).bytes if known else None)
