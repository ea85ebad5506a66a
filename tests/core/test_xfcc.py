"""Envoy's X-Forwarded-Client-Cert, read back by a reader of its grammar that knows nothing of the writer."""

from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.certificate import CertificateNames, shown
from authproxy.core.xfcc import element

DIGEST = "ab" * 32


def names(**more: object) -> CertificateNames:
    facts = {
        "fingerprint": DIGEST, "spki": DIGEST, "serial": 1,
        "not_before": datetime(2026, 1, 1, tzinfo=UTC), "not_after": datetime(2027, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    return CertificateNames(**(facts | more))  # type: ignore[arg-type]


def read(header: bytes) -> list[list[tuple[str, str]]]:
    """Elements of keys and values: commas divide elements, semicolons pairs, but between double quotes."""
    elements, quoted = [[""]], False
    for char in header.decode("ascii"):
        if char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            elements.append([""])
        elif char == ";" and not quoted:
            elements[-1].append("")
        else:
            elements[-1][-1] += char
    assert not quoted
    return [[tuple(pair.split("=", 1)) for pair in one] for one in elements]  # type: ignore[misc]


def test_an_element_as_envoy_writes_it():
    """Keys in Envoy's order; what may stand bare is bare, the subject is always quoted."""
    told = names(
        subject="CN=job,O=Example", uris=("spiffe://example.org/job",), dns=("job.internal", "job.example.org")
    )

    assert element(told, ["spiffe://example.org/door"]) == (
        b"By=spiffe://example.org/door;Hash=" + DIGEST.encode() + b';Subject="CN=job,O=Example"'
        b";URI=spiffe://example.org/job;DNS=job.internal;DNS=job.example.org"
    )  # fmt: skip


def test_a_certificate_without_names_has_its_hash():
    """An empty subject is an empty subject."""
    assert element(names()) == b"Hash=" + DIGEST.encode() + b';Subject=""'


@pytest.mark.parametrize(
    ("uri", "written"),
    [
        ("https://a/?b=c", b'"https://a/?b=c"'),
        ("https://a/,URI=spiffe://evil", b'"https://a/,URI=spiffe://evil"'),
        ('https://a/";URI=x', b'"https://a/%22;URI=x"'),
        ("https://a/\\", b"https://a/%5C"),
        ("https://a/\r\nX-Authproxy-User: root", b"https://a/%0D%0AX-Authproxy-User:%20root"),
        ("https://ü/", b"https://%C3%BC/"),
        ("a\0b\u202e", b"a%00b%E2%80%AE"),
        ("", b""),
    ],
)
def test_hostile_uris_stay_one_value(uri, written):
    """Nothing in them ends a value, an element or a line."""
    assert element(names(uris=(uri,))).partition(b";URI=")[2] == written
    assert element(names(dns=(uri,))).partition(b";DNS=")[2] == written
    assert element(names(), [uri]).partition(b";Hash=")[0] == b"By=" + written


@pytest.mark.parametrize(
    ("subject", "written"),
    [
        ('CN=a\\"\\;Hash=0', "CN=a\\22\\;Hash=0"),
        ('CN=a\\\\\\"', "CN=a\\\\\\22"),
        ("CN=Jürgen", "CN=J\\C3\\BCrgen"),
        ("CN=" + shown("a\r\nX: y"), "CN=a\\0D\\0AX: y"),
        ("CN=a\\,b", "CN=a\\,b"),
    ],
)  # fmt: skip
def test_hostile_subjects_stay_one_value(subject, written):
    """A quote is escaped as RFC 4514 escapes bytes."""
    assert dict(read(element(names(subject=subject)))[0])["Subject"] == written


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.lists(text, max_size=3), st.lists(text, max_size=3), st.lists(text, max_size=3), text)
def test_what_is_written_is_read_back(uris, hosts, by, subject):
    """Whatever stands in a certificate: one element, visible ASCII, every name in its place."""
    written = element(names(uris=tuple(uris), dns=tuple(hosts), subject=shown(subject)), by)

    assert written.isascii()
    assert written.decode().isprintable()
    (pairs,) = read(written)
    for key, expected in (("URI", uris), ("DNS", hosts), ("By", by)):
        # A percent sign of the certificate's own stays what it is: URIs have them.
        assert [unquote(value) for name, value in pairs if name == key] == [unquote(one) for one in expected]
    assert [value for name, value in pairs if name == "Hash"] == [DIGEST]
    assert len([name for name, _ in pairs if name == "Subject"]) == 1


def test_a_thousand_names_do_not_fill_the_line():
    """Those that fit are whole; a subject that is too long is left out, not cut."""
    many = names(subject="CN=" + "x" * 2000, dns=tuple(f"host-{number}.example.org" for number in range(1000)))

    (pairs,) = read(element(many))

    assert len(element(many)) <= 4096
    assert [name for name, _ in pairs if name == "Subject"] == []
    assert [value for name, value in pairs if name == "DNS"][-1].endswith(".example.org")


def test_the_line_is_4096_bytes_at_most():
    """Both sides of the boundary; what comes behind a name without room is left out too."""
    used = len(element(names())) + len(";DNS=")
    fits, too_long = "a" * (4095 - used), "a" * (4096 - used)

    assert element(names(dns=(fits,))).endswith(b";DNS=" + fits.encode())
    assert element(names(dns=(too_long, "b"))) == element(names())


def test_a_subject_is_1024_bytes_at_most():
    """As it is written: an escape counts whole."""
    assert b"Subject" in element(names(subject="x" * 1024))
    assert b"Subject" not in element(names(subject="x" * 1025))
    assert b"Subject" in element(names(subject="x" * 1018 + "ü"))
    assert b"Subject" not in element(names(subject="x" * 1019 + "ü"))


def test_the_ends_of_visible_ascii_stay():
    """What lies just beyond is escaped."""
    assert element(names(uris=("!~",))).endswith(b";URI=!~")
    assert element(names(uris=(" \x7f",))).endswith(b";URI=%20%7F")
    assert b'Subject=" !~";' in element(names(subject=" !~", dns=("a",)))
